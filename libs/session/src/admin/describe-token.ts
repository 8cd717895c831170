import { tokenIssuedAt } from '../model/access-claims.js';
import { ACCESS_TOKEN_TYPE, jsonObjectIn, MAX_JWT_LENGTH } from '../model/compact-jwt.js';
import { readCredential, secretHash, type Credential } from '../model/credential.js';
import { isSessionId } from '../model/ids.js';
import type { SessionSnapshot, SessionStore } from '../ports/session-store.js';

/** `foreign` is a JWT that this library did not issue, `unknown` anything else. */
export type TokenKind = 'cookie' | 'refresh' | 'access' | 'foreign' | 'unknown';

/** `unverified`: alive as far as can be told without the key of its signature. */
export type TokenStanding = 'alive' | 'unverified' | 'dead';

/** What a token is. Contains no part of it that grants access. */
export interface TokenDescription {
  readonly kind: TokenKind;
  readonly standing: TokenStanding;
  /** Why, as a sentence. */
  readonly why: string;
  readonly sessionId?: string;
  readonly userId?: string;
  /** Epoch ms. */
  readonly issuedAt?: number;
  /** Of an access token, epoch ms. */
  readonly expiresAt?: number;
  readonly tenant?: string;
}

type Verdict = Pick<TokenDescription, 'standing' | 'why' | 'userId'>;

/**
 * Says what a token is, whose, and whether it is alive or why not. The secret of a cookie or refresh token is compared with
 * the store; the signature of an access token is not checked.
 *
 * @throws {StoreUnavailableError}
 */
export async function describeToken(text: string, store: SessionStore): Promise<TokenDescription> {
  const token = text.trim();
  const credential = readCredential(token);
  if (credential) {
    const { kind, sessionId, branch } = credential;
    const verdict = ofCredential(credential, await store.read(sessionId));
    return { kind, sessionId, ...(branch !== null && { issuedAt: branch }), ...verdict };
  }
  const jwt = jwtOf(token);
  if (!jwt) return { kind: 'unknown', standing: 'dead', why: 'This is not a token of nestjs-sessions.' };
  const { sid, jti, exp, tenant } = jwt.claims;
  if (
    jwt.header['typ'] !== ACCESS_TOKEN_TYPE ||
    !isSessionId(sid) ||
    typeof jti !== 'string' ||
    typeof exp !== 'number'
  )
    return { kind: 'foreign', standing: 'dead', why: 'This is a JWT, but not an access token of nestjs-sessions.' };
  const issuedAt = tokenIssuedAt(jti, sid);
  const known = {
    kind: 'access',
    sessionId: sid,
    expiresAt: exp * 1000,
    ...(issuedAt !== null && { issuedAt }),
    ...(typeof tenant === 'string' && { tenant }),
  } as const;
  if ((tenant ?? '') !== store.tenant) return { ...known, ...dead('It belongs to another tenant.') };
  return { ...known, ...ofAccessToken(known, issuedAt, await store.read(sid, { tokenId: jti })) };
}

function ofCredential({ kind, secret, generation, branch }: Credential, seen: SessionSnapshot): Verdict {
  if (seen.state !== 'live') return ofGone(seen);
  const family = seen.families[kind];
  const { userId } = seen.session;
  if (!family) return { userId, ...dead(`The session has no ${kind} token.`) };
  const hash = secretHash(secret);
  if (!family.hash.equals(hash)) {
    return family.previous?.hash.equals(hash) === true
      ? { userId, ...dead('It was replaced when the session was regenerated.') }
      : dead('Its secret is not that of the session: it was replaced, or the token is forged.');
  }
  if (generation < family.generation || (generation === family.generation && branch !== null && branch < family.branch))
    return { userId, ...dead('It was rotated: a later token replaces it. Within the grace window it still works.') };
  return { userId, standing: 'alive', why: 'It is the current token of a live session.' };
}

function ofAccessToken(
  { expiresAt }: { readonly expiresAt: number },
  issuedAt: number | null,
  seen: SessionSnapshot,
): Verdict {
  if (seen.state !== 'live') return ofGone(seen);
  const { userId } = seen.session;
  if (issuedAt === null) return { userId, ...dead('Its id is not one of this session: the token is forged.') };
  if (expiresAt <= seen.now) return { userId, ...dead(`It expired at ${new Date(expiresAt).toISOString()}.`) };
  if (seen.tokenRevoked) return { userId, ...dead('It was revoked.') };
  if (issuedAt < seen.tokensFrom)
    return { userId, ...dead('All access tokens issued before it were revoked with it.') };
  return { userId, standing: 'unverified', why: 'Its session is live. Its signature was not checked.' };
}

function ofGone(seen: Exclude<SessionSnapshot, { state: 'live' }>): Verdict {
  switch (seen.state) {
    case 'ended':
      return {
        ...(seen.userId !== undefined && { userId: seen.userId }),
        ...dead(`Its session ended at ${new Date(seen.endedAt).toISOString()} (${seen.reason}).`),
      };
    case 'damaged':
      return dead(`The record of its session cannot be read: ${seen.detail}.`);
    case 'absent':
      return dead('Its session is unknown here: it ended long ago, or it belongs to another tenant, prefix or Redis.');
  }
}

function dead(why: string): Pick<TokenDescription, 'standing' | 'why'> {
  return { standing: 'dead', why };
}

function jwtOf(token: string): { header: Record<string, unknown>; claims: Record<string, unknown> } | null {
  if (token.length > MAX_JWT_LENGTH) return null;
  const [header, claims, signature, ...rest] = token.split('.');
  if (header === undefined || claims === undefined || signature === undefined || rest.length > 0) return null;
  const [read, claimed] = [jsonObjectIn(header), jsonObjectIn(claims)];
  return read && claimed && { header: read, claims: claimed };
}
