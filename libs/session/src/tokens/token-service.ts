// Over 300 lines because issuing, verifying, refreshing and revoking share the keys and the rules of one token.
import {
  areCurrent,
  checkedClaims,
  newTokenId,
  tokenIssuedAt,
  type AccessTokenClaims,
} from '../model/access-claims.js';
import { LRUCache } from 'lru-cache';
import { ACCESS_TOKEN_TYPE, accessTokenHeader } from '../model/compact-jwt.js';
import { type CredentialCodec, secretHash } from '../model/credential.js';
import { dpopRefusal } from '../model/dpop-refusal.js';
import { AuthenticationError, SessionError } from '../model/errors.js';
import { evaluate, isUseUnknown } from '../model/token-family.js';
import type { Session } from '../model/session.js';
import type { JwtKey } from '../options/jwt-keys.js';
import type { JwtAlgorithm } from '../options/session-module-options.js';
import type { ResolvedJwtOptions, ResolvedSessionOptions } from '../options/resolved-options.js';
import type { CallOptions, SessionStore, LiveSession } from '../ports/session-store.js';
import type { CreateJwtSigner, JwtSigner } from './jwt-signer.js';
import type { AccessTokenKey } from './access-token-key.js';
import { AccessTokenVerifier, type VerifiedAccessToken, type VerifyOptions } from './access-token-verifier.js';
import { requireActor } from '../sessions/actor-session.js';
import { refreshRule } from '../sessions/rotation-rules.js';
import { inTenant } from '../sessions/session-tenants.js';
import { type SessionToucher } from '../sessions/session-toucher.js';
import { goneError, invalidToken } from './authentication-errors.js';
import type { EndedSessionUses } from '../events/ended-session-uses.js';

/** Access tokens live up to this fraction shorter, so that tokens issued together do not all expire together. */
const LIFETIME_JITTER = 0.05;

/** How many tokens with a valid signature are remembered. */
const REMEMBERED = 10_000;

export interface AccessToken {
  accessToken: string;
  /** `DPoP` for a token that counts only with a proof of its key (RFC 9449, 5). */
  tokenType: 'Bearer' | 'DPoP';
  /** Seconds. */
  expiresIn: number;
  tokenId: string;
}

/** Access and refresh token for an API client. */
export interface TokenPair extends AccessToken {
  refreshToken: string;
}

export interface RefreshedTokens extends TokenPair {
  session: Session;
}

/** What an access token refers to, besides its session. */
export interface TokenBinding {
  /** The branch of the refresh token in the same response. Default: there is none. */
  refreshBranch?: number | undefined;
  /** Thumbprint of a key whose proof was verified: the token then counts only with a proof of that key. Default: bound to none. */
  jkt?: string | undefined;
}

export interface RefreshOptions extends CallOptions {
  /**
   * 64-bit digest of the client. If `security.useFingerprint` refuses other clients, a replaced token from another
   * client is reuse.
   */
  client?: Buffer | null;
  /** Checks the session of a valid token before anything changes, at the cost of one read. An error refuses the token. */
  inspect?: ((live: LiveSession) => Promise<void>) | undefined;
  /**
   * The key for the new pair: returns the thumbprint of the key that the request has proved, if any. Gets that of the key which the
   * refresh token is bound to. Default: none, and a bound token is refused.
   */
  keyFor?: ((bound: string | undefined) => Promise<string | undefined>) | undefined;
}

interface Signer {
  readonly key: JwtKey;
  readonly jwt: JwtSigner;
}

/**
 * Access tokens that are valid only while their session is live, and refresh tokens that rotate and detect reuse.
 *
 * Access tokens are JWTs as in RFC 9068 (`typ` `at+jwt`; `iss, sub, aud, sid, jti, iat, exp`). A token is valid while its
 * signature and claims are, its session is live, and it was not revoked, alone or by a cutoff of the session or user. One read
 * of the store checks all of that.
 *
 * Every method but `enabled` throws `SessionError` `tokens_disabled` while the option `jwt` is not set.
 */
export class TokenService extends AccessTokenVerifier {
  private readonly signers: ReadonlyMap<string, Signer>;
  /** Of whole tokens whose signature was valid, what was signed. Times and tenant are checked each time. */
  private readonly signed = new LRUCache<string, { payload: object; claims: AccessTokenClaims }>({ max: REMEMBERED });

