import type { ExecutionContext } from '@nestjs/common';
import { realmOf } from '../../options/realm-mark.js';
import { hasSessionGuard } from './session-guard-mark.js';

/** How a request is authenticated. */
export type Transport = 'cookie' | 'bearer';

/** The rules that decorators set on a route. */
export interface RouteRules {
  readonly public: boolean;
  readonly roles: readonly string[] | null;
  readonly noTouch: boolean;
  readonly allowPending: boolean;
  readonly allowAnonymous: boolean;
  readonly stepUp: boolean;
  /** Maximum age of the last proof of identity, ms; `default` for `session.freshness`. */
  readonly maxAge: number | 'default' | null;
  /** Whether the device of the session must be proven. */
  readonly deviceBound: boolean;
  /** Whether the access token must be bound to a key that the request proves. */
  readonly dpop: boolean;
  /** The only transport accepted. */
  readonly transport: Transport | null;
  /** Origins of other sites whose requests are accepted here. */
  readonly allowCrossSite: readonly string[];
}

/** Metadata keys of the decorators in `route-decorators.ts`. */
export const RULE_KEYS = {
  public: 'nestjs-sessions:public',
  roles: 'nestjs-sessions:roles',
  noTouch: 'nestjs-sessions:no-touch',
  allowPending: 'nestjs-sessions:allow-pending',
  allowAnonymous: 'nestjs-sessions:allow-anonymous',
  stepUp: 'nestjs-sessions:step-up',
  maxAge: 'nestjs-sessions:max-age',
  deviceBound: 'nestjs-sessions:device-bound',
  dpop: 'nestjs-sessions:dpop',
  transport: 'nestjs-sessions:transport',
  allowCrossSite: 'nestjs-sessions:allow-cross-site',
} as const satisfies Record<keyof RouteRules, string>;

/** The rules of a context's route. Rules on the method override rules on the class. */
export function routeRulesOf(context: Pick<ExecutionContext, 'getClass' | 'getHandler'>): RouteRules {
  return routeOf(context).rules;
}

interface Route {
  readonly rules: RouteRules;
  /** Controller and handler, the name of a route in logs. */
  readonly name: string;
  /** '' for the application's own. */
  readonly realm: string;
}

/** By handler, its route in the controller that had it first. */
const routes = new WeakMap<object, Route & { readonly controller: object }>();
/** The routes of handlers that further controllers inherit. */
const inherited = new WeakMap<object, WeakMap<object, Route>>();

/** Rules and name of a context's route, found once. */
export function routeOf(context: Pick<ExecutionContext, 'getClass' | 'getHandler'>): Route {
  const [controller, handler] = [context.getClass(), context.getHandler()];
  const first = routes.get(handler);
  if (first?.controller === controller) return first;
  const known = first && inherited.get(controller)?.get(handler);
  if (known) return known;
  const route = {
    controller,
    rules: rulesOf(controller, handler),
    name: `${controller.name}.${handler.name}`,
    realm: realmOf(controller, handler),
  };
  if (!first) routes.set(handler, route);
  else inherited.set(controller, (inherited.get(controller) ?? new WeakMap<object, Route>()).set(handler, route));
  return route;
}

function rulesOf(controller: object, handler: object): RouteRules {
  const look = <T>(key: string): T | undefined =>
    (Reflect.getMetadata(key, handler) ?? Reflect.getMetadata(key, controller)) as T | undefined;
  return Object.freeze({
    public: isPublic(controller, handler),
    roles: look<readonly string[]>(RULE_KEYS.roles) ?? null,
    noTouch: look<boolean>(RULE_KEYS.noTouch) ?? false,
    allowPending: look<boolean>(RULE_KEYS.allowPending) ?? false,
    stepUp: look<boolean>(RULE_KEYS.stepUp) ?? false,
    allowAnonymous: look<boolean>(RULE_KEYS.allowAnonymous) ?? false,
    maxAge: look<number | 'default'>(RULE_KEYS.maxAge) ?? null,
    deviceBound: look<boolean>(RULE_KEYS.deviceBound) ?? false,
    dpop: look<boolean>(RULE_KEYS.dpop) ?? false,
    transport: look<Transport>(RULE_KEYS.transport) ?? null,
    allowCrossSite: look<readonly string[]>(RULE_KEYS.allowCrossSite) ?? [],
  });
}

/** Rules that let in fewer requests. */
const RESTRICTING = [RULE_KEYS.roles, RULE_KEYS.maxAge, RULE_KEYS.transport, RULE_KEYS.deviceBound, RULE_KEYS.dpop];

/** Why a method is neither public nor guarded: it is marked as both. Null if it is not. */
export function publicConflictOf(handler: object): string | null {
  if (Reflect.getOwnMetadata(RULE_KEYS.public, handler) !== true || !isRestricted(handler)) return null;
  return '@Public() lets every request in, but a guard or rule on the same method requires a session. Remove one of them.';
}

/** The same of a class, where a guard is no contradiction: it finds out who the guests of a public page are. */
export function publicConflictOfClass(controller: object): string | null {
  if (Reflect.getOwnMetadata(RULE_KEYS.public, controller) !== true || !hasOwnRule(controller)) return null;
  return '@Public() lets every request in, but a rule on the same class requires a session. Remove one of them.';
}

/** Whether a route has a rule that requires a session, and no guard of the library on its method or class that applies it. */
export function lacksGuard(controller: object, handler: object): boolean {
  const targets = [handler, ...lineageOf(controller)];
  return targets.some(hasOwnRule) && !targets.some(hasSessionGuard) && !isPublic(controller, handler);
}

/** The closest rule counts: a guard or rule on the method cancels `@Public()` on its class and on base classes. */
function isPublic(controller: object, handler: object): boolean {
  for (const target of [handler, ...lineageOf(controller)]) {
    if (isRestricted(target) && target === handler) return false;
    if (Reflect.hasOwnMetadata(RULE_KEYS.public, target)) return true;
    if (isRestricted(target)) return false;
  }
  return false;
}

function isRestricted(target: object): boolean {
  return hasSessionGuard(target) || hasOwnRule(target);
}

function hasOwnRule(target: object): boolean {
  return RESTRICTING.some((key) => Reflect.hasOwnMetadata(key, target));
}

/** Whether a class or method has a rule that lets nobody in without an option. */
export function hasRule(target: object, rule: 'deviceBound' | 'dpop'): boolean {
  return Reflect.getMetadata(RULE_KEYS[rule], target) === true;
}

/** A class and its base classes. */
function lineageOf(type: object): object[] {
  const base = Object.getPrototypeOf(type) as object | null;
  return base === null || base === Function.prototype ? [type] : [type, ...lineageOf(base)];
}
