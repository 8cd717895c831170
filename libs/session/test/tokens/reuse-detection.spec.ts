import { Cluster } from 'ioredis';
import { startRedisCluster, type RedisCluster } from '../../../../test/support/redis-server.js';
import { describeReuseDetection } from '../support/describe-reuse-detection.js';
import { createMemoryHarness } from '../support/memory-harness.js';
import { redisHarness } from '../support/redis-harness.js';

describeReuseDetection('memory', createMemoryHarness, 200);
describeReuseDetection('Redis', (options) => redisHarness(options), 15);

describe('on a Redis Cluster of three nodes', () => {
  let cluster: RedisCluster;

  beforeAll(async () => {
    cluster = await startRedisCluster();
  });

  afterAll(async () => {
    await cluster?.stop();
  });

  describeReuseDetection('Cluster', (options) => redisHarness(options, () => new Cluster(cluster.nodes)), 5);
});
