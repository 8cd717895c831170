import { SessionError } from '../model/errors.js';
import type { NewSession, Session, SessionChange, SessionData, SessionPatch } from '../model/session.js';
import type { LiveSession } from '../ports/session-store.js';
import { invalidToken } from '../services/authentication-errors.js';
import type { RenewOptions, RenewedSession, SessionService } from '../services/session-service.js';
import type { AccessToken, TokenPair, TokenService } from '../services/token-service.js';
import type { ActorCookie } from './actor-cookie.js';
import type { ClientRecognition } from './client-recognition.js';
import type { HttpExchange } from './http-exchange.js';
import type { Impersonation } from './impersonation.js';
import {
  authenticatedNow,
  type AuthenticatedRequest,
  type RequestAuthentication,
  type RequestAuthenticator,
} from './request-authenticator.js';
import type { RefreshCookie } from './refresh-cookie.js';
import type { RouteRules } from './route-rules.js';
import type { SessionCookie } from './session-cookie.js';
import { complaintAboutState, notSignedIn } from './session-gate.js';
import type { SignIn, SignInOptions } from './sign-in.js';
import type { TokenRefresh } from './token-refresh.js';

/** A session and what goes to the client in the body; the cookie is on its way already. */
export interface SignedIn<T = SessionData> {
  session: Session<T>;
  /** Tokens, where the client uses them. The refresh token is not among them where a cookie carries it. */
  tokens?: AccessToken & Partial<TokenPair>;
}

/** What a `RequestSession` works with. */
export interface RequestSessionTools {
  readonly sessions: SessionService;
  readonly authenticator: RequestAuthenticator;
  readonly cookie: SessionCookie;
  readonly refreshCookie: RefreshCookie;
  readonly tokens: TokenService;
  readonly refreshing: TokenRefresh;
  readonly signIn: SignIn;
  readonly impersonation: Impersonation;
  readonly actors: ActorCookie;
  readonly clients: ClientRecognition;
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
   * the request's cookie holds ends with the reason `replaced`; where it was anonymous, the hook `mergeAnonymous` says what
   * of its data goes over. Fills in what the request tells of its client: user agent, address, fingerprint, name and type
   * of the device, with `device.cookie` an id for it, and with `locate` where it is.
   *
   * @throws {SessionError} `csrf_rejected` when another site sent the request: it would sign the user in as somebody else.
   * @throws {SessionLimitError} at the limit under `onLimit: 'reject'`.
   */
  async start<T = SessionData>(input: NewSession<T>, options: SignInOptions = {}): Promise<SignedIn<T>> {
    const started = await this.tools.signIn.start<T>(this.exchange, input, options);
    return this.signedIn(started, started.live);
  }

  /**
   * The session of a visitor who is not signed in: the request's own where it has one, else a new anonymous one, with these
   * data. For explicit actions alone (ASVS 5.0, 7.6.2). Guards let it in under `@AllowAnonymous()` and nowhere else, and it
   * never becomes a user's: signing in starts another one.
   *
   * @throws {SessionError} `csrf_rejected` when another site sent the request; `step_up_required` where `security` asks for it.
   */
  async startAnonymous<T = SessionData>(data?: T): Promise<Session<T>> {
    const request = await this.tools.authenticator.authenticate(this.exchange);
    if (request.state === 'authenticated' && !request.superseded) {
      if (request.suspicion) throw request.suspicion;
      return request.live.session as Session<T>;
    }
    return this.tools.signIn.startAnonymous<T>(this.exchange, data);
  }

  /**
   * Acts as somebody else from now on: a session of theirs that names this one as its `actor`, and ends with it. The
   * browser's cookie changes to it and `endImpersonation` brings this session back; a client with a bearer token gets an
   * access token for it. Whether this administrator may do so is for the route to decide. See
   * `SessionAdminService.impersonate`.
   *
   * @throws {AuthenticationError} when nobody is signed in.
   * @throws {SessionError} `insufficient_scope` from a session that is itself impersonated, anonymous or pending.
   */
  async impersonate<T = SessionData>(user: NewSession<T>): Promise<SignedIn<T>> {
    this.exchange.assertCanSetHeaders();
    const request = await this.require();
    const { session, live } = await this.tools.impersonation.start<T>(this.exchange, request, user);
    this.exchange.forbidCaching();
    if (request.transport === 'cookie') return { session };
    return { session, tokens: this.tools.tokens.issueFor(live) };
  }

  /**
   * Ends the impersonation and returns to the administrator's own session, in a browser that holds both.
   *
   * @throws {SessionError} `invalid_request` where the session acts as nobody else.
   * @throws {AuthenticationError} `session_required` where the administrator has no session to return to; the
   *   impersonation has ended.
   */
  async endImpersonation(): Promise<Session> {
    this.exchange.assertCanSetHeaders();
    return this.tools.impersonation.end(this.exchange, await this.require());
  }

