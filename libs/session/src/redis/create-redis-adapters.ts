import { ConfigurationError } from '../model/errors.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import type { ListenerErrorHandler } from '../ports/listeners.js';
import { RedisConnection } from './connection/redis-connection.js';
import { RedisSessionStore } from './redis-session-store.js';
import { RedisTokenBlacklist } from './redis-token-blacklist.js';

/** Both adapters on one connection. Closing the store closes the connection if it was opened here. */
export async function createRedisAdapters(
  options: ResolvedSessionOptions,
  onListenerError?: ListenerErrorHandler,
): Promise<{ store: RedisSessionStore; blacklist: RedisTokenBlacklist }> {
  const { redis, adapter, keyPrefix, commandTimeout, clockTolerance, minReplicas, strictRedis } = options;
  if (redis === undefined) throw new ConfigurationError('redis: nothing to connect to. Set the option "redis".');
  const connection = await RedisConnection.open(redis, { commandTimeout });
  return {
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
