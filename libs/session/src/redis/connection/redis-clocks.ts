// Not the global function: clocks must be read even while a test uses fake timers.
import { setImmediate } from 'node:timers';
import type { Cluster, Redis } from 'ioredis';
import { StoreUnavailableError } from '../../model/errors.js';
import { LEAP, RedisClock } from './redis-clock.js';

/** How often each server is asked for its time, ms. */
const INTERVAL = 10_000;
/** How long another server's time may replace one that could not be read, ms. */
const STAND_IN = 1_000;

/** Name of the only server of a client without Cluster. */
const THE_SERVER = '';

/** The clocks of all servers behind one client. */
export class RedisClocks {
  private readonly clocks = new Map<string, RedisClock>();
  private sampling: Promise<void> | null = null;
  private timer: NodeJS.Timeout | null = null;
  private stopped = false;
  /** The servers already asked for their time in this turn of the event loop. */
  private readonly refreshing = new Set<string>();
  private sampledAt = -Infinity;
  private latest = 0;

  constructor(
    private readonly client: Redis | Cluster,
    /** Applies the command timeout. */
    private readonly ask: <T>(command: () => Promise<T>) => Promise<T>,
    /** The command timeout, ms. */
    private readonly longest: number,
  ) {}

  /**
   * The clock of the server that holds the slot; asks the server if it is unknown.
   *
   * @throws {StoreUnavailableError}
   */
  async of(slot: number): Promise<RedisClock> {
    const known = this.known(slot);
    if (known) return known;
    // While a Cluster changes, its client may name servers that have left: not every command needs to ask again.
    const asked = performance.now() - this.sampledAt < STAND_IN;
    if (!asked || this.set.length === 0) await this.sample();
    const clock = this.known(slot) ?? this.set[0];
    if (!clock) throw new StoreUnavailableError();
    return clock;
  }

  /**
   * The latest of the servers' times, epoch ms; this process's time while none is known. Runs backwards only if the
   * servers' clocks are set back by more than a second.
   */
  now(): number {
    let estimate = -Infinity;
    for (const clock of this.clocks.values()) if (clock.isSet) estimate = Math.max(estimate, clock.now());
    const isKnown = estimate !== -Infinity;
    if (!isKnown && this.latest === 0) return Date.now();
    // Forgets a clock that was set forward and back, or a server that was ahead and has left.
    if (isKnown && (estimate > this.latest || this.latest - estimate > LEAP)) this.latest = estimate;
    return this.latest;
  }

  /** An instant that none of the servers has passed yet. @throws {StoreUnavailableError} */
  async upperBound(): Promise<number> {
    if (this.set.length === 0) await this.sample();
    if (this.set.length === 0) throw new StoreUnavailableError();
    return Math.max(...this.set.map((clock) => clock.upperBound()));
  }

  /**
   * Asks every server for its time, now and then at intervals. Concurrent calls share one measurement.
   *
   * @throws {StoreUnavailableError} if none answers.
   */
  async sample(): Promise<void> {
    if (!this.stopped) this.timer ??= setInterval(() => this.sampleAgain(), INTERVAL).unref();
    this.sampling ??= this.sampleAll().finally(() => {
      this.sampling = null;
      this.sampledAt = performance.now();
    });
    return this.sampling;
  }

  /** Asks one server for its time, at most once per turn of the event loop. Does not wait. */
  refresh(slot: number): void {
    const node = this.client.isCluster ? (this.client as Cluster).slots[slot]?.[0] : THE_SERVER;
    const clock = node === undefined ? undefined : this.clocks.get(node);
    if (node === undefined || !clock || this.refreshing.has(node)) return;
    const server = this.nodes().get(node);
    if (server?.status !== 'ready') return;
    this.refreshing.add(node);
    setImmediate(() => this.refreshing.delete(node));
    clock.ask(async () => (await server.time()) as unknown as [string, string], this.longest).catch(() => undefined);
  }

  stop(): void {
    this.stopped = true;
    this.pause();
  }

  private pause(): void {
    if (this.timer) clearInterval(this.timer);
    this.timer = null;
  }

  private sampleAgain(): void {
    // A client that its owner has closed needs no clock, unless it is opened again.
    if (this.client.status === 'end') this.pause();
    else this.sample().catch(() => undefined);
  }

  private get set(): RedisClock[] {
    return [...this.clocks.values()].filter(({ isSet }) => isSet);
  }

  /** The clock of the server that holds the slot, if its time is known. */
  known(slot: number): RedisClock | undefined {
    const node = this.client.isCluster ? (this.client as Cluster).slots[slot]?.[0] : THE_SERVER;
    const clock = node === undefined ? undefined : this.clocks.get(node);
    return clock?.isSet ? clock : undefined;
  }

  private async sampleAll(): Promise<void> {
    const nodes = this.nodes();
    for (const name of this.clocks.keys()) if (!nodes.has(name)) this.clocks.delete(name);
    const answers = await Promise.allSettled(
      [...nodes].map(async ([name, node]) => {
        const clock = this.clocks.get(name) ?? new RedisClock();
        this.clocks.set(name, clock);
        await this.ask(async () =>
          clock.ask(async () => (await node.time()) as unknown as [string, string], this.longest),
        );
      }),
    );
    const [failure] = answers.filter((answer) => answer.status === 'rejected');
    if (failure && answers.every(({ status }) => status === 'rejected')) throw failure.reason;
  }

  private nodes(): Map<string, Redis> {
    if (!this.client.isCluster) return new Map([[THE_SERVER, this.client as Redis]]);
    const masters = (this.client as Cluster).nodes('master');
    return new Map(masters.map((node) => [`${node.options.host}:${node.options.port}`, node]));
  }
}
