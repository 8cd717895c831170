import { Global, Inject, Logger, Module, type OnApplicationShutdown } from '@nestjs/common';
import { Redis } from 'ioredis';
import { SESSION_OPTIONS, type ResolvedSessionOptions } from 'nestjs-sessions';
import { ENVIRONMENT, type Environment } from '../config/environment.js';
import { REDIS } from './redis.js';

const logger = new Logger('Redis');

/**
 * The application's own client, for what is not the library's: counting failed sign-ins, and the health check. It
 * fails at once while Redis is down instead of queueing, and waits no longer than the library. Null on the embedded store.
 */
async function connect({ redisUrl }: Environment, { commandTimeout }: ResolvedSessionOptions): Promise<Redis | null> {
  if (redisUrl === undefined) return null;
  const redis = new Redis(redisUrl, {
    lazyConnect: true,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 1,
    commandTimeout,
    connectTimeout: 2_000,
    retryStrategy: (attempt) => Math.min(50 * attempt, 500),
  });
  let down = false;
  redis.on('ready', () => {
    if (down) logger.log('Redis is back');
    down = false;
  });
  redis.on('error', ({ code }: NodeJS.ErrnoException) => {
    if (!down) logger.warn(`Redis does not answer (${code ?? 'connection failed'}); trying again`);
    down = true;
  });
  // The library's own client decides whether the boot goes on; this one keeps trying.
  await redis.connect().catch(() => undefined);
  return redis;
}

@Global()
@Module({
  providers: [{ provide: REDIS, inject: [ENVIRONMENT, SESSION_OPTIONS], useFactory: connect }],
  exports: [REDIS],
})
export class RedisModule implements OnApplicationShutdown {
  constructor(@Inject(REDIS) private readonly redis: Redis | null) {}

  onApplicationShutdown(): void {
    this.redis?.disconnect();
  }
}
