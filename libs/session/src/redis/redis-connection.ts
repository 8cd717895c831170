// Not the global one: where a test holds time still, commands must leave all the same.
import { setImmediate } from 'node:timers';
import type * as Ioredis from 'ioredis';
import type { Cluster, Redis, RedisOptions } from 'ioredis';
import { ConfigurationError, StoreUnavailableError } from '../model/errors.js';
import { isClusterOption, isRedisClient, type RedisOption } from '../options/redis-option.js';
import type { RedisClock } from './redis-clock.js';
import { RedisClocks } from './redis-clocks.js';
import { RedisSubscription } from './redis-subscription.js';
import { RedisTrouble } from './redis-trouble.js';

const READY_TIMEOUT = 10_000;

export interface RedisConnectionSettings {
  /** Longest wait for an answer, ms. Holds whatever the client's own settings are. */
  readonly commandTimeout: number;
  /** Longest wait for a server to be there at all, ms. Default 10,000. */
  readonly readyTimeout?: number | undefined;
}

/** One client, ours or adopted, with the clocks of its servers and a bound on every wait. */
export class RedisConnection {
  readonly trouble = new RedisTrouble();
  private readonly clocks: RedisClocks;
  private readonly subscriptions = new Map<string, RedisSubscription>();
  private lastError: unknown = null;
  private closed = false;
  private gathering = false;

  constructor(
    readonly client: Redis | Cluster,
    readonly settings: RedisConnectionSettings,
    /** Whether `close` ends the client as well. */
    private readonly owned = false,
  ) {
    refuseReplicaReads(client);
    this.clocks = new RedisClocks(client, (command) => this.ask(command), settings.commandTimeout);
    client.on('error', this.onError);
    client.on('ready', this.onReady);
  }

  /**
   * Connects as the option says, or adopts the client in it.
   *
   * @throws {ConfigurationError} when ioredis is not installed, or the client reads from replicas.
   */
  static async open(option: RedisOption, settings: RedisConnectionSettings): Promise<RedisConnection> {
    if (isRedisClient(option)) return new RedisConnection(option, settings);
    const { Redis, Cluster } = await loadIoredis();
    if (isClusterOption(option)) {
      const { nodes, options = {} } = option.cluster;
      const client = new Cluster(nodes, {
        enableOfflineQueue: false,
        clusterRetryStrategy: backOff,
        slotsRefreshTimeout: 2_000,
        ...options,
        redisOptions: { ...clientDefaults(settings), ...options.redisOptions },
      });
      return RedisConnection.own(client, settings);
    }
    const defaults = clientDefaults(settings);
    return RedisConnection.own(
      typeof option === 'string' ? new Redis(option, defaults) : new Redis({ ...defaults, ...option }),
      settings,
    );
  }

  private static own(client: Redis | Cluster, settings: RedisConnectionSettings): RedisConnection {
    try {
      return new RedisConnection(client, settings, true);
    } catch (error) {
      // Refused for its options: nobody else would ever end it.
      client.on('error', () => undefined);
      client.disconnect();
      throw error;
    }
  }

