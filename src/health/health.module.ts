import { Module } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { HealthController } from './health.controller.js';
import { RedisIndicator } from './redis.indicator.js';

@Module({ imports: [TerminusModule], controllers: [HealthController], providers: [RedisIndicator] })
export class HealthModule {}
