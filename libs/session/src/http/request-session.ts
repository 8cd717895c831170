import type { SessionLimit } from '../model/limit.js';
import { AuthenticationError, SessionError } from '../model/errors.js';
import type { NewSession, Session, SessionChange, SessionData, SessionPatch } from '../model/session.js';
import type { LiveSession } from '../ports/session-store.js';
import { invalidToken } from '../services/authentication-errors.js';
import type { RenewOptions, RenewedSession, SessionService } from '../services/session-service.js';
import type { AccessToken, TokenPair, TokenService } from '../services/token-service.js';
import { metadataOf } from './client-facts.js';
import type { CsrfPolicy } from './csrf-policy.js';
import type { HttpExchange } from './http-exchange.js';
import type {
  AuthenticatedRequest,
  RequestAuthentication,
  RequestAuthenticator,
  Transport,
} from './request-authenticator.js';
import type { RefreshCookie } from './refresh-cookie.js';
import type { RouteRules } from './route-rules.js';
import type { SessionCookie } from './session-cookie.js';
import { complaintAboutState } from './session-gate.js';

export interface SignInOptions {
  /** Keeps the session for `session.rememberMe`, and the cookie beyond the browser's end. Default false. */
  rememberMe?: boolean;
  /**
   * What the client gets: `cookie` sets the session cookie; `bearer` returns an access and a refresh token and sets none;
   * `both` does both. Default `cookie`.
   */
  transport?: Transport | 'both';
  /** Overrides `session.maxSessionsPerUser` and `session.onLimit`. */
  limit?: SessionLimit;
}

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
  readonly csrf: CsrfPolicy;
  readonly tokens: TokenService;
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
    this.exchange.assertCanSetHeaders();
    this.tools.csrf.check(this.exchange);
    const { sessions, cookie, authenticator, tokens } = this.tools;
    const { transport = 'cookie', ...startOptions } = options;
    if (transport !== 'cookie') tokens.assertEnabled();
    const previous = await this.findCookieSession();
    const isOwn = previous !== null && previous.session.userId === input.userId;
    const started = await sessions.start<T>(
      { ...input, metadata: { ...metadataOf(this.exchange), ...input.metadata } },
      {
        ...startOptions,
        credentials: transport === 'both' ? ['cookie', 'refresh'] : [transport === 'cookie' ? 'cookie' : 'refresh'],
        ...(isOwn && { replaces: previous.session.id }),
      },
    );
    if (previous && !isOwn) await this.replace(previous.session, started.session);
    const live = liveOf(started.session as Session);
    if (started.cookieToken !== undefined) cookie.write(this.exchange, started.cookieToken, live);
    else if (previous) cookie.clear(this.exchange);
    authenticator.remember(this.exchange, authenticated(live, transport === 'bearer' ? 'bearer' : 'cookie'));
    return this.signedIn(started, live);
  }

  /**
   * Exchanges a refresh token, given or in the cookie of `jwt.refreshCookie`, for a new pair. See `TokenService.refresh`.
   *
   * @throws {AuthenticationError} for a token that does not hold or is not there, or whose session ended.
   */
  async refresh(refreshToken?: string): Promise<Required<SignedIn>> {
    const { tokens, refreshCookie, csrf } = this.tools;
    const inCookie = refreshToken === undefined && refreshCookie.enabled ? refreshCookie.read(this.exchange) : null;
    if (inCookie !== null) {
      this.exchange.assertCanSetHeaders();
      csrf.check(this.exchange);
    }
    const token = refreshToken ?? inCookie;
    if (token === null) throw new AuthenticationError('session_required', 'Send a refresh token.');
    this.exchange.forbidCaching();
    const { session, refreshToken: next, ...access } = await tokens.refresh(token);
    const kept = inCookie === null ? { refreshToken: next } : this.handOver(next, { session, now: session.lastAccess });
    return { session, tokens: { ...access, ...kept } };
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

  /**
   * Signs out: ends the session and clears the cookies. Where our own cookie or access token has expired, or its session is
   * over already, there is nothing to end and that is fine. Returns whether a session ended.
   *
   * @throws {AuthenticationError} without credentials, and for such as we never signed (ASVS 5.0, 9.1.1).
   * @throws {SessionError} `csrf_rejected`; the cookie then stays.
   */
  async end(): Promise<boolean> {
    this.exchange.assertCanSetHeaders();
    const { authenticator, sessions } = this.tools;
    const request = await authenticator.authenticate(this.exchange);
    if (request.state === 'none') throw new AuthenticationError('session_required', 'Sign in first.');
    if (request.state === 'refused' && request.error.statusCode !== 401) throw request.error;
    const holds = request.state === 'authenticated' && !request.superseded;
    const ended = holds ? await sessions.end(request.live.session.id) : false;
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
    this.tools.authenticator.remember(this.exchange, { ...request, live, superseded: false, presented: null });
    return this.signedIn(renewed, live);
  }

  private signedIn<T>(secrets: { session: Session<T>; refreshToken?: string }, live: LiveSession): SignedIn<T> {
    const { session, refreshToken } = secrets;
    this.exchange.forbidCaching();
    if (refreshToken === undefined) return { session };
    return { session, tokens: { ...this.tools.tokens.issueFor(live), ...this.handOver(refreshToken, live) } };
  }

  /** The refresh token for the body, unless a cookie takes it. */
  private handOver(refreshToken: string, live: { session: Session; now: number }): { refreshToken?: string } {
    const { refreshCookie } = this.tools;
    if (!refreshCookie.enabled) return { refreshToken };
    refreshCookie.write(this.exchange, refreshToken, live);
    return {};
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
    if (request.state !== 'authenticated' || request.superseded || complaintAboutState(request, this.rules))
      return null;
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

  private forget(request: RequestAuthentication): void {
    const { cookie, refreshCookie, authenticator } = this.tools;
    const usesCookie = request.state === 'authenticated' && request.transport === 'cookie';
    if (usesCookie || cookie.isSentBy(this.exchange)) cookie.clear(this.exchange);
    // Bound to its path, it is not sent here: whether the client has one cannot be seen.
    if (refreshCookie.enabled) refreshCookie.clear(this.exchange);
    authenticator.remember(this.exchange, { state: 'none' });
  }
}

function authenticated(live: LiveSession, transport: Transport): AuthenticatedRequest {
  return { state: 'authenticated', transport, live, superseded: false, presented: null };
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
