import { Inject, Injectable, Logger } from '@nestjs/common';
import { stackOf } from '../model/error-text.js';
import { ofTenant } from '../core/of-tenant.js';
import { MemorySessionStore } from '../memory/memory-session-store.js';
import { MemoryTokenBlacklist } from '../memory/memory-token-blacklist.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import { SESSION_OPTIONS } from '../options/tokens.js';
import type { ListenerErrorHandler } from '../ports/listeners.js';
import type { SessionStore } from '../ports/session-store.js';
import type { TokenBlacklist } from '../ports/token-blacklist.js';

interface Adapters {
  readonly store: SessionStore;
  readonly blacklist: TokenBlacklist;
}

/** Chooses the adapters: custom ones, otherwise Redis, otherwise memory. Creates each on first use. */
@Injectable()
export class SessionAdapters {
  private readonly logger = new Logger('SessionModule');
  private readonly made: Promise<SessionStore>[] = [];
  private redis: Promise<Adapters> | null = null;

  constructor(@Inject(SESSION_OPTIONS) private readonly options: ResolvedSessionOptions) {}

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

  /** Closes the adapters created here; custom adapters stay open. */
  async close(): Promise<void> {
    await Promise.all(this.made.splice(0).map(async (making) => (await making.catch(() => null))?.close()));
  }

  private async inMemory(): Promise<SessionStore> {
    if (process.env['NODE_ENV'] === 'production') {
      this.logger.warn(
        'Sessions are kept in the memory of this process: they end with it, and no other process knows them. Set the option "redis" for production.',
      );
    }
    const store = new MemorySessionStore({ ...this.options.adapter, onListenerError: this.onListenerError });
    this.made.push(Promise.resolve(store));
    return store;
  }

  private onRedis(): Promise<Adapters> {
    if (!this.redis) {
      this.redis = this.connect();
      this.made.push(this.redis.then(({ store }) => store));
    }
    return this.redis;
  }

  private async connect(): Promise<Adapters> {
    // Loaded here only, so that other applications do not need ioredis.
    const { createRedisAdapters } = await import('../redis/create-redis-adapters.js');
    return createRedisAdapters(this.options, this.onListenerError);
  }

  private readonly onListenerError: ListenerErrorHandler = (error) => {
    this.logger.error('A listener of the session store failed', stackOf(error));
  };
}
