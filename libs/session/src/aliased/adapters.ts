import type { Cluster, Redis } from 'ioredis';
import { ConfigurationError } from '../model/errors.js';
import type { AliasedSessionOptions } from '../options/aliased-session-options.js';
import type { SessionStoreOptions } from '../options/store-options.js';
import type { SessionAliases } from '../ports/session-aliases.js';
import type { SessionStore } from '../ports/session-store.js';
import { RedisSessionStore } from '../redis/redis-session-store.js';

export interface AliasedStoreOptions extends AliasedSessionOptions {
  /** An ioredis client, as connect-redis took one. It is used as it is and never closed. */
  client?: Redis | Cluster;
  /** Instead of `client`: where sessions are kept, such as the one of `SessionModule`. */
  store?: SessionStore;
  /** Where ids are looked up. Default: beside the sessions, for the stores of this library. */
  aliases?: SessionAliases;
  /** With `client`: how sessions are kept on it; `keyPrefix` begins every key (default `session:`), `commandTimeout` is in ms (default 500). */
  redis?: Omit<SessionStoreOptions, 'limit'> & { keyPrefix?: string; commandTimeout?: number };
}

/** The adapters that the options name, and the rest of the options. @throws {ConfigurationError} */
export function adaptersOf(options: AliasedStoreOptions): {
  store: SessionStore;
  aliases: SessionAliases;
  rest: AliasedSessionOptions;
} {
  const { client, store: given, aliases: givenAliases, redis, ...rest } = options;
  if ((client === undefined) === (given === undefined)) {
    throw new ConfigurationError(
      'client, store: give one of them: an ioredis client, or a session store such as new MemorySessionStore().',
    );
  }
  const store = given ?? new RedisSessionStore(ioredisOf(client), redis);
  const aliases = givenAliases ?? store.aliases();
  if (!aliases) {
    throw new ConfigurationError(
      'aliases: this store has no place for them. Give one: a class of yours that extends SessionAliases, or new MemorySessionAliases() for one process.',
    );
  }
  return { store, aliases, rest };
}

function ioredisOf(client: unknown): Redis | Cluster {
  if (typeof client === 'object' && client !== null && typeof (client as Partial<Redis>).callBuffer === 'function') {
    return client as Redis | Cluster;
  }
  throw new ConfigurationError(
    'client: must be a client of the package ioredis. For others extend SessionStore and SessionAliases.',
  );
}
