import { Cluster } from 'ioredis';
import { startRedisCluster, type RedisCluster } from '../../../../../test/support/redis-server.js';
import { SessionExpressStore } from '../../../src/frameworks/express/index.js';

describe('a SessionExpressStore on a Redis Cluster of three', () => {
  let cluster: RedisCluster;
  let client: Cluster;
  let store: SessionExpressStore;

  beforeAll(async () => {
    cluster = await startRedisCluster();
  }, 60_000);

  afterAll(async () => cluster.stop());

  beforeEach(() => {
    client = new Cluster(cluster.nodes);
    // A hundred writes leave at once, while the client still opens its connections: no test here is about time.
    store = new SessionExpressStore({ client, redis: { commandTimeout: 10_000 } });
  });

  afterEach(async () => {
    await store.clear();
    await store.close();
    client.disconnect();
  });

  const session = (data: Record<string, unknown>) => ({ cookie: { originalMaxAge: null }, ...data });

  it('keeps aliases and sessions in slots of their own, lists and ends them on all nodes', async () => {
    const sids = Array.from({ length: 100 }, (_, n) => `sid-${n}`);
    await Promise.all(sids.map((sid, n) => store.set(sid, session({ n, userId: `user-${n}` }))));
    const perNode = await Promise.all(
      client.nodes('master').map(async (node) => (await node.keys('session:alias:*')).length),
    );
    expect(perNode).toHaveLength(3);
    expect(Math.min(...perNode)).toBeGreaterThan(0);
    expect(await store.length()).toBe(100);
    expect(new Set(await store.ids()).size).toBe(100);
    for (const [n, sid] of sids.entries()) expect(await store.get(sid)).toMatchObject({ n });
    await store.clear();
    expect(await store.length()).toBe(0);
    expect(await store.sessions.count()).toBe(0);
  });

  it('moves a session to its user on another node', async () => {
    for (let n = 0; n < 20; n += 1) {
      await store.set(`moving-${n}`, session({ cart: n }));
      const got = await store.get(`moving-${n}`);
      await store.set(`moving-${n}`, Object.assign(got ?? session({}), { userId: `user-${n}` }));
      expect(await store.sessions.getActiveSessions(`user-${n}`)).toHaveLength(1);
      expect(await store.get(`moving-${n}`)).toMatchObject({ cart: n, userId: `user-${n}` });
    }
    expect(await store.sessions.count()).toBe(20);
  });
});
