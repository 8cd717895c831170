import { startRedisCluster, type RedisCluster, type RedisServer } from '../../../../../test/support/redis-server.js';
import type { Session } from '../../../src/model/session.js';
import { RedisConnection } from '../../../src/redis/connection/redis-connection.js';
import { RedisKeys } from '../../../src/redis/keys.js';
import { RedisSessionStore } from '../../../src/redis/redis-session-store.js';
import { CapturedLogs } from '../../support/captured-logs.js';
import { PREFIX, until } from '../../support/own-redis.js';

const COMMAND_TIMEOUT = 1_000;
const PATIENCE = 20_000;

describe('a primary of a Cluster that hangs', () => {
  const keys = new RedisKeys(PREFIX, '');
  let logs: CapturedLogs;
  let cluster: RedisCluster;
  let connection: RedisConnection;
  let store: RedisSessionStore;

  beforeAll(async () => {
    logs = new CapturedLogs();
    // The others go on serving their slots, and call no node failed while the test runs.
    const args = ['--cluster-require-full-coverage', 'no', '--cluster-node-timeout', '60000'];
    cluster = await startRedisCluster({ args });
    connection = await RedisConnection.open({ cluster: { nodes: cluster.nodes } }, { commandTimeout: COMMAND_TIMEOUT });
    store = new RedisSessionStore(connection, { keyPrefix: PREFIX });
    await store.ready();
  }, 60_000);

  afterAll(async () => {
    for (const server of cluster?.servers ?? []) server.resume();
    await store?.close();
    await cluster?.stop();
    logs.restore();
  });

  const serverOf = (userId: string): RedisServer => {
    const name = connection.serverOf(keys.ofUser(userId).slot);
    return cluster.servers.find(({ port }) => name === `127.0.0.1:${port}`) as RedisServer;
  };
  const unavailable = expect.objectContaining({ code: 'store_unavailable' });

  it('is 503, at once after the first timeout; the other slots are served, and it is served again by itself', async () => {
    const hung = cluster.servers[0] as RedisServer;
    const users = Array.from({ length: 30 }, (_, n) => `user ${n}`);
    const sessions = new Map<string, Session>();
    for (const userId of users) sessions.set(userId, await store.create({ userId }));
    const there = users.filter((userId) => serverOf(userId) === hung);
    const elsewhere = users.filter((userId) => serverOf(userId) !== hung);
    expect([there.length, elsewhere.length]).toEqual([expect.any(Number), expect.any(Number)]);
    expect(Math.min(there.length, elsewhere.length)).toBeGreaterThan(3);
    const idOf = (userId: string): string => (sessions.get(userId) as Session).id;
    const refused = async (userId: string): Promise<unknown> =>
      store.read(idOf(userId)).catch((error: unknown) => error);
    const [ended = '', kept = ''] = there;
    await store.destroy(idOf(ended));

    hung.pause();
    const others = elsewhere.map(async (userId) => (await store.read(idOf(userId))).state);
    const first = performance.now();
    expect(await refused(kept)).toEqual(unavailable);
    // Generous: a machine under load.
    expect(performance.now() - first).toBeLessThan(COMMAND_TIMEOUT * 5);
    expect(new Set(await Promise.all(others))).toEqual(new Set(['live']));

    let atOnce = 0;
    for (let request = 0; request < 40; request += 1) {
      let isSettled = false;
      const asked = refused(kept).then((error) => {
        isSettled = true;
        return error;
      });
      await new Promise((resolve) => setImmediate(resolve));
      if (isSettled) atOnce += 1;
      expect(await asked).toEqual(unavailable);
    }
    // The others checked whether the server answers again, and waited for it.
    expect(atOnce).toBeGreaterThan(30);

    const [one = '', two = ''] = elsewhere;
    expect((await store.create({ userId: one })).userId).toBe(one);
    expect(await store.destroy(idOf(two))).toBe(true);
    expect(await store.getActiveSessions(two)).toEqual([]);
    await expect(store.create({ userId: kept })).rejects.toEqual(unavailable);

    hung.resume();
    await until(async () => (await refused(kept)) instanceof Error === false, PATIENCE);
    expect(await store.read(idOf(kept))).toMatchObject({ state: 'live' });
    expect((await store.read(idOf(ended))).state).toBe('ended');
    expect(await store.getActiveSessions(kept)).toHaveLength(1);
    expect((await store.create({ userId: kept })).userId).toBe(kept);
  });
});
