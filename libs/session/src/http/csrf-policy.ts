import { Inject, Injectable } from '@nestjs/common';
import { SessionError } from '../model/errors.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import { SESSION_OPTIONS } from '../options/tokens.js';
import type { HttpExchange } from './http-exchange.js';

/** RFC 9110, 9.2.1. */
const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

/**
 * Refuses requests that another site made the browser send with the cookie (ASVS 5.0, 3.5.1 to 3.5.3). Browsers say so
 * in Sec-Fetch-Site, older ones in Origin; a request with neither comes from no browser.
 */
@Injectable()
export class CsrfPolicy {
  private readonly enabled: boolean;
  private readonly trusted: ReadonlySet<string>;

  constructor(@Inject(SESSION_OPTIONS) { security: { csrf } }: ResolvedSessionOptions) {
    this.enabled = csrf.enabled;
    this.trusted = new Set(csrf.trustedOrigins);
  }

  /** @throws {SessionError} `csrf_rejected` for an unsafe method from another site. */
  check(exchange: HttpExchange): void {
    if (!this.enabled || SAFE_METHODS.has(exchange.method.toUpperCase())) return;
    const origin = exchange.header('origin');
    if (origin !== undefined && this.trusted.has(origin)) return;
    const site = exchange.header('sec-fetch-site');
    const allowed =
      site === undefined ? origin === undefined || isOwn(origin, exchange) : site === 'same-origin' || site === 'none';
    if (allowed) return;
    throw new SessionError(
      'csrf_rejected',
      'The request comes from another site. If that site is yours, add its origin to security.csrf.trustedOrigins.',
    );
  }
}

/** Whether the origin is the one the request was sent to. `null`, which sandboxed pages send, never is. */
function isOwn(origin: string, exchange: HttpExchange): boolean {
  const { host, protocol } = exchange.request;
  if (!host || !URL.canParse(origin)) return false;
  const { protocol: scheme, host: named } = new URL(origin);
  if (scheme !== 'http:' && scheme !== 'https:') return false;
  // Behind a proxy that is not trusted a request looks like plain http though it was not; the reverse is never so.
  if (protocol === 'https' && scheme !== 'https:') return false;
  const own = `${scheme}//${host}`;
  return URL.canParse(own) && new URL(own).host === named;
}
