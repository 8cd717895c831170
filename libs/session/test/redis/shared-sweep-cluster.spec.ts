import { jest } from '@jest/globals';
import { Cluster } from 'ioredis';
import { startRedisCluster, type RedisCluster } from '../../../../test/support/redis-server.js';
import { RedisSessionStore } from '../../src/redis/redis-session-store.js';
import { BUCKETS } from '../../src/redis/keys.js';
import { PREFIX } from '../support/own-redis.js';
import { upkeepSent, withoutUpkeep } from '../support/upkeep.js';

/** Steps an interval, as the sweeper has them. */
const OF = 32;
const INTERVAL = 30_000;
/** What each instance does for its own connection: it counts apart. */
const UPKEEP = /^(time|ping|info|hello|select|cluster|client|config|command|readonly|auth)(\||$)/;

describe('the sweep of several idle instances on a Redis Cluster', () => {
  let cluster: RedisCluster;
  const clients: Cluster[] = [];
  const stores: RedisSessionStore[] = [];

  beforeAll(async () => {
    cluster = await startRedisCluster();
  }, 60_000);

  afterAll(async () => {
    jest.restoreAllMocks();
    await Promise.all(stores.map((store) => store.close()));
    for (const client of clients) client.disconnect();
    await cluster?.stop();
  });

  let upkeepBefore = upkeepSent();

  /** How often the nodes were asked for each command since the last call. */
  async function commands(): Promise<Record<string, number>> {
    const counted: Record<string, number> = {};
    for (const node of clients[0]?.nodes('master') ?? []) {
      for (const [, name = '', calls] of (await node.info('commandstats')).matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)) {
        if (!UPKEEP.test(name)) counted[name] = (counted[name] ?? 0) + Number(calls);
      }
      await node.config('RESETSTAT');
    }
    const left = withoutUpkeep(counted, upkeepBefore);
    upkeepBefore = upkeepSent();
    return left;
  }

  const sumOf = (counted: Record<string, number>): number =>
    Object.values(counted).reduce((sum, calls) => sum + calls, 0);

  it('sends at most one command a second for all of them together, after each bucket was read once', async () => {
    let moved = 0;
    const real = performance.now.bind(performance);
    jest.spyOn(performance, 'now').mockImplementation(() => real() + moved);
    for (let instance = 0; instance < 3; instance += 1) {
      const client = new Cluster(cluster.nodes);
      const store = new RedisSessionStore(client, { keyPrefix: PREFIX, commandTimeout: 10_000 });
      clients.push(client);
      stores.push(store);
      store.subscribe(() => undefined);
      await store.ready();
    }
    const play = async (intervals: number): Promise<void> => {
      for (let step = 0; step < intervals * OF; step += 1) {
        for (const store of stores) await store.sweepStep({ part: step % OF, of: OF, interval: INTERVAL });
        // Heartbeats arrive before the clock moves on.
        await Promise.all(clients[0]?.nodes('master').map((node) => node.ping()) ?? []);
        await new Promise((resolve) => setTimeout(resolve, 1));
        moved += INTERVAL / OF;
      }
    };
    await commands();
    await play(1);
    const takeover = await commands();
    // No command looks at several buckets here: each is read once, by one instance.
    expect(takeover['set']).toBeGreaterThanOrEqual(1);
    expect(takeover['set']).toBeLessThanOrEqual(3);
    expect(sumOf(takeover)).toBeLessThanOrEqual(BUCKETS + 2 * (INTERVAL / 1000));
    await play(4);
    const idle = await commands();
    expect(idle['getex']).toBeGreaterThan(0);
    expect(sumOf(idle)).toBeLessThanOrEqual(4 * (INTERVAL / 1000));
  }, 60_000);
});
