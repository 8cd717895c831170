import { Cluster, Redis, type ClusterOptions, type RedisOptions } from 'ioredis';
import { startRedisCluster, type RedisCluster } from '../../../../../test/support/redis-server.js';
import { missingSettings } from '../../../src/redis/connection/client-settings.js';
import { RedisConnection } from '../../../src/redis/connection/redis-connection.js';
import { RedisSessionStore } from '../../../src/redis/redis-session-store.js';
import { CapturedLogs } from '../../support/captured-logs.js';
import { discard, PREFIX } from '../../support/own-redis.js';

const SENTINELS = { sentinels: [{ port: 1 }], name: 'x', lazyConnect: true };

describe('the settings by which a client notices that servers change', () => {
  async function optionsOf(option: object, commandTimeout = 500): Promise<RedisOptions & ClusterOptions> {
    const { client } = await RedisConnection.open(option, { commandTimeout });
    client.on('error', () => undefined);
    client.disconnect();
    return client.options;
  }

  it('are set for a client that we open, and the application’s own win', async () => {
    expect(await optionsOf(SENTINELS)).toMatchObject({ failoverDetector: true, socketTimeout: 1_000 });
    expect(await optionsOf(SENTINELS, 2_000)).toMatchObject({ socketTimeout: 4_000 });
    const cluster = { nodes: [{ port: 1 }], options: { lazyConnect: true } };
    expect(await optionsOf({ cluster })).toMatchObject({
      slotsRefreshInterval: 3_000,
      redisOptions: { socketTimeout: 1_000 },
    });
    expect(await optionsOf({ ...SENTINELS, socketTimeout: 77 })).toMatchObject({ socketTimeout: 77 });
    const own = { ...cluster.options, slotsRefreshInterval: 77, redisOptions: { socketTimeout: 78 } };
    expect(await optionsOf({ cluster: { ...cluster, options: own } })).toMatchObject({
      slotsRefreshInterval: 77,
      redisOptions: { socketTimeout: 78 },
    });
  });

  it.each<[string, () => Redis | Cluster, RegExp[]]>([
    ['under Sentinel without a detector', () => new Redis(SENTINELS), [/^failoverDetector: true/]],
    ['under Sentinel with one', () => new Redis({ ...SENTINELS, failoverDetector: true }), []],
    ['of one server', () => new Redis({ port: 1, lazyConnect: true }), []],
    [
      'of a Cluster that never asks who has which slot',
      () => new Cluster([{ port: 1 }], { lazyConnect: true }),
      [/^slotsRefreshInterval: 3000/],
    ],
    [
      'of a Cluster that does',
      () => new Cluster([{ port: 1 }], { lazyConnect: true, slotsRefreshInterval: 3_000 }),
      [],
    ],
  ])('are missing or not in an adopted client %s', (_, connect, expected) => {
    const client = connect();
    expect(missingSettings(client)).toEqual(expected.map((text) => expect.stringMatching(text)));
    client.disconnect();
  });
});

describe('the boot on a healthy Cluster', () => {
  let cluster: RedisCluster;
  let logs: CapturedLogs;

  beforeAll(async () => {
    cluster = await startRedisCluster({ args: ['--appendonly', 'yes'] });
  }, 60_000);

  afterAll(() => cluster?.stop());

  beforeEach(() => {
    logs = new CapturedLogs();
  });

  afterEach(() => logs.restore());

  it('logs nothing, with a client that we open', async () => {
    const connection = await RedisConnection.open({ cluster: { nodes: cluster.nodes } }, { commandTimeout: 5_000 });
    const store = new RedisSessionStore(connection, { keyPrefix: PREFIX, strictRedis: true });
    store.subscribe(() => undefined);
    await store.ready();
    expect(await store.create({ userId: 'ada' })).toMatchObject({ userId: 'ada' });
    await store.close();
    expect(logs.lines).toEqual([]);
  });

  it('logs the settings that an adopted client lacks', async () => {
    const client = new Cluster(cluster.nodes);
    const store = new RedisSessionStore(client, { keyPrefix: PREFIX, commandTimeout: 5_000 });
    await store.ready();
    await store.close();
    discard(client as unknown as Redis);
    expect(logs.lines).toEqual([expect.stringMatching(/Create the Redis client.*slotsRefreshInterval: 3000/)]);
  });
});
