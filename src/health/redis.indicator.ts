import { Inject, Injectable } from '@nestjs/common';
import { type HealthIndicatorResult, HealthIndicatorService } from '@nestjs/terminus';
import type { Cluster, Redis } from 'ioredis';
import { SESSION_OPTIONS, type ResolvedSessionOptions } from 'nestjs-sessions';
import { SessionHealthIndicator } from 'nestjs-sessions/terminus';
import { REDIS, within } from '../redis/redis.js';

@Injectable()
export class RedisIndicator {
  constructor(
    private readonly indicators: HealthIndicatorService,
    private readonly sessions: SessionHealthIndicator,
    @Inject(REDIS) private readonly redis: Redis | Cluster | null,
    @Inject(SESSION_OPTIONS) private readonly options: ResolvedSessionOptions,
  ) {}

  get isUsed(): boolean {
    return this.redis !== null;
  }

  /**
   * Asks over the connection that guards use, and over the application's own, which counts failed sign-ins. Reports only
   * up or down, because the cause would reveal host names.
   */
  async check(): Promise<HealthIndicatorResult<'redis'>> {
    const [sessions, isReachable] = await Promise.all([this.sessions.isHealthy('redis'), this.answers()]);
    return isReachable ? sessions : this.indicators.check('redis').down();
  }

  private async answers(): Promise<boolean> {
    if (!this.redis) return true;
    return within(this.options.commandTimeout, this.redis.ping()).then(
      () => true,
      () => false,
    );
  }
}
