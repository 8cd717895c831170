import { Module, type DynamicModule } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { ConfigurableModuleClass, type ASYNC_OPTIONS_TYPE, type OPTIONS_TYPE } from './session.module-definition.js';

/**
 * Server-side sessions for a Nest application. Without options sessions are kept in the memory of the process; global
 * unless `isGlobal: false`.
 *
 * ```ts
 * @Module({ imports: [SessionModule.forRoot({ redis: process.env.REDIS_URL, secrets: process.env.SESSION_SECRET })] })
 * export class AppModule {}
 * ```
 */
@Module({ imports: [DiscoveryModule] })
export class SessionModule extends ConfigurableModuleClass {
  /** @throws {ConfigurationError} at boot, for every option that is wrong or unknown. */
  static override forRoot(options: typeof OPTIONS_TYPE = {}): DynamicModule {
    return super.forRoot(options);
  }

  /** Options from `useFactory`, `useClass` or `useExisting`. @throws {ConfigurationError} as `forRoot`. */
  static override forRootAsync(options: typeof ASYNC_OPTIONS_TYPE): DynamicModule {
    return super.forRootAsync(options);
  }
}