  constructor(
    private readonly store: SessionStore,
    private readonly codec: CredentialCodec,
    private readonly options: ResolvedSessionOptions,
    createSigner: CreateJwtSigner,
    private readonly uses?: EndedSessionUses,
    private readonly toucher?: SessionToucher,
  ) {
    super();
    this.signers = new Map((options.jwt?.keys ?? []).map((key) => [key.kid, { key, jwt: createSigner(key) }]));
  }

  /**
   * This service for the tokens of a tenant, where the option `tenant` is a function: for calls outside of a request, and for
   * another tenant than the request's.
   *
   * @throws {ConfigurationError} in an application with one tenant or none, for another one.
   */
  forTenant(tenant: string): TokenService {
    return inTenant(this, this.store, tenant);
  }

  /** Whether the option `jwt` is set. */
  get enabled(): boolean {
    return this.options.jwt !== undefined;
  }

  /** @throws {SessionError} `tokens_disabled` while the option `jwt` is not set. */
  assertEnabled(): void {
    void this.jwt;
  }

  /** Whether we signed the token and its claims are valid, expired or not. Only sufficient for signing out. */
  sessionOf(token: string): string | null {
    try {
      return this.requireOwn(token).sid;
    } catch (error) {
      if (error instanceof AuthenticationError) return null;
      throw error;
    }
  }

  /** The algorithms of the keys. */
  get algorithms(): JwtAlgorithm[] {
    return [...new Set([...this.signers.values()].map(({ key }) => key.alg))];
  }

  /**
   * An access token for a live session. `issuedAt` (epoch ms) is for callers that know the store's time of the operation;
   * default: the store's clock.
   */
  issue(session: Session, issuedAt = this.store.now(), { refreshBranch, jkt }: TokenBinding = {}): AccessToken {
    const { issuer, audience, accessTokenTtl, keys } = this.jwt;
    const signer = this.signers.get(keys[0]?.kid ?? '');
    if (!signer?.key.signing) throw new Error('the first key signs: checked when the options were resolved');
    const lifetime = accessTokenTtl * (1 - LIFETIME_JITTER * Math.random());
    const iat = Math.floor(issuedAt / 1000);
    const exp = Math.floor(Math.min(issuedAt + lifetime, session.expiresAt) / 1000);
    const tokenId = newTokenId(session.id, issuedAt);
    const tenant = this.options.currentTenant();
    const claims: AccessTokenClaims = {
      iss: issuer,
      sub: session.userId,
      aud: audience,
      sid: session.id,
      jti: tokenId,
      iat,
      exp,
      ...(refreshBranch !== undefined && { rtb: refreshBranch }),
      ...(tenant !== '' && { tenant }),
      ...(jkt !== undefined && { cnf: { jkt } }),
    };
    const accessToken = signer.jwt.sign(
      { ...claims },
      {
        algorithm: signer.key.alg,
        header: { alg: signer.key.alg, typ: ACCESS_TOKEN_TYPE, kid: signer.key.kid },
      },
    );
    return {
      accessToken,
      tokenType: jkt === undefined ? 'Bearer' : 'DPoP',
      expiresIn: Math.max(0, exp - iat),
      tokenId,
    };
  }

  /**
   * The session of a valid token. Sends no command before the signature and claims are verified, then one read, or none where
   * `near` allows that a near cache answers. A token that is bound to a key is refused without `confirm`: guards check its proof.
   *
   * @throws {AuthenticationError} `invalid_token`, or why the session ended.
   */
  async verify(token: string, near = true, call: VerifyOptions = {}): Promise<VerifiedAccessToken> {
    const claims = this.verifySignature(token);
    // A promise less, because this runs for every request.
    return call.confirm || claims.cnf ? this.admit(claims, near, call) : this.found(claims, near, call);
  }

  /**
   * The claims of a token after verifying signature and claims, but not whether it was revoked.
   *
   * @throws {AuthenticationError}
   */
  verifySignature(token: string): AccessTokenClaims {
    const now = this.store.now();
    const known = this.signed.get(token);
    if (known) {
      const isCurrent = areCurrent(known.payload, known.claims, { tenant: this.options.currentTenant(), now });
      return isCurrent ? known.claims : this.requireClaims(known.payload, now);
    }
    const signer = this.signerFor(token);
    let payload: unknown;
    try {
      payload = signer?.jwt.verify(token, {
        algorithms: [signer.key.alg],
        clockTimestamp: Math.floor(now / 1000),
      });
    } catch (error) {
      throw invalidToken(error instanceof Error && error.name === 'TokenExpiredError' ? 'expired' : 'forged');
    }
    const claims = this.requireClaims(payload, now);
    this.signed.set(token, { payload: Object.freeze(payload as object), claims: Object.freeze(claims) });
    return claims;
  }

