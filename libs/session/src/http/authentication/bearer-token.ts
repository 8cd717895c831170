import { SessionError } from '../../model/errors.js';
import { schemeOf, type TokenScheme } from '../exchange/challenges.js';
import type { HttpExchange } from '../exchange/http-exchange.js';

/** An access token, and how it was sent. */
export interface PresentedToken {
  readonly scheme: TokenScheme;
  readonly token: string;
}

/** Scheme, case-insensitive (RFC 9110, 11.1), at least one space, one token68. */
const CREDENTIALS = /^(?:bearer|dpop) +([A-Za-z0-9\-._~+/]+=*)$/i;

/**
 * The bearer token of a request, or null. Other schemes are ignored, and tokens in the URL or the body are never read
 * (ASVS 5.0, 14.2.1).
 *
 * @throws {SessionError} `invalid_request` if the header is not a well-formed bearer credential, or appears twice.
 */
export function bearerTokenOf(exchange: HttpExchange): string | null {
  return accessTokenOf(exchange, false)?.token ?? null;
}

/**
 * Like `bearerTokenOf`, with the scheme.
 *
 * @param dpop Whether the scheme `DPoP` counts; otherwise it is ignored like any other.
 * @throws {SessionError} `invalid_request`.
 */
export function accessTokenOf(exchange: HttpExchange, dpop: boolean): PresentedToken | null {
  const header: unknown = exchange.headers.authorization;
  if (header === undefined || header === null) return null;
  if (typeof header !== 'string') {
    throw new SessionError('invalid_request', 'The Authorization header is not a string.');
  }
  if (exchange.countHeader('authorization') > 1) {
    throw new SessionError('invalid_request', 'The request has more than one Authorization header.');
  }
  const value = header.trim();
  const scheme = schemeOf(value);
  if (scheme === null || (scheme === 'dpop' && !dpop)) return null;
  const token = CREDENTIALS.exec(value)?.[1];
  if (token === undefined)
    throw new SessionError(
      'invalid_request',
      `The Authorization header is not of the form: ${scheme === 'dpop' ? 'DPoP' : 'Bearer'} token.`,
    );
  return { scheme, token };
}
