import { randomBytes } from 'node:crypto';
import { isThumbprint } from './dpop-proof.js';
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
  /** Branch of the refresh token issued in the same response; absent if there was none. */
  readonly rtb?: number;
  /** Absent without tenants. */
  readonly tenant?: string;
  /** The key that the token is bound to (RFC 9449, 6.1); absent for a bearer token. */
  readonly cnf?: { readonly jkt: string };
}

/** The requirements of a verifier. */
export interface ExpectedClaims {
  readonly issuer: string;
  /** One of these must be in `aud`. */
  readonly audience: readonly string[];
  /** Required value of `tenant`; '' for none. */
  readonly tenant: string;
  /** Epoch ms. */
  readonly now: number;
}

/**
 * A token id that begins with the session id, so that revoking it writes a field beside the session. It holds the millisecond
 * of issue, because `iat` counts in seconds.
 */
export function newTokenId(sessionId: string, issuedAt: number): string {
  return `${sessionId}.${issuedAt.toString(36)}.${randomBytes(12).toString('base64url')}`;
}

/** When a token with this id was issued, epoch ms, or null when the id does not belong to the session. */
export function tokenIssuedAt(tokenId: string, sessionId: string): number | null {
  const match = /^([A-Za-z0-9_-]{32})\.([0-9a-z]{1,9})\.[A-Za-z0-9_-]{16}$/.exec(tokenId);
  return match?.[1] === sessionId && match[2] !== undefined ? parseInt(match[2], 36) : null;
}

/**
 * The claims if all of them are present, have the right type and are valid; otherwise null. Signature libraries accept a token
 * without `exp`, with `exp: 1e999`, with an `iat` in the future, or with claims that are not strings; this function does not
 * (RFC 8725, 3). Verify the signature first.
 */
export function checkedClaims(payload: unknown, expected: ExpectedClaims): AccessTokenClaims | null {
  if (typeof payload !== 'object' || payload === null || Array.isArray(payload)) return null;
  const { iss, sub, aud, sid, jti, iat, exp, nbf, rtb, tenant, cnf } = payload as Record<string, unknown>;
  if (tenant !== (expected.tenant === '' ? undefined : expected.tenant)) return null;
  if (iss !== expected.issuer || typeof sub !== 'string' || sub === '') return null;
  if (!isSessionId(sid) || typeof jti !== 'string' || tokenIssuedAt(jti, sid) === null) return null;
  if (!isAudience(aud) || !audienceList(aud).some((one) => expected.audience.includes(one))) return null;
  const now = expected.now / 1000;
  if (!isNumericDate(exp) || exp <= now) return null;
  if (!isNumericDate(iat) || iat > now + IAT_LEEWAY) return null;
  if (nbf !== undefined && (!isNumericDate(nbf) || nbf > now)) return null;
  if (rtb !== undefined && !isNumericDate(rtb)) return null;
  const jkt = cnf === undefined ? undefined : thumbprintIn(cnf);
  // A way of binding that we do not know must not pass for none.
  if (jkt === null) return null;
  const claims = { iss, sub, aud, sid, jti, iat, exp };
  return {
    ...claims,
    ...(rtb !== undefined && { rtb }),
    ...(tenant !== undefined && { tenant: expected.tenant }),
    ...(jkt !== undefined && { cnf: { jkt } }),
  };
}

/**
 * Whether claims that `checkedClaims` took from this payload still count: what may change is the time, and the tenant that is asked for.
 * False decides nothing.
 */
export function areCurrent(
  payload: object,
  { exp, iat, tenant = '' }: AccessTokenClaims,
  expected: Pick<ExpectedClaims, 'tenant' | 'now'>,
): boolean {
  const now = expected.now / 1000;
  return !('nbf' in payload) && exp > now && iat <= now + IAT_LEEWAY && tenant === expected.tenant;
}

function thumbprintIn(cnf: unknown): string | null {
  if (typeof cnf !== 'object' || cnf === null || Object.keys(cnf).length !== 1) return null;
  const { jkt } = cnf as { jkt?: unknown };
  return isThumbprint(jkt) ? jkt : null;
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
