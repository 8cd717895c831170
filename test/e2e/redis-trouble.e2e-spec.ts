import { setTimeout as sleep } from 'node:timers/promises';
import { jest } from '@jest/globals';
import { type RedisServer, startRedis } from '../support/redis-server.js';
import { ADMIN, type Browser, type Reply, USER } from './support/browser.js';
import { ADAPTERS, logs, randomPrefix, Sample, SECRET } from './support/sample.js';

const COMMAND_TIMEOUT = 1_000;
/** What a loaded machine may add. */
const SLACK = 3_000;

describe.each(ADAPTERS)('Redis in trouble (ASVS 5.0, 16.5), %s', (adapter) => {
  let redis: RedisServer;
  let sample: Sample;
  let browser: Browser;
  let accessToken: string;
  let refreshToken: string;

  beforeAll(async () => {
    // With its journal, so that a restart finds the sessions again.
    redis = await startRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] });
  });
  afterAll(() => redis.stop());

  const startSample = (): Promise<Sample> =>
    Sample.start({
      adapter,
      env: { REDIS_URL: redis.url, SESSION_SECRET: SECRET, KEY_PREFIX: randomPrefix() },
      options: (options) => ({ ...options, commandTimeout: COMMAND_TIMEOUT }),
    });

  beforeEach(async () => {
    sample = await startSample();
    browser = sample.browser();
    ({ accessToken, refreshToken } = (await browser.signIn()).body);
  });
  afterEach(() => sample.close());

  const everyRequest = (): [string, () => Promise<Reply>][] => [
    ['GET /me', () => browser.get('/me')],
    ['GET /me by bearer', () => sample.browser({ authorization: `Bearer ${accessToken}` }).get('/me')],
    ['POST /auth/refresh', () => sample.browser().post('/auth/refresh', { refreshToken })],
    ['GET /sessions', () => browser.get('/sessions')],
    ['PATCH /me/preferences', () => browser.patch('/me/preferences', { theme: 'dark' })],
    ['POST /auth/login', () => sample.browser().signIn()],
    ['POST /auth/login, wrong', () => sample.browser().signIn({ ...USER, password: 'wrong' })],
    ['POST /auth/step-up', () => browser.post('/auth/step-up', { password: USER.password })],
    ['POST /auth/logout', () => browser.post('/auth/logout')],
    ['POST /auth/logout-all', () => browser.post('/auth/logout-all')],
    ['DELETE /sessions/x', () => browser.delete('/sessions/x')],
    ['DELETE /devices/x', () => browser.delete('/devices/x')],
  ];

  /** 503 with Retry-After, in time; no host, port, key or stack in it; and the cookie stays. */
  const expectAllRefused = async (): Promise<void> => {
    for (const [name, ask] of everyRequest()) {
      const started = Date.now();
      const reply = await ask();
      expect([name, reply.status]).toEqual([name, 503]);
      expect(Date.now() - started).toBeLessThan(COMMAND_TIMEOUT + SLACK);
      expect(Number(reply.headers.get('retry-after'))).toBeGreaterThan(0);
      expect(reply.setCookies).toEqual([]);
      expect(reply.body.code).toBe('store_unavailable');
      expect(reply.text).not.toMatch(/127\.0\.0\.1|localhost|ECONN|redis|e2e-|\bat \S+:\d+|timed? ?out/i);
      expect(reply.text).not.toContain(String(redis.port));
    }
    const health = await sample.browser().get('/health');
    expect(health.status).toBe(503);
    expect(health.body.details).toEqual({ redis: { status: 'down' } });
    // What needs no store goes on.
    expect((await sample.browser().get('/me')).status).toBe(401);
    const forged = sample.browser();
    forged.cookies.set('session', 'forged');
    expect((await forged.get('/me')).status).toBe(401);
  };

  const recovered = async (): Promise<number> => {
    const back = Date.now();
    for (;;) {
      const { status } = await browser.get('/me');
      if (status === 200) return Date.now() - back;
      if (status !== 503) throw new Error(`answered ${status} while Redis came back`);
      if (Date.now() - back > 30_000) throw new Error('did not recover within 30 s');
      await sleep(50);
    }
  };

  it('16.5.2: killed: 503 to everybody, and back again without a restart of the application', async () => {
    const problems = jest.spyOn(console, 'error').mockImplementation(() => undefined);
    await redis.kill();
    await expectAllRefused();
    await redis.restart();
    await recovered();
    // The session and what it may do is what it was.
    expect((await browser.get('/sessions')).body).toHaveLength(1);
    // The sample counts failed sign-ins by a client of its own, which must be back as well.
    await untilHealthy(sample);
    expect((await sample.browser().signIn(ADMIN)).status).toBe(200);
    // Ioredis prints what nobody listens to.
    expect(problems.mock.calls.flat().join('\n')).not.toMatch(/unhandled/i);
    problems.mockRestore();
  });

  it('16.5.2: hangs: 503 within the command timeout, and back again', async () => {
    redis.pause();
    try {
      await expectAllRefused();
    } finally {
      redis.resume();
    }
    await recovered();
    await untilHealthy(sample);
  });

  it('a logout that could not be written is never called one: the session is still there', async () => {
    await redis.kill();
    const reply = await browser.post('/auth/logout');
    expect(reply.status).toBe(503);
    expect(browser.cookies.has('session')).toBe(true);
    await redis.restart();
    await recovered();
    expect((await browser.post('/auth/logout')).status).toBe(204);
    expect((await browser.get('/me')).status).toBe(401);
  });

  it('a sign-in that was answered 503 left nothing that counts', async () => {
    redis.pause();
    const reply = await sample.browser().signIn();
    redis.resume();
    expect(reply.status).toBe(503);
    await recovered();
    expect((await browser.get('/sessions')).body).toHaveLength(1);
  });

  it('stops in bounded time while Redis hangs', async () => {
    const other = await startSample();
    redis.pause();
    const started = Date.now();
    try {
      await other.close();
    } finally {
      redis.resume();
    }
    expect(Date.now() - started).toBeLessThan(2 * COMMAND_TIMEOUT + SLACK);
  });

  it('16.2.5, 16.3.4: said so in the logs, without the secret and without a flood', () => {
    const said = logs.filter((line) => /^(warn|error|fatal)/.test(line));
    expect(said.length).toBeGreaterThan(0);
    expect(said.length).toBeLessThan(200);
    expect(said.join('\n')).not.toContain(SECRET);
  });
});

describe('a boot without Redis', () => {
  it('is refused with a message that says what to do', async () => {
    const redis = await startRedis();
    await redis.stop();
    const started = Date.now();
    await expect(
      Sample.start({ env: { REDIS_URL: redis.url, SESSION_SECRET: SECRET, KEY_PREFIX: randomPrefix() } }),
    ).rejects.toThrow(/Redis is not reachable/);
    // It waits for ten seconds; a machine that is slow to start the sample adds to them.
    expect(Date.now() - started).toBeLessThan(40_000);
  });
});

async function untilHealthy(sample: Sample): Promise<void> {
  const deadline = Date.now() + 30_000;
  while ((await sample.browser().get('/health')).status !== 200) {
    if (Date.now() > deadline) throw new Error('not healthy within 30 s');
    await sleep(50);
  }
}
