// Over 300 lines because it is one public class, and most of it is documentation.
import { SessionError } from '../../model/errors.js';
import type { NewSession, Session, SessionChange, SessionData, SessionPatch } from '../../model/session.js';
import type { LiveSession } from '../../ports/session-store.js';
import { invalidToken } from '../../tokens/authentication-errors.js';
import type { FailedSignIn } from '../../events/security-reports.js';
import type { RegenerateOptions, RegeneratedSession } from '../../sessions/session-service.js';
import type { AccessToken, TokenPair } from '../../tokens/token-service.js';
import { authenticatedNow } from '../authentication/request-authenticator.js';
import type { AuthenticatedRequest, RequestContext } from '../authentication/request-context.js';
import { stateRefusal, notSignedIn } from '../authentication/route-refusals.js';
import type { RouteRules } from '../authorization/route-rules.js';
import type { Account } from './accounts.js';
import { LazyPromise } from './lazy-promise.js';
import type { RequestSessionServices } from './request-session-services.js';
import type { SignInOptions } from './sign-in.js';

/** A session and the content of the response body; the cookie is already set. */
export interface SignedIn<T = SessionData> {
  session: Session<T>;
  /** Tokens, if the client uses them. Without the refresh token if a cookie carries it. */
  tokens?: AccessToken & Partial<TokenPair>;
}

const METHODS = [
  'start',
  'startAnonymous',
  'impersonate',
  'endImpersonation',
  'addAccount',
  'accounts',
  'switchAccount',
  'signOutAccount',
  'refresh',
  'regenerate',
  'stepUp',
  'passwordChanged',
  'signInFailed',
  'end',
  'endOthers',
  'endAll',
  'update',
] as const satisfies readonly (keyof RequestSession)[];

/**
 * The session of the current request, for handlers that sign in, sign out or step up: `@ReqSession() session:
 * RequestSession`. Sets and clears the cookie on Express and Fastify, and prevents caching of the response.
 *
 * Every method rejects with `StoreUnavailableError` if the store is unavailable, and with the code `headers_sent` if it
 * must set a cookie after the response was sent.
 */
export class RequestSession {
  /** The current session of the request, read when awaited; null if nobody is signed in. */
  readonly current: Promise<Session | null>;
  readonly #context: RequestContext;
  readonly #rules: RouteRules;
  readonly #services: RequestSessionServices;

