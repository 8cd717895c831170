import { performance } from 'node:perf_hooks';
import { InvalidArgumentError } from '../model/errors.js';
import type { DestroyEverybodyOptions, ScanOptions, SweepOptions } from '../ports/session-store.js';
import { BUCKETS, slotOf, type RedisKeys } from './keys.js';
import { STEP_ALLOWANCE } from './connection/redis-clock.js';
import type { RedisConnection } from './connection/redis-connection.js';
import type { EndArguments, RedisScripts } from './redis-scripts.js';
import { scripts } from './lua/scripts.generated.js';
import { evaluate } from './script-runner.js';
import { BATCH, byUser, unlessForeign, type ExpiryBuckets } from './sweep/expiry-buckets.js';

/** Number of buckets, or of users of one bucket, that are processed in parallel. */
const PARALLEL = 64;

/** Operations on all users: they visit every bucket, a sorted set of sessions by deadline. */
export class AllUsers {
  constructor(
    private readonly connection: RedisConnection,
    private readonly keys: RedisKeys,
    private readonly scripts: RedisScripts,
    private readonly timeShift: () => number,
    private readonly buckets: ExpiryBuckets,
  ) {}

  async count(): Promise<number> {
    if (!(await this.isShared())) return sum(buckets(), (bucket) => this.countAll(bucket));
    return sum(buckets(), (bucket) => this.countOwn(bucket));
  }

  /** Of all tenants: no record is read. */
  async countAllTenants(): Promise<number> {
    return sum(buckets(), (bucket) => this.countAll(bucket));
  }

  async countPart({ cursor = 0, budget = Infinity }: ScanOptions): Promise<{ count: number; cursor: number | null }> {
    assertWhole('cursor', cursor, 0);
    const startedAt = performance.now();
    const isShared = await this.isShared();
    let count = 0;
    for (let bucket = cursor; bucket < BUCKETS; bucket += PARALLEL) {
      if (bucket > cursor && performance.now() - startedAt > budget) return { count, cursor: bucket };
      const portion = buckets().slice(bucket, bucket + PARALLEL);
      count += await sum(portion, (each) => (isShared ? this.countOwn(each) : this.countAll(each)));
    }
    return { count, cursor: null };
  }

  async sweep({ part = 0, of = 1 }: SweepOptions): Promise<number> {
    assertWhole('of', of, 1);
    assertWhole('part', part, 0);
    const parts = buckets().filter((bucket) => bucket % of === part);
    return sum(parts, async (bucket) => (await this.buckets.sweep(bucket)).removed);
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

  /** Whether buckets may hold sessions of other tenants. */
  private async isShared(): Promise<boolean> {
    if (this.keys.tenant !== '') return true;
    const { client } = this.connection;
    // An adopted client may return numbers as text.
    return Number(await this.connection.askPatiently(async () => client.exists(this.keys.tenants))) !== 0;
  }

  private async countAll(bucket: number): Promise<number> {
    const after = `(${await this.buckets.timeOf(bucket)}`;
    return Number(await this.buckets.ask(bucket, async (key) => this.connection.client.zcount(key, after, '+inf')));
  }

  private async countOwn(bucket: number): Promise<number> {
    const after = `(${await this.buckets.timeOf(bucket)}`;
    const ids = await this.buckets.ask(bucket, async (key) => this.connection.client.zrangebyscore(key, after, '+inf'));
    const users = byUser(ids);
    const own = await this.ownOf(bucket, [...users.keys()]);
    return own.reduce((total, userKey) => total + (users.get(userKey)?.length ?? 0), 0);
  }

  /** Those of a bucket's users that belong to this store's tenant. */
  private async ownOf(bucket: number, userKeys: readonly string[]): Promise<string[]> {
    const own: string[] = [];
    for (let first = 0; first < userKeys.length; first += BATCH) {
      const batch = userKeys.slice(first, first + BATCH);
      const users = batch.map((userKey) => this.keys.ofUserKey(userKey).user);
      const positions = (await this.connection.askPatiently(
        async () => evaluate(this.connection.client, scripts.usersOfTenant, users, [this.keys.tenant]),
        undefined,
        slotOf(bucket),
      )) as unknown[];
      // An adopted client may return numbers as text.
      own.push(...positions.flatMap((position) => batch[Number(position) - 1] ?? []));
    }
    return own;
  }

  /** Ends the sessions of a bucket, except those that started after the operation began, `spent` ms ago. */
  private async endBucket(bucket: number, options: DestroyEverybodyOptions, spent: number): Promise<number> {
    const ids = await this.buckets.ask(bucket, async (key) => this.connection.client.zrange(key, '0', '-1'));
    if (ids.length === 0) return 0;
    const clock = await this.connection.clockFor(slotOf(bucket));
    const createdBefore =
      options.createdBefore ?? Math.ceil(clock.upperBound() + STEP_ALLOWANCE + this.timeShift() - spent);
    const users = [...byUser(ids).keys()];
    // Without a tenant only the script checks the owner, because unreadable records must end as well.
    return sum(this.keys.tenant === '' ? users : await this.ownOf(bucket, users), async (userKey) =>
      unlessForeign(this.endUser(userKey, { reason: options.reason ?? 'admin', createdBefore }), 0),
    );
  }

  private async endUser(userKey: string, args: EndArguments): Promise<number> {
    return (await this.scripts.endSessions(this.keys.ofUserKey(userKey), args)).ended;
  }
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
