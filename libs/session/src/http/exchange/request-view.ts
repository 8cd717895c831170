import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';

/**
 * The common part of Express and Fastify requests. `ip`, `host` and `protocol` follow the framework's proxy settings.
 */
export interface HttpRequest {
  readonly method?: string;
  readonly headers: IncomingHttpHeaders;
  readonly ip?: string;
  readonly host?: string;
  readonly protocol?: string;
  /** Fastify: Node's own request. */
  readonly raw?: IncomingMessage;
}

/** A request in middleware: Express's, the one that Fastify passes to middleware, or Node's own. */
export type MiddlewareRequest = IncomingMessage & {
  readonly ip?: string | undefined;
  readonly host?: string | undefined;
  readonly hostname?: string | undefined;
  readonly protocol?: string | undefined;
};

/**
 * The properties that frameworks set on requests, derived if missing. `raw` identifies the request as the one that
 * guards see.
 */
export function viewOf(request: MiddlewareRequest): HttpRequest {
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

/** Includes the port, which Express 4 and Fastify's middleware omit. */
function hostOf({ host, hostname, headers }: MiddlewareRequest): string | undefined {
  const named = host ?? hostname;
  const sent = headers.host;
  return named === undefined || sent?.startsWith(`${named}:`) === true ? sent : named;
}
