import type { Cluster, ClusterNode, ClusterOptions, Redis, RedisOptions } from 'ioredis';

/** A Redis Cluster to connect to. */
export interface RedisClusterOption {
  cluster: {
    /** Some of its nodes; the others are found from them. */
    nodes: ClusterNode[];
    options?: ClusterOptions;
  };
}

/**
 * Where sessions are kept: a URL, ioredis options (Sentinel included), a Cluster, or a live client. A client that is
 * handed in is used as it is and never closed.
 */
export type RedisOption = string | RedisOptions | RedisClusterOption | Redis | Cluster;

/** Whether the option is a live client. Told by what it can do: the application may load another copy of ioredis. */
export function isRedisClient(option: RedisOption): option is Redis | Cluster {
  return typeof option === 'object' && 'duplicate' in option && typeof option.duplicate === 'function';
}

export function isClusterOption(option: RedisOption): option is RedisClusterOption {
  return typeof option === 'object' && !isRedisClient(option) && 'cluster' in option;
}
