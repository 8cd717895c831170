import type { ExecutionContext } from '@nestjs/common';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { HttpExchange, type HttpRequest } from './http-exchange.js';
import { RULE_KEYS, type RouteRules } from './route-rules.js';

/** A request as middleware gets it: Express's, what Fastify hands to middleware, or Node's own. */
export type PlainRequest = IncomingMessage & {
  readonly ip?: string | undefined;
  readonly host?: string | undefined;
  readonly hostname?: string | undefined;
  readonly protocol?: string | undefined;
};

/** Stands for the controller of routes that have none. */
class Middleware {}

/**
 * A handler that bears the rules as decorators would set them, for `plainContext`. Made once and kept: rules are read once
 * for each handler.
 */
export function plainRoute(rules: Partial<RouteRules>): () => void {
  const handler = (): void => undefined;
  for (const [rule, value] of Object.entries(rules) as [keyof RouteRules, unknown][]) {
    Reflect.defineMetadata(RULE_KEYS[rule], value, handler);
  }
  return handler;
}

/** The context that guards and pipes ask of Nest, for a request that has no route of Nest's. */
export function plainContext(request: PlainRequest, response: ServerResponse, route: () => void): ExecutionContext {
  const args = [viewOf(request), response];
  const context: Pick<ExecutionContext, 'getType' | 'getArgByIndex' | 'getClass' | 'getHandler'> = {
    getType: <T extends string>() => 'http' as T,
    getArgByIndex: <T>(index: number) => args[index] as T,
    getClass: <T>() => Middleware as unknown as new (...args: unknown[]) => T,
    getHandler: () => route,
  };
  return context as ExecutionContext;
}

/** The exchange of a request and response as middleware gets them. */
export function exchangeOfPlain(request: PlainRequest, response: ServerResponse): HttpExchange {
  return new HttpExchange(viewOf(request), response);
}

/** What frameworks put on their requests, found out where they did not. `raw` makes it one request with that of the guards. */
function viewOf(request: PlainRequest): HttpRequest {
  const { method, headers, ip, protocol, socket } = request;
  const address = ip ?? socket.remoteAddress;
  const host = hostOf(request);
  return {
    ...(method !== undefined && { method }),
    headers,
    ...(address !== undefined && { ip: address }),
    ...(host !== undefined && { host }),
    protocol: protocol ?? ((socket as Partial<TLSSocket>).encrypted === true ? 'https' : 'http'),
    raw: request,
  };
}

/** With its port, which Express 4 and Fastify's middleware leave out. */
function hostOf({ host, hostname, headers }: PlainRequest): string | undefined {
  const named = host ?? hostname;
  const sent = headers.host;
  return named === undefined || sent?.startsWith(`${named}:`) === true ? sent : named;
}
