import { randomBytes } from 'node:crypto';
import { isSessionId } from './ids.js';

/** How far ahead of the store's clock `iat` may be, seconds. */
const IAT_LEEWAY = 60;

/** The claims of an access token (RFC 9068, 2.2), bound to a session by `sid`. */
export interface AccessTokenClaims {
  readonly iss: string;
  readonly sub: string;
  readonly aud: string | readonly string[];
  readonly sid: string;
  readonly jti: string;
  readonly iat: number;
  readonly exp: number;
}

/** What a verifier insists on. */
export interface ExpectedClaims {
  readonly issuer: string;
  /** One of these must be in `aud`. */
  readonly audience: readonly string[];
  /** Epoch ms. */
  readonly now: number;
}

/**
 * A token id that begins with its session's, so that revoking it is a field beside the session, and that holds the
 * millisecond of issue, which `iat` is too coarse for.
 */
export function newTokenId(sessionId: string, issuedAt: number): string {
  return `${sessionId}.${issuedAt.toString(36)}.${randomBytes(12).toString('base64url')}`;
}

/** When a token of this id was issued, epoch ms, or null when the id is not one of the session's. */
export function tokenIssuedAt(tokenId: string, sessionId: string): number | null {
  const match = /^([A-Za-z0-9_-]{32})\.([0-9a-z]{1,9})\.[A-Za-z0-9_-]{16}$/.exec(tokenId);
  return match?.[1] === sessionId && match[2] !== undefined ? parseInt(match[2], 36) : null;
}

/**
 * The claims, when every one of them is there, of its type, and holds; else null. Signature libraries accept a token
 * without `exp`, with `exp: 1e999`, an `iat` in the future, or claims that are no strings; this does not (RFC 8725, 3).
 * Signature first: nothing here is worth anything before it holds.
 */
export function checkedClaims(payload: unknown, expected: ExpectedClaims): AccessTokenClaims | null {
  if (typeof payload !== 'object' || payload === null || Array.isArray(payload)) return null;
  const { iss, sub, aud, sid, jti, iat, exp, nbf } = payload as Record<string, unknown>;
  if (iss !== expected.issuer || typeof sub !== 'string' || sub === '') return null;
  if (!isSessionId(sid) || typeof jti !== 'string' || tokenIssuedAt(jti, sid) === null) return null;
  if (!isAudience(aud) || !audienceList(aud).some((one) => expected.audience.includes(one))) return null;
  const now = expected.now / 1000;
  if (!isNumericDate(exp) || exp <= now) return null;
  if (!isNumericDate(iat) || iat > now + IAT_LEEWAY) return null;
  if (nbf !== undefined && (!isNumericDate(nbf) || nbf > now)) return null;
  return { iss, sub, aud, sid, jti, iat, exp };
}

function isNumericDate(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 && value <= Number.MAX_SAFE_INTEGER;
}

function isAudience(value: unknown): value is string | string[] {
  return typeof value === 'string' || (Array.isArray(value) && value.every((one) => typeof one === 'string'));
}

function audienceList(aud: string | readonly string[]): readonly string[] {
  return typeof aud === 'string' ? [aud] : aud;
}
