import { Module } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { UsersModule } from '../users/users.module.js';
import { JwksController } from './jwks.controller.js';
import { AuthController } from './auth.controller.js';
import { FailureLimiter } from './failure-limiter.js';
import { TooManyFailuresFilter } from './too-many-failures.filter.js';

@Module({
  imports: [UsersModule],
  controllers: [AuthController, JwksController],
  providers: [FailureLimiter, { provide: APP_FILTER, useClass: TooManyFailuresFilter }],
})
export class AuthModule {}
