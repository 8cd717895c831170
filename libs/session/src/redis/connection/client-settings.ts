import type { Cluster, ClusterOptions, Redis, RedisOptions } from 'ioredis';
import { ConfigurationError } from '../../model/errors.js';

/**
 * How often a Cluster client asks which server holds which slot, ms: a server that hangs does not report that its slots
 * moved.
 */
const SLOTS_REFRESH = 3_000;
/** Pause before reconnecting to the Sentinels, ms. */
const SENTINEL_RETRY = 1_000;

/**
 * A connection without an answer for this long is replaced, ms. By then every caller has given up, with twice the time
 * to spare.
 */
export function silenceLimit(commandTimeout: number): number {
  return Math.max(1_000, 2 * commandTimeout);
}

/** Default settings of a client that the library opens. */
export function clientDefaults(commandTimeout: number): RedisOptions {
  return {
    connectTimeout: 2_000,
    // Longest wait for QUIT before the socket is destroyed.
    disconnectTimeout: commandTimeout,
    // Commands wait for a connection outside the client, where a command that timed out can be dropped.
    enableOfflineQueue: false,
    failoverDetector: true,
    maxRetriesPerRequest: 1,
    retryStrategy: backOff,
    sentinelCommandTimeout: 1_000,
    sentinelReconnectStrategy: () => SENTINEL_RETRY,
    socketTimeout: silenceLimit(commandTimeout),
    // Redis before 7 puts the name of the error after the name of the script.
    reconnectOnError: (error) => /\bREADONLY\b/.test(error.message),
  };
}

/** Default settings of a Cluster client that the library opens. */
export function clusterDefaults(commandTimeout: number, options: ClusterOptions): ClusterOptions {
  return {
    enableOfflineQueue: false,
    clusterRetryStrategy: backOff,
    slotsRefreshInterval: SLOTS_REFRESH,
    slotsRefreshTimeout: 2_000,
    ...options,
    redisOptions: { ...clientDefaults(commandTimeout), ...options.redisOptions },
  };
}

function backOff(attempt: number): number {
  return Math.min(50 * 2 ** Math.min(attempt - 1, 10), 500);
}

/**
 * Replicas lag: a session that has just ended could still be read there.
 *
 * @throws {ConfigurationError}
 */
export function refuseReplicaReads(client: Redis | Cluster): void {
  const options = client.options as { scaleReads?: unknown; readOnly?: unknown; role?: unknown };
  const scales = client.isCluster && options.scaleReads !== undefined && options.scaleReads !== 'master';
  const isReplica = !client.isCluster && (options.readOnly === true || options.role === 'slave');
  if (scales || isReplica) {
    throw new ConfigurationError(
      'redis: the client reads from replicas, where an ended session can still be found. Pass a client with scaleReads "master", without readOnly and without the role "slave".',
    );
  }
}

/** The settings that an application's client lacks to notice a change of the primary, worded for its log. */
export function missingSettings(client: Redis | Cluster): string[] {
  const options = client.options as RedisOptions & ClusterOptions;
  if (client.isCluster)
    return options.slotsRefreshInterval
      ? []
      : [
          'slotsRefreshInterval: 3000 (otherwise commands go to a primary that hangs and was replaced for up to a minute)',
        ];
  return Array.isArray(options.sentinels) && options.failoverDetector !== true
    ? [
        'failoverDetector: true (otherwise a planned failover goes unnoticed for ten seconds, and sign-outs confirmed in that time are lost)',
      ]
    : [];
}
