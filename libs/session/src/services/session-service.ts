import { Inject, Injectable } from '@nestjs/common';
import { randomBytes } from 'node:crypto';
import { anonymousUserId, isAnonymousUserId } from '../model/alias.js';
import { CredentialCodec, secretHash } from '../model/credential.js';
import { InvalidArgumentError, SessionError } from '../model/errors.js';
import type { SessionLimit } from '../model/limit.js';
import type { CredentialKind } from '../model/lineage.js';
import { drawId } from '../model/secure-id.js';
import type {
  EndReason,
  NewSession,
  Session,
  SessionChange,
  SessionData,
  SessionPatch,
  UserPatch,
} from '../model/session.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import { SESSION_OPTIONS } from '../options/tokens.js';
import { SessionStore, type RenewRequest, type LiveSession } from '../ports/session-store.js';
import { goneError, invalidToken } from './authentication-errors.js';
import { SessionAuthenticator, type Authentication, type AuthenticateOptions } from './session-authenticator.js';
import { limitFor } from './session-limit.js';
import { SessionToucher } from './session-toucher.js';

export interface StartOptions {
  /** Takes the longer timeouts of `session.rememberMe`. */
  rememberMe?: boolean;
  /** A session of the same user that ends in the same step. */
  replaces?: string;
  /** Which secrets are drawn. Default: the cookie's. */
  credentials?: readonly CredentialKind[];
  /** Overrides `session.maxSessionsPerUser` and `session.onLimit`. */
  limit?: SessionLimit;
  /** 64-bit digest of the client, compared when a token is repeated within its grace window. */
  client?: Buffer | null;
}

/** A session with the secrets it was given. They exist nowhere else: the store keeps only their hashes. */
export interface StartedSession<T = SessionData> {
  session: Session<T>;
  cookieToken?: string;
  refreshToken?: string;
}

/** A session whose secrets were drawn anew; those it does not use are left out. */
export interface RenewedSession<T = SessionData> {
  session: Session<T>;
  cookieToken?: string;
  refreshToken?: string;
  /** The session as it stands after the renewal. */
  live: LiveSession;
}

export interface RenewOptions {
  /** Changes to the session in the same step. */
  patch?: SessionPatch;
  /** Only if this secret is still the session's, or the one a renewal replaced less than 30 seconds ago. */
  presented?: RenewRequest['presented'];
}

/**
 * Sessions from sign-in to sign-out. Knows nothing of HTTP; `RequestSession` is the same for a request at hand.
 *
 * Every method rejects with `StoreUnavailableError` when the store cannot be asked.
 */
@Injectable()
export class SessionService {
  constructor(
    @Inject(SessionStore) private readonly store: SessionStore,
    @Inject(CredentialCodec) private readonly codec: CredentialCodec,
    @Inject(SessionAuthenticator) private readonly authenticator: SessionAuthenticator,
    @Inject(SessionToucher) private readonly toucher: SessionToucher,
    @Inject(SESSION_OPTIONS) private readonly options: ResolvedSessionOptions,
  ) {}

  /**
   * Starts a session with a new id and new secrets (ASVS 5.0, 7.2.2 and 7.2.4).
   *
   * @throws {SessionLimitError} at the limit under `onLimit: 'reject'`.
   * @throws {SessionError} `session_vetoed` when the hook `beforeStart` returned false; whatever it threw, otherwise.
   * @throws {InvalidArgumentError} for a user id that begins with `anonymous:`.
   */
  async start<T = SessionData>(input: NewSession<T>, options: StartOptions = {}): Promise<StartedSession<T>> {
    if (typeof input.userId === 'string' && isAnonymousUserId(input.userId)) {
      throw new InvalidArgumentError(
        'userId',
        'must not begin with "anonymous:", which sessions without a user begin with',
      );
    }
    if ((await this.options.beforeStart?.(input as NewSession)) === false) {
      throw new SessionError('session_vetoed', 'The application does not let this session start.');
    }
    return this.begin(input, options);
  }

  /**
   * Starts a session that has no user yet, under an id that no other has. It is for explicit actions, such as filling a
   * cart: whoever only looks needs none (ASVS 5.0, 7.6.2). The hook `beforeStart` is not asked.
   */
  async startAnonymous<T = SessionData>(
    input: Omit<NewSession<T>, 'userId'> = {},
    options: Pick<StartOptions, 'client'> = {},
  ): Promise<StartedSession<T>> {
    const userId = anonymousUserId(randomBytes(16).toString('base64url'));
    return this.begin({ ...input, userId }, options);
  }

  private async begin<T>(input: NewSession<T>, options: StartOptions): Promise<StartedSession<T>> {
    const kinds = options.credentials ?? ['cookie'];
    const cookie = kinds.includes('cookie') ? this.draw() : null;
    const refresh = kinds.includes('refresh') ? this.draw() : null;
    const { idleTimeout, absoluteTimeout } =
      options.rememberMe === true ? this.options.session.rememberMe : this.options.session;
    const session = await this.store.create<T>(input, {
      idleTimeout,
      absoluteTimeout,
      limit: options.limit ?? (await limitFor(this.options.session, input as NewSession)),
      credentials: { ...(cookie && { cookie: cookie.hash }), ...(refresh && { refresh: refresh.hash }) },
      client: options.client ?? null,
      ...(options.replaces !== undefined && { replaces: options.replaces }),
    });
    const tokenOf = (kind: CredentialKind, secret: string): string =>
      this.codec.format({ kind, sessionId: session.id, secret, n: 0 });
    return {
      session,
      ...(cookie && { cookieToken: tokenOf('cookie', cookie.secret) }),
      ...(refresh && { refreshToken: tokenOf('refresh', refresh.secret) }),
    };
  }

