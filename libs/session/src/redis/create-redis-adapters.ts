import { ConfigurationError } from '../model/errors.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import type { ListenerErrorHandler } from '../ports/listeners.js';
import type { OpenConnection } from './connection/open-connection.js';
import { RedisConnection } from './connection/redis-connection.js';
import { RedisSessionStore } from './redis-session-store.js';
import { RedisTokenBlacklist } from './redis-token-blacklist.js';

export interface RedisAdapters {
  readonly store: RedisSessionStore;
  readonly blacklist: RedisTokenBlacklist;
  readonly connection: OpenConnection;
}

/**
 * Both adapters on one connection. Closing the store closes the connection, unless its client was adopted.
 *
 * @param open A connection to share. Default: a new one.
 */
export async function createRedisAdapters(
  options: ResolvedSessionOptions,
  onListenerError?: ListenerErrorHandler,
  open?: OpenConnection,
): Promise<RedisAdapters> {
  const { redis, adapter, keyPrefix, commandTimeout, clockTolerance, minReplicas, strictRedis } = options;
  if (redis === undefined) throw new ConfigurationError('redis: nothing to connect to. Set the option "redis".');
  const connection = open ?? (await RedisConnection.open(redis, { commandTimeout }));
  return {
    connection,
    store: new RedisSessionStore(connection, {
      ...adapter,
      keyPrefix,
      minReplicas,
      strictRedis,
      ...(onListenerError && { onListenerError }),
    }),
    blacklist: new RedisTokenBlacklist(connection, {
      keyPrefix,
      clockTolerance,
      minReplicas,
      tenant: adapter.tenant,
    }),
  };
}
