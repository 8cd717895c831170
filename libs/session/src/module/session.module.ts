import { Module, type DynamicModule, type MiddlewareConsumer, type NestModule } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { requireOptions } from '../options/given-options.js';
import { DeviceBoundRoutes } from './device-bound-routes.js';
import { ConfigurableModuleClass, type ASYNC_OPTIONS_TYPE, type OPTIONS_TYPE } from './session.module-definition.js';

/**
 * Server-side sessions for a Nest application. Without options sessions are kept in the memory of the process; global
 * unless `isGlobal: false`.
 *
 * ```ts
 * @Module({
 *   imports: [
 *     SessionModule.forRootAsync({
 *       inject: [ConfigService],
 *       useFactory: (config: ConfigService) => ({
 *         redis: config.getOrThrow<string>('REDIS_URL'),
 *         secrets: config.getOrThrow<string>('SESSION_SECRET'),
 *       }),
 *     }),
 *   ],
 * })
 * export class AppModule {}
 * ```
 */
@Module({ imports: [DiscoveryModule] })
export class SessionModule extends ConfigurableModuleClass implements NestModule {
  constructor(private readonly deviceBound: DeviceBoundRoutes) {
    super();
  }

  /** Adds the endpoints of device-bound sessions where `deviceBound` is set. Nest calls it. */
  configure(consumer: MiddlewareConsumer): void {
    this.deviceBound.mount(consumer);
  }

  /**
   * Import the result once in an application.
   *
   * @throws {ConfigurationError} at boot, for every wrong or unknown option, and for a second `forRoot`.
   */
  static override forRoot(options: typeof OPTIONS_TYPE = {}): DynamicModule {
    return super.forRoot(requireOptions(options));
  }

  /**
   * Options from `useFactory`, `useClass` or `useExisting`.
   *
   * @throws {ConfigurationError} like `forRoot`.
   */
  static override forRootAsync(options: typeof ASYNC_OPTIONS_TYPE): DynamicModule {
    return super.forRootAsync(options);
  }
}
