import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { startReplicatedRedis, type ReplicatedRedis } from '../../../../../test/support/redis-sentinels.js';
import { startRedisCluster } from '../../../../../test/support/redis-server.js';
import { RedisConnection } from '../../../src/redis/connection/redis-connection.js';
import { SMALLEST_RIGHTS } from '../../../src/redis/connection/server-report.js';
import { RedisSessionStore } from '../../../src/redis/redis-session-store.js';
import { RedisTokenBlacklist } from '../../../src/redis/redis-token-blacklist.js';
import { CapturedLogs } from '../../support/captured-logs.js';
import { discard, until } from '../../support/own-redis.js';

const TIMEOUT = { commandTimeout: 5_000 };
const document = readFileSync(
  fileURLToPath(new URL('../../../../../docs/reliability.md', import.meta.url)),
  'utf8',
).split('## The smallest rights')[1] as string;
/** The rights in a text, as ACL writes them. */
const rightsIn = (text: string): string[] => text.match(/\+[a-z]+/g) ?? [];
/** What the document's table says that the feature needs in addition. */
const rightsFor = (feature: string): string[] => {
  const row = document.split('\n').find((line) => line.startsWith(`| ${feature} `));
  if (row === undefined) throw new Error(`docs/reliability.md has no rights for ${feature}`);
  return rightsIn(row);
};

/** What an application does that uses the feature. */
const FEATURES: Readonly<Record<string, (url: string) => Promise<void>>> = {
  'the blacklist': async (url) => {
    const blacklist = new RedisTokenBlacklist(await RedisConnection.open(url, TIMEOUT));
    try {
      await blacklist.add('jti', Date.now() + 60_000);
      expect(await blacklist.isBlacklisted('jti')).toBe(true);
      await blacklist.revokeAllFor('ada');
      expect(await blacklist.isRevokedFor('ada', Date.now() - 3_600_000)).toBe(true);
    } finally {
      await blacklist.close();
    }
  },
  '`minReplicas`': async (url) => {
    const store = new RedisSessionStore(await RedisConnection.open(url, TIMEOUT), { minReplicas: 1 });
    try {
      await store.ready();
      const { id } = await store.create({ userId: 'ada' });
      expect(await store.destroy(id)).toBe(true);
    } finally {
      await store.close();
    }
  },
  '`history`': async (url) => {
    const store = new RedisSessionStore(await RedisConnection.open(url, TIMEOUT));
    try {
      await store.ready();
      const history = store.history({ maxEntries: 1, retention: 60_000 });
      for (const at of [store.now(), store.now() + 1])
        await history.add('ada', { type: 'created', at, sessionId: 'x'.repeat(32) });
      expect(await history.list('ada')).toHaveLength(1);
      await history.clear('ada');
    } finally {
      await store.close();
    }
  },
  '`events.stream`': async (url) => {
    const eventStream = { maxLength: 100, retention: 60_000 };
    const store = new RedisSessionStore(await RedisConnection.open(url, TIMEOUT), { eventStream });
    try {
      await store.ready();
      const taken = new Set<string>();
      const take = ({ userId }: { userId: string }): void => void taken.add(userId);
      const stop = await store.eventStream()?.consume('audit', take, { retryAfter: 50 });
      const user = `user ${Math.random()}`;
      await store.create({ userId: user });
      await until(() => taken.has(user), 10_000);
      await stop?.();
    } finally {
      await store.close();
    }
  },
};

describe('the rights in docs/reliability.md', () => {
  it('are those that the boot looks for', () => {
    const block = document.split('```')[1] as string;
    expect(rightsIn(block).sort()).toEqual(rightsIn(SMALLEST_RIGHTS).sort());
  });

  describe('on a primary with a replica', () => {
    let replicated: ReplicatedRedis;
    let admin: Redis;
    let logs: CapturedLogs;

    beforeAll(async () => {
      logs = new CapturedLogs();
      replicated = await startReplicatedRedis({ args: ['--appendonly', 'yes'] });
      admin = new Redis(replicated.primary.url);
    });

    afterAll(async () => {
      if (admin) discard(admin);
      await replicated?.stop();
      logs.restore();
    });

    /** Commands that were refused while a user of these rights used the feature. */
    async function refused(feature: string, rights: readonly string[]): Promise<unknown[]> {
      await admin.call('ACL', 'DELUSER', 'app');
      const base = ['on', '>secret', '~session:*', 'resetchannels', '&session:events', ...SMALLEST_RIGHTS.split(' ')];
      await admin.call('ACL', 'SETUSER', 'app', ...base, ...rights);
      await admin.call('ACL', 'LOG', 'RESET');
      await FEATURES[feature]?.(`redis://app:secret@127.0.0.1:${replicated.primary.port}`).catch((error: unknown) => {
        logs.lines.push(String(error));
      });
      const entries = (await admin.call('ACL', 'LOG')) as unknown[];
      // CONFIG GET save is asked for if it may be.
      return entries.map(String).filter((entry) => !entry.includes('config'));
    }

    it.each(Object.keys(FEATURES))('are enough for %s, and none of them is too many', async (feature) => {
      const rights = rightsFor(feature);
      expect(rights.length).toBeGreaterThan(0);
      logs.lines.length = 0;
      expect(await refused(feature, rights)).toEqual([]);
      expect(logs.lines).toEqual([]);
      for (const right of rights) {
        const others = rights.filter((other) => other !== right);
        expect({ right, isNeeded: (await refused(feature, others)).length > 0 }).toEqual({ right, isNeeded: true });
      }
    });
  });

  it('are enough on a Cluster', async () => {
    const cluster = await startRedisCluster({ args: ['--appendonly', 'yes'] });
    try {
      const rights = ['~session:*', 'resetchannels', '&session:events', ...SMALLEST_RIGHTS.split(' ')];
      for (const { url } of cluster.servers) {
        const admin = new Redis(url);
        await admin.call('ACL', 'SETUSER', 'app', 'on', '>secret', ...rights, ...rightsFor('a Cluster'));
        discard(admin);
      }
      const options = { redisOptions: { username: 'app', password: 'secret' } };
      const connection = await RedisConnection.open({ cluster: { nodes: cluster.nodes, options } }, TIMEOUT);
      const store = new RedisSessionStore(connection);
      await store.ready();
      for (const userId of ['ada', 'bob', 'cleo']) {
        const { id } = await store.create({ userId });
        expect(await store.read(id)).toMatchObject({ state: 'live' });
        expect(await store.destroy(id)).toBe(true);
      }
      await store.close();
    } finally {
      await cluster.stop();
    }
  });
});
