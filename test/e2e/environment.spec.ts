import { EnvironmentError, readEnvironment } from '../../src/config/environment.js';
import { appLogger } from '../../src/config/app-logger.js';
import { sessionOptions } from '../../src/config/session-options.js';
import { networkOf } from '../../src/http/network.js';
import { SECRET } from './support/sample.js';

describe('the environment', () => {
  it('has a default for everything', () => {
    expect(readEnvironment({})).toEqual({
      production: false,
      port: 3000,
      adapter: 'express',
      redis: undefined,
      keyPrefix: 'session:',
      secrets: undefined,
      idleTimeout: undefined,
      absoluteTimeout: undefined,
      refreshGrace: undefined,
      nearCache: undefined,
      deviceBound: false,
      dpop: false,
      logLevel: 'log',
      metricsToken: undefined,
    });
  });

  it('takes an empty variable for an unset one', () => {
    expect(readEnvironment({ PORT: '', REDIS_URL: ' ', LOG_LEVEL: '' })).toEqual(readEnvironment({}));
  });

  it('takes several secrets, the newest first', () => {
    expect(readEnvironment({ SESSION_SECRET: `${SECRET}, ${SECRET}-old` }).secrets).toEqual([SECRET, `${SECRET}-old`]);
  });

  it('takes Sentinels and Clusters, but one place of Redis only', () => {
    const read = (env: Record<string, string>): unknown => readEnvironment({ SESSION_SECRET: SECRET, ...env }).redis;
    const sentinels = [
      { host: 'a', port: 26379 },
      { host: '::1', port: 26380 },
    ];
    expect(read({ REDIS_SENTINELS: 'a:26379, [::1]:26380' })).toEqual({ sentinels, name: 'sessions' });
    expect(read({ REDIS_SENTINELS: 'a:26379,[::1]:26380', REDIS_MASTER_NAME: 'other' })).toEqual({
      sentinels,
      name: 'other',
    });
    expect(read({ REDIS_CLUSTER: 'a:7000' })).toEqual({ cluster: { nodes: [{ host: 'a', port: 7000 }] } });
    expect(() => read({ REDIS_CLUSTER: 'a:7000', REDIS_URL: 'redis://a' })).toThrow(/REDIS_CLUSTER: .*only one/);
    expect(() => readEnvironment({ REDIS_CLUSTER: 'a:7000' })).toThrow(/SESSION_SECRET: .*REDIS_CLUSTER/);
  });

  it.each([
    ['PORT', 'eighty', /port number/],
    ['PORT', '70000', /65535/],
    ['PORT', '80.5', /port number/],
    ['HTTP_ADAPTER', 'koa', /"express" or "fastify"/],
    ['REDIS_URL', 'localhost:6379', /redis:\/\//],
    ['REDIS_SENTINELS', 'localhost', /host-1:26379/],
    ['REDIS_CLUSTER', 'localhost:7000,:7001', /host-1:26379/],
    ['REDIS_MASTER_NAME', 'sessions', /REDIS_SENTINELS/],
    ['KEY_PREFIX', 'a{b}', /braces/],
    ['SESSION_SECRET', 'short', /32.*openssl rand/],
    ['SESSION_SECRET', `${SECRET},short`, /secret 2 of 2.*openssl rand/],
    ['SESSION_SECRET', `${SECRET},`, /secret 2 of 2/],
    ['IDLE_TIMEOUT', 'soon', /30s, 15m/],
    ['ABSOLUTE_TIMEOUT', '-5m', /30s, 15m/],
    ['REFRESH_GRACE', '5 parsecs', /30s, 15m/],
    ['NEAR_CACHE', 'true', /30s, 15m/],
    ['DEVICE_BOUND', 'true', /1 or 0/],
    ['DPOP', 'required', /1 or 0/],
    ['IDLE_TIMEOUT', '0s', /30s, 15m/],
    ['LOG_LEVEL', 'loud', /verbose/],
    ['DEMO_USERS', 'yes', /1 or 0/],
    ['METRICS_TOKEN', 'short', /openssl rand/],
  ])('refuses %s=%s and says what to write', (name, value, mend) => {
    const read = (): unknown => readEnvironment({ [name]: value });
    expect(read).toThrow(EnvironmentError);
    expect(read).toThrow(new RegExp(`${name}: `));
    expect(read).toThrow(mend);
  });

  it('refuses demo users in production unless they are asked for', () => {
    const env = { NODE_ENV: 'production', SESSION_SECRET: SECRET };
    expect(() => readEnvironment(env)).toThrow(/DEMO_USERS: is required.*DEMO_USERS=1/);
    expect(() => readEnvironment({ ...env, DEMO_USERS: '0' })).toThrow(/DEMO_USERS/);
    expect(readEnvironment({ ...env, DEMO_USERS: '1' }).production).toBe(true);
  });

  it.each([{ REDIS_URL: 'redis://localhost' }, { NODE_ENV: 'production', DEMO_USERS: '1' }])(
    'requires SESSION_SECRET with %j',
    (env) => {
      expect(() => readEnvironment(env)).toThrow(/SESSION_SECRET: is required.*openssl rand -base64 48/);
      expect(readEnvironment({ ...env, SESSION_SECRET: SECRET }).secrets).toEqual([SECRET]);
    },
  );

  it('names every variable that is wrong, and shows no secret', () => {
    const read = (): unknown => readEnvironment({ PORT: 'x', LOG_LEVEL: 'x', SESSION_SECRET: 'my-short-secret' });
    expect(read).toThrow(/PORT[^]*SESSION_SECRET[^]*LOG_LEVEL/);
    expect(read).not.toThrow(/my-short-secret/);
  });

  it('becomes options of the library', () => {
    const variables = {
      REDIS_URL: 'redis://localhost:6379/1',
      SESSION_SECRET: SECRET,
      IDLE_TIMEOUT: '10m',
      ABSOLUTE_TIMEOUT: '8h',
      NEAR_CACHE: '3s',
      REFRESH_GRACE: '10s',
      DEVICE_BOUND: '1',
      DPOP: '1',
    };
    expect(sessionOptions(readEnvironment(variables))).toMatchObject({
      redis: variables.REDIS_URL,
      secrets: [SECRET],
      session: { idleTimeout: '10m', absoluteTimeout: '8h' },
      nearCache: { maxStale: '3s' },
      jwt: { refreshGrace: '10s', dpop: 'optional' },
      deviceBound: true,
    });
    const plain = sessionOptions(readEnvironment({ DEVICE_BOUND: '0', DPOP: '' }));
    expect(plain).not.toHaveProperty('deviceBound');
    expect(plain.jwt).not.toHaveProperty('dpop');
  });

  it('logs what was asked for and everything graver', () => {
    const levels = (LOG_LEVEL: string): boolean[] =>
      (['error', 'warn', 'log', 'debug'] as const).map((level) =>
        appLogger(readEnvironment({ LOG_LEVEL })).isLevelEnabled(level),
      );
    expect(levels('warn')).toEqual([true, true, false, false]);
    expect(levels('off')).toEqual([false, false, false, false]);
    expect(levels('debug')).toEqual([true, true, true, true]);
  });
});

describe('the network of an address', () => {
  it.each([
    ['203.0.113.7', '203.0.113.7'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::9', '2001:db8:1:2::/64'],
    ['2001:db8::9', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['1::', '1:0:0:0::/64'],
    ['unix socket', 'unix socket'],
  ])('%s is %s', (address, network) => {
    expect(networkOf(address)).toBe(network);
  });
});
