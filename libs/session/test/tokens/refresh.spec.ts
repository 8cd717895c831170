import fc from 'fast-check';
import { createSecretKey, randomBytes, type KeyObject } from 'node:crypto';
import { Redis } from 'ioredis';
import { loadJwtSigners } from '../../src/core/load-jwt-signers.js';
import { CredentialCodec } from '../../src/model/credential.js';
import { MemorySessionStore } from '../../src/memory/memory-session-store.js';
import { resolveSessionOptions } from '../../src/options/resolve-options.js';
import type { SessionStore } from '../../src/ports/session-store.js';
import { RedisKeys } from '../../src/redis/keys.js';
import { RedisSessionStore } from '../../src/redis/redis-session-store.js';
import { SessionAuthenticator } from '../../src/sessions/session-authenticator.js';
import { SessionService } from '../../src/sessions/session-service.js';
import { SessionToucher } from '../../src/sessions/session-toucher.js';
import { TokenService } from '../../src/tokens/token-service.js';
import { testRedisUrl } from '../support/redis-harness.js';

const createSigner = await loadJwtSigners();
const GRACE = 30_000;
/** Past the window, which begins a millisecond late where a token rotates in the one in which it was made. */
const PAST = GRACE + 2;
const newKey = (): KeyObject => createSecretKey(randomBytes(32));
const options = resolveSessionOptions({
  jwt: { issuer: 'https://issuer.example', audience: 'api', refreshGrace: GRACE },
  session: { idleTimeout: '20h' },
  // How reuse is detected by default has a file of its own: reuse-detection.spec.ts.
  reuseDetection: 'after-grace',
  security: { useFingerprint: 'reject' },
});

/** One instance of the application: its own store connection, its own view of the keys. */
class Instance {
  readonly tokens: TokenService;
  readonly sessions: SessionService;

  constructor(
    readonly store: SessionStore,
    keys: KeyObject[],
  ) {
    const codec = new CredentialCodec(keys);
    this.tokens = new TokenService(store, codec, options, createSigner);
    this.sessions = new SessionService(
      store,
      codec,
      new SessionAuthenticator(store, codec, options),
      new SessionToucher(store, options),
      options,
    );
  }
}

/** Two instances over the same data, and what may happen to them from outside. */
interface World {
  instances(keys: KeyObject[]): [Instance, Instance];
  advance(ms: number): void;
  /** Remembers the user's record; the returned function puts it back, as a server does that lost its latest writes. */
  snapshot(userId: string): Promise<() => Promise<void>>;
  close(): Promise<void>;
}

function memoryWorld(): World {
  let now = 1_800_000_000_000;
  const store = new MemorySessionStore({ clock: () => now });
  // Nothing but the test loses writes of the memory store, so there is no door for it.
  const users = (store as unknown as { users: Map<string, { sessions: Map<string, object> }> }).users;
  return {
    instances: (keys) => [new Instance(store, keys), new Instance(store, keys)],
    advance: (ms) => void (now += ms),
    snapshot: async () => {
      const copies = [...users.values()].map((user) => ({
        user,
        sessions: [...user.sessions].map(([sid, stored]) => [sid, { ...stored }] as const),
      }));
      return async () => {
        for (const { user, sessions } of copies)
          for (const [sid, stored] of sessions) if (user.sessions.has(sid)) user.sessions.set(sid, stored);
      };
    },
    close: async () => store.close(),
  };
}

