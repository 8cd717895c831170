import { Redis } from 'ioredis';
import { startRedis, type RedisServer } from '../../../../../test/support/redis-server.js';
import { startProxy, type TcpProxy } from '../../../../../test/support/tcp-proxy.js';
import { StoreUnavailableError } from '../../../src/model/errors.js';
import { RedisConnection } from '../../../src/redis/connection/redis-connection.js';
import { within } from '../../../src/redis/connection/within.js';
import { RedisSessionStore } from '../../../src/redis/redis-session-store.js';
import { CapturedLogs } from '../../support/captured-logs.js';
import { createIn, pause, PREFIX, until } from '../../support/own-redis.js';
import { testRedisUrl } from '../../support/redis-harness.js';

describe('a connection that breaks', () => {
  let logs: CapturedLogs;
  let server: RedisServer;
  let proxy: TcpProxy;
  let connection: RedisConnection;
  let store: RedisSessionStore;

  async function open(commandTimeout: number): Promise<void> {
    connection = await RedisConnection.open(`redis://127.0.0.1:${proxy.port}`, { commandTimeout });
    store = new RedisSessionStore(connection, { keyPrefix: PREFIX });
    await store.ready();
  }

  beforeEach(async () => {
    logs = new CapturedLogs();
    server = await startRedis();
    proxy = await startProxy({ targetPort: server.port });
  });

  afterEach(async () => {
    await store.close();
    await proxy.stop();
    await server.stop();
    logs.restore();
  });

  it('while Redis is up costs no request: what was asked waits for the next connection, or is asked again', async () => {
    await open(5_000);
    const { id } = await store.create({ userId: 'ada' });
    const asked: Promise<unknown>[] = [];
    for (let turn = 0; turn < 300; turn += 1) {
      if (turn % 60 === 30) proxy.reset();
      asked.push(store.read(id).then(({ state }) => state));
      if (turn % 3 === 0) asked.push(store.create({ userId: `user-${turn}` }).then(() => 'live'));
      await pause(2);
    }
    expect(new Set(await Promise.all(asked))).toEqual(new Set(['live']));
    expect(await store.count()).toBe(101);
  });

  it('for as long as a request may wait: one log line, no command under way is remembered, and all is well afterwards', async () => {
    await open(150);
    const { id } = await createIn(store);
    logs.lines.length = 0;
    await server.kill();
    // Fewer than fit into the ten seconds after which the line would come again.
    for (let turn = 0; turn < 12; turn += 1) {
      await expect(store.read(id)).rejects.toBeInstanceOf(StoreUnavailableError);
      await pause(20);
    }
    expect(logs.lines.filter((line) => !line.includes('Error on the Redis connection'))).toEqual([]);
    expect(logs.lines).toHaveLength(1);
    await server.restart();
    await until(() =>
      store.read(id).then(
        () => true,
        () => false,
      ),
    );
  });

  it('silently (half-open: old links mute, new ones fine) is replaced without a restart; requests are refused at once meanwhile', async () => {
    await open(200);
    const { id } = await createIn(store);
    proxy.muteOpenLinks();
    await expect(store.read(id)).rejects.toBeInstanceOf(StoreUnavailableError);
    proxy.resetCounts();
    // Until the connection is replaced, which may come sooner than the last of them on a slow machine.
    let [refused, sent] = [0, 0];
    while (refused < 200) {
      const outcome = await store.read(id).catch((error: unknown) => error);
      if (proxy.counts.connections > 0) break;
      expect(outcome).toBeInstanceOf(StoreUnavailableError);
      sent = proxy.counts.toServer;
      refused += 1;
    }
    // Where each waited for its timeout there would be four of them.
    expect(refused).toBeGreaterThan(10);
    // Few commands were sent: only those that probe whether the server is back.
    expect(sent).toBeLessThan(2_000);
    await until(() =>
      store.read(id).then(
        ({ state }) => state === 'live',
        () => false,
      ),
    );
    expect(proxy.counts.connections).toBeGreaterThan(0);
    expect(logs.lines.some((line) => line.includes('answers again'))).toBe(true);
  });

  it('silently for the subscriber alone: replaced as well, and listeners learn that they may have missed something', async () => {
    await open(500);
    const heard: string[] = [];
    let gaps = 0;
    store.onGap(() => (gaps += 1));
    store.subscribe(({ sessionId }) => heard.push(sessionId));
    await store.ready();
    proxy.muteOpenLinks();
    await until(() => gaps > 0, 30_000);
    // The other connection has gone mute as well, and is only now asked.
    const sent: string[] = [];
    await until(async () => {
      const session = await store.create({ userId: 'ada' }).catch(() => null);
      if (session) sent.push(session.id);
      return sent.some((id) => heard.includes(id));
    });
  });
});

describe('a wait that is bounded', () => {
  it('never ends early, also where it begins late in a turn of the event loop: what is given up must have no effect any more', async () => {
    const early: number[] = [];
    for (let round = 0; round < 5; round += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      const busyUntil = performance.now() + 60;
      while (performance.now() < busyUntil);
      const since = performance.now();
      await within(new Promise(() => undefined), 80).catch(() => undefined);
      if (performance.now() - since < 80) early.push(performance.now() - since);
    }
    expect(early).toEqual([]);
  });

  it('takes an answer that lies in the socket when the time is found to be up', async () => {
    const client = new Redis(testRedisUrl());
    try {
      await client.ping();
      let answer: string | null = null;
      // The server may be busy as well, so that one pause is too short for its answer.
      for (let attempt = 0; answer === null && attempt < 5; attempt += 1) {
        // Sent at once; nothing else of this process runs until the time is up.
        const work = within(client.ping(), 30);
        const busyUntil = performance.now() + 200;
        while (performance.now() < busyUntil);
        answer = await work.catch(() => null);
      }
      expect(answer).toBe('PONG');
    } finally {
      client.disconnect();
    }
  });

  it('takes an answer that arrived while the process was busy or frozen', async () => {
    const server = await startRedis();
    const connection = await RedisConnection.open(server.url, { commandTimeout: 100 });
    const store = new RedisSessionStore(connection, { keyPrefix: PREFIX });
    await store.ready();
    const { id } = await createIn(store);
    const asked = store.read(id);
    // Until the command has left: it does so at the end of a turn of the event loop.
    for (let turn = 0; turn < 2; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    const busyUntil = performance.now() + 300;
    while (performance.now() < busyUntil);
    expect((await asked).state).toBe('live');
    await store.close();
    await server.stop();
  });
});
