import type { IncomingMessage, ServerResponse } from 'node:http';

/** All responses are JSON about one person: browsers must neither cache nor render them. */
const HEADERS: readonly (readonly [name: string, value: string])[] = [
  ['Cache-Control', 'no-store'],
  ['Content-Security-Policy', "default-src 'none'; frame-ancestors 'none'"],
  ['Cross-Origin-Opener-Policy', 'same-origin'],
  ['Cross-Origin-Resource-Policy', 'same-origin'],
  ['Referrer-Policy', 'no-referrer'],
  ['X-Content-Type-Options', 'nosniff'],
  ['X-Frame-Options', 'DENY'],
];

/** One year; browsers honour it with https only. */
const HSTS = 'max-age=31536000; includeSubDomains';

/** Middleware that works on Express and Fastify. */
export function securityHeaders({ production }: { production: boolean }) {
  return (_request: IncomingMessage, response: ServerResponse, next: () => void): void => {
    for (const [name, value] of HEADERS) response.setHeader(name, value);
    if (production) response.setHeader('Strict-Transport-Security', HSTS);
    response.removeHeader('X-Powered-By');
    next();
  };
}