  /** The key named by a token's `kid`, or null; also null if `alg` is not that key's algorithm. */
  keyFor(token: unknown): JwtKey | null {
    return this.signerFor(token)?.key ?? null;
  }

  /**
   * Checked claims of a payload whose signature the caller verified with a key of `keyFor`.
   *
   * @throws {AuthenticationError}
   */
  requireClaims(payload: unknown, now = this.store.now()): AccessTokenClaims {
    const { issuer, audience } = this.jwt;
    const claims = checkedClaims(payload, {
      issuer,
      audience: typeof audience === 'string' ? [audience] : audience,
      tenant: this.options.currentTenant(),
      now,
    });
    if (!claims) throw invalidToken((expiryOf(payload) ?? Infinity) <= now ? 'expired' : 'forged');
    return claims;
  }

  /**
   * The session of verified claims, unless the token was revoked. At most one read.
   *
   * @throws {AuthenticationError}
   */
  async admit(claims: AccessTokenClaims, near = true, call: VerifyOptions = {}): Promise<VerifiedAccessToken> {
    const jkt = claims.cnf?.jkt;
    const { confirm, ...waiting } = call;
    if (!confirm) {
      if (jkt !== undefined) throw dpopRefusal('bound');
      return this.found(claims, near, waiting);
    }
    // Sent together with the read: one round trip.
    const confirmed = confirm(jkt);
    const [verified] = await Promise.all([this.found(claims, near, waiting), confirmed]);
    return verified;
  }

  private async found(claims: AccessTokenClaims, near: boolean, call: CallOptions): Promise<VerifiedAccessToken> {
    const known = near ? this.known(claims) : null;
    if (known && !known.session.actor) return this.accepted(known, claims);
    const live = known ?? (await this.store.read(claims.sid, { tokenId: claims.jti, ...call }));
    if (live.state !== 'live') {
      this.uses?.note(claims.sid, live);
      throw goneError(live);
    }
    const issuedAt = tokenIssuedAt(claims.jti, claims.sid) ?? 0;
    if (live.session.userId !== claims.sub) throw invalidToken('forged');
    if (live.tokenRevoked || issuedAt < live.tokensFrom) {
      throw new AuthenticationError('session_revoked', 'The access token was revoked. Refresh it, or sign in again.');
    }
    if (live.session.actor) await requireActor(this.store, live, call);
    return this.accepted(live, claims);
  }

  override peek(token: string): VerifiedAccessToken | null {
    const claims = this.verifySignature(token);
    const live = claims.cnf ? null : this.known(claims);
    return live && !live.session.actor ? this.accepted(live, claims) : null;
  }

  private accepted(live: LiveSession, claims: AccessTokenClaims): VerifiedAccessToken {
    const { refresh } = live.families;
    const matters = this.options.reuseDetection === 'after-use' && isUseUnknown(refresh);
    if (matters && claims.rtb === refresh.branch) {
      this.toucher?.noteUse(live, { kind: 'refresh', branch: refresh.branch });
    }
    return { live, tokenId: claims.jti, expiresAt: claims.exp * 1000, ...(claims.cnf && { jkt: claims.cnf.jkt }) };
  }

