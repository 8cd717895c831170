import type { SessionLimit } from '../model/limit.js';
import { AuthenticationError, SessionError } from '../model/errors.js';
import type { NewSession, Session, SessionChange, SessionData, SessionPatch } from '../model/session.js';
import type { LiveSession } from '../ports/session-store.js';
import { invalidToken } from '../services/authentication-errors.js';
import type { RenewOptions, RenewedSession, SessionService } from '../services/session-service.js';
import { metadataOf } from './client-facts.js';
import type { CsrfPolicy } from './csrf-policy.js';
import type { HttpExchange } from './http-exchange.js';
import type { AuthenticatedRequest, RequestAuthenticator } from './request-authenticator.js';
import type { RouteRules } from './route-rules.js';
import type { SessionCookie } from './session-cookie.js';
import { complaintAboutState } from './session-gate.js';

export interface SignInOptions {
  /** Keeps the session for `session.rememberMe`, and the cookie beyond the browser's end. Default false. */
  rememberMe?: boolean;
  /** Also draws a refresh token. Default false. */
  refresh?: boolean;
  /** Overrides `session.maxSessionsPerUser` and `session.onLimit`. */
  limit?: SessionLimit;
}

/** A session and what goes to the client in the body; the cookie is on its way already. */
export interface SignedIn<T = SessionData> {
  session: Session<T>;
  refreshToken?: string;
}

/** What a `RequestSession` works with. */
export interface RequestSessionTools {
  readonly sessions: SessionService;
  readonly authenticator: RequestAuthenticator;
  readonly cookie: SessionCookie;
  readonly csrf: CsrfPolicy;
}

/**
 * The session of the request at hand, for handlers that sign in, out or up: `@ReqSession() session: RequestSession`.
 * Sets and clears the cookie on Express and Fastify alike, and forbids caches to keep the response.
 *
 * Every method rejects with `StoreUnavailableError` when the store cannot be asked, and with the code `headers_sent`
 * when it would have to set a cookie on a response that is under way.
 */
export class RequestSession {
  constructor(
    private readonly exchange: HttpExchange,
    private readonly rules: RouteRules,
    private readonly tools: RequestSessionTools,
  ) {}

  /** The session as the request found it or last left it; null when nobody is signed in. */
  get current(): Promise<Session | null> {
    return this.find().then((request) => request?.live.session ?? null);
  }

  /**
   * Signs in: a new session with a new id and new secrets, never one the client chose (ASVS 5.0, 7.2.4). A session that
   * the request's cookie holds ends with the reason `replaced`. Fills in user agent and address.
   *
   * @throws {SessionError} `csrf_rejected` when another site sent the request: it would sign the user in as somebody else.
   * @throws {SessionLimitError} at the limit under `onLimit: 'reject'`.
   */
  async start<T = SessionData>(input: NewSession<T>, options: SignInOptions = {}): Promise<SignedIn<T>> {
    this.assertMayWrite();
    const { sessions, cookie, authenticator } = this.tools;
    const previous = await this.findCookieSession();
    const isOwn = previous !== null && previous.session.userId === input.userId;
    const started = await sessions.start<T>(
      { ...input, metadata: { ...metadataOf(this.exchange), ...input.metadata } },
      { ...options, ...(isOwn && { replaces: previous.session.id }) },
    );
    if (previous && !isOwn) await this.replace(previous.session, started.session);
    const live = liveOf(started.session as Session);
    cookie.write(this.exchange, started.cookieToken, live);
    authenticator.remember(this.exchange, authenticated(live));
    const { cookieToken: _, ...signedIn } = started;
    return signedIn;
  }

  /**
   * Draws new secrets, for a change of privilege (ASVS 5.0, 7.2.4): the old cookie, refresh token and access tokens are
   * refused from then on.
   *
   * @throws {AuthenticationError} when nobody is signed in.
   */
  async rotate(patch?: SessionPatch): Promise<SignedIn> {
    const request = await this.require();
    return this.renew(request, (id, options) => this.tools.sessions.rotate(id, options), patch);
  }

  /**
   * As `rotate`, once the user has proved again who they are: the session counts as fresh (ASVS 5.0, 7.5.1). Under
   * `@StepUp()` a lost answer can be asked for again with the replaced cookie for 30 seconds.
   *
   * @param patch What the proof changes, such as `{ amr: ['pwd', 'otp'], acr: 'aal2', pending: false }`.
   * @throws {AuthenticationError} when nobody is signed in.
   */
  async stepUp(patch?: SessionPatch): Promise<SignedIn> {
    const request = await this.require({ superseded: true });
    return this.renew(request, (id, options) => this.tools.sessions.stepUp(id, options), patch);
  }

