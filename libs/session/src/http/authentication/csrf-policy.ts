import { SessionError } from '../../model/errors.js';
import type { ResolvedSessionOptions } from '../../options/resolved-options.js';
import { originMatcher } from '../../options/origins.js';
import type { HttpExchange } from '../exchange/http-exchange.js';
import type { RequestContext } from './request-context.js';
import type { RequestReports } from './request-reports.js';

/** RFC 9110, 9.2.1. */
const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

/**
 * Refuses requests that another site made the browser send with the cookie (ASVS 5.0, 3.5.1 to 3.5.3). Browsers say so
 * in Sec-Fetch-Site, older ones in Origin; a request with neither was not sent by a browser.
 */
export class CsrfPolicy {
  private readonly enabled: boolean;
  private readonly isTrusted: (origin: string) => boolean;

  constructor(
    { security: { csrf } }: ResolvedSessionOptions,
    private readonly reports?: RequestReports,
  ) {
    this.enabled = csrf.enabled;
    this.isTrusted = originMatcher(csrf.trustedOrigins);
  }

  /** @throws {SessionError} `csrf_rejected` for an unsafe method from another site. */
  check(context: RequestContext): void {
    if (this.allows(context)) return;
    const error = new SessionError(
      'csrf_rejected',
      'The request comes from another site. If that site is yours, add its origin to security.csrf.trustedOrigins.',
    );
    this.reports?.refused(error, context);
    throw error;
  }

  /** Whether the request may use the cookie. */
  allows({ exchange, allowedOrigins }: RequestContext): boolean {
    // The request that opens a socket is a GET, but the socket carries every kind of message.
    if (!this.enabled || (isSafe(exchange.method) && !exchange.isUpgrade)) return true;
    const origin = exchange.header('origin');
    if (origin !== undefined && (this.isTrusted(origin) || allowedOrigins.includes(origin))) return true;
    const site = exchange.header('sec-fetch-site');
    if (site !== undefined) return site === 'same-origin' || site === 'none';
    return origin === undefined || isOwn(origin, exchange);
  }
}

function isSafe(method: string): boolean {
  return method === 'GET' || SAFE_METHODS.has(method.toUpperCase());
}

/** Whether the origin is the one the request was sent to. `null`, which sandboxed pages send, never is. */
function isOwn(origin: string, exchange: HttpExchange): boolean {
  const { host, protocol } = exchange.request;
  if (!host || !URL.canParse(origin)) return false;
  const { protocol: scheme, host: named } = new URL(origin);
  if (scheme !== 'http:' && scheme !== 'https:') return false;
  // Behind an untrusted proxy an https request looks like http; the reverse never happens.
  if (protocol === 'https' && scheme !== 'https:') return false;
  const own = `${scheme}//${host}`;
  return URL.canParse(own) && new URL(own).host === named;
}
