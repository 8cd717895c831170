// Not the global functions: servers must be watched even while a test uses fake timers.
import { clearInterval, setInterval } from 'node:timers';
import type { RedisConnection } from '../connection/redis-connection.js';
import { BUCKETS, slotOf, type RedisKeys } from '../keys.js';
import type { RecentEnds } from './recent-ends.js';

/** How often each server is checked without a cause, ms. */
const INTERVAL = 10_000;
/** Every so many checks ask for run ids without a cause: a proxy may lead an open connection to another server. */
const RUN_IDS_EVERY = 6;
/** How long a watermark outlives its instance, ms. */
const WATERMARK_TTL = 60 * 60_000;
const WATERMARK = /^(\d{1,15}) (\d{1,15})$/;

/** What was found: some writes after `since` (epoch ms, 0 for all) are lost; so many ends were repeated. */
export interface LostWritesReport {
  readonly since: number;
  readonly endedAgain: number;
}

interface Watermark {
  readonly count: number;
  readonly at: number;
}

/**
 * Notices that a server lost writes: it restarted from an older snapshot, a replica without the latest writes took
 * over, or it was emptied. After each start of a server or change of the primary, the recent ends are repeated. To
 * notice losses of other writes as well, each instance keeps a watermark on each server: a counter that must never be
 * lower than what was confirmed before.
 */
export class LostWrites {
  private readonly confirmed = new Map<string, Watermark>();
  private readonly runIds = new Map<string, string | null>();
  private count = 0;
  private running: Promise<void> | null = null;
  private isCalledAgain = false;
  private mustRepeat = false;
  private isLost = false;
  /** The time of the oldest watermark found since the last check that ended well, epoch ms. */
  private keptUntil = Infinity;
  /** Whether a server may have another run id than when it was asked last: its connection is another one. */
  private mayHaveRestarted = true;
  private checks = 0;
  private timer: NodeJS.Timeout | null = null;
  private stopListening = (): void => undefined;
  private stopped = false;

  constructor(
    private readonly connection: RedisConnection,
    private readonly keys: RedisKeys,
    /** Names this instance. */
    private readonly origin: string,
    private readonly ends: RecentEnds,
    private readonly report: (found: LostWritesReport) => void,
    private readonly interval = INTERVAL,
  ) {}

  /** Begins to watch; resolves once every server has a watermark. Never throws. */
  async start(): Promise<void> {
    if (this.timer || this.stopped) return;
    this.timer = setInterval(() => void this.check(), this.interval).unref();
    this.stopListening = this.connection.onRenewed(() => {
      this.mayHaveRestarted = true;
      void this.check();
    });
    await this.check();
  }

  stop(): void {
    this.stopped = true;
    if (this.timer) clearInterval(this.timer);
    this.stopListening();
  }

  private check(): Promise<void> {
    this.isCalledAgain = this.running !== null;
    this.running ??= this.checkAll()
      // Not answered or not permitted: the next check makes up for it.
      .catch(() => undefined)
      .finally(() => {
        this.running = null;
        if (this.isCalledAgain && !this.stopped) void this.check();
      });
    return this.running;
  }

  private async checkAll(): Promise<void> {
    if (this.stopped) return;
    this.checks += 1;
    if (this.mayHaveRestarted || this.checks % RUN_IDS_EVERY === 0) await this.compareRunIds();
    // A server that does not answer keeps what it had confirmed, and is compared by the next check.
    await Promise.allSettled(this.watermarkKeys().map((key) => this.raise(key)));
    if (this.mustRepeat) {
      const { endedAgain, since } = await this.ends.repeat();
      if ((this.isLost || endedAgain > 0) && !this.stopped)
        this.report({ since: Math.min(this.keptUntil, since), endedAgain });
    }
    this.mustRepeat = false;
    this.isLost = false;
    this.keptUntil = Infinity;
  }

  private async compareRunIds(): Promise<void> {
    const isFirst = this.runIds.size === 0;
    // A Cluster does not tell when the connection to one of its servers is another one.
    this.mayHaveRestarted = this.connection.client.isCluster;
    const ids = await this.connection.runIds();
    if (ids.size === 0) this.mayHaveRestarted = true;
    for (const [name, id] of ids) {
      if (!isFirst && (id === null || this.runIds.get(name) !== id)) this.mustRepeat = true;
      this.runIds.set(name, id);
    }
  }

  /** Raises the watermark on one server, and compares what stood there with what it had confirmed. */
  private async raise(key: string): Promise<void> {
    this.count += 1;
    const next = { count: this.count, at: this.connection.now() };
    const text = `${next.count} ${next.at}`;
    const { client } = this.connection;
    // No proof of a primary: a replica refuses the write.
    const found = await this.connection.askServer(async () => client.set(key, text, 'PX', WATERMARK_TTL, 'GET'));
    const [, count = '0', at = '0'] = WATERMARK.exec(found ?? '') ?? [];
    const before = this.confirmed.get(key);
    this.confirmed.set(key, next);
    if (!before || (found === null && next.at - before.at > WATERMARK_TTL / 2)) return;
    this.keptUntil = Math.min(this.keptUntil, Number(at));
    if (Number(count) >= before.count) return;
    this.mustRepeat = true;
    this.isLost = true;
  }

  /** A key on each server. */
  private watermarkKeys(): string[] {
    if (!this.connection.client.isCluster) return [this.keys.watermark(this.origin)];
    const buckets = new Map<string, number>();
    for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
      const server = this.connection.serverOf(slotOf(bucket));
      if (server !== undefined && !buckets.has(server)) buckets.set(server, bucket);
    }
    return [...buckets.values()].map((bucket) => this.keys.watermark(this.origin, bucket));
  }
}