  /**
   * Exchanges a refresh token for a new pair in one round trip (RFC 9700, 4.14.2). Within `jwt.refreshGrace`, a replaced token
   * gets the current refresh token again; later it gets another one if neither the current one nor its access token was used,
   * and otherwise it ends the session.
   *
   * @throws {AuthenticationError} for an invalid token, or one whose session ended, also by this call.
   */
  async refresh(refreshToken: unknown, options: RefreshOptions = {}): Promise<RefreshedTokens> {
    const { refreshGrace } = this.jwt;
    const credential = this.codec.parse(refreshToken, 'refresh');
    if (!credential) throw invalidToken('forged');
    if (!options.keyFor && credential.jkt !== undefined) throw dpopRefusal('bound');
    const jkt = await options.keyFor?.(credential.jkt);
    const presented = {
      hash: secretHash(credential.secret),
      generation: credential.generation,
      branch: credential.branch,
      client: options.client ?? null,
    };
    const rule = refreshRule(this.options, refreshGrace);
    const call = options.wait && { wait: options.wait };
    if (options.inspect) {
      const live = await this.store.read(credential.sessionId, call);
      const verdict = live.state === 'live' ? evaluate(live.families.refresh, presented, live.now, rule) : 'unknown';
      // A guess does not belong to the session, and for a reused token the store decides.
      if (live.state === 'live' && verdict !== 'unknown' && verdict !== 'reuse') await options.inspect(live);
    }
    const outcome = await this.store.rotate(credential.sessionId, {
      kind: 'refresh',
      presented,
      ...rule,
      ...call,
      touch: true,
    });
    switch (outcome.state) {
      case 'rotated':
      case 'kept':
      case 'repeated':
      case 'branched':
      case 'advanced': {
        const { generation, branch, live } = outcome;
        return {
          ...this.issueFor(live, { refreshBranch: branch, jkt }),
          refreshToken: this.codec.format({ ...credential, generation, branch, jkt }),
          session: live.session,
        };
      }
      case 'reuse':
        throw new AuthenticationError(
          'session_revoked',
          'The refresh token was replaced, and its successor was used. The session was ended; sign in again.',
          'reuse',
        );
      case 'unknown':
        throw invalidToken('replaced');
      default:
        this.uses?.note(credential.sessionId, outcome);
        throw goneError(outcome);
    }
  }

  /** What a near cache knows, if the token is good by it. */
  private known({ sid, sub, jti }: AccessTokenClaims): LiveSession | null {
    // A store of a user's own may lack the method.
    const live = this.store.peek?.(sid, { tokenId: jti }) ?? null;
    const isGood = live?.session.userId === sub && (tokenIssuedAt(jti, sid) ?? 0) >= live.tokensFrom;
    return isGood ? live : null;
  }

  /** An access token issued as of the read of the session, and never before its cutoff. */
  issueFor(live: LiveSession, binding: TokenBinding = {}): AccessToken {
    return this.issue(live.session, Math.max(live.now, live.tokensFrom), binding);
  }

  /**
   * Revokes one access token. Does nothing for an expired one. Requires a valid signature.
   *
   * @returns whether a token was revoked.
   * @throws {AuthenticationError} for a token that we did not sign (ASVS 5.0, 9.1.1).
   */
  async revoke(token: string): Promise<boolean> {
    const { sid, jti, exp } = this.requireOwn(token);
    if (exp * 1000 <= this.store.now()) return false;
    return this.store.revokeToken(sid, jti, exp * 1000 + this.options.clockTolerance);
  }

  /** Revokes all access tokens issued to the user so far; the sessions stay live and may refresh. Returns the cutoff, epoch ms. */
  async revokeAllFor(userId: string): Promise<number> {
    return this.store.revokeTokens(userId);
  }

  /** The public keys, for other verifiers (RFC 7517). Never contains symmetric keys. */
  jwks(): { keys: AccessTokenKey[] } {
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

  /**
   * The claims of a token that this server signed, expired or not.
   *
   * @throws {AuthenticationError}
   */
  private requireOwn(token: string): AccessTokenClaims {
    const signer = this.signerFor(token);
    let payload: unknown;
    try {
      payload = signer?.jwt.verify(token, {
        algorithms: [signer.key.alg],
        ignoreExpiration: true,
      });
    } catch {
      throw invalidToken('forged');
    }
    const expiredAt = expiryOf(payload);
    const now = this.store.now();
    // Checked as of an instant before its expiry.
    return this.requireClaims(payload, expiredAt !== null && expiredAt <= now ? expiredAt - 1 : now);
  }

  private get jwt(): ResolvedJwtOptions {
    if (this.options.jwt) return this.options.jwt;
    throw new SessionError(
      'tokens_disabled',
      'Tokens are off. Set the option "jwt", such as { issuer: "https://example.com", audience: "https://api.example.com" }.',
    );
  }

  private signerFor(token: unknown): Signer | null {
    const header = accessTokenHeader(token);
    const signer = header && this.signers.get(header.kid);
    return signer && signer.key.alg === header.alg ? signer : null;
  }
}

/** `exp` in epoch ms, or null if it is invalid. */
function expiryOf(payload: unknown): number | null {
  if (typeof payload !== 'object' || payload === null) return null;
  const { exp } = payload as { exp?: unknown };
  return typeof exp === 'number' && Number.isFinite(exp) && exp >= 0 ? exp * 1000 : null;
}
