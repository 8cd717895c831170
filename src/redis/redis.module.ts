import { Global, Inject, Logger, Module, type OnApplicationShutdown } from '@nestjs/common';
import type { Cluster, Redis } from 'ioredis';
import { SESSION_OPTIONS, type ResolvedSessionOptions } from 'nestjs-sessions';
import { ENVIRONMENT, type Environment } from '../config/environment.js';
import { openClient } from './open-client.js';
import { REDIS } from './redis.js';

const logger = new Logger('Redis');

/**
 * The application's own client, for counting failed sign-ins and for the health check. Null on the embedded store.
 */
async function connect(
  { redis: place }: Environment,
  { commandTimeout }: ResolvedSessionOptions,
): Promise<Redis | Cluster | null> {
  if (place === undefined) return null;
  const redis = openClient(place, commandTimeout);
  let down = false;
  redis.on('ready', () => {
    if (down) logger.log('Redis is back');
    down = false;
  });
  redis.on('error', ({ code }: NodeJS.ErrnoException) => {
    if (!down) logger.warn(`Redis does not answer (${code ?? 'connection failed'}); trying again`);
    down = true;
  });
  // The library's own client decides whether the boot continues; this one keeps trying.
  await redis.connect().catch(() => undefined);
  return redis;
}

@Global()
@Module({
  providers: [{ provide: REDIS, inject: [ENVIRONMENT, SESSION_OPTIONS], useFactory: connect }],
  exports: [REDIS],
})
export class RedisModule implements OnApplicationShutdown {
  constructor(@Inject(REDIS) private readonly redis: Redis | Cluster | null) {}

  onApplicationShutdown(): void {
    this.redis?.disconnect();
  }
}
