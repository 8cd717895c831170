import type { ExecutionContext } from '@nestjs/common';
import type { ServerResponse } from 'node:http';
import { HttpExchange } from './http-exchange.js';
import { madeContext } from './made-context.js';
import { viewOf, type MiddlewareRequest } from './request-view.js';
import { RULE_KEYS, type RouteRules } from '../authorization/route-rules.js';

/** Stands in for the controller of routes that have none. */
class Middleware {}

/**
 * A handler with these rules, as decorators would set them, for `middlewareContext`. Create it once: the rules of each
 * handler are read once.
 */
export function middlewareRoute(rules: Partial<RouteRules>): () => void {
  const handler = (): void => undefined;
  for (const [rule, value] of Object.entries(rules) as [keyof RouteRules, unknown][]) {
    Reflect.defineMetadata(RULE_KEYS[rule], value, handler);
  }
  return handler;
}

/** An execution context for a request that has no Nest route. */
export function middlewareContext(
  request: MiddlewareRequest,
  response: ServerResponse,
  route: () => void,
): ExecutionContext {
  // No literal: see `Kept` in request-slot.ts.
  return madeContext('http', Array.of<unknown>(viewOf(request), response), { of: Middleware, handler: route });
}

/** The exchange of a request and response in middleware. */
export function middlewareExchange(request: MiddlewareRequest, response: ServerResponse): HttpExchange {
  return new HttpExchange(viewOf(request), response);
}
