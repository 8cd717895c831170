import type { Cluster, Redis, RedisOptions } from 'ioredis';
import { ConfigurationError, StoreUnavailableError } from '../model/errors.js';
import { isClusterOption, isRedisClient, type RedisOption } from '../options/redis-option.js';
import { RedisClock } from './redis-clock.js';
import { RedisTrouble } from './redis-trouble.js';

/** How often each server is asked for its time, ms. */
const CLOCK_INTERVAL = 10_000;
/** How long the boot waits for Redis, ms. */
const BOOT_TIMEOUT = 10_000;

export interface RedisConnectionSettings {
  /** Longest wait for an answer, ms. Holds whatever the client's own settings are. */
  readonly commandTimeout: number;
}

/** One client, ours or adopted, with the clocks of its servers and a bound on every wait. */
export class RedisConnection {
  readonly trouble = new RedisTrouble();
  private readonly clocks = new Map<string, RedisClock>();
  private readonly subscribers: (() => void)[] = [];
  private timer: NodeJS.Timeout | null = null;
  private sampling: Promise<void> | null = null;
  private closed = false;

  constructor(
    readonly client: Redis | Cluster,
    readonly settings: RedisConnectionSettings,
    /** Whether `close` ends the client as well. */
    private readonly owned = false,
  ) {
    refuseReplicaReads(client);
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
      return new RedisConnection(client, settings, true);
    }
    const defaults = clientDefaults(settings);
    const client = typeof option === 'string' ? new Redis(option, defaults) : new Redis({ ...defaults, ...option });
    return new RedisConnection(client, settings, true);
  }

  /**
   * Resolves once the client can take commands and the servers' time is known.
   *
   * @throws {StoreUnavailableError} when that takes more than ten seconds.
   */
  async ready(): Promise<void> {
    if (this.client.status === 'wait') this.client.connect().catch(() => undefined);
    await this.untilReady();
    await this.sampleClocks();
    this.timer ??= setInterval(() => void this.sampleClocks().catch(() => undefined), CLOCK_INTERVAL).unref();
  }

  /** The clock of the server that holds the slot; known after the first command at the latest. */
  async clockFor(slot: number): Promise<RedisClock> {
    const known = this.knownClock(slot);
    if (known?.isSet) return known;
    await this.sampleClocks();
    this.timer ??= setInterval(() => void this.sampleClocks().catch(() => undefined), CLOCK_INTERVAL).unref();
    const clock = this.knownClock(slot) ?? [...this.clocks.values()].find(({ isSet }) => isSet);
    if (!clock) throw new StoreUnavailableError();
    return clock;
  }

  /** The latest of the servers' times, epoch ms. */
  now(): number {
    const times = [...this.clocks.values()].filter(({ isSet }) => isSet).map((clock) => clock.now());
    return times.length > 0 ? Math.max(...times) : Date.now();
  }

  /** Asks every server for its time; one question at a time. @throws {StoreUnavailableError} */
  async sampleClocks(): Promise<void> {
    this.sampling ??= this.sampleAll().finally(() => {
      this.sampling = null;
    });
    return this.sampling;
  }

  /** What the command answers, within the time allowed. @throws {StoreUnavailableError} */
  async ask<T>(command: () => Promise<T>, pass?: (error: unknown) => boolean): Promise<T> {
    try {
      return await within(command(), this.settings.commandTimeout);
    } catch (error) {
      if (pass?.(error)) throw error;
      throw this.trouble.unavailable(error);
    }
  }

  /** Hears a channel until the connection is closed. Subscribes again by itself after a break. */
  async listen(channel: string, onMessage: (message: string) => void): Promise<void> {
    const subscriber = isCluster(this.client)
      ? this.client
      : this.client.duplicate({ enableOfflineQueue: true, lazyConnect: true, commandTimeout: undefined, maxRetriesPerRequest: null });
    const handler = (heard: string, message: string): void => {
      if (heard === channel) onMessage(message);
    };
    subscriber.on('message', handler);
    if (subscriber === this.client) {
      this.subscribers.push(() => {
        subscriber.off('message', handler);
        subscriber.unsubscribe(channel).catch(() => undefined);
      });
    } else {
      subscriber.on('error', this.onError);
      this.subscribers.push(() => {
        subscriber.disconnect();
      });
    }
    await this.ask(async () => within(Promise.resolve(subscriber.subscribe(channel)), this.settings.commandTimeout));
  }

  /** Ends what was opened here, in bounded time also when Redis is silent. An adopted client stays open. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    if (this.timer) clearInterval(this.timer);
    for (const stop of this.subscribers) stop();
    this.client.off('ready', this.onReady);
    if (this.owned) {
      await within(this.client.quit(), this.settings.commandTimeout).catch(() => undefined);
      this.client.disconnect();
    } else {
      this.client.off('error', this.onError);
    }
  }

  private readonly onError = (error: unknown): void => {
    const message = error instanceof Error ? error.message : String(error);
    this.trouble.say('connection', `The connection to Redis has trouble: ${message}`);
  };

  private readonly onReady = (): void => {
    void this.sampleClocks().catch(() => undefined);
  };

  private knownClock(slot: number): RedisClock | undefined {
    if (!isCluster(this.client)) return this.clocks.get('');
    const [node] = this.client.slots[slot] ?? [];
    return node === undefined ? undefined : this.clocks.get(node);
  }

  private async sampleAll(): Promise<void> {
    const nodes: [string, Redis][] = isCluster(this.client)
      ? this.client.nodes('master').map((node) => [`${node.options.host}:${node.options.port}`, node])
      : [['', this.client]];
    await Promise.all(
      nodes.map(async ([name, node]) => {
        const clock = this.clocks.get(name) ?? new RedisClock();
        this.clocks.set(name, clock);
        await this.ask(async () => clock.sample(async () => (await node.time()) as unknown as [string, string]));
      }),
    );
  }

  private async untilReady(): Promise<void> {
    const { client } = this;
    if (client.status === 'ready') return;
    const waiting = new Promise<void>((resolve) => {
      client.once('ready', resolve);
    });
    try {
      await within(waiting, BOOT_TIMEOUT);
    } catch (error) {
      throw new StoreUnavailableError(
        `Redis was not reachable within ${BOOT_TIMEOUT / 1000} seconds. Check the option "redis" and that the server runs.`,
        { cause: error },
      );
    }
  }
}

function isCluster(client: Redis | Cluster): client is Cluster {
  return client.isCluster;
}

/** A replica lags: a session that was ended a moment ago would still be read from it. */
function refuseReplicaReads(client: Redis | Cluster): void {
  const reads: unknown = isCluster(client) ? client.options.scaleReads : undefined;
  const readOnly = isCluster(client) ? false : client.options.readOnly === true || client.options.role === 'slave';
  if ((reads !== undefined && reads !== 'master') || readOnly) {
    throw new ConfigurationError(
      'redis: the client reads from replicas, where an ended session can still be found. Hand in one with scaleReads "master" and without readOnly.',
    );
  }
}

/** Fails fast instead of queueing: a request that waited through an outage helps nobody. */
function clientDefaults({ commandTimeout }: RedisConnectionSettings): RedisOptions {
  return {
    commandTimeout,
    connectTimeout: 2_000,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 1,
    retryStrategy: backOff,
    reconnectOnError: (error) => (error.message.startsWith('READONLY') ? 2 : false),
  };
}

function backOff(attempt: number): number {
  return Math.min(50 * 2 ** Math.min(attempt - 1, 10), 500);
}

async function loadIoredis(): Promise<Pick<typeof import('ioredis'), 'Redis' | 'Cluster'>> {
  try {
    return await import('ioredis');
  } catch (error) {
    throw new ConfigurationError('redis: this option needs the package ioredis. Run "npm install ioredis".', { cause: error });
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
