import { Logger } from '@nestjs/common';
import { stackOf } from '../model/error-text.js';
import { ofTenant } from '../core/of-tenant.js';
import { MemorySessionStore } from '../memory/memory-session-store.js';
import { MemoryTokenBlacklist } from '../memory/memory-token-blacklist.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import type { ListenerErrorHandler } from '../ports/listeners.js';
import type { SessionStore } from '../ports/session-store.js';
import type { RedisAdapters } from '../redis/create-redis-adapters.js';
import type { TokenBlacklist } from '../ports/token-blacklist.js';

/**
 * Chooses the adapters: custom ones, otherwise Redis, otherwise memory. Creates each on first use. Those of a realm share the
 * connection of the application's own, which closes them with it.
 */
export class SessionAdapters {
  private readonly logger = new Logger('SessionModule');
  private readonly made: Promise<SessionStore>[] = [];
  private readonly users: (() => Promise<void>)[] = [];
  private redis: Promise<RedisAdapters> | null = null;

  constructor(
    private readonly options: ResolvedSessionOptions,
    /** Those of the application, for a realm. */
    private readonly root: SessionAdapters | null = null,
  ) {}

  async store(): Promise<SessionStore> {
    const { store, redis, keys } = this.options;
    if (!store) return redis === undefined ? this.inMemory() : (await this.onRedis()).store;
    if (keys.ephemeral && !(store instanceof MemorySessionStore)) {
      this.logger.warn(
        'No secrets are set: the tokens of all sessions in the store stop working when this process ends. Set the option "secrets".',
      );
    }
    return ofTenant(store, this.options.tenant);
  }

  async blacklist(): Promise<TokenBlacklist> {
    const { blacklist, redis, clockTolerance } = this.options;
    if (blacklist) return ofTenant(blacklist, this.options.tenant);
    return redis === undefined
      ? new MemoryTokenBlacklist({ clockTolerance, tenant: this.options.tenant })
      : (await this.onRedis()).blacklist;
  }

  /** Has the work of a realm done before the adapters close. */
  beforeClose(work: () => Promise<void>): void {
    this.users.push(work);
  }

  /** Closes the adapters created here, and those of all realms; custom adapters stay open. Those of a realm stay open until then. */
  async close(): Promise<void> {
    if (this.root) return;
    for (const finish of this.users.splice(0)) await finish();
    await Promise.all(this.made.splice(0).map(async (making) => (await making.catch(() => null))?.close()));
  }

  /** Closes what a failed boot has opened. */
  async abandon(): Promise<void> {
    await (this.root ?? this).close();
  }

  private async inMemory(): Promise<SessionStore> {
    if (process.env['NODE_ENV'] === 'production' && !this.root) {
      this.logger.warn(
        'Sessions are kept in the memory of this process: they end with it, and no other process knows them. Set the option "redis" for production.',
      );
    }
    const store = new MemorySessionStore({ ...this.options.adapter, onListenerError: this.onListenerError });
    this.keep(Promise.resolve(store));
    return store;
  }

  private keep(store: Promise<SessionStore>): void {
    (this.root ?? this).made.push(store);
  }

  private onRedis(): Promise<RedisAdapters> {
    if (!this.redis) {
      this.redis = this.connect();
      this.keep(this.redis.then(({ store }) => store));
    }
    return this.redis;
  }

  private async connect(): Promise<RedisAdapters> {
    // Without a store of its own, and on the Redis of the application.
    const open = this.root && (await this.root.onRedis()).connection;
    // Loaded here only, so that other applications do not need ioredis.
    const { createRedisAdapters } = await import('../redis/create-redis-adapters.js');
    return createRedisAdapters(this.options, this.onListenerError, open ?? undefined);
  }

  private readonly onListenerError: ListenerErrorHandler = (error) => {
    this.logger.error('A listener of the session store failed', stackOf(error));
  };
}
