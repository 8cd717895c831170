import type { RedisConnection } from '../connection/redis-connection.js';
import type { RedisEventChannel } from '../events/redis-event-channel.js';
import type { SweeperHeartbeat } from '../events/wire-format.js';

/** Share of the interval over which instances spread their attempts to take over. */
const SPREAD = 1 / 8;

/**
 * Decides which instance sweeps: the one whose name the key holds. It renews the key every quarter of its interval and
 * announces it to the others, which send nothing while they receive these heartbeats; half an interval after the last
 * renewal they try to take over.
 *
 * Two instances that sweep at once do no harm, as each end is removed and published by one script. So nothing here is
 * atomic.
 */
export class SweepLease {
  private held = false;
  /** By this process's monotonic clock. */
  private heldUntil = 0;
  private renewAt = 0;
  private tryAt = 0;
  private interval = 0;
  /** Another instance sweeps, with a longer interval than this one. */
  private isOutpaced = false;

  constructor(
    private readonly connection: RedisConnection,
    private readonly channel: RedisEventChannel,
    private readonly key: string,
  ) {}

  /** Takes the heartbeat of another instance. */
  heard({ ttl }: SweeperHeartbeat): void {
    this.tryAt = performance.now() + ttl + Math.random() * SPREAD * this.interval;
    // Before the first step this instance's interval is unknown.
    this.isOutpaced = !this.held && this.interval > 0 && ttl > this.ttl;
  }

  /**
   * Whether this instance sweeps; `renewed` if it has just taken or renewed the lease.
   *
   * @throws {StoreUnavailableError}
   */
  async hold(interval: number): Promise<'held' | 'renewed' | 'none'> {
    this.interval = interval;
    const at = performance.now();
    if (this.held && at < this.renewAt) return 'held';
    if (!this.held && at < this.tryAt && !this.isOutpaced) return 'none';
    // Even if this attempt fails.
    this.renewAt = at + interval / 16;
    this.tryAt = Math.max(this.tryAt, at + (3 / 8 + Math.random() * SPREAD) * interval);
    const holder = this.held ? await this.renew() : null;
    this.held = holder === this.channel.origin || (holder === null && (await this.take()));
    if (!this.held) return 'none';
    this.heldUntil = at + this.ttl;
    // A little early: steps run at fixed times, and the next renewal would otherwise be a whole step later.
    this.renewAt = at + interval / 4 - interval / 64;
    this.channel.sendHeartbeat(this.ttl);
    return 'renewed';
  }

  /** Releases the lease at once. */
  async release(): Promise<void> {
    const isOurs = this.held && performance.now() + this.connection.settings.commandTimeout < this.heldUntil;
    this.held = false;
    this.tryAt = 0;
    // A lease that another instance may hold by now is left to expire.
    if (!isOurs) return;
    await this.connection.ask(async () => this.connection.client.getex(this.key, 'PX', 1));
    this.channel.sendHeartbeat(0);
  }

  private get ttl(): number {
    return Math.ceil(this.interval / 2);
  }

  private async renew(): Promise<string | null> {
    return this.connection.ask(async () => this.connection.client.getex(this.key, 'PX', this.ttl));
  }

  private async take(): Promise<boolean> {
    const { client } = this.connection;
    const { key, ttl, channel, isOutpaced } = this;
    this.isOutpaced = false;
    const reply = await this.connection.ask(async () =>
      isOutpaced ? client.set(key, channel.origin, 'PX', ttl) : client.set(key, channel.origin, 'PX', ttl, 'NX'),
    );
    return reply !== null;
  }
}
