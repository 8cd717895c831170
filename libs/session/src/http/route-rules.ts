import type { ExecutionContext } from '@nestjs/common';

/** How a request is authenticated. */
export type Transport = 'cookie' | 'bearer';

/** What the decorators say of a route. */
export interface RouteRules {
  readonly public: boolean;
  readonly roles: readonly string[] | null;
  readonly noTouch: boolean;
  readonly allowPending: boolean;
  readonly allowAnonymous: boolean;
  readonly stepUp: boolean;
  /** Oldest proof of identity allowed, ms; `default` for `session.freshness`. */
  readonly maxAge: number | 'default' | null;
  /** The only transport accepted. */
  readonly transport: Transport | null;
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
  transport: 'nestjs-sessions:transport',
} as const satisfies Record<keyof RouteRules, string>;

const cache = new WeakMap<object, WeakMap<object, RouteRules>>();

/** The rules of the route a context is for. What stands on the method counts before what stands on the class. */
export function routeRulesOf(context: Pick<ExecutionContext, 'getClass' | 'getHandler'>): RouteRules {
  const [controller, handler] = [context.getClass(), context.getHandler()];
  const ofController = cache.get(controller) ?? new WeakMap<object, RouteRules>();
  cache.set(controller, ofController);
  let rules = ofController.get(handler);
  if (!rules) {
    const look = <T>(key: string): T | undefined =>
      (Reflect.getMetadata(key, handler) ?? Reflect.getMetadata(key, controller)) as T | undefined;
    rules = Object.freeze({
      public: look<boolean>(RULE_KEYS.public) ?? false,
      roles: look<readonly string[]>(RULE_KEYS.roles) ?? null,
      noTouch: look<boolean>(RULE_KEYS.noTouch) ?? false,
      allowPending: look<boolean>(RULE_KEYS.allowPending) ?? false,
      stepUp: look<boolean>(RULE_KEYS.stepUp) ?? false,
      allowAnonymous: look<boolean>(RULE_KEYS.allowAnonymous) ?? false,
      maxAge: look<number | 'default'>(RULE_KEYS.maxAge) ?? null,
      transport: look<Transport>(RULE_KEYS.transport) ?? null,
    });
    ofController.set(handler, rules);
  }
  return rules;
}
