import { Cluster, Redis } from 'ioredis';
import { startRedis, startRedisCluster, type RedisServer } from './redis-server.js';

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

describe('startRedis', () => {
  let server: RedisServer;
  let client: Redis;

  beforeEach(async () => {
    server = await startRedis();
    client = new Redis(server.url, { maxRetriesPerRequest: null, retryStrategy: () => 20 });
    client.on('error', () => undefined);
  });

  afterEach(async () => {
    client.disconnect();
    await server.stop();
  });

  it('answers, never evicts, and is gone after stop', async () => {
    const { pid } = server;
    expect(await client.ping()).toBe('PONG');
    expect(await client.config('GET', 'maxmemory-policy')).toEqual(['maxmemory-policy', 'noeviction']);
    client.disconnect();
    await server.stop();
    await server.stop();
    expect(isAlive(pid)).toBe(false);
  });

  it('comes back on its port after a crash and after a restart', async () => {
    const { port, pid } = server;
    await server.kill();
    expect(() => server.pid).toThrow('not running');
    await server.restart();
    expect(server.port).toBe(port);
    expect(server.pid).not.toBe(pid);
    expect(await client.ping()).toBe('PONG');
    await server.restart();
    expect(await client.ping()).toBe('PONG');
  });

  it('keeps silent while paused, and can be stopped then', async () => {
    await client.ping();
    server.pause();
    let answered = false;
    const pong = client.ping().then(() => (answered = true));
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(answered).toBe(false);
    server.resume();
    await pong;
    server.pause();
    client.disconnect();
    await server.stop();
  });

  it('says what the server said when it cannot start', async () => {
    await expect(startRedis({ args: ['--no-such-option', 'x'] })).rejects.toThrow(/no-such-option/);
    await expect(startRedis({ port: server.port })).rejects.toThrow(/ended at once/);
  });

  it('says how to fix it when there is no server binary', async () => {
    const { PATH, TEST_REDIS_SERVER } = process.env;
    process.env.PATH = '/nonexistent';
    delete process.env.TEST_REDIS_SERVER;
    try {
      await expect(startRedis()).rejects.toThrow('install one');
    } finally {
      process.env.PATH = PATH;
      if (TEST_REDIS_SERVER !== undefined) process.env.TEST_REDIS_SERVER = TEST_REDIS_SERVER;
    }
  });
});

describe('startRedisCluster', () => {
  it('takes writes for slots of every node', async () => {
    const cluster = await startRedisCluster({ masters: 3 });
    const client = new Cluster(cluster.nodes);
    try {
      const keys = Array.from({ length: 30 }, (_, i) => `key:${i}`);
      await Promise.all(keys.map((key) => client.set(key, key)));
      expect(await Promise.all(keys.map((key) => client.get(key)))).toEqual(keys);
      const sizes = await Promise.all(client.nodes('master').map((node) => node.dbsize()));
      expect(sizes).toHaveLength(3);
      expect(Math.min(...sizes)).toBeGreaterThan(0);
    } finally {
      client.disconnect();
      await cluster.stop();
    }
  });

  it('gives each master a replica, which takes over when asked', async () => {
    const cluster = await startRedisCluster({ masters: 3, replicas: true });
    const [master, replica] = [cluster.servers[0], cluster.servers[3]].map((server) => new Redis(server?.url ?? ''));
    try {
      expect(cluster.servers).toHaveLength(6);
      const roleOf = async (client: Redis | undefined): Promise<string> => String((await client?.role())?.[0]);
      expect([await roleOf(master), await roleOf(replica)]).toEqual(['master', 'slave']);
      await replica?.call('CLUSTER', 'FAILOVER');
      while ((await roleOf(replica)) !== 'master') await new Promise((resolve) => setTimeout(resolve, 20));
      while ((await roleOf(master)) !== 'slave') await new Promise((resolve) => setTimeout(resolve, 20));
    } finally {
      master?.disconnect();
      replica?.disconnect();
      await cluster.stop();
    }
  });
});
