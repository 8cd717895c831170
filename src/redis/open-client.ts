import { Cluster, Redis, type RedisOptions } from 'ioredis';
import type { RedisPlace } from '../config/environment.js';

/**
 * A client with the rules of the library's own connection: it fails at once while Redis is down instead of queueing,
 * waits no longer for an answer, replaces connections that died silently, and notices a change of the primary.
 */
export function openClient(redis: RedisPlace, commandTimeout: number): Redis | Cluster {
  const rules: RedisOptions = {
    lazyConnect: true,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 1,
    commandTimeout,
    connectTimeout: 2_000,
    failoverDetector: true,
    retryStrategy: backOff,
    sentinelCommandTimeout: 1_000,
    sentinelReconnectStrategy: () => 1_000,
    socketTimeout: Math.max(1_000, 2 * commandTimeout),
    reconnectOnError: (error) => /\bREADONLY\b/.test(error.message),
  };
  if (typeof redis === 'string') return new Redis(redis, rules);
  if (!('cluster' in redis)) return new Redis({ ...rules, ...redis });
  return new Cluster(redis.cluster.nodes, {
    lazyConnect: true,
    enableOfflineQueue: false,
    clusterRetryStrategy: backOff,
    slotsRefreshInterval: 3_000,
    slotsRefreshTimeout: 2_000,
    redisOptions: rules,
  });
}

function backOff(attempt: number): number {
  return Math.min(50 * attempt, 500);
}
