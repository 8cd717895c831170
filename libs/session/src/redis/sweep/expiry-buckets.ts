import { isSessionId, sidOf, userKeyOfSession } from '../../model/ids.js';
import type { RedisConnection } from '../connection/redis-connection.js';
import { ForeignKeyError, isWrongType } from '../connection/redis-trouble.js';
import { ANY_TENANT, slotOf, type RedisKeys } from '../keys.js';
import type { RedisScripts } from '../redis-scripts.js';

/** Number of sessions per read of a bucket. */
export const BATCH = 1000;

/** Result of the sweep of a bucket. */
export interface SweptBucket {
  /** How many sessions were removed and announced. */
  readonly removed: number;
  /** The earliest remaining deadline, epoch ms; Infinity if there is none. */
  readonly next: number;
}

/** The sorted sets of sessions by deadline, one per bucket, of all tenants. */
export class ExpiryBuckets {
  constructor(
    private readonly connection: RedisConnection,
    private readonly keys: RedisKeys,
    private readonly scripts: RedisScripts,
    private readonly timeShift: () => number,
  ) {}

  /** How many of the buckets hold anything. One command; only if all keys are on one server. */
  async countFilled(buckets: readonly number[]): Promise<number> {
    const keys = buckets.map((bucket) => this.keys.expiries(bucket));
    return Number(await this.connection.ask(async () => this.connection.client.exists(...keys)));
  }

  /** Removes the expired sessions of a bucket. One command if there are none. */
  async sweepDue(bucket: number): Promise<SweptBucket> {
    const next = await unlessForeign(this.earliest(bucket, 0), Infinity);
    return next > (await this.timeOf(bucket)) ? { removed: 0, next } : this.sweep(bucket, true);
  }

  /** Removes the expired sessions of a bucket, and looks up the next deadline on request. */
  async sweep(bucket: number, withNext = false): Promise<SweptBucket> {
    return unlessForeign(this.sweepBatches(bucket, withNext), { removed: 0, next: Infinity });
  }

  async timeOf(bucket: number): Promise<number> {
    return (await this.connection.clockFor(slotOf(bucket))).now() + this.timeShift();
  }

  /** A command on a bucket's sorted set. */
  async ask<T>(bucket: number, command: (key: string) => Promise<T>): Promise<T> {
    const key = this.keys.expiries(bucket);
    try {
      return await this.connection.askPatiently(async () => command(key), isWrongType, slotOf(bucket));
    } catch (error) {
      if (isWrongType(error)) throw this.connection.trouble.foreignKey(`The key ${key}`);
      throw error;
    }
  }

  private async sweepBatches(bucket: number, withNext: boolean): Promise<SweptBucket> {
    let removed = 0;
    let staying = 0;
    for (;;) {
      const now = await this.timeOf(bucket);
      const due = await this.ask(bucket, async (key) =>
        this.connection.client.zrangebyscore(key, '-inf', now, 'LIMIT', staying, BATCH),
      );
      const before = removed + staying;
      for (const [userKey, sids] of byUser(due)) {
        const done = await unlessForeign(this.scripts.sweepSessions(this.keys.ofUserKey(userKey, ANY_TENANT), sids), {
          swept: 0,
          staying: sids.length,
        });
        removed += done.swept;
        staying += done.staying;
      }
      const strangers = due.filter((id) => !isSessionId(id));
      if (strangers.length > 0) await this.ask(bucket, async (key) => this.connection.client.zrem(key, ...strangers));
      // Without progress the same sessions would be listed again and again; the next sweep sees more.
      if (due.length < BATCH || (removed + staying === before && strangers.length === 0))
        return { removed, next: withNext ? await this.earliest(bucket, staying) : Infinity };
    }
  }

  /** The earliest deadline after those of sessions that no sweep removes. */
  private async earliest(bucket: number, staying: number): Promise<number> {
    const [, score] = await this.ask(bucket, async (key) =>
      this.connection.client.zrange(key, String(staying), String(staying), 'WITHSCORES'),
    );
    return score === undefined ? Infinity : Number(score);
  }
}

/** A user whose key holds another type has no session, and must not block the sweep of the others. */
export async function unlessForeign<T>(work: Promise<T>, otherwise: T): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof ForeignKeyError) return otherwise;
    throw error;
  }
}

/** The sids of each user in a list of session ids; invalid ids are left out. */
export function byUser(ids: readonly string[]): Map<string, string[]> {
  const users = new Map<string, string[]>();
  for (const id of ids.filter(isSessionId)) {
    const userKey = userKeyOfSession(id);
    const sids = users.get(userKey);
    if (sids) sids.push(sidOf(id));
    else users.set(userKey, [sidOf(id)]);
  }
  return users;
}
