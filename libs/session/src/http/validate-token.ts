import type { ServerResponse } from 'node:http';
import { AuthenticationError, SessionError, StoreUnavailableError } from '../model/errors.js';
import type { TokenBlacklist } from '../ports/token-blacklist.js';
import { invalidToken } from '../services/authentication-errors.js';
import { type TokenService } from '../services/token-service.js';
import { bearerTokenOf } from './bearer-token.js';
import { answerRefusal } from './plain-answer.js';
import { exchangeOfPlain, type PlainRequest } from './plain-exchange.js';
import type { SessionRequestHandler } from './require-session.js';
import type { SessionUser } from './session-users.js';

/** The claims of a token that somebody else issued; what is not a string or number where it should be is refused. */
export interface ForeignClaims {
  readonly jti?: unknown;
  readonly iss?: unknown;
  readonly sub?: unknown;
  readonly iat?: unknown;
  readonly exp?: unknown;
  readonly [claim: string]: unknown;
}

/** How tokens of another issuer are told. */
export interface ForeignTokens {
  /**
   * Checks signature, audience and times, and returns the claims; throws for a token that does not hold. An error with a
   * `status` or `statusCode` of 500 and above says that it could not be checked: the answer is then 503 and not 401.
   */
  verify: (token: string) => ForeignClaims | Promise<ForeignClaims>;
  blacklist: TokenBlacklist;
  /** `iss` of the tokens accepted, and the scope in which they are looked up in the blacklist. */
  issuer: string;
}

/** A request that `validateToken` let pass: the user of our own tokens, the claims of others'. */
export type RequestWithUser<R = unknown, U = SessionUser> = R & { readonly user: U };

/**
 * Middleware that lets in requests with a bearer token and sets `request.user`: `{ id, email, roles }` of the session for
 * tokens of this library, the claims for those of others. Others are refused as RFC 6750 says: 401 with
 * `WWW-Authenticate`, 400 for a header that is no bearer credential, 503 with `Retry-After` when it cannot be known.
 * Records no access.
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
  request: PlainRequest,
  response: ServerResponse,
): Promise<SessionUser | ForeignClaims> {
  const token = bearerTokenOf(exchangeOfPlain(request, response));
  if (token === null) throw new AuthenticationError('session_required', 'Send an access token.');
  return 'blacklist' in tokens ? claimsOf(tokens, token) : sessionUserOf(tokens, token);
}

async function sessionUserOf(tokens: TokenService, token: string): Promise<SessionUser> {
  const { session } = (await tokens.verify(token)).live;
  if (session.pending === true) {
    throw new SessionError('pending_authentication', 'A further factor is needed before this session can be used.');
  }
  return { id: session.userId, email: session.email, roles: session.roles };
}

async function claimsOf({ verify, blacklist, issuer }: ForeignTokens, token: string): Promise<ForeignClaims> {
  const claims = await verified(verify, token);
  const { jti, iss, sub, iat, exp } = claims;
  // Without them the token could never be revoked, or would be looked up where nobody put it.
  if (iss !== issuer || typeof jti !== 'string' || jti === '' || !isInstant(exp)) throw invalidToken();
  if (await blacklist.isBlacklisted(jti, { issuer })) throw invalidToken();
  if (typeof sub === 'string' && sub !== '') {
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

/** Whether the token could not be checked, for instance as the issuer's keys could not be fetched. */
function isTrouble(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  const { status, statusCode = status } = error as { status?: unknown; statusCode?: unknown };
  return typeof statusCode === 'number' && statusCode >= 500;
}

function isInstant(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value > 0 && value < 1e11;
}
