import { jest } from '@jest/globals';
import type { Redis } from 'ioredis';
import { UnprovenError } from '../../../src/redis/connection/command-turn.js';
import { ReadBatch } from '../../../src/redis/connection/read-batch.js';
import { OwnRedis } from '../../support/own-redis.js';

describe('the reads of one turn of the event loop', () => {
  let redis: OwnRedis;

  beforeAll(async () => {
    redis = await OwnRedis.start();
  });

  afterAll(async () => {
    await redis?.stop();
  });

  afterEach(async () => {
    await redis.reset();
  });

  it('are one command each, with one ROLE behind all of them', async () => {
    const store = redis.open();
    await store.ready();
    const sessions = await Promise.all(Array.from({ length: 20 }, (_, n) => store.create({ userId: `user ${n}` })));
    await redis.resetCommands();
    const read = await Promise.all(sessions.map(({ id }) => store.read(id)));
    expect(read.map((snapshot) => snapshot.state === 'live' && snapshot.session.id)).toEqual(
      sessions.map(({ id }) => id),
    );
    expect(await redis.commands()).toEqual({ hmget: 20, role: 1 });
  });

  it('fail each by itself where Redis answers with an error', async () => {
    const store = redis.open();
    await store.ready();
    const [good, bad] = [await store.create({ userId: 'ada' }), await store.create({ userId: 'bob' })];
    const [key] = redis.fieldOf(bad.id, 'r');
    await redis.admin.del(key);
    await redis.admin.set(key, 'no hash');
    const [first, second, third] = await Promise.all([good, bad, good].map(({ id }) => store.read(id)));
    expect([first?.state, second?.state, third?.state]).toEqual(['live', 'damaged', 'live']);
  });

  it.each([
    ['fewer values', [null]],
    ['no list', 5],
  ])('are asked again over a new connection where an answer is that of another command: %s', async (_, strange) => {
    const client = redis.connect({ retryStrategy: () => 5 });
    const store = redis.open({}, client);
    await store.ready();
    const { id } = await store.create({ userId: 'ada' });
    let closed = 0;
    client.on('close', () => (closed += 1));
    jest.spyOn(client, 'hmgetBuffer').mockImplementationOnce((async () => strange) as never);
    expect(await store.read(id)).toMatchObject({ state: 'live', session: { userId: 'ada' } });
    expect(closed).toBe(1);
  });

  it('do not count where the connection was another one between two answers', async () => {
    const client = { stream: {}, hmgetBuffer: async () => [Buffer.from('answer')] };
    // A batch uses no more of a client.
    const batch = new ReadBatch(client as unknown as Redis);
    const first = batch.add('key', ['field']);
    const running = batch.run();
    await new Promise((resolve) => setImmediate(resolve));
    client.stream = {};
    void batch.add('key', ['field']);
    batch.close();
    await expect(running).rejects.toBeInstanceOf(UnprovenError);
    // Sent again over the present connection.
    batch.settle(await batch.run(), (error) => error);
    expect(await first).toEqual([Buffer.from('answer')]);
  });
});
