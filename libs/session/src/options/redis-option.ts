/**
 * A live client of the package ioredis: a `Redis` or a `Cluster`, version 5 or later. A structural type, so that the
 * declarations of this package compile without ioredis.
 */
export interface RedisClient {
  readonly status: string;
  readonly isCluster: boolean;
  duplicate(...args: never[]): RedisClient;
  callBuffer(command: string, ...args: never[]): unknown;
  disconnect(): void;
}

/** The options of `new Redis()`: the common ones, and any other that ioredis accepts. */
export interface RedisConnectionOptions {
  host?: string;
  port?: number;
  path?: string;
  db?: number;
  username?: string;
  password?: string;
  tls?: object;
  family?: number;
  connectionName?: string;
  /** Sentinel: the addresses of the Sentinels; the name of the group they watch follows below. */
  sentinels?: { host?: string; port?: number }[];
  name?: string;
  sentinelUsername?: string;
  sentinelPassword?: string;
  sentinelTLS?: object;
  retryStrategy?: ((times: number) => number | void | null) | null;
  reconnectOnError?: ((error: Error) => boolean | 1 | 2) | null;
  // `any`: an index signature of `unknown` does not accept the interfaces of ioredis.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- see above
  [option: string]: any;
}

/** A Redis Cluster to connect to. */
export interface RedisClusterOption {
  cluster: {
    /** Some of its nodes; the client discovers the others. */
    nodes: (string | number | { host?: string; port?: number })[];
    options?: RedisClusterOptions;
  };
}

/** The options of `new Cluster()`: the common ones, and any other that ioredis accepts. */
export interface RedisClusterOptions {
  redisOptions?: RedisConnectionOptions;
  natMap?: object;
  slotsRefreshInterval?: number;
  slotsRefreshTimeout?: number;
  clusterRetryStrategy?: (times: number, reason?: Error) => number | void | null;
  dnsLookup?: (hostname: string, callback: (error: Error | null, address: string, family?: number) => void) => void;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- as in RedisConnectionOptions
  [option: string]: any;
}

/**
 * The Redis that stores the sessions: a URL, ioredis options (including Sentinel), a Cluster, or a live client. A client that
 * is passed in is used unchanged and never closed.
 */
export type RedisOption = string | RedisConnectionOptions | RedisClusterOption | RedisClient;

/** Whether the option is a live client. Duck-typed, because the application may load another copy of ioredis. */
export function isRedisClient(option: RedisOption): option is RedisClient {
  return typeof option === 'object' && 'duplicate' in option && typeof option['duplicate'] === 'function';
}

export function isClusterOption(option: RedisOption): option is RedisClusterOption {
  return typeof option === 'object' && !isRedisClient(option) && 'cluster' in option;
}
