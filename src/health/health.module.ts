import { Module } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { HealthController } from './health.controller.js';
import { SessionHealthIndicator } from 'nestjs-sessions/terminus';
import { RedisIndicator } from './redis.indicator.js';

@Module({
  imports: [TerminusModule],
  controllers: [HealthController],
  providers: [SessionHealthIndicator, RedisIndicator],
})
export class HealthModule {}
