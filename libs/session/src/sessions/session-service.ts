// Over 300 lines because it is one public class, and most of it is documentation.
import { randomBytes } from 'node:crypto';
import { anonymousUserId, isAnonymousUserId } from '../model/alias.js';
import { type CredentialCodec, secretHash } from '../model/credential.js';
import { InvalidArgumentError, SessionError } from '../model/errors.js';
import type { SessionLimit } from '../model/limit.js';
import type { CredentialKind } from '../model/token-family.js';
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
import type { CallOptions, SessionStore, RegenerateRequest, LiveSession } from '../ports/session-store.js';
import { goneError, invalidToken } from '../tokens/authentication-errors.js';
import type { SecurityReports } from '../events/security-reports.js';
import type { SessionAuthenticator, Authentication, AuthenticateOptions } from './session-authenticator.js';
import { limitFor } from './session-limit.js';
import { inTenant } from './session-tenants.js';
import type { SessionToucher } from './session-toucher.js';

export interface StartOptions extends CallOptions {
  /** Takes the longer timeouts of `session.rememberMe`. */
  rememberMe?: boolean;
  /** A session of the same user that ends in the same step. */
  replaces?: string;
  /**
   * Start of the password check: an instant of `SessionService.now()`. The sign-in is refused if since then all
   * sessions of the user were ended, or the password was changed. Default: no check.
   */
  verifiedAt?: number;
  /** Which secrets the session gets. Default: the cookie's. */
  credentials?: readonly CredentialKind[];
  /** Overrides `session.maxSessionsPerUser` and `session.onLimit`. */
  limit?: SessionLimit;
  /** 64-bit digest of the client, compared when a token is repeated within its grace window. */
  client?: Buffer | null;
  /** Thumbprint of a key whose proof was verified: binds the refresh token to it (DPoP). Default: bound to none. */
  jkt?: string;
}

/** A session with its secrets. The store keeps only hashes of them. */
export interface StartedSession<T = SessionData> {
  session: Session<T>;
  cookieToken?: string;
  refreshToken?: string;
  /** Thumbprint of the key that the refresh token is bound to; bind its access token to the same one. */
  jkt?: string;
  /** The session as the store has it after the start. */
  live: LiveSession;
}

/** A session with its new secrets, of the kinds that it uses. */
export interface RegeneratedSession<T = SessionData> {
  session: Session<T>;
  cookieToken?: string;
  refreshToken?: string;
  /** Thumbprint of the key that the refresh token is bound to; bind its access token to the same one. */
  jkt?: string;
  /** The session after the regeneration. */
  live: LiveSession;
}

export interface RegenerateOptions extends CallOptions {
  /** Changes to the session in the same step. */
  patch?: SessionPatch;
  /** Only if this secret is still the session's, or the one a regeneration replaced less than 30 seconds ago. */
  presented?: RegenerateRequest['presented'];
  /**
   * If the patch sets `pending` to false: a session of the same user that ends in the same step. Default: that of
   * `start`.
   */
  replaces?: string;
  /** Thumbprint of a key whose proof was verified: binds the new refresh token to it (DPoP). Default: bound to none. */
  jkt?: string;
}

/** How long a regeneration may be repeated with the token that it replaced, ms: see `@StepUp()`. */
const REPEATABLE_FOR = 30_000;

/**
 * Sessions from sign-in to sign-out, without HTTP. `RequestSession` does the same for the current request.
 *
 * Every method rejects with `StoreUnavailableError` when the store does not answer.
 */
export class SessionService {
  constructor(
    private readonly store: SessionStore,
    private readonly codec: CredentialCodec,
    private readonly authenticator: SessionAuthenticator,
    private readonly toucher: SessionToucher,
    private readonly options: ResolvedSessionOptions,
    private readonly reports?: SecurityReports,
  ) {}

  /**
   * This service for the sessions of a tenant, where the option `tenant` is a function: for calls outside of a request, and for
   * another tenant than the request's.
   *
   * @throws {ConfigurationError} in an application with one tenant or none, for another one.
   */
  forTenant(tenant: string): SessionService {
    return inTenant(this, this.store, tenant);
  }

