import { Inject, Injectable, Optional } from '@nestjs/common';
import { JwtService } from '@nestjs/jwt';
import type { JsonWebKey } from 'node:crypto';
import { checkedClaims, newTokenId, tokenIssuedAt, type AccessTokenClaims } from '../model/access-claims.js';
import { ACCESS_TOKEN_TYPE, accessTokenHeader } from '../model/compact-jwt.js';
import { CredentialCodec, secretHash } from '../model/credential.js';
import { AuthenticationError, SessionError } from '../model/errors.js';
import { judge } from '../model/lineage.js';
import type { Session } from '../model/session.js';
import type { JwtKey } from '../options/jwt-keys.js';
import type { JwtAlgorithm } from '../options/session-module-options.js';
import type { ResolvedJwtOptions, ResolvedSessionOptions } from '../options/resolved-options.js';
import { SESSION_OPTIONS } from '../options/tokens.js';
import { SessionStore, type LiveSession } from '../ports/session-store.js';
import { AccessTokenVerifier, type VerifiedAccessToken } from './access-token-verifier.js';
import { assertActorLives } from './actor-session.js';
import { goneError, invalidToken } from './authentication-errors.js';
import { EndedSessionUses } from './ended-session-uses.js';

/** Access tokens live up to this part shorter than asked, so that many that were issued at once do not expire at once. */
const LIFETIME_JITTER = 0.05;

export interface AccessToken {
  accessToken: string;
  tokenType: 'Bearer';
  /** Seconds. */
  expiresIn: number;
  tokenId: string;
}

/** What a client of an API holds. */
export interface TokenPair extends AccessToken {
  refreshToken: string;
}

export interface RefreshedTokens extends TokenPair {
  session: Session;
}

export interface RefreshOptions {
  /** 64-bit digest of the client: a repeated token from another client counts as theft. */
  client?: Buffer | null;
  /** Looks at the session of a good token before anything changes, for one read more. What it throws refuses the token. */
  inspect?: ((live: LiveSession) => Promise<void>) | undefined;
}

interface Signer {
  readonly key: JwtKey;
  readonly jwt: JwtService;
}

/**
 * Access tokens that die with their session, and refresh tokens that rotate and detect theft.
 *
 * Access tokens are JWTs after RFC 9068 (`typ` `at+jwt`; `iss, sub, aud, sid, jti, iat, exp`). They are good for as long as
 * their signature and claims hold, their session lives, and neither they nor all tokens of the session or user before an
 * instant were revoked: one read of the store answers all of that.
 *
 * Every method but `enabled` throws `SessionError` `tokens_disabled` while the option `jwt` is not set.
 */
@Injectable()
export class TokenService extends AccessTokenVerifier {
  private readonly signers: ReadonlyMap<string, Signer>;

  constructor(
    @Inject(SessionStore) private readonly store: SessionStore,
    @Inject(CredentialCodec) private readonly codec: CredentialCodec,
    @Inject(SESSION_OPTIONS) private readonly options: ResolvedSessionOptions,
    @Optional() @Inject(EndedSessionUses) private readonly uses?: EndedSessionUses,
  ) {
    super();
    this.signers = new Map((options.jwt?.keys ?? []).map((key) => [key.kid, { key, jwt: jwtServiceOf(key) }]));
  }

  /** Whether the option `jwt` is set. */
  get enabled(): boolean {
    return this.options.jwt !== undefined;
  }

  /** @throws {SessionError} `tokens_disabled` while the option `jwt` is not set. */
  assertEnabled(): void {
    void this.jwt;
  }

  /** Whether the signature is ours and every claim but the times holds: good enough to sign out with, and for nothing else. */
  isOwn(token: string): boolean {
    try {
      this.requireOwn(token);
      return true;
    } catch (error) {
      if (error instanceof AuthenticationError) return false;
      throw error;
    }
  }

  /** The algorithms of the keys. */
  get algorithms(): JwtAlgorithm[] {
    return [...new Set([...this.signers.values()].map(({ key }) => key.alg))];
  }

