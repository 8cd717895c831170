import { randomBytes } from 'node:crypto';
import { Cluster, type Redis } from 'ioredis';
import { startRedisCluster } from '../../../../test/support/redis-server.js';
import { MemoryTokenBlacklist } from '../../src/memory/memory-token-blacklist.js';
import { claimDigest } from '../../src/model/blacklist.js';
import { RedisTokenBlacklist, type RedisTokenBlacklistOptions } from '../../src/redis/redis-token-blacklist.js';
import { describeTokenBlacklist } from '../support/blacklist-contract.js';
import { CapturedLogs } from '../support/captured-logs.js';
import { OwnRedis, PREFIX, until } from '../support/own-redis.js';

const MINUTE = 60_000;

describeTokenBlacklist('MemoryTokenBlacklist', async ({ clockTolerance }) => {
  let time = Date.UTC(2030, 0, 1);
  return {
    blacklist: new MemoryTokenBlacklist({ clockTolerance, clock: () => time }),
    now: async () => time,
    goPast: async (instant) => {
      time = Math.max(time, instant + 1);
    },
    close: async () => undefined,
  };
});

describe('on Redis', () => {
  let redis: OwnRedis;
  let logs: CapturedLogs;

  beforeAll(async () => {
    redis = await OwnRedis.start();
  });

  afterAll(() => redis?.stop());

  beforeEach(() => {
    logs = new CapturedLogs();
  });

  afterEach(async () => {
    for (const blacklist of opened.splice(0)) await blacklist.close();
    await redis.admin.config('SET', 'maxmemory', '0');
    await redis.reset();
    logs.restore();
  });

  describeTokenBlacklist('RedisTokenBlacklist', async ({ clockTolerance }) => {
    const keyPrefix = `test-${randomBytes(6).toString('hex')}:`;
    const blacklist = new RedisTokenBlacklist(redis.connect(), { keyPrefix, clockTolerance, commandTimeout: 5_000 });
    return {
      blacklist,
      now: async () => Math.floor(await redis.time()),
      goPast: (instant) => until(async () => (await redis.time()) > instant + 1),
      close: () => blacklist.close(),
    };
  });

  const opened: RedisTokenBlacklist[] = [];
  const open = (options: RedisTokenBlacklistOptions = {}, client: Redis = redis.connect()): RedisTokenBlacklist => {
    const blacklist = new RedisTokenBlacklist(client, { keyPrefix: PREFIX, commandTimeout: 5_000, ...options });
    opened.push(blacklist);
    return blacklist;
  };
  const keyOf = (jti: string): string => redis.keys.blacklistedToken(claimDigest('jti', jti, undefined));

  /** When Redis will forget the key, epoch ms; within what passes while one asks. */
  async function deadlineOf(key: string): Promise<[least: number, most: number]> {
    const before = await redis.time();
    const left = await redis.admin.pttl(key);
    return [Math.floor(before) + left, Math.ceil(await redis.time()) + left];
  }

  it('keeps an entry until exp plus tolerance in milliseconds, rounded up: not a second longer, not a moment less', async () => {
    const blacklist = open({ clockTolerance: 1_500 });
    const expiresAt = Math.floor(await redis.time()) + MINUTE + 0.25;
    await blacklist.add('jti', expiresAt);
    const [least, most] = await deadlineOf(keyOf('jti'));
    const wanted = Math.ceil(expiresAt) + 1_500;
    expect(wanted).toBeGreaterThanOrEqual(least - 1);
    expect(wanted).toBeLessThanOrEqual(most + 1);
  });

  it('keeps a digest, not the jti: nothing of a token stands in Redis', async () => {
    await open().add('secret-jti', (await redis.time()) + MINUTE, { issuer: 'https://issuer' });
    const keys = await redis.keysLeft();
    expect(keys).toHaveLength(1);
    expect(keys[0]).toMatch(/^own:blacklist:token:[A-Za-z0-9_-]{43}$/);
    expect(await redis.admin.get(keys[0] ?? '')).toBe('');
  });

  it('rejects when Redis cannot keep it, and when it cannot keep one of many: every reply is looked at', async () => {
    const blacklist = open();
    const expiresAt = (await redis.time()) + MINUTE;
    await blacklist.add('known', expiresAt);
    await redis.admin.config('SET', 'maxmemory', '1');
    await expect(blacklist.add('jti', expiresAt)).rejects.toMatchObject({ code: 'store_unavailable' });
    await expect(
      blacklist.addBulk([
        { jti: 'known', expiresAt },
        { jti: 'jti', expiresAt },
      ]),
    ).rejects.toMatchObject({
      code: 'store_unavailable',
    });
    await expect(blacklist.revokeAllFor('ada')).rejects.toMatchObject({ code: 'store_unavailable' });
    expect(await blacklist.isBlacklisted('known')).toBe(true);
    expect(await blacklist.isBlacklisted('jti')).toBe(false);
  });

  it('does not answer "not blacklisted" when it cannot know', async () => {
    const blacklist = open({ commandTimeout: 100 });
    await until(() =>
      blacklist.isBlacklisted('jti').then(
        () => true,
        () => false,
      ),
    );
    redis.server.pause();
    try {
      await expect(blacklist.isBlacklisted('jti')).rejects.toMatchObject({ code: 'store_unavailable' });
      await expect(blacklist.isRevokedFor('ada', Date.now())).rejects.toMatchObject({ code: 'store_unavailable' });
    } finally {
      redis.server.resume();
    }
  });

  it('a client that hands out numbers as text is told the truth as well', async () => {
    const blacklist = open({}, redis.connect({ stringNumbers: true }));
    await blacklist.add('jti', (await redis.time()) + MINUTE);
    expect(await blacklist.isBlacklisted('jti')).toBe(true);
    expect(await blacklist.isBlacklisted('other')).toBe(false);
    expect(await blacklist.revokeAllFor('ada')).toBeGreaterThan(0);
  });

  it('a key of another type, or a cutoff that cannot be read, lets nobody in', async () => {
    const blacklist = open();
    const expiresAt = (await redis.time()) + MINUTE;
    await redis.admin.lpush(keyOf('jti'), 'not ours');
    expect(await blacklist.isBlacklisted('jti')).toBe(true);
    await blacklist.add('jti', expiresAt);
    expect(await blacklist.isBlacklisted('jti')).toBe(true);
    const subject = redis.keys.blacklistedSubject(claimDigest('subject', 'ada', undefined));
    await redis.admin.set(subject, 'not a number');
    expect(await blacklist.isRevokedFor('ada', expiresAt)).toBe(true);
    const cutoff = await blacklist.revokeAllFor('ada');
    expect(await blacklist.isRevokedFor('ada', cutoff)).toBe(false);
  });

  it('is not fooled by an entry without an end that somebody made by hand', async () => {
    await redis.admin.set(keyOf('jti'), '');
    await open().add('jti', (await redis.time()) + MINUTE);
    expect(await redis.admin.pttl(keyOf('jti'))).toBe(-1);
  });

  it('takes its listeners off an adopted client, which stays open', async () => {
    const client = redis.connect();
    await client.ping();
    const before = client.listenerCount('error') + client.listenerCount('ready');
    const blacklist = new RedisTokenBlacklist(client, { keyPrefix: PREFIX });
    await blacklist.isBlacklisted('jti');
    await blacklist.close();
    expect(client.listenerCount('error') + client.listenerCount('ready')).toBe(before);
    expect(await client.ping()).toBe('PONG');
  });

  it('works on a Cluster, where entries spread over all nodes', async () => {
    const cluster = await startRedisCluster();
    const client = new Cluster(cluster.nodes);
    try {
      const blacklist = new RedisTokenBlacklist(client, { commandTimeout: 5_000 });
      const expiresAt = (await redis.time()) + MINUTE;
      const entries = Array.from({ length: 60 }, (_, index) => ({ jti: `jti-${index}`, expiresAt }));
      await blacklist.addBulk(entries);
      for (const { jti } of entries) expect(await blacklist.isBlacklisted(jti)).toBe(true);
      const sizes = await Promise.all(client.nodes('master').map((node) => node.dbsize()));
      expect(Math.min(...sizes)).toBeGreaterThan(0);
      expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(60);
      const cutoff = await blacklist.revokeAllFor('ada');
      expect(await blacklist.isRevokedFor('ada', cutoff - 1)).toBe(true);
      await blacklist.close();
    } finally {
      client.disconnect();
      await cluster.stop();
    }
  });
});
