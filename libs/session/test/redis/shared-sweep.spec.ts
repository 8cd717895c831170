import { jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import type { RedisSessionStore, RedisSessionStoreOptions } from '../../src/redis/redis-session-store.js';
import { BUCKETS } from '../../src/redis/keys.js';
import { SessionSweeper } from '../../src/sessions/session-sweeper.js';
import { OwnRedis, until } from '../support/own-redis.js';

const MINUTE = 60_000;
/** Steps an interval, as the sweeper has them. */
const OF = 32;

beforeAll(() => Logger.overrideLogger(false));

/**
 * Idle cost: every instance used to sweep all buckets in every interval, 34 commands a second each. Steps are called here by
 * hand where commands are counted, so that no count depends on how fast the machine is.
 */
describe('the sweep of several instances on Redis', () => {
  let redis: OwnRedis;
  const running: SessionSweeper[] = [];

  beforeAll(async () => {
    redis = await OwnRedis.start();
  });

  afterAll(() => redis?.stop());
  afterEach(async () => {
    jest.restoreAllMocks();
    for (const sweeper of running.splice(0)) await sweeper.onModuleDestroy();
    await redis.reset();
  });

  async function open(count: number, options: RedisSessionStoreOptions = {}): Promise<RedisSessionStore[]> {
    const stores = Array.from({ length: count }, () => redis.open(options));
    for (const store of stores) {
      store.subscribe(() => undefined);
      await store.ready();
    }
    return stores;
  }

  function start(store: RedisSessionStore, interval: number): SessionSweeper {
    const sweeper = new SessionSweeper(store, { sweeper: { interval } });
    running.push(sweeper);
    sweeper.onApplicationBootstrap();
    return sweeper;
  }

  /** This process's monotonic clock, moved by hand. */
  function holdTime(): (ms: number) => void {
    let moved = 0;
    const real = performance.now.bind(performance);
    jest.spyOn(performance, 'now').mockImplementation(() => real() + moved);
    return (ms) => (moved += ms);
  }

  /** So many intervals of steps of all instances, the clock moved from step to step. */
  async function play(
    stores: readonly RedisSessionStore[],
    { intervals, interval, advance }: { intervals: number; interval: number; advance: (ms: number) => void },
  ): Promise<number> {
    let removed = 0;
    for (let step = 0; step < intervals * OF; step += 1) {
      for (const store of stores) removed += await store.sweepStep({ part: step % OF, of: OF, interval });
      // Heartbeats have arrived before the clock moves on.
      await redis.admin.ping();
      await new Promise((resolve) => setTimeout(resolve, 1));
      advance(interval / OF);
    }
    return removed;
  }

  /** What sweeping costs; the look at clocks and connections is each instance's own. */
  async function sweepingCommands(): Promise<{ all: number; by: Record<string, number> }> {
    const by = await redis.commands();
    return { all: Object.values(by).reduce((sum, calls) => sum + calls, 0), by };
  }

  describe.each([0, 2_000])('with %i live sessions', (sessions) => {
    it.each([1, 3, 10])(
      '%i idle instances together send at most one command a second',
      async (count) => {
        const advance = holdTime();
        const stores = await open(count);
        const [first] = stores;
        for (let user = 0; user < sessions; user += 250) {
          await Promise.all(
            Array.from({ length: 250 }, async (_, index) => first?.create({ userId: `user-${user + index}` })),
          );
        }
        const interval = 30_000;
        const clock = { interval, advance };
        await redis.resetCommands();
        await play(stores, { intervals: 1, ...clock });
        const takeover = await sweepingCommands();
        // Once: all buckets at most, and what finds the empty ones.
        expect(takeover.by['zrange'] ?? 0).toBeLessThanOrEqual(BUCKETS + 16);
        expect(takeover.by['set']).toBeLessThanOrEqual(count);
        expect(takeover.all).toBeLessThan(sessions === 0 ? 80 : 2 * BUCKETS);
        await redis.resetCommands();
        // Heartbeats come over real connections; the barrier of the moved clock is a ping of another one.
        expect(await play(stores, { intervals: 4, ...clock })).toBe(0);
        const { all, by } = await sweepingCommands();
        expect(by['getex']).toBeGreaterThan(0);
        expect(all).toBeLessThanOrEqual(4 * (interval / 1000));
      },
      60_000,
    );
  });

  /** Steps until the store has read all buckets and holds the lease. */
  async function takeOver(store: RedisSessionStore, interval: number, advance: (ms: number) => void): Promise<void> {
    await play([store], { intervals: 1, interval, advance });
    expect(await redis.admin.get(redis.keys.sweeper)).not.toBeNull();
  }

  describe('announces an end within the interval', () => {
    const interval = 8_000;

    it('of a session that began after all buckets were read, on another instance or its own, at the cost of its bucket', async () => {
      const advance = holdTime();
      let shift = 0;
      const stores = await open(2, { timeShift: () => shift });
      const [holder, other] = stores as [RedisSessionStore, RedisSessionStore];
      await takeOver(holder, interval, advance);
      const log = await redis.listen(other);
      const sessions = [
        await holder.create({ userId: 'ada' }, { idleTimeout: MINUTE }),
        await other.create({ userId: 'bob' }, { idleTimeout: MINUTE }),
      ];
      await log.all();
      await redis.resetCommands();
      shift = MINUTE + 100;
      expect(await play(stores, { intervals: 0.25, interval, advance })).toBe(2);
      expect(await log.types(sessions[0]?.id ?? '')).toEqual(['created', 'ended idle']);
      expect(await log.types(sessions[1]?.id ?? '')).toEqual(['created', 'ended idle']);
      const { by } = await sweepingCommands();
      expect(by['zrangebyscore']).toBe(2);
      expect(by['exists'] ?? 0).toBeLessThanOrEqual(2);
    });

    it('of a session whose idle timeout was made shorter', async () => {
      const advance = holdTime();
      let shift = 0;
      const stores = await open(2, { timeShift: () => shift });
      const [holder, other] = stores as [RedisSessionStore, RedisSessionStore];
      const { id } = await other.create({ userId: 'ada' });
      await takeOver(holder, interval, advance);
      const log = await redis.listen(other);
      expect(await other.touch(id, { idleTimeout: MINUTE })).toBe(true);
      // No event, and nothing that another instance counts as a stranger's message.
      expect(await log.types(id)).toEqual([]);
      expect(holder.ignoredMessages + other.ignoredMessages).toBe(0);
      shift = MINUTE + 100;
      expect(await play(stores, { intervals: 0.25, interval, advance })).toBe(1);
    });

    it('of a session that was there before, and of one that was touched meanwhile not', async () => {
      const advance = holdTime();
      let shift = 0;
      const stores = await open(1, { timeShift: () => shift });
      const [holder] = stores as [RedisSessionStore];
      const left = await holder.create({ userId: 'ada' });
      const used = await holder.create({ userId: 'bob' });
      await takeOver(holder, interval, advance);
      shift = 20 * MINUTE;
      await holder.touch(used.id);
      shift = 30 * MINUTE + 100;
      expect(await play(stores, { intervals: 0.25, interval, advance })).toBe(1);
      expect((await holder.read(left.id)).state).toBe('ended');
      expect((await holder.read(used.id)).state).toBe('live');
      shift = 50 * MINUTE + 100;
      expect(await play(stores, { intervals: 1, interval, advance })).toBe(1);
    });

    it('of what no message told of, where messages were missed: after a break of the subscription all is read again', async () => {
      const advance = holdTime();
      const [holder] = (await open(1)) as [RedisSessionStore];
      await takeOver(holder, interval, advance);
      // As from a backup, or of an instance that may not publish.
      const { id } = await holder.create({ userId: 'ada' });
      await redis.admin.zadd(redis.keys.ofSession(id).expiries, 1, id.slice(0, 16) + 'x'.repeat(16));
      expect(await play([holder], { intervals: 1, interval, advance })).toBe(0);
      let gaps = 0;
      holder.onGap(() => (gaps += 1));
      await redis.admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
      await until(() => gaps === 1);
      await play([holder], { intervals: 1, interval, advance });
      expect(await redis.admin.zrange(redis.keys.ofSession(id).expiries, '0', '-1')).toEqual([id]);
    });

    it('also where the channel may not be heard at all', async () => {
      const advance = holdTime();
      let shift = 0;
      await redis.admin.call('ACL', 'SETUSER', 'deaf', 'on', 'nopass', '~*', 'resetchannels', '+@all');
      const deaf = redis.open({ timeShift: () => shift }, redis.connect({ username: 'deaf', password: 'any' }));
      await play([deaf], { intervals: 1, interval, advance });
      await deaf.create({ userId: 'ada' }, { idleTimeout: MINUTE });
      shift = MINUTE + 100;
      expect(await play([deaf], { intervals: 1, interval, advance })).toBe(1);
    });
  });

  it('comes back at once to a bucket that could not be read', async () => {
    const advance = holdTime();
    const interval = 8_000;
    let shift = 0;
    const client = redis.connect();
    const holder = redis.open({ timeShift: () => shift }, client);
    holder.subscribe(() => undefined);
    await holder.ready();
    await takeOver(holder, interval, advance);
    const log = await redis.listen(holder);
    const { id } = await holder.create({ userId: 'ada' }, { idleTimeout: MINUTE });
    await log.all();
    shift = MINUTE + 100;
    const { zrange } = client;
    client.zrange = async () => {
      throw new Error('LOADING Redis is loading the dataset in memory');
    };
    await expect(play([holder], { intervals: 1 / OF, interval, advance })).rejects.toMatchObject({
      code: 'store_unavailable',
    });
    client.zrange = zrange;
    expect(await play([holder], { intervals: 1 / OF, interval, advance })).toBe(1);
    expect(await holder.read(id)).toMatchObject({ state: 'ended', reason: 'idle' });
  });

  it('reviews all buckets slowly for what nobody told of', async () => {
    const advance = holdTime();
    const interval = 30_000;
    const [holder] = (await open(1)) as [RedisSessionStore];
    await takeOver(holder, interval, advance);
    const { userKey, expiries } = redis.keys.ofUser('ada');
    await redis.admin.zadd(expiries, 1, `${userKey}${'x'.repeat(16)}`);
    let removed = 0;
    let renewals = 0;
    // With every renewal two buckets: after 512 of them at the latest.
    while (removed === 0 && renewals < BUCKETS / 2 + 8) {
      advance(interval / 4);
      removed += await holder.sweepStep({ part: 0, of: OF, interval });
      renewals += 1;
    }
    expect(removed).toBe(1);
  });

  describe('the lease', () => {
    it('passes to another instance when its holder is gone, and at once when it stops', async () => {
      const advance = holdTime();
      const interval = 8_000;
      const stores = await open(3);
      const holderOf = (): Promise<string | null> => redis.admin.get(redis.keys.sweeper);
      await play(stores, { intervals: 1, interval, advance });
      const first = await holderOf();
      await stores[0]?.stopSweeping();
      await until(async () => (await holderOf()) === null);
      await play(stores.slice(1), { intervals: 0.25, interval, advance });
      const second = await holderOf();
      expect(second).not.toBeNull();
      expect(second).not.toBe(first);
      // Killed: it says nothing any more, and Redis forgets it half an interval after its last renewal.
      await redis.admin.del(redis.keys.sweeper);
      await play(stores.slice(2), { intervals: 0.75, interval, advance });
      const third = await holderOf();
      expect(third).not.toBeNull();
      expect([first, second]).not.toContain(third);
    });

    it('goes to the instance with the shortest interval', async () => {
      const advance = holdTime();
      const [slow, quick] = (await open(2)) as [RedisSessionStore, RedisSessionStore];
      await play([slow], { intervals: 1, interval: 30_000, advance });
      const before = await redis.admin.get(redis.keys.sweeper);
      for (let step = 0; step < 64; step += 1) {
        await play([slow], { intervals: 1 / OF, interval: 30_000, advance });
        await play([quick], { intervals: 1 / OF, interval: 4_000, advance });
      }
      expect(await redis.admin.get(redis.keys.sweeper)).not.toBe(before);
      await slow.stopSweeping();
      expect(await redis.admin.get(redis.keys.sweeper)).not.toBeNull();
    });

    it('a holder that was paused for longer than its lease finds the other, and one that lost it takes it again', async () => {
      const advance = holdTime();
      const interval = 8_000;
      const stores = await open(2);
      await play(stores, { intervals: 1, interval, advance });
      await redis.admin.set(redis.keys.sweeper, 'another', 'PX', 60_000);
      await play(stores, { intervals: 1, interval, advance });
      expect(await redis.admin.get(redis.keys.sweeper)).toBe('another');
      await redis.admin.del(redis.keys.sweeper);
      await play(stores, { intervals: 1, interval, advance });
      expect(await redis.admin.get(redis.keys.sweeper)).not.toBeNull();
    });
  });

  it('runs under the sweeper of an application, and is handed over when one stops', async () => {
    const [first, second] = (await open(2, { idleTimeout: 200 })) as [RedisSessionStore, RedisSessionStore];
    const log = await redis.listen(second);
    const one = start(first, 400);
    start(second, 400);
    const ids: string[] = [];
    const sweptAll = (): Promise<boolean> =>
      log
        .all()
        .then((events) =>
          ids.every((id) => events.some(({ type, sessionId }) => type === 'ended' && sessionId === id)),
        );
    for (const round of [1, 2]) {
      for (let user = 0; user < 20; user += 1) ids.push((await first.create({ userId: `user-${round}-${user}` })).id);
      await until(sweptAll);
      await one.onModuleDestroy();
    }
    const ends = (await log.all()).filter(({ type }) => type === 'ended').map(({ sessionId }) => sessionId);
    expect(ends.sort()).toEqual(ids.sort());
  });
});
