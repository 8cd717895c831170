import { randomBytes } from 'node:crypto';
import { Redis, type Cluster } from 'ioredis';
import { newSessionId, sidOf } from '../../src/model/ids.js';
import { RedisKeys } from '../../src/redis/keys.js';
import { RedisSessionStore } from '../../src/redis/redis-session-store.js';
import type { SessionStoreOptions } from '../../src/options/store-options.js';
import type { StoreDamage, StoreHarness } from '../../src/store-contract/store-harness.js';
import { BARRIER } from '../../src/store-contract/test-bed.js';

/** The server that `npm test` provides. */
export function testRedisUrl(): string {
  const url = process.env['TEST_REDIS_URL'];
  if (!url) {
    throw new Error(
      'TEST_REDIS_URL is not set. Run the tests by `npm test`, which starts a Redis, or set it to one that may be written to.',
    );
  }
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

/** How long events may take to arrive before a test fails, ms. */
const PATIENCE = 5_000;

/** A harness on real Redis: a prefix of its own, time moved by the store's shift, a second instance on a second connection. */
export async function redisHarness(
  options: SessionStoreOptions,
  connect: () => Redis | Cluster = () => new Redis(testRedisUrl()),
): Promise<StoreHarness> {
  const keyPrefix = `test-${randomBytes(6).toString('hex')}:`;
  const keys = new RedisKeys(keyPrefix, options.tenant ?? '');
  let shift = 0;
  const clients: (Redis | Cluster)[] = [];
  const stores: RedisSessionStore[] = [];
  const open = (): RedisSessionStore => {
    const client = connect();
    const store = new RedisSessionStore(client, {
      ...options,
      keyPrefix,
      timeShift: () => shift,
      commandTimeout: 15_000,
    });
    clients.push(client);
    stores.push(store);
    return store;
  };
  const store = open();
  const [client] = clients as [Redis | Cluster];
  return {
    store,
    advance: async (ms) => {
      shift += ms;
    },
    openSecond: async () => open(),
    corrupt: async (sessionId, how) => {
      await client.hset(keys.ofSession(sessionId).user, `r${sidOf(sessionId)}`, DAMAGED[how]);
    },
    settle: async () => {
      for (const node of mastersOf(client)) await passBarrier(store, node, keys);
    },
    close: async () => {
      await Promise.all(stores.map((each) => each.close()));
      for (const each of clients) each.disconnect();
    },
  };
}

/** In a Cluster each node's messages arrive in order, and only they: a message of each one tells that none is under way. */
async function passBarrier(store: RedisSessionStore, node: Redis, keys: RedisKeys): Promise<void> {
  const giveUp = Date.now() + PATIENCE;
  const sent = new Set<string>();
  let arrived = false;
  const stop = store.subscribe(({ sessionId }) => {
    arrived ||= sent.has(sessionId);
  });
  while (!arrived) {
    // Sent again until heard: the store may have begun to listen just now.
    const sessionId = newSessionId(keys.ofUser(BARRIER).userKey);
    sent.add(sessionId);
    await node.publish(keys.events, `1 harness created ${sessionId} 0 -\n${BARRIER}`);
    for (let turn = 0; turn < 100 && !arrived; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    if (Date.now() > giveUp) throw new Error(`a message did not reach the store within ${PATIENCE} ms`);
  }
  stop();
}

function mastersOf(client: Redis | Cluster): Redis[] {
  return client.isCluster ? (client as Cluster).nodes('master') : [client as Redis];
}
