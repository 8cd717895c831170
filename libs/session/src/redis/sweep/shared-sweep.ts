import { userKeyOfSession } from '../../model/ids.js';
import type { SweepStep } from '../../ports/session-store.js';
import type { RedisConnection } from '../connection/redis-connection.js';
import type { RedisEventChannel } from '../events/redis-event-channel.js';
import { bucketOf, BUCKETS } from '../keys.js';
import type { ExpiryBuckets } from './expiry-buckets.js';
import type { SweepLease } from './sweep-lease.js';
import { SweepPlan } from './sweep-plan.js';

/** Share of an interval in which all buckets are read once, after a takeover or if messages may have been missed. */
const PASS = 1 / 4;
/** Share of an interval for which a bucket is left alone after a sweep, however much expires in it. */
const PAUSE = 3 / 4;
/**
 * How long after a deadline its bucket is swept, so that small clock differences do not make the sweep too early, ms.
 */
const SLACK = 25;
/** A range of buckets of this size is no longer divided to find those that hold something. */
const SMALLEST_RANGE = 4;
/** Number of buckets processed in parallel. */
const PARALLEL = 64;
/** Commands per second that the lease, the heartbeats and the review of buckets may cost together. */
const BUDGET = 0.8;

/**
 * The sweep of all instances together. One of them, the holder of the lease, knows the earliest deadline of each
 * bucket: it reads all buckets once, receives new and earlier deadlines over the event channel, and asks Redis again
 * only if something is due. A slow review of all buckets finds deadlines whose message was lost.
 */
export class SharedSweep {
  private readonly plan = new SweepPlan();
  private sweeps = false;
  private stepping = false;
  private hears = false;
  private readAt = 0;
  private unfollow: (() => void) | null = null;
  private ignoreDeadlines: (() => void) | null = null;

  constructor(
    private readonly connection: RedisConnection,
    private readonly channel: RedisEventChannel,
    private readonly buckets: ExpiryBuckets,
    private readonly lease: SweepLease,
    private readonly timeShift: () => number,
  ) {}

  /**
   * Performs one step of a sweep with this interval, if this instance holds the lease. Returns how many sessions it
   * removed.
   */
  async step(step: SweepStep): Promise<number> {
    // Several modules may share one store.
    if (this.stepping) return 0;
    this.stepping = true;
    try {
      return await this.advance(step);
    } finally {
      this.stepping = false;
    }
  }

  /** Releases the lease to another instance. */
  async stop(): Promise<void> {
    this.unfollow?.();
    this.unfollow = null;
    this.stand(false);
    await this.lease.release();
  }

  private async advance({ interval, of }: SweepStep): Promise<number> {
    this.follow();
    const role = await this.lease.hold(interval);
    if (role === 'none') {
      this.stand(false);
      return 0;
    }
    this.stand(true);
    const at = performance.now();
    // Without the channel no new session is announced, so all buckets are read again and again.
    if (!this.hears && at - this.readAt > interval / 2) this.readAll();
    const unread = this.plan.unread(Math.ceil(BUCKETS / (of * PASS)));
    const due = this.plan.takeDue(this.connection.now() + this.timeShift() - SLACK, { at, pause: interval * PAUSE });
    const reviewed = role === 'renewed' ? this.plan.review(reviewedPerRenewal(interval)) : [];
    return this.sweepAll(unread, new Set([...due, ...reviewed]));
  }

  private follow(): void {
    if (this.unfollow) return;
    const stops = [
      this.channel.onHeartbeat((heartbeat) => this.lease.heard(heartbeat)),
      this.channel.onGap(() => this.readAll()),
    ];
    this.unfollow = () => stops.forEach((stop) => stop());
    void this.channel.listen().then(() => {
      this.hears = true;
      this.readAll();
    });
  }

  private stand(sweeps: boolean): void {
    if (sweeps === this.sweeps) return;
    this.sweeps = sweeps;
    this.ignoreDeadlines?.();
    this.ignoreDeadlines = null;
    if (!sweeps) return;
    this.ignoreDeadlines = this.channel.onDeadline(({ sessionId, deadline }) =>
      this.plan.note(bucketOf(userKeyOfSession(sessionId)), deadline),
    );
    this.readAll();
  }

  private readAll(): void {
    this.readAt = performance.now();
    this.plan.forget();
  }

  private async sweepAll(unread: readonly number[], others: ReadonlySet<number>): Promise<number> {
    const known = new Map([...unread, ...others].map((bucket) => [bucket, this.plan.begin(bucket)]));
    let removed = 0;
    let failure: PromiseRejectedResult | undefined;
    try {
      const filled = new Set([...(await this.filledOf(unread)), ...others]);
      for (const bucket of unread) if (!filled.has(bucket)) known.delete(bucket);
      const work = [...filled];
      for (let first = 0; first < work.length; first += PARALLEL) {
        const results = await Promise.allSettled(
          work.slice(first, first + PARALLEL).map(async (bucket) => {
            const swept = await this.buckets.sweepDue(bucket);
            this.plan.note(bucket, swept.next);
            known.delete(bucket);
            removed += swept.removed;
          }),
        );
        // A server of a Cluster that does not answer must not block the sweep of the others.
        failure ??= results.find((result) => result.status === 'rejected');
      }
    } finally {
      for (const [bucket, deadline] of known) this.plan.restore(bucket, deadline);
    }
    if (failure) throw failure.reason;
    return removed;
  }

  /** The buckets that may hold something. On a Cluster no command can look at several. */
  private async filledOf(buckets: readonly number[]): Promise<readonly number[]> {
    if (buckets.length <= SMALLEST_RANGE || this.connection.client.isCluster) return buckets;
    const count = await this.buckets.countFilled(buckets);
    if (count === 0) return [];
    if (count > buckets.length / 2) return buckets;
    const middle = Math.ceil(buckets.length / 2);
    const halves = await Promise.all([this.filledOf(buckets.slice(0, middle)), this.filledOf(buckets.slice(middle))]);
    return halves.flat();
  }
}

/** Number of buckets reviewed with each renewal: the budget that GETEX, PUBLISH and two ROLE leave. */
function reviewedPerRenewal(interval: number): number {
  return Math.max(1, Math.floor((interval / 4 / 1000) * BUDGET) - 4);
}