  /**
   * Starts a session with a new id and new secrets (ASVS 5.0, 7.2.2 and 7.2.4). A `pending` one ends no other session until
   * `stepUp` or `update` sets `pending` to false; at most three of a user wait at once, and the oldest of more goes.
   *
   * @throws {SessionLimitError} at the limit under `onLimit: 'reject'`.
   * @throws {AuthenticationError} `session_revoked` if `verifiedAt` is earlier than the latest `endAll` or `passwordChanged`.
   * @throws {SessionError} `session_vetoed` when the hook `beforeStart` returned false. What the hook throws is passed on.
   * @throws {InvalidArgumentError} for a user id that begins with `anonymous:`.
   */
  async start<T = SessionData>(input: NewSession<NoInfer<T>>, options: StartOptions = {}): Promise<StartedSession<T>> {
    if (typeof input.userId === 'string' && isAnonymousUserId(input.userId)) {
      throw new InvalidArgumentError(
        'userId',
        'must not begin with "anonymous:": that prefix is reserved for sessions without a user',
      );
    }
    if ((await this.options.beforeStart?.(input as NewSession)) === false) {
      throw new SessionError('session_vetoed', 'The application refused to start this session.');
    }
    const started = await this.begin<T>(input, options);
    // An administrator who starts to act as the user has not proved to be the user.
    if (!started.session.actor) this.reports?.authenticated(started.live.session, 'sign-in');
    return started;
  }

  /**
   * Starts a session without a user, under a unique user id. For explicit actions, such as filling a cart: reading needs no
   * session (ASVS 5.0, 7.6.2). Does not call the hook `beforeStart`.
   */
  async startAnonymous<T = SessionData>(
    input: Omit<NewSession<NoInfer<T>>, 'userId'> = {},
    options: Pick<StartOptions, 'client' | 'wait'> = {},
  ): Promise<StartedSession<T>> {
    const userId = anonymousUserId(randomBytes(16).toString('base64url'));
    return this.begin<T>({ ...input, userId }, options);
  }

  private async begin<T>(input: NewSession<T>, options: StartOptions): Promise<StartedSession<T>> {
    const kinds = options.credentials ?? ['cookie'];
    const cookie = kinds.includes('cookie') ? this.draw() : null;
    const refresh = kinds.includes('refresh') ? this.draw() : null;
    const remembered = options.rememberMe === true;
    const { idleTimeout, absoluteTimeout } = remembered ? this.options.session.rememberMe : this.options.session;
    const live = await this.store.createLive<T>(
      { ...input, rememberMe: remembered },
      {
        idleTimeout,
        absoluteTimeout,
        limit: options.limit ?? (await limitFor(this.options.session, input as NewSession)),
        credentials: { ...(cookie && { cookie: cookie.hash }), ...(refresh && { refresh: refresh.hash }) },
        client: options.client ?? null,
        ...(options.replaces !== undefined && { replaces: options.replaces }),
        ...(options.verifiedAt !== undefined && { verifiedAt: options.verifiedAt }),
        ...(options.wait && { wait: options.wait }),
      },
    );
    const { id: sessionId, createdAt: branch } = live.session;
    const tokenOf = (kind: CredentialKind, secret: string, jkt?: string): string =>
      this.codec.format({ kind, sessionId, secret, generation: 0, branch, jkt });
    return {
      session: live.session as Session<T>,
      live,
      ...(cookie && { cookieToken: tokenOf('cookie', cookie.secret) }),
      ...(refresh && { refreshToken: tokenOf('refresh', refresh.secret, options.jkt) }),
      ...(refresh && options.jkt !== undefined && { jkt: options.jkt }),
    };
  }

  /**
   * Authenticates a session token: one read, and a write only if the token rotates or was reused. Records the access.
   * If `cookieToken` is not null, the client must use it from now on.
   *
   * @throws {AuthenticationError} for an invalid token, and for one of an ended session, with the reason.
   */
  async authenticate(token: string, options: AuthenticateOptions = {}): Promise<Authentication> {
    const authentication = await this.authenticator.authenticate(token, options);
    if (authentication.superseded) throw invalidToken('replaced');
    this.toucher.noteAccess(authentication.live);
    return authentication;
  }

  /**
   * Removes every session past its deadline and announces each: for applications that set `sweeper: false`. May run in several
   * processes at once. Returns how many.
   */
  async sweep(): Promise<number> {
    return this.store.sweep();
  }

  /** The store's time, epoch ms; for `verifiedAt`. */
  now(): number {
    return this.store.now();
  }

  /** The live session, or null. Records no access. */
  async get<T = SessionData>(sessionId: string): Promise<Session<T> | null> {
    return this.store.get<T>(sessionId);
  }

  /** The user's live sessions, latest access first. Records no access. */
  async list<T = SessionData>(userId: string): Promise<Session<T>[]> {
    return this.store.getActiveSessions<T>(userId);
  }

  /** Merges a change into the session; null when there is no live one. A function may be called more than once. */
  async update<T = SessionData>(
    sessionId: string,
    change: SessionChange<NoInfer<T>>,
    options?: CallOptions,
  ): Promise<Session<T> | null> {
    return this.store.update<T>(sessionId, change, options);
  }

  /** Sets email or roles for all sessions of the user, from the next request on (ASVS 5.0, 8.3.2). Returns how many. */
  async updateUser(userId: string, patch: UserPatch): Promise<number> {
    return this.store.updateUser(userId, patch);
  }

