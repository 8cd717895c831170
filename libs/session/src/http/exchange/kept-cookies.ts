import type { ServerResponse } from 'node:http';
import { beforeHead, listOf, valuesIn, withoutHeader } from './head-arguments.js';

const kept = new WeakMap<ServerResponse, Map<string, readonly string[]>>();

/**
 * Sends these Set-Cookie lines, also if a handler replaces the whole header afterwards: `response.setHeader('Set-Cookie', …)`
 * would lose the cookie of a sign-in. A later line with the same prefix wins.
 */
export function keepCookies(response: ServerResponse, prefix: string, lines: readonly string[]): void {
  const known = kept.get(response);
  if (known) {
    known.set(prefix, lines);
    return;
  }
  const ours = new Map([[prefix, lines]]);
  kept.set(response, ours);
  beforeHead(response, (args) => {
    const given = args.flatMap((argument) => valuesIn(argument, 'set-cookie'));
    const present = given.length > 0 ? given : listOf(response.getHeader('set-cookie'));
    const missing = [...ours].flatMap(([name, due]) => (present.some((line) => line.startsWith(name)) ? [] : due));
    if (missing.length === 0) return args;
    response.setHeader('set-cookie', [...present, ...missing]);
    return args.map((argument) => withoutHeader(argument, 'set-cookie'));
  });
}
