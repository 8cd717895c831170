import type { RedisClient } from '../../options/redis-option.js';
import type { StoreWait } from '../../ports/store-wait.js';

/**
 * `RedisConnection` in public declarations. The class itself would expose types of ioredis, which is an optional peer.
 */
export interface OpenConnection {
  readonly client: RedisClient;
  readonly settings: { readonly commandTimeout: number };
}

/** `SharedStoreParts` in public declarations, for the same reason. */
export interface OpenStoreParts {
  readonly keyPrefix: string;
  noteTenants(wait: StoreWait): Promise<void>;
}
