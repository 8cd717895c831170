import { type DynamicModule, Module, StandardSchemaValidationPipe } from '@nestjs/common';
import { APP_GUARD, APP_PIPE } from '@nestjs/core';
import { SessionGuard, SessionModule, type SessionModuleOptions } from 'nestjs-sessions';
import { AccountModule } from './account/account.module.js';
import { AccountsModule } from './accounts/accounts.module.js';
import { AdminModule } from './admin/admin.module.js';
import { AuthModule } from './auth/auth.module.js';
import { ConfigModule } from './config/config.module.js';
import { ENVIRONMENT, type Environment } from './config/environment.js';
import { sessionOptions } from './config/session-options.js';
import { EventsModule } from './events/events.module.js';
import { HealthModule } from './health/health.module.js';
import { ConnectionDrain } from './http/connection-drain.js';
import { Metrics } from './metrics/metrics.js';
import { MetricsModule } from './metrics/metrics.module.js';
import { OpenApiModule } from './openapi/openapi.module.js';
import { PageModule } from './page/page.module.js';
import { RedisModule } from './redis/redis.module.js';
import { SessionsModule } from './sessions/sessions.module.js';

/** Lets tests change the options that come from the environment. */
export type AdjustOptions = (options: SessionModuleOptions) => SessionModuleOptions;

@Module({})
export class AppModule {
  static for(environment: Environment, adjust: AdjustOptions = (options) => options): DynamicModule {
    return {
      module: AppModule,
      imports: [
        ConfigModule.for(environment),
        RedisModule,
        MetricsModule,
        SessionModule.forRootAsync({
          inject: [ENVIRONMENT, Metrics],
          useFactory: (given: Environment, metrics: Metrics) => adjust(sessionOptions(given, metrics)),
        }),
        AuthModule,
        AccountModule,
        ...(environment.deviceBound ? [] : [AccountsModule]),
        SessionsModule,
        EventsModule,
        AdminModule,
        HealthModule,
        PageModule,
        OpenApiModule,
      ],
      providers: [
        ConnectionDrain,
        // Every route needs a session unless it is @Public().
        { provide: APP_GUARD, useExisting: SessionGuard },
        { provide: APP_PIPE, useClass: StandardSchemaValidationPipe },
      ],
    };
  }
}
