import { randomBytes } from 'node:crypto';
import { Cluster, Redis } from 'ioredis';
import { sidOf } from '../../src/model/ids.js';
import { RedisKeys } from '../../src/redis/keys.js';
import { RedisSessionStore } from '../../src/redis/redis-session-store.js';
import type { SessionStoreOptions } from '../../src/options/store-options.js';
import type { StoreDamage, StoreHarness } from '../../src/testing/store-harness.js';

/** The server that `npm test` provides. */
export function testRedisUrl(): string {
  const url = process.env['TEST_REDIS_URL'];
  if (!url) throw new Error('TEST_REDIS_URL is not set. Run the tests by `npm test`, which starts a Redis, or set it to one that may be written to.');
  return url;
}

const DAMAGED: Readonly<Record<StoreDamage, string>> = {
  'not-json': '{"v":1,',
  null: 'null',
  number: '5',
  array: '[]',
  'missing-fields': '{"v":1,"email":""}',
  'newer-version': '{"v":2,"email":"","roles":[],"data":{}}',
};

/** A harness on real Redis: a prefix of its own, time moved by the store's shift, a second instance on a second connection. */
export async function redisHarness(options: SessionStoreOptions, connect: () => Redis | Cluster = () => new Redis(testRedisUrl())): Promise<StoreHarness> {
  const keyPrefix = `test-${randomBytes(6).toString('hex')}:`;
  let shift = 0;
  const clients: (Redis | Cluster)[] = [];
  const stores: RedisSessionStore[] = [];
  const open = (): RedisSessionStore => {
    const client = connect();
    const store = new RedisSessionStore(client, { ...options, keyPrefix, timeShift: () => shift, commandTimeout: 5_000 });
    clients.push(client);
    stores.push(store);
    return store;
  };
  const keys = new RedisKeys(keyPrefix, options.tenant ?? '');
  const store = open();
  return {
    store,
    advance: async (ms) => {
      shift += ms;
    },
    openSecond: async () => open(),
    corrupt: async (sessionId, how) => {
      const [client] = clients;
      await client?.hset(keys.ofSession(sessionId).user, `r${sidOf(sessionId)}`, DAMAGED[how]);
    },
    close: async () => {
      await Promise.all(stores.map((each) => each.close()));
      for (const client of clients) client.disconnect();
    },
  };
}
