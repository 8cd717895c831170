import { Controller, Get } from '@nestjs/common';
import { HealthCheck, type HealthCheckResult, HealthCheckService } from '@nestjs/terminus';
import { Public } from 'nestjs-sessions';
import { RedisIndicator } from './redis.indicator.js';

@Controller('health')
export class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly redis: RedisIndicator,
  ) {}

  /** 200 while this instance can serve, 503 while it cannot. */
  @Public()
  @Get()
  @HealthCheck()
  check(): Promise<HealthCheckResult> {
    return this.health.check(this.redis.isUsed ? [() => this.redis.check()] : []);
  }
}