  /** Signs out: ends the session, if there still is one, and clears the cookie. Returns whether one ended. */
  async end(): Promise<boolean> {
    this.assertMayWrite();
    const request = await this.tools.authenticator.authenticate(this.exchange);
    const holds = request.state === 'authenticated' && !request.superseded;
    const ended = holds ? await this.tools.sessions.end(request.live.session.id) : false;
    this.forget();
    return ended;
  }

  /** Ends the user's other sessions. Returns how many. @throws {AuthenticationError} when nobody is signed in. */
  async endOthers(): Promise<number> {
    const { live } = await this.require();
    return this.tools.sessions.endOthers(live.session);
  }

  /** Ends all sessions of the user, this one included. Returns how many. @throws {AuthenticationError} when nobody is signed in. */
  async endAll(): Promise<number> {
    this.assertMayWrite();
    const { live } = await this.require();
    const ended = await this.tools.sessions.endAll(live.session.userId);
    this.forget();
    return ended;
  }

  /**
   * Merges a change into the session and returns it. A function may be called again on what another request wrote.
   *
   * @throws {AuthenticationError} when nobody is signed in, or the session ended meanwhile.
   */
  async update<T = SessionData>(change: SessionChange<T>): Promise<Session<T>> {
    const request = await this.require();
    const session = await this.tools.sessions.update<T>(request.live.session.id, change);
    if (!session) throw invalidToken();
    this.tools.authenticator.remember(this.exchange, {
      ...request,
      live: { ...request.live, session: session as Session },
    });
    return session;
  }

  private async renew(
    request: AuthenticatedRequest,
    run: (id: string, options: RenewOptions) => Promise<RenewedSession>,
    patch: SessionPatch | undefined,
  ): Promise<SignedIn> {
    this.assertMayWrite();
    const { cookieToken, ...signedIn } = await run(request.live.session.id, {
      ...(patch && { patch }),
      ...(request.presented && { presented: request.presented }),
    });
    const live = { ...request.live, session: signedIn.session };
    if (cookieToken !== undefined) this.tools.cookie.write(this.exchange, cookieToken, live);
    this.exchange.setHeader('cache-control', 'no-store');
    this.tools.authenticator.remember(this.exchange, { ...request, live, superseded: false, presented: null });
    return signedIn;
  }

  /** The new session is there first, so that nothing is lost when the old one cannot be ended. */
  private async replace(old: Session, by: { id: string }): Promise<void> {
    try {
      await this.tools.sessions.end(old.id, { reason: 'replaced' });
    } catch (error) {
      await this.tools.sessions.end(by.id).catch(() => undefined);
      throw error;
    }
  }

  private async find(): Promise<AuthenticatedRequest | null> {
    const request = await this.tools.authenticator.authenticate(this.exchange);
    if (request.state !== 'authenticated' || request.superseded || complaintAboutState(request, this.rules)) return null;
    return request;
  }

  private async require({ superseded = false } = {}): Promise<AuthenticatedRequest> {
    const request = await this.tools.authenticator.authenticate(this.exchange);
    if (request.state === 'refused') throw request.error;
    if (request.state === 'none') throw new AuthenticationError('session_required', 'Sign in first.');
    const complaint = complaintAboutState(request, this.rules);
    if (complaint) throw complaint;
    if (request.superseded && !superseded) throw invalidToken();
    return request;
  }

  private async findCookieSession(): Promise<LiveSession | null> {
    try {
      const authentication = await this.tools.authenticator.authenticateCookie(this.exchange);
      return authentication && !authentication.superseded ? authentication.live : null;
    } catch (error) {
      if (error instanceof SessionError && error.statusCode < 500) return null;
      throw error;
    }
  }

  /** @throws {SessionError} */
  private assertMayWrite(): void {
    this.exchange.assertCanSetHeaders();
    this.tools.csrf.check(this.exchange);
  }

  private forget(): void {
    this.tools.cookie.clear(this.exchange);
    this.tools.authenticator.remember(this.exchange, { state: 'none' });
  }
}

function authenticated(live: LiveSession): AuthenticatedRequest {
  return { state: 'authenticated', transport: 'cookie', live, superseded: false, presented: null };
}

/** A session just created, as a later look in the same request will want it. */
function liveOf(session: Session): LiveSession {
  return {
    state: 'live',
    session,
    lineages: { cookie: null, refresh: null },
    revision: '',
    tokensFrom: 0,
    tokenRevoked: false,
    now: session.createdAt,
  };
}
