import type { Cluster, Redis } from 'ioredis';
import { StoreUnavailableError } from '../model/errors.js';
import { RedisClock } from './redis-clock.js';

/** How often each server is asked for its time, ms. */
const INTERVAL = 10_000;
/** For how long another server's time stands in for one that could not be found out, ms. */
const STAND_IN = 1_000;

/** The name of the only server of a client that is no Cluster. */
const THE_SERVER = '';

/** The clocks of all servers behind one client. */
export class RedisClocks {
  private readonly clocks = new Map<string, RedisClock>();
  private sampling: Promise<void> | null = null;
  private timer: NodeJS.Timeout | null = null;
  private stopped = false;
  private sampledAt = -Infinity;
  private latest = 0;

  constructor(
    private readonly client: Redis | Cluster,
    /** Bounds a command in time. */
    private readonly ask: <T>(command: () => Promise<T>) => Promise<T>,
    /** What that bound is, ms. */
    private readonly longest: number,
  ) {}

  /** The clock of the server that holds the slot; asks where it is not known yet. @throws {StoreUnavailableError} */
  async of(slot: number): Promise<RedisClock> {
    const known = this.known(slot);
    if (known) return known;
    // While a Cluster changes hands its client may name servers that it does not have: not each command must ask anew.
    const asked = performance.now() - this.sampledAt < STAND_IN;
    if (!asked || this.set.length === 0) await this.sample();
    const clock = this.known(slot) ?? this.set[0];
    if (!clock) throw new StoreUnavailableError();
    return clock;
  }

  /** The latest of the servers' times, epoch ms; this process's own for as long as none is known. Never runs backwards. */
  now(): number {
    const times = this.set.map((clock) => clock.now());
    if (times.length === 0 && this.latest === 0) return Date.now();
    this.latest = Math.max(this.latest, ...times);
    return this.latest;
  }

  /** An instant that none of the servers has passed yet. @throws {StoreUnavailableError} */
  async upperBound(): Promise<number> {
    if (this.set.length === 0) await this.sample();
    if (this.set.length === 0) throw new StoreUnavailableError();
    return Math.max(...this.set.map((clock) => clock.upperBound()));
  }

  /**
   * Asks every server for its time, now and from now on at intervals; one question at a time.
   *
   * @throws {StoreUnavailableError} when none answers.
   */
  async sample(): Promise<void> {
    if (!this.stopped) this.timer ??= setInterval(() => this.sampleAgain(), INTERVAL).unref();
    this.sampling ??= this.sampleAll().finally(() => {
      this.sampling = null;
      this.sampledAt = performance.now();
    });
    return this.sampling;
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
    // A client that its owner has closed has no more to say, unless it is opened again.
    if (this.client.status === 'end') this.pause();
    else this.sample().catch(() => undefined);
  }

  private get set(): RedisClock[] {
    return [...this.clocks.values()].filter(({ isSet }) => isSet);
  }

  private known(slot: number): RedisClock | undefined {
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
