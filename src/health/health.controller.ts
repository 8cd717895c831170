import { Controller, Get } from '@nestjs/common';
import { ApiResponse, ApiTags } from '@nestjs/swagger';
import { HealthCheck, type HealthCheckResult, HealthCheckService } from '@nestjs/terminus';
import { Public } from 'nestjs-sessions';
import { Answer } from '../openapi/answer.js';
import { HEALTHY, UNHEALTHY } from '../openapi/answers.js';
import { RedisIndicator } from './redis.indicator.js';

@ApiTags('Operation')
@Controller('health')
export class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly redis: RedisIndicator,
  ) {}

  /** 200 while this instance can serve, 503 while it cannot. */
  @Answer({ summary: 'Whether this instance can serve', ...HEALTHY })
  @ApiResponse({
    status: 503,
    description: 'Redis does not answer.',
    standardSchema: UNHEALTHY.schema,
    example: UNHEALTHY.example,
  })
  @Public()
  @Get()
  @HealthCheck({ swaggerDocumentation: false })
  check(): Promise<HealthCheckResult> {
    return this.health.check(this.redis.isUsed ? [() => this.redis.check()] : []);
  }
}
