import type { Cluster, Redis, RedisOptions } from 'ioredis';

/** Pause before another try to subscribe, ms. */
const RETRY = 500;

/** How many hear each channel on the one subscribing connection that a Cluster client has. */
const shared = new WeakMap<Cluster, Map<string, number>>();

/**
 * Hears one channel until closed, whatever happens to the connection: on a connection of its own beside a client of one
 * server, on the client's own subscribing connection in a Cluster.
 */
export class RedisSubscription {
  /** Resolves with the first success, or when closed. Never rejects: it goes on trying. */
  readonly established: Promise<void>;
  private readonly subscriber: Redis | Cluster;
  private closed = false;
  private wasConnected = false;
  private wake: () => void = () => undefined;

  constructor(
    private readonly client: Redis | Cluster,
    private readonly channel: string,
    private readonly onMessage: (message: string) => void,
    private readonly onError: (error: unknown) => void,
    /** Called when it hears again after a break, in which messages may have been missed. */
    private readonly onGap: () => void = () => undefined,
  ) {
    this.subscriber = client.isCluster ? client : subscriberBeside(client as Redis);
    this.subscriber.on('message', this.heard);
    if (this.subscriber === client) this.count(1);
    else this.subscriber.on('error', onError);
    this.established = this.establish();
    // A Cluster client changes its subscribing connection without a word.
    if (this.subscriber !== client) this.subscriber.on('ready', this.connected);
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.wake();
    this.subscriber.off('message', this.heard);
    if (this.subscriber !== this.client) {
      // Errors of the farewell still need their listener.
      this.subscriber.disconnect();
    } else if (this.count(-1) === 0) {
      this.subscriber.unsubscribe(this.channel).catch(() => undefined);
    }
  }

  private readonly heard = (channel: string, message: string): void => {
    if (channel === this.channel) this.onMessage(message);
  };

  private readonly connected = (): void => {
    if (!this.wasConnected) {
      this.wasConnected = true;
      return;
    }
    // Resolves behind the subscription that ioredis renews by itself: from then on nothing is missed.
    this.subscriber.subscribe(this.channel).then(
      () => this.closed || this.onGap(),
      () => undefined,
    );
  };

  private async establish(): Promise<void> {
    while (!this.closed) {
      try {
        await Promise.race([this.subscriber.subscribe(this.channel), this.closing()]);
        return;
      } catch (error) {
        this.onError(error);
        await Promise.race([new Promise((resolve) => setTimeout(resolve, RETRY).unref()), this.closing()]);
      }
    }
  }

  private closing(): Promise<void> {
    return new Promise((resolve) => {
      this.wake = resolve;
    });
  }

  private count(change: 1 | -1): number {
    const channels = shared.get(this.client as Cluster) ?? new Map<string, number>();
    shared.set(this.client as Cluster, channels);
    const left = (channels.get(this.channel) ?? 0) + change;
    channels.set(this.channel, left);
    return left;
  }
}

/** A connection that may wait: an adopted client's haste, pauses and prefixes would make it deaf after a break. */
function subscriberBeside(client: Redis): Redis {
  return client.duplicate<Partial<RedisOptions>>({
    autoResendUnfulfilledCommands: true,
    autoResubscribe: true,
    commandTimeout: undefined,
    disconnectTimeout: RETRY,
    enableOfflineQueue: true,
    keyPrefix: '',
    lazyConnect: true,
    maxRetriesPerRequest: null,
    reconnectOnError: null,
    retryStrategy: (attempt) => Math.min(50 * attempt, RETRY),
    socketTimeout: undefined,
  });
}