  /**
   * Resolves once the client can take commands and the servers' time is known.
   *
   * @throws {StoreUnavailableError} when that takes longer than the settings allow.
   */
  async ready(): Promise<void> {
    if (this.client.status === 'wait') this.client.connect().catch(() => undefined);
    const giveUpAt = performance.now() + (this.settings.readyTimeout ?? READY_TIMEOUT);
    await this.untilReady();
    for (;;) {
      try {
        return await this.clocks.sample();
      } catch (error) {
        // A machine that is busy booting may miss one bound for a command, and is none the worse for it.
        if (this.closed || performance.now() >= giveUpAt) throw error;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  /** The clock of the server that holds the slot; known after the first command at the latest. */
  async clockFor(slot: number): Promise<RedisClock> {
    return this.clocks.of(slot);
  }

  /** The latest of the servers' times, epoch ms. Never runs backwards. */
  now(): number {
    return this.clocks.now();
  }

  /** An instant that no server has passed yet. @throws {StoreUnavailableError} where no server's time is known. */
  async upperBound(): Promise<number> {
    return this.clocks.upperBound();
  }

  /** Asks every server for its time. @throws {StoreUnavailableError} when none answers. */
  async sampleClocks(): Promise<void> {
    return this.clocks.sample();
  }

  /** What the command answers, within the time allowed. @throws {StoreUnavailableError} */
  async ask<T>(command: () => Promise<T>, pass?: (error: unknown) => boolean): Promise<T> {
    this.gather();
    try {
      return await within(command(), this.settings.commandTimeout);
    } catch (error) {
      if (pass?.(error)) throw error;
      // What is cut off by our own farewell is no trouble to be told of.
      throw this.closed ? new StoreUnavailableError() : this.trouble.unavailable(error);
    }
  }

  /** Hears a channel until the connection is closed. Resolves once it is subscribed to, and resubscribes after a break. */
  async listen(channel: string, onMessage: (message: string) => void, onGap?: () => void): Promise<void> {
    let subscription = this.subscriptions.get(channel);
    if (!subscription && !this.closed) {
      subscription = new RedisSubscription(this.client, channel, onMessage, this.onError, onGap);
      this.subscriptions.set(channel, subscription);
    }
    await subscription?.established;
  }

  /** Waits as long as for a server to be there. @throws {StoreUnavailableError} */
  async untilDone(work: Promise<void>): Promise<void> {
    await within(work, this.settings.readyTimeout ?? READY_TIMEOUT);
  }

  /** Pub/sub knows neither databases nor a client's `keyPrefix`; what keeps keys apart must keep messages apart. */
  channelOf(name: string): string {
    const { keyPrefix = '', db = 0 } = this.client.options as { keyPrefix?: string; db?: number };
    return `${keyPrefix}${name}${db === 0 ? '' : `@${db}`}`;
  }

  /** Ends what was opened here, in bounded time also when Redis is silent. An adopted client stays open. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.clocks.stop();
    for (const subscription of this.subscriptions.values()) subscription.close();
    this.client.off('ready', this.onReady);
    if (this.owned) {
      await within(this.client.quit(), this.settings.commandTimeout).catch(() => undefined);
      this.client.disconnect();
    } else {
      this.client.off('error', this.onError);
    }
  }

  /**
   * Holds back what is written until this turn of the event loop is over: the commands of all requests that it serves then
   * leave in one system call, which costs as much as one of them.
   */
  private gather(): void {
    if (this.gathering || this.client.isCluster) return;
    const { stream } = this.client as Redis;
    if (this.client.status !== 'ready' || typeof (stream as Partial<typeof stream> | undefined)?.cork !== 'function')
      return;
    this.gathering = true;
    stream.cork();
    setImmediate(() => {
      this.gathering = false;
      stream.uncork();
    });
  }

  private readonly onError = (error: unknown): void => {
    this.lastError = error;
    const message = error instanceof Error ? error.message : String(error);
    this.trouble.say('connection', `The connection to Redis has trouble: ${message}`);
  };

  private readonly onReady = (): void => {
    void this.sampleClocks().catch(() => undefined);
  };

  private async untilReady(): Promise<void> {
    const { client } = this;
    const { readyTimeout = READY_TIMEOUT } = this.settings;
    if (client.status === 'ready') return;
    if (client.status === 'end')
      throw new StoreUnavailableError('The Redis client was closed. Hand in one that is open.');
    let onReady = (): void => undefined;
    const waiting = new Promise<void>((resolve) => {
      onReady = resolve;
    });
    client.on('ready', onReady);
    try {
      await within(waiting, readyTimeout);
    } catch {
      throw new StoreUnavailableError(
        `Redis was not reachable within ${readyTimeout / 1000} seconds. Check the option "redis" and that the server runs.`,
        { cause: this.lastError },
      );
    } finally {
      client.off('ready', onReady);
    }
  }
}

/** A replica lags: a session that was ended a moment ago would still be read from it. */
function refuseReplicaReads(client: Redis | Cluster): void {
  const options = client.options as { scaleReads?: unknown; readOnly?: unknown; role?: unknown };
  const scales = client.isCluster && options.scaleReads !== undefined && options.scaleReads !== 'master';
  const isReplica = !client.isCluster && (options.readOnly === true || options.role === 'slave');
  if (scales || isReplica) {
    throw new ConfigurationError(
      'redis: the client reads from replicas, where an ended session can still be found. Hand in one with scaleReads "master", without readOnly and without the role "slave".',
    );
  }
}

/** Fails fast instead of queueing: a request that waited through an outage helps nobody. */
function clientDefaults({ commandTimeout }: RedisConnectionSettings): RedisOptions {
  return {
    commandTimeout,
    connectTimeout: 2_000,
    // How long a farewell may take before the socket is destroyed.
    disconnectTimeout: commandTimeout,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 1,
    retryStrategy: backOff,
    // Redis before 7 puts the name of the error behind the name of the script.
    reconnectOnError: (error) => (/\bREADONLY\b/.test(error.message) ? 2 : false),
  };
}

function backOff(attempt: number): number {
  return Math.min(50 * 2 ** Math.min(attempt - 1, 10), 500);
}

async function loadIoredis(): Promise<Pick<typeof Ioredis, 'Redis' | 'Cluster'>> {
  try {
    return await import('ioredis');
  } catch (error) {
    throw new ConfigurationError('redis: this option needs the package ioredis. Run "npm install ioredis".', {
      cause: error,
    });
  }
}

async function within<T>(promise: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new StoreUnavailableError()), ms);
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
