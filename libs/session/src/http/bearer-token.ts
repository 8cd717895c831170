import { SessionError } from '../model/errors.js';
import type { HttpExchange } from './http-exchange.js';

/** RFC 6750, 2.1: `Bearer`, in any case (RFC 9110, 11.1), one space or more, one b64token. */
const BEARER = /^bearer +([A-Za-z0-9\-._~+/]+=*)$/i;

/**
 * The bearer token of a request, or null when it has none. Other schemes are somebody else's and count as none. Tokens
 * in the URL or the body are never looked at (ASVS 5.0, 14.2.1).
 *
 * @throws {SessionError} `invalid_request` for a header that is no well-formed bearer credential, or stands twice.
 */
export function bearerTokenOf(exchange: HttpExchange): string | null {
  const header = exchange.header('authorization');
  if (header === undefined) return null;
  if (exchange.countHeader('authorization') > 1) {
    throw new SessionError('invalid_request', 'The request has more than one Authorization header.');
  }
  const value = header.trim();
  if (!/^bearer(\s|$)/i.test(value)) return null;
  const token = BEARER.exec(value)?.[1];
  if (token === undefined)
    throw new SessionError('invalid_request', 'The Authorization header is not of the form: Bearer token.');
  return token;
}
