import { randomBytes } from 'node:crypto';
import { newSessionId, sidOf, userKeyOfSession } from '../../src/model/ids.js';
import { RedisKeys } from '../../src/redis/keys.js';
import { RedisTokenBlacklist } from '../../src/redis/redis-token-blacklist.js';
import { OwnRedis, PREFIX, until } from '../support/own-redis.js';

const MINUTE = 60_000;
const HASH = randomBytes(32);
const REFRESH = { kind: 'refresh', grace: 0, rotateAfter: 0, rotateFirst: true, touch: true } as const;

describe('expiry on Redis', () => {
  let redis: OwnRedis;

  beforeAll(async () => {
    redis = await OwnRedis.start();
  });

  afterAll(() => redis?.stop());
  afterEach(() => redis.reset());

  const userKeyOf = (userId: string): string => redis.keys.ofUser(userId).userKey;
  const ttlOf = (userId: string): Promise<number> => redis.admin.pttl(redis.keys.ofUser(userId).user);
  const ended = (types: string[]): string[] => types.filter((type) => type.startsWith('ended'));

  it('leaves nothing behind: once all has expired and was swept, no key is left', async () => {
    const brief = { idleTimeout: 40, absoluteTimeout: 80, tombstoneTtl: 30 };
    const client = redis.connect();
    const store = redis.open(brief, client);
    const blacklist = new RedisTokenBlacklist(client, { keyPrefix: PREFIX, clockTolerance: 0 });
    await store.ready();
    for (let user = 0; user < 20; user += 1) {
      const userId = `user-${user}`;
      const { id } = await store.create({ userId, deviceId: 'd' }, { credentials: { cookie: HASH, refresh: HASH } });
      await store.create({ userId, deviceId: 'e' });
      await store.touch(id);
      await store.update(id, { data: { a: 1 } });
      await store.updateUser(userId, { roles: ['a'], email: 'a@example.com' });
      await store.rotate(id, { ...REFRESH, presented: { hash: HASH, generation: 0 } });
      await store.regenerate(id, { credentials: { cookie: HASH }, freshen: true, repeatableFor: 10 });
      await store.revokeToken(id, `${id}.1`, store.now() + 20);
      await store.revokeTokens(userId);
      if (user % 2 === 0) await store.destroy(id);
      if (user % 5 === 0) await store.destroyAll(userId);
      await blacklist.add(`jti-${user}`, store.now() + 30);
      await blacklist.revokeAllFor(userId, { until: store.now() + 30 });
    }
    await until(async () => {
      await store.sweep();
      return (await redis.keysLeft()).length === 0;
    });
    await blacklist.close();
  });

  it('with every feature in use, only what docs/reliability.md lists is left', async () => {
    const brief = { idleTimeout: 40, absoluteTimeout: 80, tombstoneTtl: 30 };
    const eventStream = { maxLength: 1_000, retention: MINUTE };
    const store = redis.open({ ...brief, eventStream });
    const views = [store, store.forTenant('acme')];
    await store.ready();
    const stop = await store.eventStream()?.consume('audit', () => undefined);
    for (const view of views) {
      const { id } = await view.create({ userId: 'ada' }, { credentials: { cookie: HASH } });
      await view.create({ userId: 'ada' });
      await view.history({ maxEntries: 100, retention: MINUTE }).add('ada', {
        type: 'created',
        at: view.now(),
        sessionId: id,
      });
      await view.aliases().point('digest', { from: null, to: id, lifetime: 50 });
      await view.destroy(id);
    }
    await store.sweepStep({ part: 0, of: 1, interval: MINUTE });
    await stop?.();
    const historyOf = (tenant: string): string => {
      const keys = new RedisKeys(PREFIX, tenant);
      return keys.history(keys.ofUser('ada'));
    };
    const { keys } = redis;
    const left = [keys.stream(0, false), historyOf(''), historyOf('acme'), keys.sweeper];
    const kept = [keys.streamGroups, keys.tenants];
    await until(async () => {
      await store.sweep();
      return (await redis.keysLeft()).length <= left.length + kept.length;
    });
    expect((await redis.keysLeft()).sort()).toEqual([...left, ...kept].sort());
    for (const key of left) expect(await redis.admin.pttl(key)).toBeGreaterThan(0);
    for (const key of kept) expect(await redis.admin.pttl(key)).toBe(-1);
    const [watermark = ''] = await redis.admin.keys('*:watermark:*');
    expect(await redis.admin.pttl(watermark)).toBeGreaterThan(0);
  });

  describe('three sweepers at once', () => {
    async function sweptByThree(tombstoneTtl: number): Promise<{ removed: number; ends: string[]; ids: string[] }> {
      const idleTimeout = 400;
      const stores = Array.from({ length: 3 }, () => redis.open({ idleTimeout, tombstoneTtl }));
      for (const store of stores) await store.ready();
      const [first] = stores;
      if (!first) throw new Error('there are three');
      const log = await redis.listen(first);
      // All at once: on a busy machine the first would otherwise be over before the last begins.
      const limit = { max: 100, onLimit: 'reject' } as const;
      const sessions = await Promise.all(
        Array.from({ length: 60 }, (_, index) => first.create({ userId: `user-${index % 25}` }, { limit })),
      );
      const last = Math.max(...sessions.map(({ createdAt }) => createdAt)) + idleTimeout;
      await until(async () => (await redis.time()) > last + 5);
      if (tombstoneTtl < 5) expect(await redis.admin.keys(`${PREFIX}*:user:*`)).toEqual([]);
      let removed = 0;
      for (const count of await Promise.all(stores.flatMap((store) => [store.sweep(), store.sweep()])))
        removed += count;
      const heard = (await log.all()).filter(({ type }) => type === 'ended');
      return {
        removed,
        ends: heard.map(({ sessionId }) => sessionId).sort(),
        ids: sessions.map(({ id }) => id).sort(),
      };
    }

    it('remove and announce each session once', async () => {
      const { removed, ends, ids } = await sweptByThree(5 * MINUTE);
      expect(ends).toEqual(ids);
      expect(removed).toBe(60);
    });

    it('also where Redis has forgotten the users before any of them came by', async () => {
      const { removed, ends, ids } = await sweptByThree(1);
      expect(ends).toEqual(ids);
      expect(removed).toBe(60);
    });
  });

  it('announces the end of a session whose hash was lost, once, at its deadline, and as ended', async () => {
    let shift = 0;
    const stores = [redis.open({ timeShift: () => shift }), redis.open({ timeShift: () => shift })] as const;
    for (const store of stores) await store.ready();
    const log = await redis.listen(stores[0]);
    const { id } = await stores[0].create({ userId: 'ada' });
    await redis.admin.del(redis.keys.ofUser('ada').user);
    expect(await stores[0].sweep()).toBe(0);
    shift = 31 * MINUTE;
    expect((await Promise.all(stores.map((store) => store.sweep()))).sort()).toEqual([0, 1]);
    expect(await stores[1].sweep()).toBe(0);
    expect(await log.types(id)).toEqual(['created', 'ended idle']);
    expect(await redis.keysLeft()).toEqual([]);
  });

  it('lets a session live that was touched between listing and sweeping', async () => {
    const client = redis.connect();
    const sweeper = redis.open({}, client);
    const store = redis.open();
    await sweeper.ready();
    const log = await redis.listen(store);
    const { id } = await store.create({ userId: 'ada' });
    const { expiries } = redis.keys.ofSession(id);
    await redis.admin.zadd(expiries, 1, id);
    const list = client.zrangebyscore.bind(client) as (...args: unknown[]) => Promise<string[]>;
    let listed: string[] = [];
    client.zrangebyscore = async (...args: unknown[]) => {
      const due = await list(...args);
      if (args[0] === expiries) {
        listed = due;
        await store.touch(id);
      }
      return due;
    };
    expect(await sweeper.sweep()).toBe(0);
    expect(listed).toEqual([id]);
    const session = await store.get(id);
    expect(Number(await redis.admin.zscore(expiries, id))).toBe(
      (session?.lastAccess ?? 0) + (session?.idleTimeout ?? 0),
    );
    expect(ended(await log.types(id))).toEqual([]);
  });

  describe('the life of a user’s hash', () => {
    const TOMBSTONE_TTL = 7 * MINUTE;

    it('is that of the latest deadline in it, plus a margin; of a user without sessions, the margin alone', async () => {
      const store = redis.open({ tombstoneTtl: TOMBSTONE_TTL });
      await store.ready();
      const short = await store.create({ userId: 'ada' }, { idleTimeout: 10 * MINUTE });
      const expectTtl = async (deadline: number): Promise<void> => {
        const wanted = deadline + TOMBSTONE_TTL;
        const before = await redis.time();
        const ttl = await ttlOf('ada');
        expect(ttl).toBeGreaterThanOrEqual(wanted - (await redis.time()) - 1);
        expect(ttl).toBeLessThanOrEqual(wanted - before + 2);
      };
      await expectTtl(short.createdAt + 10 * MINUTE);
      const long = await store.create({ userId: 'ada' }, { idleTimeout: 90 * MINUTE });
      await expectTtl(long.createdAt + 90 * MINUTE);
      await store.create({ userId: 'ada' }, { idleTimeout: MINUTE });
      await store.touch(short.id);
      await expectTtl(long.createdAt + 90 * MINUTE);
      await store.touch(long.id);
      await expectTtl(((await store.get(long.id))?.lastAccess ?? 0) + 90 * MINUTE);
      await store.destroy(short.id);
      expect(await ttlOf('ada')).toBeGreaterThan(TOMBSTONE_TTL);
      await store.destroyAll('ada');
      expect(await ttlOf('ada')).toBeLessThanOrEqual(TOMBSTONE_TTL);
      expect(await ttlOf('ada')).toBeGreaterThan(TOMBSTONE_TTL - MINUTE);
    });

    it('is never without end, whatever is done to it', async () => {
      const store = redis.open({ limit: { max: 3, onLimit: 'evict-oldest' } });
      await store.ready();
      const check = async (work: Promise<unknown>): Promise<void> => {
        await work;
        for (const key of await redis.admin.keys(`${PREFIX}*:user:*`))
          expect(await redis.admin.pttl(key)).toBeGreaterThan(0);
      };
      const { id } = await store.create({ userId: 'ada' }, { credentials: { cookie: HASH, refresh: HASH } });
      await check(store.touch(id));
      await check(store.update(id, { data: { a: 1 } }));
      await check(store.updateUser('ada', { roles: ['a'] }));
      await check(store.revokeToken(id, 'jti', store.now() + MINUTE));
      await check(store.revokeTokens('ada'));
      await check(store.rotate(id, { ...REFRESH, presented: { hash: HASH, generation: 0 } }));
      await check(store.regenerate(id, { credentials: { cookie: HASH }, freshen: true, repeatableFor: 0 }));
      for (let more = 0; more < 4; more += 1) await check(store.create({ userId: 'ada', deviceId: `${more}` }));
      await check(store.rotate(id, { ...REFRESH, presented: { hash: HASH, generation: 0 } }));
      await check(store.destroyAll('ada', { deviceId: '1' }));
      await check(store.destroyAll('ada'));
      await check(store.updateUser('ada', { roles: ['a'] }));
      await check(store.revokeTokens('ada'));
      await check(store.destroyEverybody());
      await check(store.sweep());
      expect(await redis.admin.keys(`${PREFIX}*:user:*`)).toHaveLength(1);
    });

    it('gets an end again with the next sign-in where somebody took it away', async () => {
      const store = redis.open();
      await store.ready();
      await store.create({ userId: 'ada' });
      await redis.admin.persist(redis.keys.ofUser('ada').user);
      await store.create({ userId: 'ada' });
      expect(await ttlOf('ada')).toBeGreaterThan(0);
    });

    it('of a user with many revoked tokens shrinks with the last logout as well', async () => {
      const store = redis.open({ tombstoneTtl: TOMBSTONE_TTL });
      await store.ready();
      const { id } = await store.create({ userId: 'ada' });
      await Promise.all(
        Array.from({ length: 200 }, (_, index) => store.revokeToken(id, `${index}`, store.now() + MINUTE)),
      );
      await store.destroy(id);
      expect(await ttlOf('ada')).toBeLessThanOrEqual(TOMBSTONE_TTL);
    });
  });

  it('forgets revoked tokens that have expired by themselves, at the next sign-in and at a sweep', async () => {
    let shift = 0;
    const store = redis.open({ timeShift: () => shift, idleTimeout: 60 * MINUTE });
    await store.ready();
    const fields = async (): Promise<string[]> =>
      Object.keys(await redis.stateOf(userKeyOf('ada'))).filter((field) => field.startsWith('j'));
    const { id } = await store.create({ userId: 'ada' });
    await store.create({ userId: 'ada' }, { idleTimeout: 30 * MINUTE });
    await store.revokeToken(id, 'early', store.now() + MINUTE);
    await store.revokeToken(id, 'middle', store.now() + 20 * MINUTE);
    await store.revokeToken(id, 'late', store.now() + 50 * MINUTE);
    shift = 2 * MINUTE;
    await store.create({ userId: 'ada' });
    expect((await fields()).sort()).toEqual(['jlate', 'jmiddle']);
    shift = 40 * MINUTE;
    expect(await store.sweep()).toBe(1);
    expect(await fields()).toEqual(['jlate']);
    expect(await store.read(id, { tokenId: 'late' })).toMatchObject({ tokenRevoked: true });
  });

  it('drops the log of late operations with the next touch once none of them can come again', async () => {
    let shift = 0;
    const store = redis.open({ timeShift: () => shift });
    await store.ready();
    const { id } = await store.create({ userId: 'ada' });
    await store.update(id, { data: { a: 1 } });
    const log = async (): Promise<string | undefined> => (await redis.stateOf(userKeyOf('ada')))['p'];
    await store.touch(id);
    expect((await log())?.length).toBe(20);
    shift = MINUTE;
    await store.touch(id);
    expect(await log()).toBeUndefined();
    expect((await store.get(id))?.data).toEqual({ a: 1 });
  });

  describe('a sorted set that somebody damaged', () => {
    it('wrong deadlines are set right; what is not due stays', async () => {
      const store = redis.open();
      await store.ready();
      const { id, createdAt, idleTimeout } = await store.create({ userId: 'ada' });
      const { expiries } = redis.keys.ofSession(id);
      for (const wrong of [1, '-inf', createdAt - 1]) {
        await redis.admin.zadd(expiries, wrong, id);
        expect(await store.sweep()).toBe(0);
        expect(Number(await redis.admin.zscore(expiries, id))).toBe(createdAt + idleTimeout);
        expect(await store.count()).toBe(1);
      }
      await redis.admin.zadd(expiries, '+inf', id);
      await store.touch(id);
      expect(Number(await redis.admin.zscore(expiries, id))).toBeLessThan(createdAt + idleTimeout + MINUTE);
    });

    it('members that are missing come back with the next access', async () => {
      const store = redis.open();
      await store.ready();
      const { id } = await store.create({ userId: 'ada' });
      await redis.admin.del(redis.keys.ofSession(id).expiries);
      expect((await store.get(id))?.id).toBe(id);
      await store.touch(id);
      expect(await store.count()).toBe(1);
    });

    it('members without a session go, be the user there or not, and what is no session id goes as well', async () => {
      const store = redis.open();
      await store.ready();
      const log = await redis.listen(store);
      const { id } = await store.create({ userId: 'ada' });
      const { expiries } = redis.keys.ofSession(id);
      const ghosts = [newSessionId(userKeyOfSession(id)), newSessionId(`${id.slice(0, 2)}${'x'.repeat(14)}`)] as const;
      expect(redis.keys.ofSession(ghosts[1]).expiries).toBe(expiries);
      for (const ghost of [...ghosts, 'stranger', '', 'a'.repeat(10_000)]) await redis.admin.zadd(expiries, 1, ghost);
      await store.sweep();
      expect(await redis.admin.zrange(expiries, '0', '-1')).toEqual([id]);
      expect(await store.get(id)).not.toBeNull();
      expect(await log.types(id)).toEqual(['created']);
      expect(await store.count()).toBe(1);
    });

    it('more than are listed at once are all removed, each announced once', async () => {
      const store = redis.open();
      await store.ready();
      const log = await redis.listen(store);
      const { userKey, expiries } = redis.keys.ofUser('nobody');
      const ghosts = Array.from({ length: 2_500 }, () => newSessionId(userKey));
      await redis.admin.zadd(expiries, ...ghosts.flatMap((ghost, index) => [index, ghost]));
      expect(await store.sweep()).toBe(2_500);
      expect(await redis.keysLeft()).toEqual([]);
      expect(new Set((await log.all()).map(({ sessionId }) => sessionId)).size).toBe(2_500);
    });

    it('sessions of a later version stay where they are, and do not keep the sweep from what is due behind them', async () => {
      let shift = 0;
      const store = redis.open({ timeShift: () => shift });
      await store.ready();
      const due = await store.create({ userId: 'ada' }, { idleTimeout: MINUTE });
      const { user, expiries, userKey } = redis.keys.ofUser('ada');
      const later = Array.from({ length: 1_100 }, () => newSessionId(userKey));
      await redis.admin.hset(user, ...later.flatMap((id) => [`c${sidOf(id)}`, '\x70 of a form to come']));
      await redis.admin.zadd(expiries, ...later.flatMap((id, index) => [index, id]));
      shift = 2 * MINUTE;
      expect(await store.sweep()).toBe(1);
      expect((await store.read(due.id)).state).toBe('ended');
      expect(await redis.admin.zcard(expiries)).toBe(1_100);
      expect(await redis.admin.hexists(user, `c${sidOf(later[0] ?? '')}`)).toBe(1);
    });
  });
});
