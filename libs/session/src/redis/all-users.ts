import { performance } from 'node:perf_hooks';
import { InvalidArgumentError } from '../model/errors.js';
import { isSessionId, sidOf, userKeyOfSession } from '../model/ids.js';
import type { DestroyEverybodyOptions, SweepOptions } from '../ports/session-store.js';
import { BUCKETS, slotOf, type RedisKeys } from './keys.js';
import { STEP_ALLOWANCE } from './redis-clock.js';
import type { RedisConnection } from './redis-connection.js';
import type { RedisScripts } from './redis-scripts.js';
import { ForeignKeyError, isWrongType } from './redis-trouble.js';

/** How many sessions of a bucket are asked for at once. */
const BATCH = 1000;
/** How many buckets, or users of one bucket, are worked on at once. */
const PARALLEL = 64;

/** What concerns all users: goes through the buckets, each of them a sorted set of sessions by deadline. */
export class AllUsers {
  constructor(
    private readonly connection: RedisConnection,
    private readonly keys: RedisKeys,
    private readonly scripts: RedisScripts,
    private readonly timeShift: () => number,
  ) {}

  async count(): Promise<number> {
    return sum(buckets(), async (bucket) => {
      const after = `(${await this.timeOf(bucket)}`;
      // An adopted client may be one that hands out numbers as text.
      return Number(await this.ask(bucket, async (key) => this.connection.client.zcount(key, after, '+inf')));
    });
  }

  async sweep({ part = 0, of = 1 }: SweepOptions): Promise<number> {
    assertWhole('of', of, 1);
    assertWhole('part', part, 0);
    const parts = buckets().filter((bucket) => bucket % of === part);
    return sum(parts, async (bucket) => unlessForeign(this.sweepBucket(bucket), 0));
  }

  async end(options: DestroyEverybodyOptions): Promise<{ ended: number; cursor: number | null }> {
    const { cursor = 0, budget = Infinity } = options;
    assertWhole('cursor', cursor, 0);
    const startedAt = performance.now();
    let ended = 0;
    for (let bucket = cursor; bucket < BUCKETS; bucket += 1) {
      const spent = performance.now() - startedAt;
      if (bucket > cursor && spent > budget) return { ended, cursor: bucket };
      ended += await this.endBucket(bucket, options, spent);
    }
    return { ended, cursor: null };
  }

  /** Ends what a bucket holds. Whoever signs in after the beginning, `spent` ms ago, lives. */
  private async endBucket(bucket: number, options: DestroyEverybodyOptions, spent: number): Promise<number> {
    const ids = await this.ask(bucket, async (key) => this.connection.client.zrange(key, '0', '-1'));
    if (ids.length === 0) return 0;
    const clock = await this.connection.clockFor(slotOf(bucket));
    const createdBefore =
      options.createdBefore ?? Math.ceil(clock.upperBound() + STEP_ALLOWANCE + this.timeShift() - spent);
    return sum([...byUser(ids).keys()], async (userKey) =>
      unlessForeign(
        this.scripts.endSessions(this.keys.ofUserKey(userKey), { reason: options.reason ?? 'admin', createdBefore }),
        0,
      ),
    );
  }

  private async sweepBucket(bucket: number): Promise<number> {
    let removed = 0;
    let staying = 0;
    for (;;) {
      const now = await this.timeOf(bucket);
      const due = await this.ask(bucket, async (key) =>
        this.connection.client.zrangebyscore(key, '-inf', now, 'LIMIT', staying, BATCH),
      );
      const before = removed + staying;
      for (const [userKey, sids] of byUser(due)) {
        const done = await unlessForeign(this.scripts.sweepSessions(this.keys.ofUserKey(userKey), sids), {
          swept: 0,
          staying: sids.length,
        });
        removed += done.swept;
        staying += done.staying;
      }
      const strangers = due.filter((id) => !isSessionId(id));
      if (strangers.length > 0) await this.ask(bucket, async (key) => this.connection.client.zrem(key, ...strangers));
      // Without any headway the same would be listed again and again; the next sweep sees further.
      if (due.length < BATCH || (removed + staying === before && strangers.length === 0)) return removed;
    }
  }

  private async timeOf(bucket: number): Promise<number> {
    return (await this.connection.clockFor(slotOf(bucket))).now() + this.timeShift();
  }

  /** A command on a bucket's sorted set. */
  private async ask<T>(bucket: number, command: (key: string) => Promise<T>): Promise<T> {
    const key = this.keys.expiries(bucket);
    try {
      return await this.connection.ask(async () => command(key), isWrongType);
    } catch (error) {
      if (isWrongType(error)) throw this.connection.trouble.foreignKey(`The key ${key}`);
      throw error;
    }
  }
}

/** A user whose key holds something else has no session: it must not keep the others from their end. */
async function unlessForeign<T>(work: Promise<T>, otherwise: T): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof ForeignKeyError) return otherwise;
    throw error;
  }
}

function byUser(ids: readonly string[]): Map<string, string[]> {
  const users = new Map<string, string[]>();
  for (const id of ids.filter(isSessionId)) {
    const userKey = userKeyOfSession(id);
    const sids = users.get(userKey);
    if (sids) sids.push(sidOf(id));
    else users.set(userKey, [sidOf(id)]);
  }
  return users;
}

function buckets(): number[] {
  return Array.from({ length: BUCKETS }, (_, bucket) => bucket);
}

async function sum<T>(items: readonly T[], visit: (item: T) => Promise<number>): Promise<number> {
  let total = 0;
  for (let first = 0; first < items.length; first += PARALLEL) {
    for (const part of await Promise.all(items.slice(first, first + PARALLEL).map(visit))) total += part;
  }
  return total;
}

function assertWhole(name: string, value: number, least: number): void {
  if (!Number.isSafeInteger(value) || value < least)
    throw new InvalidArgumentError(name, `must be a whole number from ${least}`);
}
