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
  return new RequestView(request);
}

/** A class, because it leads to the request: see `Kept` in request-slot.ts. */
class RequestView implements HttpRequest {
  declare readonly method?: string;
  declare readonly ip?: string;
  declare readonly host?: string;
  readonly headers: IncomingHttpHeaders;
  readonly protocol: string;

  constructor(readonly raw: MiddlewareRequest) {
    const { method, headers, ip, protocol, socket } = raw;
    const address = ip ?? socket.remoteAddress;
    const host = hostOf(raw);
    if (method !== undefined) this.method = method;
    this.headers = headers;
    if (address !== undefined) this.ip = address;
    if (host !== undefined) this.host = host;
    this.protocol = protocol ?? ((socket as Partial<TLSSocket>).encrypted === true ? 'https' : 'http');
  }
}

/** Includes the port, which Express 4 and Fastify's middleware omit. */
function hostOf({ host, hostname, headers }: MiddlewareRequest): string | undefined {
  const named = host ?? hostname;
  const sent = headers.host;
  return named === undefined || sent?.startsWith(`${named}:`) === true ? sent : named;
}
