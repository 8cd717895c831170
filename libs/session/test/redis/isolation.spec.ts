import { Cluster, type Redis } from 'ioredis';
import { startRedisCluster } from '../../../../test/support/redis-server.js';
import type { SessionEvent } from '../../src/model/events.js';
import type { Session } from '../../src/model/session.js';
import { RedisSessionStore, type RedisSessionStoreOptions } from '../../src/redis/redis-session-store.js';
import { RedisTokenBlacklist } from '../../src/redis/redis-token-blacklist.js';
import { discard, OwnRedis, pause, PREFIX, until } from '../support/own-redis.js';

const MINUTE = 60_000;

/** Ids that have led to another user's data somewhere, by way of a key, a pattern, a hash tag, a line or an object. */
const USERS: readonly string[] = [
  'a',
  'a:b',
  'a:',
  ':a',
  '*',
  '?',
  '[a-z]*',
  'a*',
  '{}',
  '{a}',
  '}{',
  '{a}b',
  'a\nb',
  'a\r\nb',
  '\n',
  '\0',
  'a\0b',
  '🦔',
  '🦔'.repeat(100),
  'é',
  'e\u0301',
  '__proto__',
  'constructor',
  'toString',
  '-1',
  '1e3',
  'null',
  'user:a',
  'expiries',
  'a'.repeat(10_000),
  `${'a'.repeat(10_000)}b`,
];

