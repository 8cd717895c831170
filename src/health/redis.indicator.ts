import { Inject, Injectable } from '@nestjs/common';
import { type HealthIndicatorResult, HealthIndicatorService } from '@nestjs/terminus';
import type { Redis } from 'ioredis';
import { SESSION_OPTIONS, type ResolvedSessionOptions } from 'nestjs-sessions';
import { REDIS, within } from '../redis/redis.js';

@Injectable()
export class RedisIndicator {
  constructor(
    private readonly indicators: HealthIndicatorService,
    @Inject(REDIS) private readonly redis: Redis | null,
    @Inject(SESSION_OPTIONS) private readonly options: ResolvedSessionOptions,
  ) {}

  get isUsed(): boolean {
    return this.redis !== null;
  }

  /** Says no more than up or down: the cause would name hosts to whoever asks. */
  async check(): Promise<HealthIndicatorResult> {
    const indicator = this.indicators.check('redis');
    try {
      if (this.redis) await within(this.options.commandTimeout, this.redis.ping());
      return indicator.up();
    } catch {
      return indicator.down();
    }
  }
}
