import { Redis } from 'ioredis';
import { startRedis, type RedisServer } from './redis-server.js';
import { startProxy, type TcpProxy } from './tcp-proxy.js';

describe('startProxy', () => {
  let server: RedisServer;
  let proxy: TcpProxy;
  let direct: Redis;
  let client: Redis;

  beforeAll(async () => {
    server = await startRedis();
    direct = new Redis(server.url);
  });

  beforeEach(async () => {
    proxy = await startProxy({ targetPort: server.port });
    client = new Redis({ port: proxy.port, enableReadyCheck: false, retryStrategy: () => 10, maxRetriesPerRequest: 0 });
    client.on('error', () => undefined);
    await client.ping();
    await direct.flushall();
    proxy.resetCounts();
  });

  afterEach(async () => {
    client.disconnect();
    await proxy.stop();
  });

  afterAll(async () => {
    direct.disconnect();
    await server.stop();
  });

  it('counts waits one after another, and a pipeline as one', async () => {
    await client.set('a', '1');
    await client.get('a');
    expect(proxy.roundTrips).toBe(2);
    await client.pipeline().get('a').get('a').get('a').exec();
    expect(proxy.roundTrips).toBe(3);
    expect(proxy.counts.toServer).toBeGreaterThan(0);
    expect(proxy.counts.toClient).toBeGreaterThan(0);
    expect(proxy.counts.connections).toBe(0);
  });

  it('drops a reply after the server has done its work', async () => {
    proxy.dropNextReply();
    await expect(client.incr('n')).rejects.toThrow();
    expect(await direct.get('n')).toBe('1');
    expect(await client.incr('n')).toBe(2);
    expect(proxy.counts.dropped).toBe(1);
    expect(proxy.counts.connections).toBe(1);
  });

  it('can leave the connection open and mute after a dropped reply', async () => {
    client.disconnect();
    client = new Redis({ port: proxy.port, commandTimeout: 200, enableReadyCheck: false });
    client.on('error', () => undefined);
    await client.ping();
    proxy.dropNextReply({ then: 'silence' });
    await expect(client.incr('n')).rejects.toThrow('timed out');
    await expect(client.incr('n')).rejects.toThrow('timed out');
    expect(await direct.get('n')).toBe('2');
  });

  it('holds replies for the delay', async () => {
    proxy.setDelay(60);
    let answered = false;
    const pong = client.ping().then(() => (answered = true));
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(answered).toBe(false);
    await pong;
  });

  it('keeps the order of replies when the delay gets shorter', async () => {
    const answers: Promise<string>[] = [];
    for (let turn = 0; turn < 10; turn += 1) {
      proxy.setDelay(40);
      for (let n = 0; n < 60; n += 1) {
        if (n === 20) proxy.setDelay(0);
        answers.push(client.echo(`${turn} ${n}`));
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    }
    expect(await Promise.all(answers)).toEqual(answers.map((_, index) => `${Math.floor(index / 60)} ${index % 60}`));
  });

  it('resets connections and lets new ones in', async () => {
    const closed = new Promise((resolve) => client.once('close', resolve));
    proxy.reset();
    await closed;
    expect(await client.ping()).toBe('PONG');
  });

  it('lets nothing pass while it is a black hole', async () => {
    proxy.blackhole(true);
    let answered = false;
    const done = client.incr('n').then(() => (answered = true));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(answered).toBe(false);
    expect(await direct.get('n')).toBeNull();
    proxy.blackhole(false);
    await done;
    expect(await direct.get('n')).toBe('1');
  });
});
