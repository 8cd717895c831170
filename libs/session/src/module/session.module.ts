import {
  Module,
  type DynamicModule,
  type FactoryProvider,
  type MiddlewareConsumer,
  type NestModule,
} from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { requireOptions } from '../options/given-options.js';
import { assertRealmName } from '../options/realm-name.js';
import type { SessionRealmOptions } from '../options/session-module-options.js';
import { DeviceBoundRoutes } from './device-bound-routes.js';
import { ConfigurableModuleClass, type ASYNC_OPTIONS_TYPE, type OPTIONS_TYPE } from './session.module-definition.js';
import { getSessionToken } from './realm-tokens.js';
import { realmExports, realmProviders } from './realm.providers.js';
import { SessionRealmModule } from './session-realm.module.js';
import { RAW_SESSION_OPTIONS } from './tokens.js';

/** Options of `SessionModule.forFeatureAsync`. */
export interface SessionRealmAsyncOptions extends Pick<FactoryProvider, 'inject'>, Pick<DynamicModule, 'imports'> {
  realm: string;
  // Nest's own factories take any arguments.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  useFactory: (...args: any[]) => Omit<SessionRealmOptions, 'realm'> | Promise<Omit<SessionRealmOptions, 'realm'>>;
}

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

  /**
   * Adds a realm: sessions with a cookie, tokens, limits and policies of their own, for the routes with `@Realm()`. Beside one
   * `forRoot`; import each realm once.
   *
   * @throws {ConfigurationError} for what is no name of a realm; at boot, for every wrong or unknown option, and for a realm that
   * is not apart from the others.
   */
  static forFeature(options: SessionRealmOptions): DynamicModule {
    const { realm } = requireOptions(options) as SessionRealmOptions;
    return SessionModule.realm(realm, { useValue: options });
  }

  /**
   * A realm with options from `useFactory`, which leaves `realm` out.
   *
   * @throws {ConfigurationError} like `forFeature`.
   */
  static forFeatureAsync({ realm, imports, inject, useFactory }: SessionRealmAsyncOptions): DynamicModule {
    return SessionModule.realm(realm, { ...(inject && { inject }), useFactory }, imports);
  }

  private static realm(
    realm: string,
    given: { useValue: unknown } | Pick<FactoryProvider, 'inject' | 'useFactory'>,
    imports: DynamicModule['imports'] = [],
  ): DynamicModule {
    assertRealmName(realm, 'SessionModule.forFeature: realm');
    return {
      module: SessionRealmModule,
      global: true,
      imports,
      providers: realmProviders(realm, { provide: getSessionToken(RAW_SESSION_OPTIONS, realm), ...given }),
      exports: realmExports(realm),
    };
  }
}