  /**
   * An access token for a live session. `issuedAt` (epoch ms) is for callers that hold the store's time of the very
   * operation; default: the store's clock.
   */
  issue(session: Session, issuedAt = this.store.now()): AccessToken {
    const { issuer, audience, accessTokenTtl, keys } = this.jwt;
    const signer = this.signers.get(keys[0]?.kid ?? '');
    if (!signer?.key.signing) throw new Error('the first key signs: checked when the options were resolved');
    const lifetime = accessTokenTtl * (1 - LIFETIME_JITTER * Math.random());
    const iat = Math.floor(issuedAt / 1000);
    const exp = Math.floor(Math.min(issuedAt + lifetime, session.expiresAt) / 1000);
    const tokenId = newTokenId(session.id, issuedAt);
    const claims: AccessTokenClaims = {
      iss: issuer,
      sub: session.userId,
      aud: audience,
      sid: session.id,
      jti: tokenId,
      iat,
      exp,
    };
    const accessToken = signer.jwt.sign(
      { ...claims },
      {
        algorithm: signer.key.alg,
        header: { alg: signer.key.alg, typ: ACCESS_TOKEN_TYPE, kid: signer.key.kid },
      },
    );
    return { accessToken, tokenType: 'Bearer', expiresIn: Math.max(0, exp - iat), tokenId };
  }

  /**
   * The token's session, where the token holds. No command is sent before the signature and every claim hold; then one
   * read.
   *
   * @throws {AuthenticationError} `invalid_token`, or why the session ended.
   */
  async verify(token: string): Promise<VerifiedAccessToken> {
    return this.admit(this.verifySignature(token));
  }

  /** The claims of a token whose signature and claims hold; whether it was revoked is not asked. @throws {AuthenticationError} */
  verifySignature(token: string): AccessTokenClaims {
    const signer = this.signerFor(token);
    let payload: unknown;
    try {
      payload = signer?.jwt.verify<Record<string, unknown>>(token, {
        algorithms: [signer.key.alg],
        clockTimestamp: Math.floor(this.store.now() / 1000),
      });
    } catch {
      throw invalidToken();
    }
    return this.requireClaims(payload);
  }

  /** The key for a token by its header, or null: looked up by `kid`, and good for that key's algorithm alone. */
  keyFor(token: unknown): JwtKey | null {
    return this.signerFor(token)?.key ?? null;
  }

  /** Claims of a payload whose signature somebody else verified with a key of `keyFor`. @throws {AuthenticationError} */
  requireClaims(payload: unknown, now = this.store.now()): AccessTokenClaims {
    const { issuer, audience } = this.jwt;
    const claims = checkedClaims(payload, {
      issuer,
      audience: typeof audience === 'string' ? [audience] : audience,
      now,
    });
    if (!claims) throw invalidToken();
    return claims;
  }

  /** The session of verified claims, unless they were revoked. One read. @throws {AuthenticationError} */
  async admit(claims: AccessTokenClaims): Promise<VerifiedAccessToken> {
    const live = await this.store.read(claims.sid, { tokenId: claims.jti });
    if (live.state !== 'live') {
      this.uses?.note(claims.sid, live);
      throw goneError(live);
    }
    const issuedAt = tokenIssuedAt(claims.jti, claims.sid) ?? 0;
    if (live.session.userId !== claims.sub) throw invalidToken();
    if (live.tokenRevoked || issuedAt < live.tokensFrom) {
      throw new AuthenticationError('session_revoked', 'The access token was revoked. Refresh it, or sign in again.');
    }
    await assertActorLives(this.store, live);
    return { live, tokenId: claims.jti, expiresAt: claims.exp * 1000 };
  }

