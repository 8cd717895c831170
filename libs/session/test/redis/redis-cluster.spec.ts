import { Cluster } from 'ioredis';
import { startRedisCluster, type RedisCluster } from '../../../../test/support/redis-server.js';
import { describeSessionStore } from '../../src/store-contract/store-contract.js';
import { describeStoreModel } from '../support/describe-store-model.js';
import { redisHarness } from '../support/redis-harness.js';

describe('on a Redis Cluster of three nodes', () => {
  let cluster: RedisCluster;

  beforeAll(async () => {
    cluster = await startRedisCluster();
  });

  afterAll(async () => {
    await cluster?.stop();
  });

  describeSessionStore('RedisSessionStore', (options) => redisHarness(options, () => new Cluster(cluster.nodes)));
  describeStoreModel('RedisSessionStore', (options) => redisHarness(options, () => new Cluster(cluster.nodes)), 5);
});