  /**
   * Exchanges a refresh token, given or in the cookie of `jwt.refreshCookie`, for a new pair. See `TokenService.refresh`.
   *
   * @throws {AuthenticationError} for a token that does not hold or is not there, or whose session ended.
   */
  async refresh(refreshToken?: string): Promise<Required<SignedIn>> {
    const { session, ...tokens } = await this.tools.refreshing.refresh(this.exchange, refreshToken);
    return { session, tokens };
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
   * `@StepUp()` a lost answer can be asked for again with the replaced cookie for 30 seconds. Where the client differs from
   * the one the session remembers, the session takes it over.
   *
   * @param patch What the proof changes, such as `{ amr: ['pwd', 'otp'], acr: 'aal2', pending: false }`.
   * @throws {AuthenticationError} when nobody is signed in.
   * @throws {SessionError} `insufficient_scope` in an impersonated session.
   */
  async stepUp(patch?: SessionPatch): Promise<SignedIn> {
    const request = this.assertOwn(await this.require({ superseded: true }));
    const client = this.tools.clients.takeOver(this.exchange, request.live.session);
    const all = client || patch ? { ...client, ...patch } : undefined;
    return this.renew(request, (id, options) => this.tools.sessions.stepUp(id, options), all);
  }

  /**
   * After a change of password: the user's other sessions end with the reason `revoked`, and this one goes on under new
   * secrets (ASVS 5.0, 7.4.3). Where it fails half way, calling it again does the rest.
   *
   * @returns also how many ended.
   * @throws {AuthenticationError} when nobody is signed in.
   * @throws {SessionError} `insufficient_scope` in an impersonated session.
   */
  async passwordChanged(patch?: SessionPatch): Promise<SignedIn & { ended: number }> {
    const request = this.assertOwn(await this.require());
    let ended = 0;
    const signedIn = await this.renew(
      request,
      async (_, options) => {
        const renewed = await this.tools.sessions.passwordChanged(request.live.session, options);
        ended = renewed.ended;
        return renewed;
      },
      patch,
    );
    return { ...signedIn, ended };
  }

  /**
   * Signs out: ends the session and clears the cookies. Where our own cookie or access token has expired, or its session is
   * over already, there is nothing to end and that is fine. An administrator who acts as somebody else is signed out
   * altogether. Returns whether a session ended.
   *
   * @throws {AuthenticationError} without credentials, and for such as we never signed (ASVS 5.0, 9.1.1).
   * @throws {SessionError} `csrf_rejected`; the cookie then stays.
   */
  async end(): Promise<boolean> {
    this.exchange.assertCanSetHeaders();
    const { authenticator, sessions, actors } = this.tools;
    const request = await authenticator.authenticate(this.exchange);
    if (request.state === 'none') throw notSignedIn();
    if (request.state === 'refused' && request.error.statusCode !== 401) throw request.error;
    const holds = request.state === 'authenticated' && !request.superseded;
    const ended = holds ? await sessions.end(request.live.session.id) : false;
    if (holds) await actors.abandon(this.exchange);
    this.forget(request);
    if (request.state === 'refused' && !authenticator.isOwn(this.exchange)) throw request.error;
    return ended;
  }

  /** Ends the user's other sessions. Returns how many. @throws {AuthenticationError} when nobody is signed in. */
  async endOthers(): Promise<number> {
    const { live } = await this.require();
    return this.tools.sessions.endOthers(live.session);
  }

  /** Ends all sessions of the user, this one included. Returns how many. @throws {AuthenticationError} when nobody is signed in. */
  async endAll(): Promise<number> {
    this.exchange.assertCanSetHeaders();
    const request = await this.require();
    const ended = await this.tools.sessions.endAll(request.live.session.userId);
    this.forget(request);
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
    this.exchange.assertCanSetHeaders();
    const renewed = await run(request.live.session.id, {
      ...(patch && { patch }),
      ...(request.presented && { presented: request.presented }),
    });
    const { live } = renewed;
    if (renewed.cookieToken !== undefined && request.transport === 'cookie') {
      this.tools.cookie.write(this.exchange, renewed.cookieToken, live);
    }
    this.tools.authenticator.remember(this.exchange, authenticatedNow(live, request.transport));
    return this.signedIn(renewed, live);
  }

  private signedIn<T>(secrets: { session: Session<T>; refreshToken?: string }, live: LiveSession): SignedIn<T> {
    const { session, refreshToken } = secrets;
    this.exchange.forbidCaching();
    if (refreshToken === undefined) return { session };
    const { tokens, refreshCookie } = this.tools;
    const kept = refreshCookie.handOver(this.exchange, refreshToken, live);
    return { session, tokens: { ...tokens.issueFor(live), ...kept } };
  }

  /** Whoever acts as the user is not the user, and can prove nothing. */
  private assertOwn(request: AuthenticatedRequest): AuthenticatedRequest {
    if (!request.live.session.actor) return request;
    throw new SessionError('insufficient_scope', 'This is for the user alone, not for whoever acts as them.');
  }

  private async find(): Promise<AuthenticatedRequest | null> {
    const request = await this.tools.authenticator.authenticate(this.exchange);
    if (request.state !== 'authenticated' || request.superseded || complaintAboutState(request, this.rules))
      return null;
    return request;
  }

  private async require({ superseded = false } = {}): Promise<AuthenticatedRequest> {
    const request = await this.tools.authenticator.authenticate(this.exchange);
    if (request.state === 'refused') throw request.error;
    if (request.state === 'none') throw notSignedIn();
    const complaint = complaintAboutState(request, this.rules);
    if (complaint) throw complaint;
    if (request.superseded && !superseded) throw invalidToken();
    return request;
  }

  private forget(request: RequestAuthentication): void {
    const { cookie, refreshCookie, authenticator } = this.tools;
    const usesCookie = request.state === 'authenticated' && request.transport === 'cookie';
    if (usesCookie || cookie.isSentBy(this.exchange)) cookie.clear(this.exchange);
    // Bound to its path, it is not sent here: whether the client has one cannot be seen.
    if (refreshCookie.enabled) refreshCookie.clear(this.exchange);
    authenticator.remember(this.exchange, { state: 'none' });
  }
}
