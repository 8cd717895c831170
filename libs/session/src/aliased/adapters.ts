import type { Cluster, Redis } from 'ioredis';
import { ConfigurationError } from '../model/errors.js';
import type { AliasedSessionOptions } from '../options/aliased-session-options.js';
import { notADuration, parseDuration, type Duration } from '../options/duration.js';
import { refuse } from '../options/option-complaint.js';
import type { SessionStoreOptions } from '../options/store-options.js';
import type { SessionAliases } from '../ports/session-aliases.js';
import type { SessionStore } from '../ports/session-store.js';
import { RedisSessionStore } from '../redis/redis-session-store.js';
import { SessionSweeper } from '../services/session-sweeper.js';

export interface AliasedStoreOptions extends AliasedSessionOptions {
  /** An ioredis client, as connect-redis took one. It is used as it is and never closed. */
  client?: Redis | Cluster;
  /** Instead of `client`: where sessions are kept, such as the one of `SessionModule`. */
  store?: SessionStore;
  /** Where ids are looked up. Default: beside the sessions, for the stores of this library. */
  aliases?: SessionAliases;
  /**
   * How often everything past its deadline is removed; false for never. Default: 30 seconds with `client`; never with
   * `store`, as whoever made it removes, which `SessionModule` does.
   */
  sweepInterval?: Duration | false;
  /** With `client`: how sessions are kept on it; `keyPrefix` begins every key (default `session:`), `commandTimeout` is in ms (default 500). */
  redis?: Omit<SessionStoreOptions, 'limit'> & { keyPrefix?: string; commandTimeout?: number };
}

/** The adapters that the options name, and the rest of the options. @throws {ConfigurationError} */
export function adaptersOf(options: AliasedStoreOptions): {
  store: SessionStore;
  aliases: SessionAliases;
  rest: AliasedSessionOptions;
  /** Stops what was begun here. The store and the client stay as they are. */
  close: () => Promise<void>;
} {
  const { client, store: given, aliases: givenAliases, redis, sweepInterval, ...rest } = options;
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
  const sweeper = sweeperOf(store, sweepInterval ?? (given ? false : '30s'));
  return {
    store,
    aliases,
    rest,
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

function ioredisOf(client: unknown): Redis | Cluster {
  if (typeof client === 'object' && client !== null && typeof (client as Partial<Redis>).callBuffer === 'function') {
    return client as Redis | Cluster;
  }
  throw new ConfigurationError(
    'client: must be a client of the package ioredis. For others extend SessionStore and SessionAliases.',
  );
}