describe('whose data is whose', () => {
  let redis: OwnRedis;

  beforeAll(async () => {
    redis = await OwnRedis.start();
  });

  afterAll(() => redis?.stop());
  afterEach(() => redis.reset());

  /** Two stores on the same server by their options; nothing that one does may reach the other. */
  interface Side {
    readonly store: RedisSessionStore;
    readonly heard: SessionEvent[];
  }

  async function side(options: RedisSessionStoreOptions = {}, client: Redis = redis.connect()): Promise<Side> {
    const store = redis.open(options, client);
    const heard: SessionEvent[] = [];
    store.subscribe((event) => heard.push(event));
    await store.ready();
    return { store, heard };
  }

  async function expectApart(one: Side, other: Side): Promise<void> {
    const mine = await one.store.create({ userId: 'ada', deviceId: 'd', roles: ['mine'] });
    const theirs = await other.store.create({ userId: 'ada', deviceId: 'd', roles: ['theirs'] });
    expect(await one.store.getActiveSessions('ada')).toEqual([mine]);
    expect(await other.store.getActiveSessions('ada')).toEqual([theirs]);
    expect(await one.store.get(theirs.id)).toBeNull();
    expect(await one.store.destroy(theirs.id)).toBe(false);
    await one.store.updateUser('ada', { roles: ['changed'] });
    expect((await other.store.get(theirs.id))?.roles).toEqual(['theirs']);
    expect([await one.store.count(), await other.store.count()]).toEqual([1, 1]);
    expect(await one.store.destroyAll('ada')).toBe(1);
    expect((await one.store.destroyEverybody()).ended).toBe(0);
    expect(await other.store.get(theirs.id)).toEqual(theirs);
    await other.store.destroy(theirs.id);
    const ends = ({ heard }: Side): string[] =>
      heard.flatMap(({ type, sessionId }) => (type === 'ended' ? [sessionId] : []));
    await until(() => ends(one).length > 0 && ends(other).length > 0);
    await pause(20);
    expect(ends(one)).toEqual([mine.id]);
    expect(ends(other)).toEqual([theirs.id]);
    expect([one.store.ignoredMessages, other.store.ignoredMessages]).toEqual([0, 0]);
  }

  describe('user ids of any bytes', () => {
    it('never meet, neither in what is read nor in what is changed, ended or announced', async () => {
      const { store, heard } = await side();
      const sessions = new Map<string, Session>();
      for (const userId of USERS) {
        sessions.set(userId, await store.create({ userId, deviceId: userId.slice(0, 100), data: { userId } }));
      }
      const keys = await redis.admin.keys('*:user:*');
      expect(keys).toHaveLength(USERS.length);
      for (const key of keys) expect(key).toMatch(/^own:\{[a-z0-9]+\}:user:[A-Za-z0-9_-]{16}$/);
      const left = new Set(USERS);
      for (const userId of USERS) {
        const session = sessions.get(userId) as Session;
        expect(await store.getActiveSessions(userId)).toEqual([session]);
        await store.updateUser(userId, { roles: [userId], email: userId });
        await store.revokeTokens(userId);
        expect(await store.destroy(session.id, { userId: `${userId}x` })).toBe(false);
        expect(await store.destroyAll(userId, { deviceId: userId.slice(0, 100) })).toBe(1);
        left.delete(userId);
        expect(await store.count()).toBe(left.size);
        for (const other of left) expect((await store.get((sessions.get(other) as Session).id))?.roles).toEqual([]);
      }
      await until(() => heard.filter(({ type }) => type === 'ended').length === USERS.length);
      for (const event of heard) expect(sessions.get(event.userId)?.id).toBe(event.sessionId);
    });

    it('do not meet across tenants of one store prefix either', async () => {
      const one = await side({ tenant: 'a' });
      const other = await side({ tenant: 'ab' });
      const mine = await one.store.create({ userId: 'bc' });
      const theirs = await other.store.create({ userId: 'c' });
      const same = await other.store.create({ userId: 'bc' });
      expect(new Set([mine, theirs, same].map(({ id }) => id.slice(0, 16))).size).toBe(3);
      expect(await one.store.getActiveSessions('c')).toEqual([]);
      expect(await one.store.destroyAll('bc')).toBe(1);
      expect(await other.store.get(same.id)).toEqual(same);
    });
  });

  it('two prefixes on one server, one of them the beginning of the other', async () => {
    await expectApart(await side({ keyPrefix: 'app:' }), await side({ keyPrefix: 'app:app:' }));
  });

  it.each([
    ['acme', 'globex'],
    ['acme', ''],
    ['a', 'ab'],
  ])('two tenants under one prefix: "%s" and "%s"', async (one, other) => {
    await expectApart(await side({ tenant: one }), await side({ tenant: other }));
  });

  it('two ioredis key prefixes, under the same prefix of ours', async () => {
    await expectApart(
      await side({}, redis.connect({ keyPrefix: 'one:' })),
      await side({}, redis.connect({ keyPrefix: 'two:' })),
    );
  });

  it('a client with an ioredis key prefix, and one without', async () => {
    await expectApart(await side({}, redis.connect({ keyPrefix: 'one:' })), await side());
  });

  it('two databases of one server: pub/sub itself knows none', async () => {
    await expectApart(await side({}, redis.connect({ db: 1 })), await side({}, redis.connect({ db: 2 })));
    await expectApart(await side({}, redis.connect({ db: 3 })), await side());
  });

  it('a client with an ioredis key prefix: every operation works under it, in every process alike', async () => {
    const connect = (): Redis => redis.connect({ keyPrefix: 'theirs:' });
    let shift = 0;
    const timeShift = (): number => shift;
    const [one, other] = [await side({ timeShift }, connect()), await side({ timeShift }, connect())];
    const session = await one.store.create({ userId: 'ada' });
    expect(await other.store.get(session.id)).toEqual(session);
    expect(await other.store.touch(session.id)).toBe(true);
    expect((await other.store.update(session.id, { data: { a: 1 } }))?.data).toEqual({ a: 1 });
    expect(await one.store.updateUser('ada', { roles: ['a'] })).toBe(1);
    expect(await one.store.revokeToken(session.id, 'jti', one.store.now() + MINUTE)).toBe(true);
    expect(await other.store.read(session.id, { tokenId: 'jti' })).toMatchObject({ tokenRevoked: true });
    expect(await one.store.count()).toBe(1);
    shift = 31 * MINUTE;
    expect(await one.store.sweep()).toBe(1);
    await until(() => other.heard.some(({ type }) => type === 'ended'));
    expect(other.heard.every(({ remote, sessionId }) => (remote && sessionId === session.id) || !remote)).toBe(true);
    const blacklist = new RedisTokenBlacklist(connect(), { keyPrefix: PREFIX });
    await blacklist.add('jti', other.store.now() + MINUTE);
    expect(await blacklist.isBlacklisted('jti')).toBe(true);
    await blacklist.close();
    for (const key of await redis.admin.keys('*')) expect(key.startsWith(`theirs:${PREFIX}`)).toBe(true);
    await one.store.create({ userId: 'bob' });
    expect((await other.store.destroyEverybody()).ended).toBe(1);
  });

  it('a Cluster client with a key prefix of its own works as well', async () => {
    const cluster = await startRedisCluster();
    const clients = [0, 1].map(
      (index) => new Cluster(cluster.nodes, { keyPrefix: 'theirs:', enableAutoPipelining: index === 1 }),
    ) as [Cluster, Cluster];
    try {
      const [one, other] = clients.map((client) => new RedisSessionStore(client, { commandTimeout: 5_000 })) as [
        RedisSessionStore,
        RedisSessionStore,
      ];
      const heard: string[] = [];
      other.subscribe(({ type, userId }) => heard.push(`${type} ${userId}`));
      for (const store of [one, other]) await store.ready();
      for (let user = 0; user < 10; user += 1) await one.create({ userId: `user-${user}` });
      expect(await other.count()).toBe(10);
      expect((await other.destroyEverybody()).ended).toBe(10);
      await until(() => heard.length === 20);
      for (const store of [one, other]) await store.close();
    } finally {
      for (const client of clients) discard(client as unknown as Redis);
      await cluster.stop();
    }
  });

  describe('the channel, which is open to anyone who can reach Redis', () => {
    const SESSION = 'x'.repeat(32);
    // An empty message is none of them: by it an instance tries whether it may publish.
    const FOREIGN: readonly (string | Buffer)[] = [
      'hello',
      '{"type":"ended"}',
      '1',
      `1 o ended ${SESSION} 0 logout`,
      `2 o ended ${SESSION} 0 logout\nada`,
      `1 o ended short 0 logout\nada`,
      `1 o ended ${SESSION} 0 nonsense\nada`,
      `1 o ended ${SESSION} 0 constructor\nada`,
      `1 o destroyed ${SESSION} 0 -\nada`,
      `1 o damaged ${SESSION} 0 -\nada`,
      `1 o __proto__ ${SESSION} 0 -\nada`,
      `1 o ended ${SESSION} -1 logout\nada`,
      `1 o ended ${SESSION} 1e3 logout\nada`,
      `1 o ended ${SESSION} ${'9'.repeat(30)} logout\nada`,
      `1 o/o ended ${SESSION} 0 logout\nada`,
      ` 1 o ended ${SESSION} 0 logout\nada`,
      Buffer.from([0xff, 0x00, 0xfe]),
      'x'.repeat(1_000_000),
    ];

    it('what is not ours is ignored and counted', async () => {
      const { store, heard } = await side();
      for (const message of FOREIGN) await redis.admin.publish(redis.keys.events, message);
      await until(() => store.ignoredMessages === FOREIGN.length);
      expect(heard).toEqual([]);
      const session = await store.create({ userId: 'ada' });
      await until(() => heard.length > 0);
      expect(heard).toMatchObject([{ type: 'created', sessionId: session.id, userId: 'ada' }]);
    });

    it('messages of other channels do not count at all', async () => {
      const { store, heard } = await side();
      for (const channel of [`${redis.keys.events}:more`, `x${redis.keys.events}`, 'events']) {
        await redis.admin.publish(channel, `1 o ended ${SESSION} 0 logout\nada`);
      }
      await store.create({ userId: 'ada' });
      await until(() => heard.length > 0);
      expect(heard).toHaveLength(1);
      expect(store.ignoredMessages).toBe(0);
    });
  });
});
