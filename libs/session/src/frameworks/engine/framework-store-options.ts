import { MemorySessionStore } from '../../memory/memory-session-store.js';
import { ConfigurationError } from '../../model/errors.js';
import type { FrameworkSessionOptions } from '../../options/framework-session-options.js';
import { notADuration, parseDuration, type Duration } from '../../options/duration.js';
import { refuse } from '../../options/option-error.js';
import type { RedisClient } from '../../options/redis-option.js';
import type { SessionStoreOptions } from '../../options/store-options.js';
import type { SessionAliases } from '../../ports/session-aliases.js';
import type { SessionStore } from '../../ports/session-store.js';
import { TenantsSessionStore } from '../../ports/tenants/tenants-session-store.js';
import { RedisSessionStore } from '../../redis/redis-session-store.js';
import { SessionSweeper } from '../../sessions/session-sweeper.js';

export interface FrameworkStoreOptions extends FrameworkSessionOptions {
  /** An ioredis client, as for connect-redis. It is used unchanged and never closed. */
  client?: RedisClient;
  /** Instead of `client`: the store that keeps the sessions, such as the one of `SessionModule`. */
  store?: SessionStore;
  /** Where ids are looked up. Default: beside the sessions, for the stores of this library. */
  aliases?: SessionAliases;
  /**
   * How often sessions past their deadline are removed; false for never. Default: 30 seconds with `client` or a
   * `MemorySessionStore`; never with any other `store`. `SessionModule` removes them itself.
   */
  sweepInterval?: Duration | false;
  /**
   * With `client`: settings for that Redis; `keyPrefix` begins every key (default `session:`), `commandTimeout` is in
   * ms (default 500).
   */
  redis?: Omit<SessionStoreOptions, 'limit'> & { keyPrefix?: string; commandTimeout?: number };
}

/**
 * The adapters that the options name, and the remaining options.
 *
 * @throws {ConfigurationError}
 */
export function openStores(options: FrameworkStoreOptions): {
  store: SessionStore;
  aliases: SessionAliases;
  rest: FrameworkSessionOptions;
  /** Stops what was started here. The store and the client stay open. */
  close: () => Promise<void>;
} {
  const { client, store: given, aliases: givenAliases, redis, sweepInterval, ...rest } = options;
  if ((client === undefined) === (given === undefined)) {
    throw new ConfigurationError(
      'client, store: set one of them: an ioredis client, or a session store such as new MemorySessionStore().',
    );
  }
  const store = given ?? new RedisSessionStore(ioredisOf(client), redis);
  const aliases = givenAliases ?? store.aliases();
  if (!aliases) {
    throw new ConfigurationError(
      'aliases: this store has none. Pass an instance of your own class that extends SessionAliases, or new MemorySessionAliases() for a single process.',
    );
  }
  const sweeper = sweeperOf(store, sweepInterval ?? (given && !(given instanceof MemorySessionStore) ? false : '30s'));
  return {
    store,
    aliases,
    // Sessions left by connect-redis belong to no tenant, so a tenant must opt in with `prefix`.
    rest:
      (store.tenant || store instanceof TenantsSessionStore) && rest.prefix === undefined
        ? { ...rest, prefix: false }
        : rest,
    close: async () => {
      await sweeper?.onModuleDestroy();
      if (!given) await store.close();
    },
  };
}

function sweeperOf(store: SessionStore, every: Duration | false): SessionSweeper | null {
  if (every === false) return null;
  const interval = parseDuration(every) ?? refuse('sweepInterval', notADuration(every));
  const sweeper = new SessionSweeper(store, { sweeper: { interval } });
  sweeper.onApplicationBootstrap();
  return sweeper;
}

function ioredisOf(client: unknown): RedisClient {
  if (
    typeof client === 'object' &&
    client !== null &&
    typeof (client as Partial<RedisClient>).callBuffer === 'function'
  ) {
    return client as RedisClient;
  }
  throw new ConfigurationError(
    'client: must be a client of the package ioredis. For other clients, extend SessionStore and SessionAliases.',
  );
}
