import { createServer, type AddressInfo } from 'node:net';
import { jest } from '@jest/globals';
import { RedisConnection } from '../../../src/redis/connection/redis-connection.js';
import { RedisSessionStore } from '../../../src/redis/redis-session-store.js';
import { CapturedLogs } from '../../support/captured-logs.js';
import { OwnRedis, until } from '../../support/own-redis.js';

/** Longer than any boot that gives up early, so that a wait for it fails the test. */
const READY_TIMEOUT = 60_000;

describe('a boot that cannot succeed', () => {
  let redis: OwnRedis;
  let logs: CapturedLogs;

  beforeAll(async () => {
    redis = await OwnRedis.start();
    await redis.admin.config('SET', 'requirepass', 'right');
    await redis.admin.call('ACL', 'SETUSER', 'poor', 'on', '>poor', '~*', '+info', '+ping', '+client', '+hello');
  });

  afterAll(() => redis?.stop());

  beforeEach(() => {
    logs = new CapturedLogs();
  });

  afterEach(() => logs.restore());

  async function boot(url: string, readyTimeout = READY_TIMEOUT): Promise<void> {
    const connection = await RedisConnection.open(url, { commandTimeout: 2_000, readyTimeout });
    const store = new RedisSessionStore(connection, { strictRedis: false });
    try {
      await store.ready();
    } finally {
      await store.close();
    }
  }

  it.each([
    ['a wrong password', ':wrong@', /password.*WRONGPASS/],
    ['no password', '', /password.*NOAUTH/],
    ['a user without the rights', 'poor:poor@', /lacks a right.*NOPERM/i],
  ])('names the cause and how to put it right, soon: %s', async (_, credentials, message) => {
    await expect(boot(`redis://${credentials}127.0.0.1:${redis.server.port}`)).rejects.toThrow(message);
  });

  it('names TLS where the server does not speak what the client speaks', async () => {
    await expect(boot(`rediss://:right@127.0.0.1:${redis.server.port}`)).rejects.toThrow(/TLS|rediss/);
    // What a TLS port does with a client that does not greet in TLS.
    const alert = Buffer.from([0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x46]);
    for (const answer of [alert, null]) {
      const tls = createServer((socket) => {
        socket.on('error', () => undefined);
        socket.once('data', () => (answer ? socket.end(answer) : socket.destroy()));
      });
      await new Promise<void>((resolve) => tls.listen(0, '127.0.0.1', resolve));
      try {
        await expect(boot(`redis://127.0.0.1:${(tls.address() as AddressInfo).port}`)).rejects.toThrow(/use rediss:/);
      } finally {
        tls.close();
      }
    }
  });

  it('goes on trying where nobody listens yet, and names that as the cause in the end', async () => {
    const late = await OwnRedis.start();
    const { url } = late.server;
    await late.server.kill();
    await expect(boot(url, 1_500)).rejects.toThrow(/not reachable.*ECONNREFUSED/);
    const booting = boot(url);
    await until(() => logs.lines.some((line) => line.includes('ECONNREFUSED')));
    await late.server.restart();
    await booting;
    await late.stop();
  });

  it('warns of a clock that differs from that of Redis', async () => {
    const now = Date.now;
    const spy = jest.spyOn(Date, 'now').mockImplementation(() => now() + 3_600_000);
    try {
      await boot(`redis://:right@127.0.0.1:${redis.server.port}`);
    } finally {
      spy.mockRestore();
    }
    expect(logs.lines).toContainEqual(expect.stringMatching(/is 3[56]\d\d s behind the clock of this machine.*NTP/));
  });
});

describe('an operation of many commands right after an outage', () => {
  it('waits for the check of the server instead of being refused', async () => {
    const logs = new CapturedLogs();
    const redis = await OwnRedis.start();
    try {
      const connection = await RedisConnection.open(redis.server.url, { commandTimeout: 500 });
      const store = new RedisSessionStore(connection);
      await store.ready();
      redis.server.pause();
      await expect(store.get('x'.repeat(32))).rejects.toMatchObject({ code: 'store_unavailable' });
      // The circuit is open, and this request is the one that checks the server.
      let refused = 0;
      await until(async () => {
        await store.get('x'.repeat(32)).catch(() => (refused += 1));
        return refused > 3;
      });
      redis.server.resume();
      expect(await store.count()).toBe(0);
      expect(await store.sweep()).toBe(0);
      await store.close();
    } finally {
      redis.server.resume();
      await redis.stop();
      logs.restore();
    }
  });
});
