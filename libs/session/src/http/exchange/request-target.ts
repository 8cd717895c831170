import type { IncomingMessage } from 'node:http';
import type { HttpExchange } from './http-exchange.js';

interface WithUrl {
  readonly url?: string | undefined;
  /** Before a router took its own part off. */
  readonly originalUrl?: string | undefined;
}

/** Where a request was sent: the origin by the framework's proxy settings, and the path as it was sent, without query. */
export function targetOf(exchange: HttpExchange): { readonly origin: string | null; readonly path: string | null } {
  const { host, protocol } = exchange.request;
  const { originalUrl, url } = exchange.node as WithUrl & Partial<IncomingMessage>;
  const sent = (originalUrl ?? url ?? '').split(/[?#]/, 1)[0] ?? '';
  return { origin: host !== undefined && protocol !== undefined ? `${protocol}://${host}` : null, path: pathIn(sent) };
}

/** Of a request to a proxy, the path stands behind an origin (RFC 9112, 3.2.2). */
function pathIn(target: string): string | null {
  if (target.startsWith('/')) return target;
  const [, path] = /^https?:\/\/[^/]+(\/.*)?$/i.exec(target) ?? [];
  return path ?? null;
}
