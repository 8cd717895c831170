import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { MemorySessionStore } from '../../src/memory/memory-session-store.js';
import { MemoryTokenBlacklist } from '../../src/memory/memory-token-blacklist.js';
import { ConfigurationError } from '../../src/model/errors.js';
import { resolveSessionOptions } from '../../src/options/resolve-options.js';
import type { SessionModuleOptions } from '../../src/options/session-module-options.js';
import { secretOf } from '../support/secrets.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const SECRET = secretOf('x');

describe('resolveSessionOptions', () => {
  it('has the documented defaults', () => {
    for (const options of [undefined, {}, { session: undefined, cookie: { name: undefined }, jwt: undefined }]) {
      const resolved = resolveSessionOptions(options);
      expect(resolved).toMatchObject({
        redis: undefined,
        store: undefined,
        blacklist: undefined,
        jwt: undefined,
        nearCache: null,
        keyPrefix: 'session:',
        tenant: '',
        session: {
          idleTimeout: 30 * MINUTE,
          absoluteTimeout: 24 * HOUR,
          touchInterval: MINUTE,
          rotationInterval: Infinity,
          rotationGrace: 30_000,
          rememberMe: { idleTimeout: 14 * DAY, absoluteTimeout: 30 * DAY },
          maxSessionsPerUser: 5,
          onLimit: 'evict-least-recent',
        },
        cookie: {
          name: '__Host-session',
          secure: true,
          sameSite: 'lax',
          path: '/',
          domain: undefined,
          partitioned: false,
        },
        security: {
          useFingerprint: { cookie: 'reject', bearer: 'log' },
          bindToIP: { cookie: 'off', bearer: 'off' },
          idLength: 32,
          csrf: { enabled: true, trustedOrigins: [] },
        },
        sweeper: { interval: 30_000 },
        commandTimeout: 500,
        clockTolerance: MINUTE,
        adapter: {
          idleTimeout: 30 * MINUTE,
          absoluteTimeout: 24 * HOUR,
          limit: { max: 5, onLimit: 'evict-least-recent' },
        },
      });
      expect(resolved.security.idAlphabet).toHaveLength(62);
      expect(resolved.keys.ephemeral).toBe(true);
    }
  });

  it('reads durations as text or milliseconds, and the flags of the security options', () => {
    const jwt = { issuer: 'i', audience: ['a', 'b'], accessTokenTtl: '5m' as const, refreshGrace: 1000 };
    const resolved = resolveSessionOptions({
      session: {
        idleTimeout: '1.5h',
        absoluteTimeout: 90_000_000,
        touchInterval: '10 seconds',
        rotationInterval: '1 hour',
        rotationGrace: '5s',
        maxSessionsPerUser: 1000,
      },
      security: { useFingerprint: true, bindToIP: 'step-up', csrf: false, idLength: 22 },
      nearCache: true,
      sweeper: { interval: '1 min' },
      commandTimeout: '1s',
      jwt,
    });
    expect(resolved).toMatchObject({
      session: {
        idleTimeout: 1.5 * HOUR,
        absoluteTimeout: 25 * HOUR,
        touchInterval: 10_000,
        rotationInterval: HOUR,
        rotationGrace: 5_000,
        maxSessionsPerUser: 1000,
      },
      security: {
        useFingerprint: { cookie: 'reject', bearer: 'log' },
        bindToIP: { cookie: 'step-up', bearer: 'step-up' },
        csrf: { enabled: false },
        idLength: 22,
      },
      nearCache: { maxEntries: 10_000, maxStale: 5_000 },
      sweeper: { interval: MINUTE },
      commandTimeout: 1000,
      jwt: { issuer: 'i', audience: ['a', 'b'], accessTokenTtl: 5 * MINUTE, refreshGrace: 1000 },
    });
    expect(resolveSessionOptions({ nearCache: { maxStale: '1s' } }).nearCache).toEqual({
      maxEntries: 10_000,
      maxStale: 1000,
    });
    expect(resolveSessionOptions({ nearCache: false, security: { useFingerprint: false } }).nearCache).toBeNull();
  });

  it('caps a default idle timeout by the absolute one that was set', () => {
    const { session } = resolveSessionOptions({
      session: { absoluteTimeout: '10m', rememberMe: { absoluteTimeout: '1d' } },
    });
    expect(session).toMatchObject({
      idleTimeout: 10 * MINUTE,
      absoluteTimeout: 10 * MINUTE,
      touchInterval: MINUTE,
      rememberMe: { idleTimeout: DAY, absoluteTimeout: DAY },
    });
    expect(resolveSessionOptions({ session: { idleTimeout: '1h', absoluteTimeout: '1h' } }).session.idleTimeout).toBe(
      HOUR,
    );
    const preset = resolveSessionOptions({ preset: 'aal1', session: { absoluteTimeout: '1h' } });
    expect(preset.session).toMatchObject({ idleTimeout: HOUR, rememberMe: { idleTimeout: 14 * DAY } });
  });

  it('lets the touch interval follow a short idle timeout, so that sessions in use do not end', () => {
    expect(resolveSessionOptions({ session: { idleTimeout: '2m' } }).session.touchInterval).toBe(12_000);
    expect(resolveSessionOptions({ session: { idleTimeout: '2m', touchInterval: '12s' } }).session.touchInterval).toBe(
      12_000,
    );
  });

  it('is frozen to the bottom, and takes nothing of the objects it was given', () => {
    const trustedOrigins = ['https://a.example'];
    const options: SessionModuleOptions = {
      redis: { host: 'a' },
      secrets: SECRET,
      security: { csrf: { trustedOrigins } },
    };
    const resolved = resolveSessionOptions(options);
    trustedOrigins.push('https://evil.example');
    expect(resolved.security.csrf.trustedOrigins).toEqual(['https://a.example']);
    const visit = (value: unknown, path: string): void => {
      if (typeof value !== 'object' || value === null || path === '.redis') return;
      const isOurs = Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype;
      if (isOurs) expect([path, Object.isFrozen(value)]).toEqual([path, true]);
      if (isOurs) for (const [key, inner] of Object.entries(value)) visit(inner, `${path}.${key}`);
    };
    visit(resolved, '');
    expect(Object.isFrozen(options.redis)).toBe(false);
  });

  it('hands on adapters, hooks and clients as they are', () => {
    const store = new MemorySessionStore();
    const blacklist = new MemoryTokenBlacklist();
    const hooks = { resolveUser: () => null, beforeStart: () => true, session: { maxSessionsPerUser: () => 3 } };
    const client = { duplicate: () => undefined, status: 'ready' } as never;
    const resolved = resolveSessionOptions({ store, blacklist, redis: client, secrets: SECRET, ...hooks });
    expect([resolved.store, resolved.blacklist, resolved.redis]).toEqual([store, blacklist, client]);
    expect(resolved.resolveUser).toBe(hooks.resolveUser);
    expect(resolved.beforeStart).toBe(hooks.beforeStart);
    expect(resolved.session.maxSessionsPerUser).toBe(hooks.session.maxSessionsPerUser);
    expect(Object.isFrozen(store)).toBe(false);
  });

  it.each(['redis://localhost', 'rediss://u:p@h:1/2', '/tmp/redis.sock'])(
    'accepts %s as the place of Redis',
    (redis) => {
      expect(resolveSessionOptions({ redis, secrets: SECRET }).redis).toBe(redis);
    },
  );

  const wrong: [unknown, string][] = [
    [null, 'options: must be an object, not null'],
    [[], 'options: must be an object, not a list'],
    ['redis://x', 'options: must be an object, not text'],
    [{ sesion: {} }, 'sesion: there is no such option; did you mean "session"?'],
    [{ idleTimeout: '30m' }, 'idleTimeout: there is no such option; did you mean "session.idleTimeout"?'],
    [{ absoluteTimout: 1 }, 'absoluteTimout: there is no such option; did you mean "session.absoluteTimeout"?'],
    [{ secret: SECRET }, 'secret: there is no such option; did you mean "secrets"?'],
    [{ flux: 1 }, 'flux: there is no such option.'],
    [{ session: { idleTimout: 1 } }, 'session.idleTimout: there is no such option; did you mean "idleTimeout"?'],
    [{ session: { rememberMe: { idle: 1 } } }, 'session.rememberMe.idle: there is no such option.'],
    [{ session: 3 }, 'session: must be an object.'],
    [
      { session: { idleTimeout: '30 apples' } },
      'session.idleTimeout: "30 apples" is not a duration; write, for example, "30m", or milliseconds above 0.',
    ],
    [{ session: { idleTimeout: '' } }, 'session.idleTimeout: "" is not a duration'],
    [{ session: { idleTimeout: 0 } }, 'session.idleTimeout: 0 is not a duration'],
    [{ session: { idleTimeout: -5 } }, 'session.idleTimeout: -5 is not a duration'],
    [{ session: { idleTimeout: '-5m' } }, 'session.idleTimeout: "-5m" is not a duration'],
    [{ session: { idleTimeout: NaN } }, 'session.idleTimeout: null is not a duration'],
    [{ session: { idleTimeout: Infinity } }, 'session.idleTimeout: null is not a duration'],
    [{ session: { idleTimeout: '100y' } }, 'session.idleTimeout: "100y" is not a duration'],
    [{ session: { idleTimeout: null } }, 'session.idleTimeout: null is not a duration'],
    [{ session: { absoluteTimeout: [1] } }, 'session.absoluteTimeout: [1] is not a duration'],
    [
      { session: { touchInterval: '4m' } },
      'session.touchInterval: 240000 ms is more than a tenth of session.idleTimeout',
    ],
    [{ session: { rotationInterval: '30s' } }, 'session.rotationInterval: must be longer than 30000 ms'],
    [
      { session: { rotationInterval: '5s', rotationGrace: '5s' } },
      'session.rotationInterval: must be longer than 5000 ms (session.rotationGrace)',
    ],
    [{ session: { rotationGrace: 'soon' } }, 'session.rotationGrace: "soon" is not a duration'],
    [{ session: { maxSessionsPerUser: 0 } }, 'session.maxSessionsPerUser: must be a whole number from 1 to 1000'],
    [{ session: { maxSessionsPerUser: 1001 } }, 'session.maxSessionsPerUser: must be a whole number from 1 to 1000'],
    [{ session: { maxSessionsPerUser: 1.5 } }, 'session.maxSessionsPerUser: must be a whole number from 1 to 1000'],
    [
      { session: { maxSessionsPerUser: '5' } },
      'session.maxSessionsPerUser: must be a whole number from 1 to 1000, or a function',
    ],
    [
      { session: { onLimit: 'evict' } },
      'session.onLimit: must be one of "evict-least-recent", "evict-oldest", "reject".',
    ],
    [{ session: { maxRecordBytes: 10 } }, 'session.maxRecordBytes: must be a whole number from 1024'],
    [{ redis: '' }, 'redis: must be a URL'],
    [{ redis: 'localhost:6379' }, 'redis: must be a URL'],
    [{ redis: 'http://localhost' }, 'redis: must be a URL'],
    [{ redis: 6379 }, 'redis: must be a URL'],
    [{ redis: { cluster: { nodes: [] } }, secrets: SECRET }, 'redis: must be a URL'],
    [{ redis: { cluster: [] }, secrets: SECRET }, 'redis: must be a URL'],
    [{ store: {} }, 'store: must be an instance of a class that extends SessionStore'],
    [{ store: null }, 'store: must be an instance of a class that extends SessionStore'],
    [{ blacklist: new Map() }, 'blacklist: must be an instance of a class that extends TokenBlacklist'],
    [{ keyPrefix: '' }, 'keyPrefix: must not be empty.'],
    [{ keyPrefix: 'a{b}:' }, 'keyPrefix: must have no braces'],
    [{ tenant: 3 }, 'tenant: must be text, or a function of the request.'],
    [{ tenant: '' }, 'tenant: must not be empty, which means no tenant; omit it'],
    [{ session: { idleTimeout: 999 } }, 'session.idleTimeout: 999 ms is under a second; a number counts milliseconds'],
    [{ session: { idleTimeout: 30 } }, 'session.idleTimeout: 30 ms is under a second'],
    [{ session: { absoluteTimeout: '500ms' } }, 'session.absoluteTimeout: 500 ms is under a second'],
    [{ session: { rememberMe: { idleTimeout: 14 } } }, 'session.rememberMe.idleTimeout: 14 ms is under a second'],
    [
      { session: { idleTimeout: '2h', absoluteTimeout: '1h' } },
      'session.idleTimeout: 7200000 ms is longer than session.absoluteTimeout (3600000 ms), so it would never end a session; shorten it, or raise session.absoluteTimeout.',
    ],
    [{ session: { idleTimeout: '25h' } }, 'session.idleTimeout: 90000000 ms is longer than session.absoluteTimeout'],
    [
      { session: { rememberMe: { idleTimeout: '31d' } } },
      'session.rememberMe.idleTimeout: 2678400000 ms is longer than session.rememberMe.absoluteTimeout',
    ],
    [
      { preset: 'aal3', session: { idleTimeout: '13h' } },
      'session.idleTimeout: 46800000 ms is longer than session.absoluteTimeout',
    ],
    [
      { cookie: { maxAge: 86_400_000 } },
      'cookie.maxAge: there is no such option; a session lives for session.idleTimeout and session.absoluteTimeout',
    ],
    [{ cookie: { expires: new Date() } }, 'start(…, { rememberMe: true })'],
    [
      { jwt: { issuer: 'a', audience: 'b', secret: SECRET } },
      'jwt.secret: there is no such option; tokens are signed with a key derived from secrets, or with jwt.keys: [{ kid',
    ],
    [{ jwt: { issuer: 'a', audience: 'b', expiresIn: '1h' } }, 'access tokens live for jwt.accessTokenTtl'],
    [{ jwt: { issuer: 'a', audience: 'b', signOptions: {} } }, 'access tokens live for jwt.accessTokenTtl'],
    [{ maxAge: 1 }, 'maxAge: there is no such option; a session lives for'],
    [{ resave: false }, 'resave: there is no such option; to mount express-session'],
    [
      { security: { idLength: 10 } },
      'security.idLength: gives 59 bits, at least 128 are needed: use 22 characters or more.',
    ],
    [{ security: { idAlphabet: 'aa' } }, 'security.idAlphabet: must not repeat a character.'],
    [{ security: { idAlphabet: 'a' } }, 'security.idAlphabet: must have 2 to 256 characters.'],
    [{ security: { idAlphabet: 'abc.' } }, 'security.idAlphabet: may hold only letters, digits, "-", "_" and "~"'],
    [
      { security: { useFingerprint: 'sometimes' } },
      'security.useFingerprint: must be true, false, "off", "log", "step-up", "reject" or "end", or { cookie, bearer } of these.',
    ],
    [{ security: { csrf: 'on' } }, 'security.csrf: must be true, false or { trustedOrigins'],
    [{ security: { csrf: { trustedOrigins: ['example.com'] } } }, 'security.csrf.trustedOrigins[0]: must be an origin'],
    [
      { security: { csrf: { trustedOrigins: ['https://a.example', 'https://b.example/'] } } },
      'security.csrf.trustedOrigins[1]: must be an origin',
    ],
    [{ security: { csrf: { trustedOrigins: ['*'] } } }, 'security.csrf.trustedOrigins[0]: must be an origin'],
    [{ security: { csrf: { trustedOrigin: [] } } }, 'security.csrf'],
    ...[
      'https://*.com',
      'https://*',
      'https://a.*.example.com',
      'https://*.example.com/',
      '*.example.com',
      'null',
      'file:///x',
      'capacitor://*',
      'javascript://a',
    ].map((origin): [unknown, string] => [
      { security: { csrf: { trustedOrigins: [origin] } } },
      'security.csrf.trustedOrigins[0]: must be an origin',
    ]),
    [{ nearCache: { maxStale: 'long' } }, 'nearCache.maxStale: "long" is not a duration'],
    [{ nearCache: { size: 3 } }, 'nearCache.size: there is no such option.'],
    [{ sweeper: { interval: '30d' } }, 'sweeper.interval: must be 24 days or less.'],
    [{ commandTimeout: '1y' }, 'commandTimeout: must be 24 days or less.'],
    [{ resolveUser: true }, 'resolveUser: must be a function.'],
    [{ beforeStart: {} }, 'beforeStart: must be a function.'],
    [{ jwt: {} }, 'jwt.issuer: must be text.'],
    [{ jwt: { issuer: 'a' } }, 'jwt.audience: must be text or a list of texts, not empty.'],
    [{ jwt: { issuer: 'a', audience: [] } }, 'jwt.audience: must not be empty.'],
    [{ jwt: { issuer: 'a', audience: 'b', keys: [] } }, 'jwt.keys: must not be empty'],
    [
      { jwt: { issuer: 'a', audience: 'b', keys: [{ kid: 'k', alg: 'none' }] } },
      'jwt.keys[0].alg: must be one of "HS256"',
    ],
    [
      { jwt: { issuer: 'a', audience: 'b', keys: [{ kid: 'k', alg: 'HS256', secrt: 'x' }] } },
      'jwt.keys[0].secrt: there is no such option; did you mean "secret"?',
    ],
    [{ secrets: '' }, 'secrets: has 0 bytes, at least 32 are needed'],
    [{ secrets: [] }, 'secrets: the list is empty'],
    [{ secrets: [SECRET, 'short'] }, 'secrets[1]: has 5 bytes'],
    [{ secrets: 3 }, 'secrets: must be text, bytes, or a list of them.'],
    [{ secrets: Buffer.alloc(31) }, 'secrets: has 31 bytes'],
    [{ redis: 'redis://localhost' }, 'secrets: required with redis'],
  ];

  it.each(wrong)('GHSA-8fpg-xm3f-6cx3: %j stops the boot and says how to fix it', (options, message) => {
    let thrown: unknown;
    try {
      resolveSessionOptions(options as SessionModuleOptions);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(ConfigurationError);
    expect((thrown as Error).message).toContain(message);
  });

  it('never repeats a secret or a password', () => {
    const secret = 'hunter2-hunter2';
    for (const options of [
      { secrets: secret },
      { secrets: [SECRET, secret] },
      { secrets: { value: secret } },
      { redis: `redi://:${secret}@host` },
      { redis: `redis://:${secret}@host` },
      { jwt: { issuer: 'a', audience: 'b', keys: [{ kid: 'k', alg: 'HS256', secret, extra: secret }] } },
      { jwt: { issuer: 'a', audience: 'b', keys: [{ kid: 'k', alg: secret, secret }] } },
    ]) {
      expect(() => resolveSessionOptions(options as never)).toThrow(ConfigurationError);
      try {
        resolveSessionOptions(options as never);
      } catch (error) {
        expect(String(error)).not.toContain(secret);
      }
    }
  });
});

describe('keys', () => {
  const bytesOf = (secrets: SessionModuleOptions['secrets']) => {
    const { credential, fingerprint, jwt, ephemeral } = resolveSessionOptions({ secrets }).keys;
    return {
      all: [credential, fingerprint, jwt].map((keys) => keys.map((key) => key.export().toString('hex'))),
      ephemeral,
    };
  };

  it('are derived from the secrets: always the same, one for each purpose and secret (RFC 5869)', () => {
    const [a, b] = [secretOf('a'), Buffer.from(secretOf('b'))];
    const { all, ephemeral } = bytesOf([a, b]);
    expect(ephemeral).toBe(false);
    expect(new Set(all.flat()).size).toBe(6);
    expect(all.flat().every((key) => key.length === 64)).toBe(true);
    expect(bytesOf([a, b])).toEqual({ all, ephemeral });
    expect(bytesOf(a).all).toEqual(all.map(([first]) => [first]));
    expect(bytesOf(Uint8Array.from(b)).all).toEqual(all.map(([, second]) => [second]));
    expect(all.flat()).not.toContain(Buffer.from(a).toString('hex'));
  });

  it('are drawn at each boot where there are no secrets', () => {
    expect(bytesOf(undefined).all).not.toEqual(bytesOf(undefined).all);
    expect(bytesOf(undefined).ephemeral).toBe(true);
  });

  it('stay out of what is printed', () => {
    const secret = randomBytes(32).toString('hex');
    const resolved = resolveSessionOptions({ secrets: secret });
    expect(inspect(resolved, { depth: 9 })).not.toContain(secret);
    expect(JSON.stringify(resolved)).not.toContain(secret);
  });
});
