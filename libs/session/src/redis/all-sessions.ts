import { performance } from 'node:perf_hooks';
import { InvalidArgumentError } from '../model/errors.js';
import type { Session } from '../model/session.js';
import type { SessionScan, SessionScanOptions } from '../ports/session-store.js';
import type { RedisConnection } from './connection/redis-connection.js';
import { BUCKETS } from './keys.js';
import type { SessionReader } from './session-reader.js';
import { byUser, type ExpiryBuckets } from './sweep/expiry-buckets.js';

/** Number of buckets whose size is asked at once. */
const AHEAD = 64;
/** Number of users that are read at once. */
const USERS_AT_ONCE = 100;
const AT_LEAST = 1_000;

/**
 * Reads the sessions of all users, bucket by bucket: two commands a bucket that is not empty, and one for each of its users. A
 * bucket holds about a thousandth of all sessions, so no step reads many.
 */
export class AllSessions {
  constructor(
    private readonly connection: RedisConnection,
    private readonly buckets: ExpiryBuckets,
    private readonly reader: SessionReader,
  ) {}

  async scan({ cursor = 0, budget = Infinity, atLeast = AT_LEAST }: SessionScanOptions): Promise<SessionScan> {
    if (!Number.isSafeInteger(cursor) || cursor < 0)
      throw new InvalidArgumentError('cursor', 'must be a whole number from 0');
    const startedAt = performance.now();
    const sessions: Session[] = [];
    for (let first = cursor; first < BUCKETS; first += AHEAD) {
      const sizes = await this.sizesFrom(first);
      for (const [offset, size] of sizes.entries()) {
        if (size > 0) sessions.push(...(await this.inBucket(first + offset)));
        const next = first + offset + 1;
        const isEnough = size > 0 && (sessions.length >= atLeast || performance.now() - startedAt > budget);
        if (isEnough && next < BUCKETS) return { sessions, cursor: next, progress: next / BUCKETS };
      }
    }
    return { sessions, cursor: null, progress: 1 };
  }

  private async sizesFrom(first: number): Promise<number[]> {
    const buckets = Array.from({ length: Math.min(AHEAD, BUCKETS - first) }, (_, offset) => first + offset);
    return Promise.all(
      buckets.map(async (bucket) =>
        Number(await this.buckets.ask(bucket, async (key) => this.connection.client.zcount(key, '-inf', '+inf'))),
      ),
    );
  }

  private async inBucket(bucket: number): Promise<Session[]> {
    const ids = await this.buckets.ask(bucket, async (key) => this.connection.client.zrange(key, '0', '-1'));
    const users = [...byUser(ids).keys()];
    const sessions: Session[] = [];
    for (let first = 0; first < users.length; first += USERS_AT_ONCE) {
      const lists = await Promise.all(
        users.slice(first, first + USERS_AT_ONCE).map((userKey) => this.reader.listOf(userKey)),
      );
      sessions.push(...lists.flat());
    }
    return sessions;
  }
}
