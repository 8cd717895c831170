import type { ServerResponse } from 'node:http';
import { AuthenticationError, StoreUnavailableError } from '../model/errors.js';
import type { TokenBlacklist } from '../ports/token-blacklist.js';
import { invalidToken } from '../tokens/authentication-errors.js';
import type { TokenService } from '../tokens/token-service.js';
import { requestSessionsOf } from '../http/session/request-sessions.js';
import { bearerTokenOf } from '../http/authentication/bearer-token.js';
import { answerRefusal } from '../http/exchange/answer-refusal.js';
import { middlewareContext, middlewareExchange, middlewareRoute } from '../http/exchange/middleware-exchange.js';
import type { MiddlewareRequest } from '../http/exchange/request-view.js';
import type { SessionRequestHandler } from './require-session.js';
import type { SessionUser } from '../model/session-user.js';

/** Records no access. */
const ROUTE = middlewareRoute({ noTouch: true });

/** The claims of a token of another issuer. A claim of the wrong type is refused. */
export interface ForeignClaims {
  readonly jti?: unknown;
  readonly iss?: unknown;
  readonly sub?: unknown;
  readonly iat?: unknown;
  readonly exp?: unknown;
  readonly [claim: string]: unknown;
}

/** How to verify tokens of another issuer. */
export interface ForeignTokens {
  /**
   * Checks signature, audience and times, and returns the claims; throws for an invalid token. An error with a `status`
   * or `statusCode` of 500 or above means that the token could not be checked: the answer is then 503, not 401.
   */
  verify: (token: string) => ForeignClaims | Promise<ForeignClaims>;
  blacklist: TokenBlacklist;
  /** `iss` of the accepted tokens, and the scope in which they are looked up in the blacklist. */
  issuer: string;
}

/** A request that `validateToken` let pass: with the user of this library's tokens, or the claims of others. */
export type RequestWithUser<R = unknown, U = SessionUser> = R & { readonly user: U };

/**
 * Middleware that lets in requests with a bearer token and sets `request.user`: `{ id, email, roles }` of the session
 * for tokens of this library, the claims for those of others. Other requests are refused according to RFC 6750: 401
 * with `WWW-Authenticate`, 400 for a header that is not a bearer credential, 503 with `Retry-After` if the token cannot
 * be checked. Records no access.
 *
 * ```ts
 * app.use('/api', validateToken({ verify, blacklist: new RedisTokenBlacklist(redis), issuer: 'https://login.example.com' }));
 * ```
 */
export function validateToken(tokens: TokenService | ForeignTokens): SessionRequestHandler {
  return (request, response, next) => {
    userOf(tokens, request, response).then(
      (user) => {
        Object.assign(request, { user });
        next();
      },
      (error: unknown) => answerRefusal(error, request, response, next),
    );
  };
}

async function userOf(
  tokens: TokenService | ForeignTokens,
  request: MiddlewareRequest,
  response: ServerResponse,
): Promise<SessionUser | ForeignClaims> {
  if (!('blacklist' in tokens)) return sessionUserOf(tokens, request, response);
  const token = bearerTokenOf(middlewareExchange(request, response));
  if (token === null) throw new AuthenticationError('session_required', 'Send an access token.');
  return claimsOf(tokens, token);
}

/** Like the guards, including the security policies. */
async function sessionUserOf(
  tokens: TokenService,
  request: MiddlewareRequest,
  response: ServerResponse,
): Promise<SessionUser> {
  const sessions = requestSessionsOf(tokens);
  const host = middlewareContext(request, response, ROUTE);
  await sessions.admission.admit(host, { only: 'bearer' });
  const session = await sessions.findSession(host);
  if (!session) throw invalidToken();
  return { id: session.userId, email: session.email, roles: session.roles };
}

async function claimsOf({ verify, blacklist, issuer }: ForeignTokens, token: string): Promise<ForeignClaims> {
  const claims = await verified(verify, token);
  const { jti, iss, sub, iat, exp } = claims;
  // Without them the token could never be revoked, or would be looked up in the wrong scope.
  if (iss !== issuer || typeof jti !== 'string' || jti === '' || !isInstant(exp)) throw invalidToken();
  if (await blacklist.isBlacklisted(jti, { issuer })) throw invalidToken();
  if (sub !== undefined && typeof sub !== 'string') throw invalidToken();
  if (sub !== undefined && sub !== '') {
    if (!isInstant(iat) || (await blacklist.isRevokedFor(sub, iat * 1000, { issuer }))) throw invalidToken();
  }
  return claims;
}

async function verified(verify: ForeignTokens['verify'], token: string): Promise<ForeignClaims> {
  let claims: unknown;
  try {
    claims = await verify(token);
  } catch (error) {
    throw isTrouble(error)
      ? new StoreUnavailableError('The token could not be checked. Try again.', { cause: error })
      : invalidToken();
  }
  if (typeof claims !== 'object' || claims === null || Array.isArray(claims)) throw invalidToken();
  return claims as ForeignClaims;
}

/** Whether the token could not be checked, for example because the issuer's keys could not be fetched. */
function isTrouble(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  const { status, statusCode = status } = error as { status?: unknown; statusCode?: unknown };
  return typeof statusCode === 'number' && statusCode >= 500;
}

function isInstant(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value > 0 && value < 1e11;
}