  /**
   * Whom a session token lets in: one read, and a write only where the token rotates or was stolen. Records the access.
   * Where `cookieToken` is not null, the client is to replace its token by it.
   *
   * @throws {AuthenticationError} for a token that does not hold, and for that of an ended session, with the reason.
   */
  async authenticate(token: string, options: AuthenticateOptions = {}): Promise<Authentication> {
    const authentication = await this.authenticator.authenticate(token, options);
    if (authentication.superseded) throw invalidToken();
    this.toucher.noteAccess(authentication.live);
    return authentication;
  }

  /** The live session, or null. Records no access. */
  async get<T = SessionData>(sessionId: string): Promise<Session<T> | null> {
    return this.store.get<T>(sessionId);
  }

  /** The user's live sessions, latest access first. Records no access. */
  async list<T = SessionData>(userId: string): Promise<Session<T>[]> {
    return this.store.getActiveSessions<T>(userId);
  }

  /** Merges a change into the session, or returns null when there is no live one. A function may be called again. */
  async update<T = SessionData>(sessionId: string, change: SessionChange<T>): Promise<Session<T> | null> {
    return this.store.update<T>(sessionId, change);
  }

  /** Sets email or roles for all sessions of the user, from the next request on (ASVS 5.0, 8.3.2). Returns how many. */
  async updateUser(userId: string, patch: UserPatch): Promise<number> {
    return this.store.updateUser(userId, patch);
  }

  /**
   * Draws new secrets: for a change of privilege (ASVS 5.0, 7.2.4). The old ones are refused from then on, access tokens
   * issued before as well.
   *
   * @throws {AuthenticationError} when there is no such live session, or the presented secret is not its own.
   */
  async rotate<T = SessionData>(sessionId: string, options: RenewOptions = {}): Promise<RenewedSession<T>> {
    return this.renew<T>(sessionId, { ...options, freshen: false });
  }

  /**
   * As `rotate`, when the user has just proved again who they are (ASVS 5.0, 7.5.1): also sets `authenticatedAt`.
   *
   * @throws {AuthenticationError} as `rotate`.
   */
  async stepUp<T = SessionData>(sessionId: string, options: RenewOptions = {}): Promise<RenewedSession<T>> {
    return this.renew<T>(sessionId, { ...options, freshen: true });
  }

  /**
   * After a change of password: ends the user's other sessions with the reason `revoked`, and draws new secrets for this
   * one (ASVS 5.0, 7.4.3). Where it fails half way, calling it again does the rest.
   *
   * @throws {AuthenticationError} as `rotate`.
   */
  async passwordChanged<T = SessionData>(
    keep: { id: string; userId: string },
    options: RenewOptions = {},
  ): Promise<RenewedSession<T> & { ended: number }> {
    const ended = await this.endOthers(keep, { reason: 'revoked' });
    return { ...(await this.rotate<T>(keep.id, options)), ended };
  }

  /** Ends a session. False when there was no live one, or it is not the given user's. */
  async end(sessionId: string, options: { reason?: EndReason; userId?: string } = {}): Promise<boolean> {
    return this.store.destroy(sessionId, options);
  }

  /** Ends all sessions of the user but one. Returns how many. */
  async endOthers(keep: { id: string; userId: string }, options: { reason?: EndReason } = {}): Promise<number> {
    return this.store.destroyAll(keep.userId, { ...options, except: keep.id });
  }

  /** Ends all sessions of the user. Returns how many. */
  async endAll(userId: string, options: { reason?: EndReason } = {}): Promise<number> {
    return this.store.destroyAll(userId, options);
  }

  private async renew<T>(sessionId: string, options: RenewOptions & { freshen: boolean }): Promise<RenewedSession<T>> {
    // Both are drawn unasked: which of them the session has is known once they are written, and a read would be a round trip.
    const drawn = { cookie: this.draw(), refresh: this.draw() };
    const after = await this.store.renew(sessionId, {
      credentials: { cookie: drawn.cookie.hash, refresh: drawn.refresh.hash },
      freshen: options.freshen,
      repeatableFor: this.options.session.rotationGrace,
      ...(options.patch && { patch: options.patch }),
      ...(options.presented && { presented: options.presented }),
    });
    if (after.state === 'unknown') throw invalidToken();
    if (after.state !== 'live') throw goneError(after);
    const tokenOf = (kind: CredentialKind): string | undefined => {
      return after.lineages[kind]
        ? this.codec.format({ kind, sessionId, secret: drawn[kind].secret, n: 0 })
        : undefined;
    };
    const [cookieToken, refreshToken] = [tokenOf('cookie'), tokenOf('refresh')];
    return {
      session: after.session as Session<T>,
      live: after,
      ...(cookieToken !== undefined && { cookieToken }),
      ...(refreshToken !== undefined && { refreshToken }),
    };
  }

  private draw(): { secret: string; hash: Buffer } {
    const secret = drawId(this.options.security.idLength, this.options.security.idAlphabet);
    return { secret, hash: secretHash(secret) };
  }
}
