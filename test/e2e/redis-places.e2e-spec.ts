import { startRedisCluster } from '../support/redis-server.js';
import { startSentinelRedis } from '../support/redis-sentinels.js';
import { USER } from './support/browser.js';
import { randomPrefix, Sample, SECRET } from './support/sample.js';

describe('the sample on', () => {
  const serves = async (place: Record<string, string>): Promise<void> => {
    const sample = await Sample.start({ env: { SESSION_SECRET: SECRET, KEY_PREFIX: randomPrefix(), ...place } });
    try {
      const browser = sample.browser();
      await browser.signedIn();
      expect((await browser.get('/me')).status).toBe(200);
      // Counted by the application's own client.
      for (let failure = 0; failure < 10; failure += 1) await sample.browser().signIn({ ...USER, password: 'wrong' });
      expect((await sample.browser().signIn()).status).toBe(429);
      const health = await sample.browser().get('/health');
      expect([health.status, health.body.details]).toEqual([
        200,
        { redis: { status: 'up', clockOffset: expect.any(Number) } },
      ]);
      expect((await browser.post('/auth/logout')).status).toBe(204);
      expect((await browser.get('/me')).status).toBe(401);
    } finally {
      await sample.close();
    }
  };

  it('Sentinels: REDIS_SENTINELS and REDIS_MASTER_NAME', async () => {
    const redis = await startSentinelRedis({ replicas: 1 });
    try {
      const { sentinels, name } = redis.options;
      const addresses = sentinels.map(({ host, port }) => `${host}:${port}`).join(',');
      await serves({ REDIS_SENTINELS: addresses, REDIS_MASTER_NAME: name });
    } finally {
      await redis.stop();
    }
  });

  it('a Cluster: REDIS_CLUSTER', async () => {
    const redis = await startRedisCluster();
    try {
      await serves({ REDIS_CLUSTER: redis.nodes.map(({ host, port }) => `${host}:${port}`).join(',') });
    } finally {
      await redis.stop();
    }
  });
});
