import type { Cluster, Redis, RedisOptions } from 'ioredis';
import type { HearingWatch } from '../../ports/hearing-watch.js';
import { Listeners } from '../../ports/listeners.js';

/** Pause before subscribing again, ms. */
const RETRY = 500;
/** How often a quiet connection is checked, ms. */
const CHECK = 3_000;
/** Longest wait for the answer to that check, ms. */
const SILENCE = 1_000;

/**
 * Listens on one channel until closed, across breaks, on a connection of its own: to the same server, or to one node of
 * a Cluster, as each node passes on what all of them publish.
 */
export class RedisSubscription {
  /** Resolves with the first subscription, or when closed. Never rejects, because it keeps trying. */
  readonly established: Promise<void>;
  private subscriber: Redis | null = null;
  private succeeded: () => void = () => undefined;
  private wasHeard = false;
  private heardAt = 0;
  private closed = false;
  private retry: NodeJS.Timeout | null = null;
  private check: NodeJS.Timeout;
  private checkEvery = CHECK;
  private readonly messages = new Listeners<string>();
  private readonly gaps = new Listeners<void>();
  private readonly watches = new Set<HearingWatch>();
  private hears = false;

  constructor(
    private readonly client: Redis | Cluster,
    private readonly channel: string,
    private readonly onError: (error: unknown) => void,
  ) {
    this.established = new Promise((resolve) => {
      this.succeeded = resolve;
    });
    this.check = setInterval(() => this.checkLife(), CHECK).unref();
    this.connect();
  }

  /** @param onGap Called after each resubscription: messages may have been missed. Returns how to stop. */
  add(onMessage: (message: string) => void, onGap: () => void = () => undefined): () => void {
    const stops = [this.messages.add(onMessage), this.gaps.add(onGap)];
    return () => stops.forEach((stop) => stop());
  }

  /** Asks as often as the watch needs whether the connection lives. Returns how to stop. */
  watch(watch: HearingWatch): () => void {
    // A copy: one may watch twice.
    const own = { ...watch };
    this.watches.add(own);
    this.adjustCheck();
    if (this.hears) own.onHeard();
    return () => {
      this.watches.delete(own);
      this.adjustCheck();
    };
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.lost();
    clearInterval(this.check);
    if (this.retry) clearTimeout(this.retry);
    this.succeeded();
    this.leave();
  }

  private connect(): void {
    this.retry = null;
    if (this.closed || this.subscriber) return;
    const subscriber = this.open();
    if (!subscriber) {
      this.again();
      return;
    }
    this.subscriber = subscriber;
    subscriber.on('error', this.onError);
    subscriber.on('message', this.heard);
    subscriber.on('ready', () => this.subscribe(subscriber));
    subscriber.on('close', () => {
      if (subscriber === this.subscriber) this.lost();
    });
    // A node of a Cluster may be gone for good, so another one is chosen.
    subscriber.on('end', () => {
      if (subscriber === this.subscriber) this.again();
    });
    subscriber.connect().catch(() => undefined);
  }

  private open(): Redis | null {
    if (!this.client.isCluster) return (this.client as Redis).duplicate<Partial<RedisOptions>>(SUBSCRIBER);
    const nodes = (this.client as Cluster).nodes();
    const node = nodes[Math.floor(Math.random() * nodes.length)];
    return node?.duplicate<Partial<RedisOptions>>({ ...SUBSCRIBER, readOnly: false, retryStrategy: null }) ?? null;
  }

  private subscribe(subscriber: Redis): void {
    subscriber.subscribe(this.channel).then(
      () => {
        if (this.closed || subscriber !== this.subscriber) return;
        this.heardAt = performance.now();
        this.succeeded();
        if (this.wasHeard) this.gaps.emit();
        this.wasHeard = true;
        this.hears = true;
        for (const { onHeard } of [...this.watches]) onHeard();
      },
      (error: unknown) => {
        if (this.closed || subscriber !== this.subscriber) return;
        this.onError(error);
        // The client restores a broken connection. A refused subscription is retried here.
        if (subscriber.status === 'ready')
          setTimeout(() => this.isCurrent(subscriber) && this.subscribe(subscriber), RETRY).unref();
      },
    );
  }

  private isCurrent(subscriber: Redis): boolean {
    return !this.closed && subscriber === this.subscriber && subscriber.status === 'ready';
  }

  private again(): void {
    this.leave();
    if (!this.closed) this.retry ??= setTimeout(() => this.connect(), RETRY).unref();
  }

  private leave(): void {
    const { subscriber } = this;
    this.lost();
    this.subscriber = null;
    if (!subscriber) return;
    subscriber.off('message', this.heard);
    // The error listener stays, for errors of the disconnect.
    subscriber.disconnect();
  }

  private lost(): void {
    if (!this.hears) return;
    this.hears = false;
    for (const { onLost } of [...this.watches]) onLost();
  }

  /** Half of the time in which a break may go unnoticed is for the question, the other for the answer. */
  private adjustCheck(): void {
    const wanted = Math.min(CHECK, ...[...this.watches].map(({ within }) => within / 2));
    if (wanted === this.checkEvery || this.closed) return;
    this.checkEvery = wanted;
    clearInterval(this.check);
    this.check = setInterval(() => this.checkLife(), wanted).unref();
  }

  /** A connection that died silently reports nothing, so it is asked. Without an answer its socket is destroyed. */
  private checkLife(): void {
    const { subscriber } = this;
    const isWatched = this.watches.size > 0;
    if (subscriber?.status !== 'ready' || (!isWatched && performance.now() - this.heardAt < CHECK / 2)) return;
    const answered = subscriber.ping().then(
      () => (this.heardAt = performance.now()),
      () => undefined,
    );
    if (isWatched) this.giveUpAfter(Math.min(SILENCE, this.checkEvery), answered, subscriber);
  }

  /** Where the question is not answered in time, nothing is certain any more, although the connection is still open. */
  private giveUpAfter(ms: number, answered: Promise<unknown>, subscriber: Redis): void {
    const timer = setTimeout(() => {
      // What has arrived by now counts: a process that was busy finds the answer in its socket.
      setImmediate(() => setImmediate(() => overdue && subscriber === this.subscriber && this.again()));
    }, ms).unref();
    let overdue = true;
    void answered.then(() => {
      overdue = false;
      clearTimeout(timer);
    });
  }

  private readonly heard = (channel: string, message: string): void => {
    this.heardAt = performance.now();
    if (channel === this.channel) this.messages.emit(message);
  };
}

/**
 * Settings of a connection that may wait: an application's timeouts, retries and prefixes would end it after a break.
 */
const SUBSCRIBER: Partial<RedisOptions> = {
  autoResendUnfulfilledCommands: false,
  autoResubscribe: false,
  commandTimeout: undefined,
  disconnectTimeout: RETRY,
  enableOfflineQueue: false,
  keyPrefix: '',
  lazyConnect: true,
  maxRetriesPerRequest: null,
  reconnectOnError: null,
  retryStrategy: (attempt) => Math.min(50 * attempt, RETRY),
  socketTimeout: SILENCE,
};
