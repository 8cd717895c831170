import { createHash } from 'node:crypto';
import { userKeyOf } from '../../src/model/ids.js';
import { HASH_TAGS } from '../../src/redis/hash-tags.js';
import { bucketOf, BUCKETS, RedisKeys, slotOf } from '../../src/redis/keys.js';

const SLOTS = 16_384;

/** CRC16 as the Cluster specification has it (XMODEM), written here again: the table must not be checked by what made it. */
function crc16(text: string): number {
  let crc = 0;
  for (const byte of Buffer.from(text, 'utf8')) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff;
  }
  return crc;
}

/** The slot of a key: of what stands between the first brace and the next closing one, where that is anything. */
function slotOfKey(key: string): number {
  const open = key.indexOf('{');
  const close = open < 0 ? -1 : key.indexOf('}', open + 1);
  return crc16(close > open + 1 ? key.slice(open + 1, close) : key) % SLOTS;
}

describe('hash tags', () => {
  it('are computed with the checksum of the specification', () => {
    expect(crc16('123456789')).toBe(0x31c3);
    expect(slotOfKey('{user1000}.following')).toBe(slotOfKey('{user1000}.followers'));
  });

  it('are 1,024, all different, and free of what a key gives a meaning to', () => {
    expect(HASH_TAGS).toHaveLength(BUCKETS);
    expect(new Set(HASH_TAGS).size).toBe(BUCKETS);
    for (const tag of HASH_TAGS) expect(tag).toMatch(/^[a-z0-9]+$/);
  });

  it('lead each bucket to its own slot, 16 apart', () => {
    for (const [bucket, tag] of HASH_TAGS.entries()) {
      expect(crc16(tag) % SLOTS).toBe(16 * bucket);
      expect(slotOf(bucket)).toBe(16 * bucket);
    }
  });

  it('never change: stored keys depend on the table', () => {
    expect(createHash('sha256').update(HASH_TAGS.join(' ')).digest('hex')).toBe(TABLE_DIGEST);
  });

  it('put the two keys of a user into one slot, whatever the prefix without braces', () => {
    for (const prefix of ['session:', '', 'a:b:', '}']) {
      const keys = new RedisKeys(prefix, '');
      for (let user = 0; user < 2_000; user += 1) {
        const { user: hash, expiries, slot } = keys.ofUser(`user-${user}`);
        expect([slotOfKey(hash), slotOfKey(expiries)]).toEqual([slot, slot]);
      }
    }
  });

  it('spread users evenly: of 100 shards the largest is within 10 % of the mean (a million simulated users)', () => {
    const users = 1_000_000;
    const shards = 100;
    // A user key is a digest; counting through the simulated ones by a digest of a counter is as good, and quick.
    const perShard = new Array<number>(shards).fill(0);
    const perBucket = new Array<number>(BUCKETS).fill(0);
    for (let user = 0; user < users; user += 1) {
      const bucket = simulatedBucket(user);
      perBucket[bucket] = (perBucket[bucket] ?? 0) + 1;
      // As `redis-cli --cluster create` shares the slots out.
      const shard = Math.floor((slotOf(bucket) * shards) / SLOTS);
      perShard[shard] = (perShard[shard] ?? 0) + 1;
    }
    expect(Math.max(...perBucket)).toBeLessThan((users / BUCKETS) * 1.2);
    expect(Math.max(...perShard)).toBeLessThan((users / shards) * 1.1);
  });

  it('buckets are the first ten bits of the user key, of real ones as of simulated ones', () => {
    const seen = new Set<number>();
    for (let user = 0; user < 20_000; user += 1) {
      const userKey = userKeyOf(`user-${user}`);
      const bytes = Buffer.from(userKey, 'base64url');
      const bucket = bucketOf(userKey);
      expect(bucket).toBe(((bytes[0] ?? 0) << 2) | ((bytes[1] ?? 0) >> 6));
      seen.add(bucket);
    }
    expect(seen.size).toBe(BUCKETS);
    expect([bucketOf('A'.repeat(16)), bucketOf('_'.repeat(16))]).toEqual([0, BUCKETS - 1]);
  });
});

const TABLE_DIGEST = '09a8b2b3b4e39a174c8caaa3feae7cfe895884a7f796141e25cdf478ebb90b5a';

/** The bucket of a simulated user: ten bits of a digest, eleven users to a digest. */
function simulatedBucket(user: number): number {
  const at = user % 16;
  if (at === 0) digest = createHash('sha256').update(`simulated ${user}`).digest();
  return digest.readUInt16BE(2 * at) >> 6;
}

let digest = Buffer.alloc(32);