  /**
   * Replaces the secrets, for a change of privilege (ASVS 5.0, 7.2.4). The old ones are refused from then on, and so are access
   * tokens issued before.
   *
   * @throws {AuthenticationError} when there is no such live session, or the presented secret is not its own.
   */
  async regenerate<T = SessionData>(
    sessionId: string,
    options: RegenerateOptions = {},
  ): Promise<RegeneratedSession<T>> {
    return this.drawSecret<T>(sessionId, { ...options, freshen: false });
  }

  /**
   * Like `regenerate`, after the user proved their identity again (ASVS 5.0, 7.5.1): also sets `authenticatedAt`.
   *
   * @throws {AuthenticationError} like `regenerate`.
   * @throws {SessionLimitError} if the patch sets `pending` to false at the limit under `onLimit: 'reject'`; the
   * session then keeps waiting, and may be completed with `replaces`.
   */
  async stepUp<T = SessionData>(sessionId: string, options: RegenerateOptions = {}): Promise<RegeneratedSession<T>> {
    const proved = await this.drawSecret<T>(sessionId, { ...options, freshen: true });
    this.reports?.authenticated(proved.live.session, 'step-up');
    return proved;
  }

  /**
   * After a change of password: ends the user's other sessions with the reason `revoked`, refuses sign-ins that were
   * verified before (`verifiedAt`), and replaces the secrets of this session (ASVS 5.0, 7.4.3). If it fails half way,
   * call it again.
   *
   * @throws {AuthenticationError} like `regenerate`.
   */
  async passwordChanged<T = SessionData>(
    keep: { id: string; userId: string },
    options: RegenerateOptions = {},
  ): Promise<RegeneratedSession<T> & { ended: number }> {
    const ended = await this.store.destroyAll(keep.userId, {
      reason: 'revoked',
      except: keep.id,
      refuseEarlierSignIns: true,
      ...(options.wait && { wait: options.wait }),
    });
    return { ...(await this.regenerate<T>(keep.id, options)), ended };
  }

  /** Ends a session. False when there was no live one, or it is not the given user's. */
  async end(sessionId: string, options: { reason?: EndReason; userId?: string } & CallOptions = {}): Promise<boolean> {
    return this.store.destroy(sessionId, options);
  }

  /** Ends all sessions of the user but one. Returns how many. */
  async endOthers(
    keep: { id: string; userId: string },
    options: { reason?: EndReason } & CallOptions = {},
  ): Promise<number> {
    return this.store.destroyAll(keep.userId, { ...options, except: keep.id });
  }

  /**
   * Ends all sessions of the user, and refuses sign-ins that were verified before (`verifiedAt`). Also for a password
   * reset. Returns how many ended.
   */
  async endAll(userId: string, options: { reason?: EndReason } & CallOptions = {}): Promise<number> {
    return this.store.destroyAll(userId, { ...options, refuseEarlierSignIns: true });
  }

  private async drawSecret<T>(
    sessionId: string,
    options: RegenerateOptions & { freshen: boolean },
  ): Promise<RegeneratedSession<T>> {
    // Both are drawn: only the write reveals which of them the session uses, and a read would cost a round trip.
    const drawn = { cookie: this.draw(), refresh: this.draw() };
    const after = await this.store.regenerate(sessionId, {
      credentials: { cookie: drawn.cookie.hash, refresh: drawn.refresh.hash },
      freshen: options.freshen,
      repeatableFor: REPEATABLE_FOR,
      ...(options.patch && { patch: options.patch }),
      ...(options.presented && { presented: options.presented }),
      ...(options.replaces !== undefined && { replaces: options.replaces }),
      ...(options.wait && { wait: options.wait }),
    });
    if (after.state === 'unknown') throw invalidToken('replaced');
    if (after.state !== 'live') throw goneError(after);
    const tokenOf = (kind: CredentialKind): string | undefined => {
      const family = after.families[kind];
      return family
        ? this.codec.format({
            kind,
            sessionId,
            secret: drawn[kind].secret,
            generation: 0,
            branch: family.branch,
            jkt: kind === 'refresh' ? options.jkt : undefined,
          })
        : undefined;
    };
    const [cookieToken, refreshToken] = [tokenOf('cookie'), tokenOf('refresh')];
    return {
      session: after.session as Session<T>,
      live: after,
      ...(cookieToken !== undefined && { cookieToken }),
      ...(refreshToken !== undefined && { refreshToken }),
      ...(refreshToken !== undefined && options.jkt !== undefined && { jkt: options.jkt }),
    };
  }

  private draw(): { secret: string; hash: Buffer } {
    const secret = drawId(this.options.security.idLength, this.options.security.idAlphabet);
    return { secret, hash: secretHash(secret) };
  }
}