  constructor(context: RequestContext, rules: RouteRules, services: RequestSessionServices) {
    this.#context = context;
    this.#rules = rules;
    this.#services = services;
    const inTenant = async <T>(work: () => T | Promise<T>): Promise<T> =>
      services.tenants.within(this.#context.exchange, work);
    this.current = new LazyPromise(() => inTenant(async () => (await this.#find())?.live.session ?? null));
    // Global pipes of the application may copy parameter values; own properties keep the methods in such a copy.
    for (const name of METHODS) {
      const method = Reflect.get(this, name) as (...args: unknown[]) => Promise<unknown>;
      const value = async (...args: unknown[]): Promise<unknown> =>
        context.counted(() => inTenant(() => Reflect.apply(method, this, args)));
      Object.defineProperty(this, name, { value, enumerable: true });
    }
  }

  /**
   * Signs in: a new session with a new id and new secrets, never values chosen by the client (ASVS 5.0, 7.2.4). The
   * session in the request's cookie ends with the reason `replaced`; if it was anonymous, the hook `mergeAnonymous`
   * decides which of its data the new session gets. Adds what the request reveals about its client: user agent,
   * address, fingerprint, name and type of the device, with `device.cookie` a device id, and with `locate` the
   * location.
   *
   * @throws {SessionError} `csrf_rejected` if another site sent the request: it would sign the user in as somebody
   * else.
   * @throws {SessionLimitError} at the limit under `onLimit: 'reject'`.
   */
  async start<T = SessionData>(input: NewSession<NoInfer<T>>, options: SignInOptions = {}): Promise<SignedIn<T>> {
    const started = await this.#services.signIn.start<T>(this.#context, input, options);
    return this.#signedIn(started, started.live);
  }

  /**
   * The session of a visitor who is not signed in: the request's session if it has one, otherwise a new anonymous one
   * with these data. Only for explicit actions of the user (ASVS 5.0, 7.6.2). Guards let it in only on routes with
   * `@AllowAnonymous()`, and it never becomes a user's session: signing in starts a new one.
   *
   * @throws {SessionError} `csrf_rejected` if another site sent the request; `step_up_required` if `security` requires
   * it.
   */
  async startAnonymous<T = SessionData>(data?: NoInfer<T>): Promise<Session<T>> {
    const request = await this.#services.authenticator.authenticate(this.#context, this.#rules.transport);
    if (request.state === 'authenticated' && !request.superseded) {
      if (request.mismatch) throw request.mismatch;
      return request.live.session as Session<T>;
    }
    return this.#services.signIn.startAnonymous<T>(this.#context, data);
  }

  /**
   * Impersonates a user from now on: starts a session of that user that names this one as its `actor` and ends with it.
   * The browser's cookie changes to it, and `endImpersonation` restores this session; a client with a bearer token gets
   * an access token for it. The route decides whether this administrator may do so. See
   * `SessionAdminService.impersonate`.
   *
   * @throws {AuthenticationError} if nobody is signed in.
   * @throws {SessionError} `insufficient_scope` from a session that is itself impersonated, anonymous or pending.
   */
  async impersonate<T = SessionData>(user: NewSession<NoInfer<T>>): Promise<SignedIn<T>> {
    this.#context.exchange.assertCanSetHeaders();
    const request = await this.#require();
    const { session, live } = await this.#services.impersonation.start<T>(this.#context, request, user);
    this.#context.exchange.forbidCaching();
    if (request.transport === 'cookie') return { session };
    return { session, tokens: this.#services.tokens.issueFor(live, { jkt: request.jkt }) };
  }

  /**
   * Ends the impersonation and returns to the administrator's own session, in a browser that holds both.
   *
   * @throws {SessionError} `invalid_request` if the session is not impersonated.
   * @throws {AuthenticationError} `session_required` if the administrator has no session to return to; the
   * impersonation has ended.
   */
  async endImpersonation(): Promise<Session> {
    this.#context.exchange.assertCanSetHeaders();
    return this.#services.impersonation.end(this.#context, await this.#require());
  }

  /**
   * Signs in to a further account, and keeps the present one: it is parked, and `switchAccount` returns to it. Otherwise like `start`,
   * which signs the browser out of all other accounts. An account of the same user is replaced. Needs the option `accounts`.
   *
   * @throws {SessionError} `too_many_accounts` beyond `accounts.max`; `invalid_request` in an impersonated session; otherwise like
   * `start`.
   */
  async addAccount<T = SessionData>(input: NewSession<NoInfer<T>>, options: SignInOptions = {}): Promise<SignedIn<T>> {
    const started = await this.#services.accounts.add<T>(this.#context, input, options);
    return this.#signedIn(started, started.live);
  }

  /**
   * The accounts that this browser is signed in to, oldest sign-in first. Those whose session has ended are left out. One read for
   * each; counts as no access of the parked ones. Needs the option `accounts`.
   */
  async accounts(): Promise<Account[]> {
    const request = await this.#find();
    const current = request?.transport === 'cookie' ? request.live : null;
    return this.#services.accounts.list(this.#context, current);
  }

  /**
   * Makes a parked account the session of this browser, without a sign-in; the present one is parked. Counts as an access. Its own
   * rules hold: timeouts, freshness, `security`. Returns its session. Needs the option `accounts`.
   *
   * @param sessionId From `accounts()`.
   * @throws {SessionError} `account_not_found` if it is not one of this browser, or has ended; `csrf_rejected`; `invalid_request` in
   * an impersonated session.
   */
  async switchAccount(sessionId: string): Promise<Session> {
    return this.#services.accounts.switchTo(this.#context, sessionId);
  }

  /**
   * Signs out of one account of this browser: its session ends. After the one in use nobody is signed in, until `switchAccount`.
   * `end()` signs out of all. Needs the option `accounts`.
   *
   * @param sessionId From `accounts()`.
   * @throws {SessionError} like `switchAccount`.
   */
  async signOutAccount(sessionId: string): Promise<void> {
    const { wasCurrent } = await this.#services.accounts.signOut(this.#context, sessionId);
    if (wasCurrent) this.#forget(await this.#services.authenticator.currentOf(this.#context));
  }

  /**
   * Exchanges a refresh token, given or in the cookie of `jwt.refreshCookie`, for a new pair. See
   * `TokenService.refresh`.
   *
   * @throws {AuthenticationError} if the token is missing or invalid, or its session has ended.
   */
  async refresh(refreshToken?: string): Promise<Required<SignedIn>> {
    const { session, ...tokens } = await this.#services.refreshing.refresh(this.#context, refreshToken);
    return { session, tokens };
  }

  /**
   * Replaces the secrets, for a change of privilege (ASVS 5.0, 7.2.4): the old cookie, refresh token and access tokens
   * are refused from then on.
   *
   * @throws {AuthenticationError} if nobody is signed in.
   */
  async regenerate(patch?: SessionPatch): Promise<SignedIn> {
    const request = await this.#require();
    return this.#drawSecret(request, (id, options) => this.#services.sessions.regenerate(id, options), patch);
  }

  /**
   * Like `regenerate`, after the user has proved their identity again: the session counts as fresh (ASVS 5.0, 7.5.1).
   * On a route with `@StepUp()` a lost answer can be requested again with the replaced cookie for 30 seconds. If the
   * client differs from the one stored in the session, the session stores the new one.
   *
   * @param patch What the proof changes, such as `{ amr: ['pwd', 'otp'], acr: 'aal2', pending: false }`.
   * @param options `replaces`: if the patch sets `pending` to false, a session of the user that ends in the same step.
   * @throws {AuthenticationError} if nobody is signed in.
   * @throws {SessionError} `insufficient_scope` in an impersonated session.
   * @throws {SessionLimitError} if the patch sets `pending` to false at the limit under `onLimit: 'reject'`.
   */
  async stepUp(patch?: SessionPatch, options: Pick<RegenerateOptions, 'replaces'> = {}): Promise<SignedIn> {
    const request = this.#assertOwn(await this.#require({ superseded: true }));
    const client = this.#services.clients.takeOver(this.#context.client, request.live.session);
    const all = client || patch ? { ...client, ...patch } : undefined;
    return this.#drawSecret(
      request,
      async (id, how) => {
        const proved = await this.#services.sessions.stepUp(id, { ...how, ...options });
        // A browser that has proved its device needs no other key for it.
        const isBindable = request.transport === 'cookie' && request.binding !== 'proven';
        if (isBindable) this.#services.binding?.offer(this.#context, proved.live);
        return proved;
      },
      all,
    );
  }

  /**
   * After a change of password: the user's other sessions end with the reason `revoked`, and this one continues with
   * new secrets (ASVS 5.0, 7.4.3). If it fails half way, call it again.
   *
   * @returns also how many sessions ended.
   * @throws {AuthenticationError} if nobody is signed in.
   * @throws {SessionError} `insufficient_scope` in an impersonated session.
   */
  async passwordChanged(patch?: SessionPatch): Promise<SignedIn & { ended: number }> {
    const request = this.#assertOwn(await this.#require());
    let ended = 0;
    const signedIn = await this.#drawSecret(
      request,
      async (_, options) => {
        const regenerated = await this.#services.sessions.passwordChanged(request.live.session, options);
        ended = regenerated.ended;
        return regenerated;
      },
      patch,
    );
    return { ...signedIn, ended };
  }

  /**
   * Reports that a password or another factor was wrong: emits the event `sign-in-failed` and logs it (ASVS 5.0,
   * 16.3.1). Sends no answer and limits nothing. In a step-up or at a second factor, user, session and verified factors
   * default to those of the request's session.
   */
  async signInFailed(failure: FailedSignIn = {}): Promise<void> {
    const { authenticator, reports } = this.#services;
    const current = await authenticator.currentOf(this.#context);
    reports.signInFailed(failure, this.#context, current?.live.session);
  }

  /**
   * Signs out: ends every session named by a credential in the request that this server signed, and clears the cookies,
   * even if the credential is no longer valid or `security` distrusts its client. If the sessions are already over,
   * there is nothing to do. An administrator who impersonates a user is signed out of both sessions, and a browser with several
   * accounts of all of them. Returns whether a session ended.
   *
   * @throws {AuthenticationError} without credentials, and for credentials that this server did not sign (ASVS 5.0,
   * 9.1.1).
   * @throws {StoreUnavailableError} if a session could not be ended; the cookies then stay.
   * @throws {SessionError} `csrf_rejected`; the cookies then stay.
   */
  async end(): Promise<boolean> {
    this.#context.exchange.assertCanSetHeaders();
    const { authenticator, sessions, actors, refreshCookie, accounts } = this.#services;
    const named = await authenticator.sessionsToEnd(this.#context, [
      ...actors.sessionsIn(this.#context),
      ...accounts.sessionsIn(this.#context),
      ...refreshCookie.sessionsIn(this.#context.exchange),
    ]);
    if (named.length > 0) {
      const current = await authenticator.currentOf(this.#context);
      const outcomes = await Promise.allSettled(named.map((id) => sessions.end(id, { wait: this.#context.wait })));
      for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
      this.#forget(current);
      accounts.forget(this.#context);
      return outcomes.some((outcome) => outcome.status === 'fulfilled' && outcome.value);
    }
    const request = await authenticator.authenticate(this.#context, this.#rules.transport);
    if (request.state !== 'refused') throw notSignedIn();
    if (request.error.statusCode === 401) this.#forget();
    throw request.error;
  }

  /**
   * Ends the user's other sessions. Returns how many.
   *
   * @throws {AuthenticationError} if nobody is signed in.
   */
  async endOthers(): Promise<number> {
    const { live } = await this.#require();
    return this.#services.sessions.endOthers(live.session, { wait: this.#context.wait });
  }

  /**
   * Ends all sessions of the user, including this one. Returns how many.
   *
   * @throws {AuthenticationError} if nobody is signed in.
   */
  async endAll(): Promise<number> {
    this.#context.exchange.assertCanSetHeaders();
    const request = await this.#require();
    const ended = await this.#services.sessions.endAll(request.live.session.userId, { wait: this.#context.wait });
    await this.#services.actors.abandon(this.#context);
    this.#forget(request);
    return ended;
  }

  /**
   * Merges a change into the session and returns it. A function may be called again, with what another request wrote.
   *
   * @throws {AuthenticationError} if nobody is signed in, or the session has ended.
   */
  async update<T = SessionData>(change: SessionChange<NoInfer<T>>): Promise<Session<T>> {
    const request = await this.#require();
    const session = await this.#services.sessions.update<T>(request.live.session.id, change, {
      wait: this.#context.wait,
    });
    if (!session) throw invalidToken();
    const { cached: _, ...live } = request.live;
    this.#services.authenticator.remember(this.#context, {
      ...request,
      live: { ...live, session: session as Session },
    });
    return session;
  }

  async #drawSecret(
    request: AuthenticatedRequest,
    run: (id: string, options: RegenerateOptions) => Promise<RegeneratedSession>,
    patch: SessionPatch | undefined,
  ): Promise<SignedIn> {
    this.#context.exchange.assertCanSetHeaders();
    const jkt = await this.#keyFor(request);
    const regenerated = await run(request.live.session.id, {
      wait: this.#context.wait,
      ...(jkt !== undefined && { jkt }),
      ...(patch && { patch }),
      ...(request.presented && { presented: request.presented }),
    });
    const { live } = regenerated;
    if (regenerated.cookieToken !== undefined && request.transport === 'cookie') {
      this.#services.cookie.write(this.#context.exchange, regenerated.cookieToken, live);
    }
    const { binding } = request;
    this.#services.authenticator.remember(this.#context, {
      ...authenticatedNow(live, request.transport, request.jkt),
      binding,
    });
    return this.#signedIn(regenerated, live);
  }

  /** The key of new tokens: that of the request's own token, else of its proof. A session without a refresh token gets none. */
  async #keyFor({ jkt, live }: AuthenticatedRequest): Promise<string | undefined> {
    const { dpop } = this.#services;
    if (!dpop || !live.families.refresh || jkt !== undefined) return jkt;
    return dpop.keyFor(this.#context);
  }

  #signedIn<T>(
    { session, refreshToken, jkt }: { session: Session<T>; refreshToken?: string; jkt?: string },
    live: LiveSession,
  ): SignedIn<T> {
    this.#context.exchange.forbidCaching();
    if (refreshToken === undefined) return { session };
    const { tokens, refreshCookie } = this.#services;
    const kept = refreshCookie.handOver(this.#context.exchange, refreshToken, live);
    return { session, tokens: { ...tokens.issueFor(live, { jkt }), ...kept } };
  }

  /** An administrator who acts as the user cannot prove to be the user. */
  #assertOwn(request: AuthenticatedRequest): AuthenticatedRequest {
    if (!request.live.session.actor) return request;
    const error = new SessionError(
      'insufficient_scope',
      'Only the user may do this, not an administrator who acts as the user.',
    );
    this.#services.reports.refused(error, this.#context, request.live.session);
    throw error;
  }

  async #find(): Promise<AuthenticatedRequest | null> {
    const { authenticator } = this.#services;
    const request = await authenticator.authenticate(this.#context, this.#rules.transport);
    if (request.state !== 'authenticated' || request.superseded) return null;
    if (!stateRefusal(request, this.#rules)) return request;
    return (await authenticator.askStore(this.#context)) ? this.#find() : null;
  }

  async #require({ superseded = false } = {}): Promise<AuthenticatedRequest> {
    const { authenticator } = this.#services;
    const request = await authenticator.authenticate(this.#context, this.#rules.transport);
    if (request.state === 'refused') throw request.error;
    if (request.state === 'none') throw notSignedIn();
    const problem = stateRefusal(request, this.#rules);
    if (problem && (await authenticator.askStore(this.#context))) return this.#require({ superseded });
    if (problem) throw problem;
    if (request.superseded && !superseded) throw invalidToken('replaced');
    return request;
  }

  #forget(request: AuthenticatedRequest | null = null): void {
    const { cookie, refreshCookie, actors, authenticator } = this.#services;
    if (actors.isSentBy(this.#context.exchange)) actors.clear(this.#context.exchange);
    if (request?.transport === 'cookie' || cookie.isSentBy(this.#context.exchange))
      cookie.clear(this.#context.exchange);
    // Limited to its path, the cookie is not in this request, so whether the client has one is unknown.
    if (refreshCookie.enabled) refreshCookie.clear(this.#context.exchange);
    this.#services.binding?.forget(this.#context.exchange);
    authenticator.remember(this.#context, { state: 'none' });
  }
}