  /**
   * Exchanges a refresh token for a new pair: one round trip (DESIGN of credentials; RFC 9700, 4.14). A token that is
   * repeated within `jwt.refreshGrace` gets the pair's refresh token again; one that comes back later ends the session.
   *
   * @throws {AuthenticationError} for a token that does not hold, or whose session ended, also by this very call.
   */
  async refresh(refreshToken: unknown, options: RefreshOptions = {}): Promise<RefreshedTokens> {
    const { refreshGrace } = this.jwt;
    const credential = this.codec.parse(refreshToken, 'refresh');
    if (!credential) throw invalidToken();
    const presented = { hash: secretHash(credential.secret), n: credential.n, client: options.client ?? null };
    const rule = { grace: refreshGrace, rotateAfter: refreshGrace, rotateFirst: true };
    if (options.inspect) {
      const live = await this.store.read(credential.sessionId);
      const verdict = live.state === 'live' ? judge(live.lineages.refresh, presented, live.now, rule) : 'unknown';
      // A guess is nobody's token, and of a stolen one the store decides whatever else it finds.
      if (live.state === 'live' && verdict !== 'unknown' && verdict !== 'theft') await options.inspect(live);
    }
    const outcome = await this.store.rotate(credential.sessionId, {
      kind: 'refresh',
      presented,
      ...rule,
      touch: true,
    });
    switch (outcome.state) {
      case 'rotated':
      case 'kept':
      case 'repeated':
      case 'advanced':
        return {
          ...this.issueFor(outcome.live),
          refreshToken: this.codec.format({ ...credential, n: outcome.n }),
          session: outcome.live.session,
        };
      case 'theft':
        throw new AuthenticationError(
          'session_revoked',
          'The refresh token was used before. The session was ended; sign in again.',
        );
      case 'unknown':
        throw invalidToken();
      default:
        this.uses?.note(credential.sessionId, outcome);
        throw goneError(outcome);
    }
  }

  /** An access token as of the moment at which the session was read: never one that a revocation before it would kill. */
  issueFor(live: LiveSession): AccessToken {
    return this.issue(live.session, Math.max(live.now, live.tokensFrom));
  }

  /**
   * Kills one access token. An expired token is a no-op: it is dead already. Trusts nothing but a good signature.
   *
   * @returns whether a token was killed.
   * @throws {AuthenticationError} for a token that we did not sign (ASVS 5.0, 9.1.1).
   */
  async revoke(token: string): Promise<boolean> {
    const { sid, jti, exp } = this.requireOwn(token);
    if (exp * 1000 <= this.store.now()) return false;
    return this.store.revokeToken(sid, jti, exp * 1000 + this.options.clockTolerance);
  }

  /** Kills all access tokens issued to the user so far; the sessions live on and may refresh. Returns the cutoff, epoch ms. */
  async revokeAllFor(userId: string): Promise<number> {
    return this.store.revokeTokens(userId);
  }

  /** The public keys, for verifiers elsewhere (RFC 7517). Symmetric keys are no one else's business and not in it. */
  jwks(): { keys: (JsonWebKey & { kid: string; alg: string; use: 'sig' })[] } {
    const asymmetric = this.jwt.keys.filter(({ verifying }) => verifying.type === 'public');
    return {
      keys: asymmetric.map(({ kid, alg, verifying }) => ({
        ...verifying.export({ format: 'jwk' }),
        kid,
        alg,
        use: 'sig',
      })),
    };
  }

  /** The claims of a token that is ours, expired or not. @throws {AuthenticationError} */
  private requireOwn(token: string): AccessTokenClaims {
    const signer = this.signerFor(token);
    let payload: unknown;
    try {
      payload = signer?.jwt.verify<Record<string, unknown>>(token, {
        algorithms: [signer.key.alg],
        ignoreExpiration: true,
      });
    } catch {
      throw invalidToken();
    }
    const expiredAt = expiryOf(payload);
    const now = this.store.now();
    // Judged as of a moment at which it had not expired.
    return this.requireClaims(payload, expiredAt !== null && expiredAt <= now ? expiredAt - 1 : now);
  }

  private get jwt(): ResolvedJwtOptions {
    if (this.options.jwt) return this.options.jwt;
    throw new SessionError(
      'tokens_disabled',
      'Tokens are off. Set the option "jwt", for instance { issuer: "https://example.com", audience: "https://api.example.com" }.',
    );
  }

  private signerFor(token: unknown): Signer | null {
    const header = accessTokenHeader(token);
    const signer = header && this.signers.get(header.kid);
    return signer && signer.key.alg === header.alg ? signer : null;
  }
}

function jwtServiceOf({ signing, verifying }: JwtKey): JwtService {
  return new JwtService({ privateKey: signing ?? undefined, secretOrKeyProvider: undefined, publicKey: verifying });
}

/** `exp` in epoch ms, or null where it is none. */
function expiryOf(payload: unknown): number | null {
  if (typeof payload !== 'object' || payload === null) return null;
  const { exp } = payload as { exp?: unknown };
  return typeof exp === 'number' && Number.isFinite(exp) && exp >= 0 ? exp * 1000 : null;
}