function redisWorld(): World {
  let shift = 0;
  const keyPrefix = `test-${randomBytes(6).toString('hex')}:`;
  const clients = [new Redis(testRedisUrl()), new Redis(testRedisUrl())];
  const stores = clients.map(
    (client) => new RedisSessionStore(client, { keyPrefix, timeShift: () => shift, commandTimeout: 5_000 }),
  );
  const keyNames = new RedisKeys(keyPrefix, '');
  return {
    instances: (keys) => [new Instance(stores[0] as SessionStore, keys), new Instance(stores[1] as SessionStore, keys)],
    advance: (ms) => void (shift += ms),
    snapshot: async (userId) => {
      const [client] = clients as [Redis, Redis];
      const { user } = keyNames.ofUser(userId);
      const dump = await client.dumpBuffer(user);
      return async () => {
        if (dump && (await client.exists(user))) await client.restore(user, 3_600_000, dump, 'REPLACE');
      };
    },
    close: async () => {
      await Promise.all(stores.map((store) => store.close()));
      for (const client of clients) client.disconnect();
    },
  };
}

describe.each([
  ['memory', memoryWorld, 200],
  ['Redis', redisWorld, 40],
] as const)('refresh tokens on %s', (_name, createWorld, runs) => {
  let world: World;
  beforeEach(() => {
    world = createWorld();
  });
  afterEach(() => world.close());

  const signIn = async (
    instance: Instance,
    userId = `user-${randomBytes(4).toString('hex')}`,
  ): Promise<{ id: string; userId: string; refreshToken: string }> => {
    const { session, refreshToken } = await instance.sessions.start({ userId }, { credentials: ['refresh'] });
    if (refreshToken === undefined) throw new Error('no refresh token was drawn');
    return { id: session.id, userId, refreshToken };
  };
  const codeOf = (operation: Promise<unknown>): Promise<unknown> =>
    operation.then(
      () => 'fine',
      (error: { code?: unknown }) => error.code,
    );

  it('50 parallel refreshes of one token over two instances: one family, one successor, nobody signed out (CVE-2026-53517, CVE-2026-22751)', async () => {
    const [a, b] = world.instances([newKey()]);
    const { id, refreshToken } = await signIn(a);
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, index) => (index % 2 ? a : b).tokens.refresh(refreshToken)),
    );
    expect(new Set(answers.map((answer) => answer.refreshToken)).size).toBe(1);
    expect(answers[0]?.refreshToken).not.toBe(refreshToken);
    for (const { accessToken } of answers) expect((await b.tokens.verify(accessToken)).live.session.id).toBe(id);
    world.advance(PAST);
    expect(await codeOf(b.tokens.refresh(answers[0]?.refreshToken))).toBe('fine');
  });

  it('an old token after the grace window ends the session, and every token of it is 401 (ASVS 5.0, 10.4.5; RFC 9700, 4.14.2)', async () => {
    const [a, b] = world.instances([newKey()]);
    const { id, refreshToken } = await signIn(a);
    const second = await a.tokens.refresh(refreshToken);
    world.advance(PAST);
    expect(await codeOf(b.tokens.refresh(refreshToken))).toBe('session_revoked');
    expect(await a.store.read(id)).toMatchObject({ state: 'ended', reason: 'reuse' });
    expect(await codeOf(a.tokens.refresh(second.refreshToken))).toBe('session_revoked');
    expect(await codeOf(a.tokens.verify(second.accessToken))).toBe('session_revoked');
  });

  it('a guess ends nobody: forged tag, wrong secret, wrong n, cookie as refresh token (ASVS 5.0, 9.2.2)', async () => {
    const key = newKey();
    const [a] = world.instances([key]);
    const { id, refreshToken } = await signIn(a);
    const [head = '', secret = '', n = '', branch = '', tag = ''] = refreshToken.split('.');
    const codec = new CredentialCodec([key]);
    const guesses = [
      `${head}.${secret}.${n}.${branch}.${tag.replace(/^./, (c) => (c === 'A' ? 'B' : 'A'))}`,
      `${head}.${secret.replace(/^./, (c) => (c === 'a' ? 'b' : 'a'))}.${n}.${branch}.${tag}`,
      `${head}.${secret}.${Number(n) + 1}.${branch}.${tag}`,
      `${head}.${secret}.${n}.${(parseInt(branch, 36) + 1).toString(36)}.${tag}`,
      `${head}.${secret}.${n}.${tag}`,
      codec.format({ kind: 'refresh', sessionId: id, secret: 'x'.repeat(32), generation: 0, branch: null }),
      codec.format({ kind: 'cookie', sessionId: id, secret, generation: 0, branch: null }),
      new CredentialCodec([newKey()]).format({ kind: 'refresh', sessionId: id, secret, generation: 0, branch: null }),
      `${refreshToken}=`,
      `${refreshToken} `,
      refreshToken.toLowerCase(),
      '',
      'null',
      'rt_',
    ];
    for (const guess of guesses)
      expect([guess, await codeOf(a.tokens.refresh(guess))]).toEqual([guess, 'invalid_token']);
    expect(await codeOf(a.tokens.refresh(refreshToken))).toBe('fine');
  });

  it('a token of another client inside the grace window is reuse where other clients are refused (CVE-2026-53512)', async () => {
    const [a] = world.instances([newKey()]);
    const { id, refreshToken } = await signIn(a);
    await a.tokens.refresh(refreshToken, { client: Buffer.alloc(8, 1) });
    expect(await codeOf(a.tokens.refresh(refreshToken, { client: Buffer.alloc(8, 2) }))).toBe('session_revoked');
    expect(await a.store.get(id)).toBeNull();
  });

  it('keys change without signing anyone out', async () => {
    const [old, young] = [newKey(), newKey()];
    const [before] = world.instances([old]);
    const [during] = world.instances([old, young]);
    const [after] = world.instances([young, old]);
    const [gone] = world.instances([young]);
    const { refreshToken } = await signIn(before);
    const answers = await Promise.all([before, during, after].map((instance) => instance.tokens.refresh(refreshToken)));
    world.advance(PAST);
    const last = await gone.tokens.refresh(answers[2]?.refreshToken);
    expect(await codeOf(gone.tokens.refresh(answers[0]?.refreshToken))).toBe('invalid_token');
    expect(await codeOf(after.tokens.refresh(last.refreshToken))).toBe('fine');
  });

  it('a rotation that the store lost is made good by the client that holds its result', async () => {
    const [a, b] = world.instances([newKey()]);
    const { userId, refreshToken } = await signIn(a);
    const first = await a.tokens.refresh(refreshToken);
    world.advance(PAST);
    const restore = await world.snapshot(userId);
    const lost = await a.tokens.refresh(first.refreshToken);
    await restore();
    world.advance(PAST);
    const next = await b.tokens.refresh(lost.refreshToken);
    world.advance(PAST);
    expect(await codeOf(a.tokens.refresh(first.refreshToken))).toBe('session_revoked');
    expect(await codeOf(b.tokens.refresh(next.refreshToken))).toBe('session_revoked');
  });

  it('refreshing keeps a session from idling out and never moves its absolute end (ASVS 5.0, 10.4.8)', async () => {
    const [a] = world.instances([newKey()]);
    const { id, refreshToken: first } = await signIn(a);
    const { expiresAt } = (await a.store.get(id)) ?? { expiresAt: 0 };
    let refreshToken = first;
    for (let hour = 0; hour < 23; hour += 1) {
      world.advance(3_600_000);
      const answer = await a.tokens.refresh(refreshToken);
      expect(answer.session.expiresAt).toBe(expiresAt);
      refreshToken = answer.refreshToken;
    }
    world.advance(3_600_000);
    expect(await codeOf(a.tokens.refresh(refreshToken))).toBe('session_expired');
  });

  it('the user can end the family (ASVS 5.0, 10.4.9; 7.4.1)', async () => {
    const [a, b] = world.instances([newKey()]);
    const { id, userId, refreshToken } = await signIn(a);
    const { accessToken, refreshToken: second } = await a.tokens.refresh(refreshToken);
    expect(await b.store.destroyAll(userId)).toBe(1);
    for (const token of [refreshToken, second]) expect(await codeOf(a.tokens.refresh(token))).toBe('session_ended');
    expect(await codeOf(a.tokens.verify(accessToken))).toBe('session_ended');
    expect(await a.store.get(id)).toBeNull();
  });

  /**
   * A client that retries only inside the window, and a thief who replays what the client has long given up. After every
   * step: the client's latest token is the one head of the family.
   */
  it('random histories: one head, no client lost for retrying, every late replay caught', async () => {
    const step = fc.oneof(
      {
        weight: 5,
        arbitrary: fc.record({
          do: fc.constant('refresh' as const),
          on: fc.nat(1),
          times: fc.integer({ min: 1, max: 4 }),
        }),
      },
      {
        weight: 3,
        arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 2 * GRACE }) }),
      },
      { weight: 2, arbitrary: fc.record({ do: fc.constant('retry' as const), on: fc.nat(1) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('change keys' as const) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('lose a rotation' as const), on: fc.nat(1) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('late replay' as const), on: fc.nat(1) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('sign out' as const) }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async (steps) => {
        let keys = [newKey()];
        let pair = world.instances(keys);
        const { id, userId, refreshToken } = await signIn(pair[0]);
        // What the client holds, what it held before, and when it got the former.
        let [current, previous, since] = [refreshToken, null as string | null, -Infinity];
        let clock = 0;
        const given = [refreshToken];
        const secretOf = (token: string): string => token.split('.').slice(0, 4).join('.');
        for (const action of steps) {
          if (action.do === 'wait') {
            world.advance(action.ms);
            clock += action.ms;
          } else if (action.do === 'change keys') {
            keys = [newKey(), ...keys];
            pair = world.instances(keys);
          } else if (action.do === 'refresh') {
            const answers = await Promise.all(
              Array.from({ length: action.times }, (_, index) =>
                pair[(action.on + index) % 2 ? 1 : 0].tokens.refresh(current),
              ),
            );
            const heads = new Set(answers.map((answer) => secretOf(answer.refreshToken)));
            expect(heads.size).toBe(1);
            const next = answers[0]?.refreshToken ?? '';
            if (secretOf(next) !== secretOf(current)) [previous, since] = [current, clock];
            current = next;
            given.push(next);
          } else if (action.do === 'retry' && previous !== null && clock - since < GRACE - 5_000) {
            const answer = await pair[action.on ? 1 : 0].tokens.refresh(previous);
            expect(secretOf(answer.refreshToken)).toBe(secretOf(current));
          } else if (action.do === 'lose a rotation') {
            world.advance(PAST);
            clock += PAST;
            const restore = await world.snapshot(userId);
            const lost = await pair[action.on ? 1 : 0].tokens.refresh(current);
            await restore();
            const answer = await pair[action.on ? 0 : 1].tokens.refresh(lost.refreshToken);
            expect(secretOf(answer.refreshToken)).toBe(secretOf(lost.refreshToken));
            [previous, current, since] = [current, lost.refreshToken, clock];
            given.push(current);
          } else if (action.do === 'late replay') {
            world.advance(PAST);
            clock += PAST;
            const stale = given.find((token) => secretOf(token) !== secretOf(current));
            if (stale === undefined) continue;
            expect(await codeOf(pair[action.on ? 1 : 0].tokens.refresh(stale))).toBe('session_revoked');
            expect(await pair[0].store.read(id)).toMatchObject({ state: 'ended', reason: 'reuse' });
            expect(await codeOf(pair[0].tokens.refresh(current))).toBe('session_revoked');
            return;
          } else if (action.do === 'sign out') {
            expect(await pair[0].store.destroy(id)).toBe(true);
            for (const token of new Set(given))
              expect(await codeOf(pair[1].tokens.refresh(token))).toBe('session_ended');
            return;
          }
          expect((await pair[0].store.read(id)).state).toBe('live');
        }
      }),
      { numRuns: runs, endOnFailure: true },
    );
  });
});
