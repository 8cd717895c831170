import type { ServerResponse } from 'node:http';
import { beforeHead, withoutHeader } from './head-arguments.js';

const kept = new WeakSet<ServerResponse>();

/**
 * Sends the response with `Cache-Control: no-store`, whatever else sets that header: a route's own
 * `@Header('Cache-Control', 'public')` would let a shared cache deliver one user's cookie to others (CVE-2025-64762).
 * Over HTTP/2 the header can still be replaced.
 */
export function keepUncached(response: ServerResponse): void {
  if (kept.has(response)) return;
  kept.add(response);
  beforeHead(response, (args) => {
    response.setHeader('cache-control', 'no-store');
    return args.map((argument) => withoutHeader(argument, 'cache-control'));
  });
}
