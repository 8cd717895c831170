import type { ServerResponse } from 'node:http';

const kept = new WeakSet<ServerResponse>();

/**
 * Has the response leave with `Cache-Control: no-store`, whatever else sets that header until then: a route's own
 * `@Header('Cache-Control', 'public')` would have a shared cache hand one user's cookie to others (CVE-2025-64762).
 * Over HTTP/2 the header can still be replaced.
 */
export function keepUncached(response: ServerResponse): void {
  if (kept.has(response)) return;
  kept.add(response);
  const writeHead = response.writeHead.bind(response) as (...args: unknown[]) => ServerResponse;
  response.writeHead = (...args: unknown[]): ServerResponse => {
    if (!response.headersSent) response.setHeader('cache-control', 'no-store');
    return writeHead(...args.map(withoutCacheControl));
  };
}

/** The headers among the arguments of `writeHead`, as an object or a list of names and values. */
function withoutCacheControl(argument: unknown): unknown {
  if (typeof argument !== 'object' || argument === null) return argument;
  if (!Array.isArray(argument)) {
    return Object.fromEntries(Object.entries(argument).filter(([name]) => !isCacheControl(name)));
  }
  if (argument.some(Array.isArray)) return argument.filter((pair: unknown) => !isCacheControl((pair as unknown[])[0]));
  return argument.filter((_, index) => !isCacheControl(argument[index - (index % 2)]));
}

function isCacheControl(name: unknown): boolean {
  return String(name).toLowerCase() === 'cache-control';
}
