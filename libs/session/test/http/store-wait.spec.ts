import { StoreWait } from '../../src/ports/store-wait.js';
import type { LiveSession } from '../../src/ports/session-store.js';
import type { RedisSessionStore } from '../../src/redis/redis-session-store.js';
import { AccountController } from '../support/account.controller.js';
import { closeApps, PLATFORMS, startApp, type TestApp } from '../support/app.js';
import { CapturedLogs } from '../support/captured-logs.js';
import { OwnRedis } from '../support/own-redis.js';
import { secretOf } from '../support/secrets.js';

/** What a command takes on a slow network, ms: two of them are longer than the timeout, and one by far is not. */
const LATENCY = 800;
const TIMEOUT = 1_500;

/** A caller that has waited this long, ms. */
class Waited extends StoreWait {
  constructor(private readonly ms: number) {
    super();
  }

  override get elapsed(): number {
    return this.ms;
  }
}

describe('commandTimeout is what one request waits for Redis in all', () => {
  let redis: OwnRedis;
  let store: RedisSessionStore;
  let logs: CapturedLogs;

  const open = async (): Promise<void> => {
    store = redis.open({ commandTimeout: TIMEOUT }, redis.connectViaProxy());
    await store.ready();
  };
  const slowly = async <T>(work: () => Promise<T>): Promise<T> => {
    redis.proxy.setDelay(LATENCY);
    try {
      return await work();
    } finally {
      redis.proxy.setDelay(0);
    }
  };

  beforeAll(async () => {
    logs = new CapturedLogs();
    redis = await OwnRedis.start();
  });
  afterAll(async () => {
    await redis?.stop();
    logs.restore();
  });
  afterEach(async () => {
    await closeApps();
    await redis.reset();
  });

  describe.each(PLATFORMS)('over HTTP, on %s', (platform) => {
    let app: TestApp;

    beforeEach(async () => {
      await open();
      app = await startApp({ platform, controllers: [AccountController], session: { store, secrets: secretOf('s') } });
    });

    it('a request of one command is served, a sign-in of two is 503', async () => {
      const browser = app.browser();
      await browser.post('/login', { userId: 'ann' });
      const { me, again } = await slowly(async () => ({
        me: await browser.get('/me'),
        again: await browser.post('/login', { userId: 'bob' }),
      }));
      expect(me.status).toBe(200);
      expect([again.status, again.headers.get('retry-after')]).toEqual([503, '1']);
      expect((await browser.get('/me')).status).toBe(200);
    });

    it('the guard and what the handler asks share it: a step-up is 503', async () => {
      const browser = app.browser();
      await browser.post('/login', { userId: 'ann' });
      expect((await slowly(() => browser.post('/step-up'))).status).toBe(503);
      expect((await browser.post('/step-up')).status).toBeLessThan(300);
    });
  });

  it('an operation of two commands is refused in time, one of one command is not', async () => {
    await open();
    const { id } = await store.create({ userId: 'ann' });
    await slowly(async () => {
      expect((await store.get(id))?.id).toBe(id);
      await expect(store.update(id, { data: { a: 1 } })).rejects.toMatchObject({ code: 'store_unavailable' });
    });
  });

  describe('a call whose caller has waited already', () => {
    const wait = new Waited(TIMEOUT);
    const calls: [string, (id: string) => Promise<unknown>][] = [
      ['createLive', () => store.createLive({ userId: 'bob' }, { wait })],
      ['read', (id) => store.read(id, { wait })],
      ['update', (id) => store.update(id, { data: { a: 1 } }, { wait })],
      ['destroy', (id) => store.destroy(id, { wait })],
      ['destroyAll', () => store.destroyAll('ann', { wait })],
      [
        'regenerate',
        (id) => store.regenerate(id, { credentials: {}, freshen: true, repeatableFor: 0, patch: { roles: [] }, wait }),
      ],
      [
        'rotate',
        (id) =>
          store.rotate(id, {
            kind: 'cookie',
            presented: { hash: Buffer.alloc(32), generation: 0 },
            grace: 0,
            rotateAfter: 0,
            rotateFirst: true,
            touch: true,
            wait,
          }),
      ],
    ];

    it.each(calls)('%s is refused, and nothing is sent', async (_, call) => {
      await open();
      const { id, userId } = await store.create({ userId: 'ann' });
      const before = await store.getActiveSessions(userId);
      redis.proxy.resetCounts();
      await expect(call(id)).rejects.toMatchObject({ code: 'store_unavailable' });
      expect(redis.proxy.counts.toServer).toBe(0);
      expect(await store.getActiveSessions(userId)).toEqual(before);
      expect(await store.getActiveSessions('bob')).toEqual([]);
    });

    it('has no effect once the rest of the time is over', async () => {
      await open();
      const { id } = await store.create({ userId: 'ann' });
      redis.proxy.blackhole(true);
      // A timer more than the rest, and far less than the timeout.
      const ending = store.destroy(id, { wait: new Waited(TIMEOUT - 50) });
      await expect(ending).rejects.toMatchObject({ code: 'store_unavailable' });
      await new Promise((resolve) => setTimeout(resolve, 20));
      redis.proxy.blackhole(false);
      const read = (await store.read(id)) as LiveSession;
      expect(read.state).toBe('live');
    });
  });

  it('calls in parallel count once, and the time between calls not at all', async () => {
    const wait = new StoreWait();
    const pause = (ms: number) => (): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
    const before = performance.now();
    await Promise.all([wait.during(pause(40)), wait.during(pause(60)), wait.during(pause(50))]);
    const lasted = performance.now() - before;
    expect(wait.elapsed).toBeGreaterThan(50);
    expect(wait.elapsed).toBeLessThanOrEqual(lasted);
    const { elapsed } = wait;
    await pause(20)();
    expect(wait.elapsed).toBe(elapsed);
  });
});
