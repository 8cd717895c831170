import { Inject, Injectable, Logger } from '@nestjs/common';
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

/** Chooses the adapters: the user's own, else Redis, else this process. Makes them when they are asked for, once. */
@Injectable()
export class SessionAdapters {
  private readonly logger = new Logger('SessionModule');
  private made: Promise<Adapters> | null = null;

  constructor(@Inject(SESSION_OPTIONS) private readonly options: ResolvedSessionOptions) {}

  async store(): Promise<SessionStore> {
    const { store, keys } = this.options;
    if (!store) return (await this.make()).store;
    if (keys.ephemeral && !(store instanceof MemorySessionStore)) {
      this.logger.warn('No secrets are set: sessions in the store become unusable when this process ends. Set the option "secrets".');
    }
    return store;
  }

  async blacklist(): Promise<TokenBlacklist> {
    return this.options.blacklist ?? (await this.make()).blacklist;
  }

  /** Closes what was made here; adapters handed in stay open. */
  async close(): Promise<void> {
    const made = await this.made?.catch(() => null);
    await made?.store.close();
  }

  private make(): Promise<Adapters> {
    this.made ??= this.options.redis === undefined ? this.inMemory() : this.onRedis();
    return this.made;
  }

  private async inMemory(): Promise<Adapters> {
    const { adapter, clockTolerance, store } = this.options;
    if (process.env['NODE_ENV'] === 'production' && !store) {
      this.logger.warn(
        'Sessions are kept in the memory of this process: they end with it, and no other process knows them. Set the option "redis" for production.',
      );
    }
    return {
      store: new MemorySessionStore({ ...adapter, onListenerError: this.onListenerError }),
      blacklist: new MemoryTokenBlacklist({ clockTolerance }),
    };
  }

  private async onRedis(): Promise<Adapters> {
    // Loaded here alone, so that nobody needs ioredis who keeps sessions elsewhere.
    const { createRedisAdapters } = await import('../redis/create-redis-adapters.js');
    return createRedisAdapters(this.options, this.onListenerError);
  }

  private readonly onListenerError: ListenerErrorHandler = (error) => {
    this.logger.error('A listener of the session store failed', error instanceof Error ? error.stack : String(error));
  };
}
