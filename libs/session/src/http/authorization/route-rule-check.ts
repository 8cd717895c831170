import { Logger, type OnApplicationBootstrap, type OnModuleInit } from '@nestjs/common';
import type { ApplicationConfig, DiscoveryService, MetadataScanner } from '@nestjs/core';
import { ConfigurationError } from '../../model/errors.js';
import type { ResolvedSessionOptions } from '../../options/resolved-options.js';
import { realmOf } from '../../options/realm-mark.js';
import { hasRule, lacksGuard, publicConflictOf, publicConflictOfClass } from './route-rules.js';
import { isSessionGuard } from './session-guard-mark.js';

/** A method of a controller or provider. */
interface Method {
  readonly name: string;
  readonly handler: object;
  readonly owner: object;
}

/** The realms of the application. */
export interface KnownRealms {
  readonly options: readonly ResolvedSessionOptions[];
  /** Why a decorator that names a realm which does not exist stops the boot. */
  missing(realm: string): string;
}

/** Metadata of @nestjs/websockets and @nestjs/graphql, which are optional peers. */
const SOCKETS = [
  'websockets:is_gateway',
  'graphql:resolver_type',
  'graphql:resolver_name',
  'graphql:subscription_options',
];

/** Whether a class or method is a gateway or a resolver. */
function servesSockets(target: object | undefined): boolean {
  return target !== undefined && SOCKETS.some((key) => Reflect.hasMetadata(key, target));
}

/** Stops the boot if a method is both public and guarded, or requires what no option provides; warns of rules that no guard applies. */
export class RouteRuleCheck implements OnModuleInit, OnApplicationBootstrap {
  private readonly logger = new Logger('SessionModule');

  constructor(
    private readonly application: ApplicationConfig,
    private readonly discovery: DiscoveryService,
    private readonly scanner: MetadataScanner,
    private readonly options: ResolvedSessionOptions,
    private readonly realms: KnownRealms,
  ) {}

  /** @throws {ConfigurationError} that names the method or class. */
  onModuleInit(): void {
    for (const { metatype } of [...this.discovery.getControllers(), ...this.discovery.getProviders()]) {
      const conflict =
        typeof metatype === 'function' ? (publicConflictOfClass(metatype) ?? this.realmProblemOf(metatype)) : null;
      if (conflict) throw new ConfigurationError(`${metatype?.name}: ${conflict}`);
      for (const { name, handler, owner } of this.methodsOf(metatype)) {
        const problem =
          publicConflictOf(handler) ?? this.realmProblemOf(owner, handler) ?? this.missingOptionOf(handler, owner);
        if (problem) throw new ConfigurationError(`${name}: ${problem}`);
      }
    }
  }

  /** A guard of the application's own may apply the rules by other means: no reason to stop the boot. */
  onApplicationBootstrap(): void {
    if (this.hasGlobalGuard()) return;
    const methods = this.discovery.getControllers().flatMap(({ metatype }) => this.methodsOf(metatype));
    for (const { name, handler, owner } of methods) {
      if (!Reflect.hasMetadata('path', handler) || !lacksGuard(owner, handler)) continue;
      this.logger.warn(
        `${name} has a rule such as @Roles() or @RequireFresh(), and no guard that applies it: every request is let in. Add @UseGuards(SessionGuard), or make it global with APP_GUARD.`,
      );
    }
  }

  /** Those of `app.useGlobalGuards` are known by now. */
  private hasGlobalGuard(): boolean {
    const instances: unknown[] = this.application.getGlobalGuards();
    const requestScoped: unknown[] = this.application.getGlobalRequestGuards().map(({ metatype }) => metatype);
    return [...instances, ...requestScoped].some(isSessionGuard);
  }

  private methodsOf(metatype: unknown): Method[] {
    const prototype: unknown = (metatype as { prototype?: unknown } | null | undefined)?.prototype;
    if (typeof metatype !== 'function' || typeof prototype !== 'object' || prototype === null) return [];
    return this.scanner.getAllMethodNames(prototype).flatMap((method) => {
      const handler: unknown = Reflect.get(prototype, method);
      const name = `${metatype.name}.${method}`;
      return typeof handler === 'function' ? [{ name, handler, owner: metatype }] : [];
    });
  }

  private optionsOf(realm: string): ResolvedSessionOptions | undefined {
    return realm === '' ? this.options : this.realms.options.find((options) => options.realm === realm);
  }

  private realmProblemOf(owner: object, method?: object): string | null {
    const realm = realmOf(owner, method);
    if (!this.optionsOf(realm)) return this.realms.missing(realm);
    if (realm === '' || ![owner, method].some(servesSockets)) return null;
    return `@Realm('${realm}') works on controllers and on methods with @OnSessionEvent(), not on gateways and resolvers: their sockets are opened by the application's own sessions. Remove it.`;
  }

  private missingOptionOf(method: object, owner: object): string | null {
    const { deviceBound, jwt } = this.optionsOf(realmOf(owner, method)) ?? this.options;
    if (!deviceBound && (hasRule(method, 'deviceBound') || hasRule(owner, 'deviceBound')))
      return '@RequireDeviceBound() lets nobody in without the option deviceBound. Set it.';
    if (!jwt?.dpop && (hasRule(method, 'dpop') || hasRule(owner, 'dpop')))
      return '@RequireDpop() lets nobody in without the option jwt.dpop. Set it.';
    return null;
  }
}
