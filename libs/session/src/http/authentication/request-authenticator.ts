// Over 300 lines because every way to authenticate a request shares its one answer, and what makes it be asked again.
import type { Credential, CredentialCodec } from '../../model/credential.js';
import type { BindingState } from '../../model/device-binding.js';
import { AuthenticationError, SessionError } from '../../model/errors.js';
import { userKeyOfSession } from '../../model/ids.js';
import type { LiveSession, SessionSnapshot } from '../../ports/session-store.js';
import type { AccessTokenVerifier, VerifiedAccessToken, VerifyOptions } from '../../tokens/access-token-verifier.js';
import { invalidToken } from '../../tokens/authentication-errors.js';
import type { SessionAuthenticator, Authentication } from '../../sessions/session-authenticator.js';
import type { SessionTelemetry } from '../../events/session-telemetry.js';
import type { SessionCookie } from '../cookies/session-cookie.js';
import type { Transport } from '../authorization/route-rules.js';
import { accessTokenOf, type PresentedToken } from './bearer-token.js';
import type { CsrfPolicy } from './csrf-policy.js';
import type { DeviceBindingHooks } from './device-binding-hooks.js';
import type { DpopProofs } from './dpop-proofs.js';
import type {
  AuthenticatedRequest,
  ClientMismatch,
  CookieAuthentication,
  KnownRequest,
  PresentedCookie,
  RequestAuthentication,
  RequestContext,
} from './request-context.js';
import type { RequestReports } from './request-reports.js';
import type { SecurityPolicy } from './security-policy.js';
import type { SocketSessions } from './socket-sessions.js';

/** Cookies of the same name beyond this number are ignored. */
const MOST_TWINS = 8;

/** The session of an access token, at most one read; see `AccessTokenVerifier.verify`. */
export type AdmitToken = (near: boolean, call: VerifyOptions) => Promise<VerifiedAccessToken>;

/** Authenticates each request once, however many guards, parameters and handlers ask. Does not count as an access. */
export class RequestAuthenticator {
  constructor(
    private readonly sessions: SessionAuthenticator,
    private readonly cookie: SessionCookie,
    private readonly csrf: CsrfPolicy,
    private readonly codec: CredentialCodec,
    private readonly policy: SecurityPolicy,
    private readonly tokens?: AccessTokenVerifier,
    private readonly telemetry?: SessionTelemetry,
    private readonly reports?: RequestReports,
    private readonly binding?: DeviceBindingHooks,
    private readonly sockets?: SocketSessions,
    private readonly dpop?: DpopProofs,
  ) {}

  /**
   * @param only `cookie` for routes that accept no bearer token: the `Authorization` header is then ignored.
   * @throws {StoreUnavailableError}
   */
  authenticate(context: RequestContext, only: Transport | null = null): Promise<RequestAuthentication> {
    if (only === 'cookie' && !context.ignoresBearer && context.exchange.headers.authorization !== undefined) {
      context.ignoresBearer = true;
      context.authentication = null;
      context.evaluate = null;
    }
    return (
      context.authentication ?? this.once(context, context.evaluate, context.evaluate ? null : this.byOneRead(context))
    );
  }

  /**
   * Like `authenticate`, without waiting, if a near cache knows that the request is good and nothing is to be announced.
   * Null decides nothing.
   */
  peek(context: RequestContext, only: Transport | null = null): AuthenticatedRequest | null {
    if (context.isAsked || context.asksStore) return null;
    if (only === 'cookie' && context.exchange.headers.authorization !== undefined) return null;
    let found: KnownRequest | null;
    try {
      found = this.known(context);
    } catch (error) {
      if (error instanceof SessionError) return null;
      throw error;
    }
    // A guard that accepts only bearer tokens must not get the session of a cookie.
    if (!found || (only === 'bearer' && found.request.transport !== 'bearer')) return null;
    context.settle(found);
    this.telemetry?.countAnswer(found.request);
    return found.request;
  }

  /** Like `authenticate`, for a bearer token whose signature another component has verified. */
  authenticateVerified(context: RequestContext, admit: AdmitToken): Promise<RequestAuthentication> {
    return this.once(context, () => this.byBearer(context, accessTokenOf(context.exchange, this.takesDpop), admit));
  }

  /** Like `authenticate`, for the request's bearer token, whatever its cookies. */
  authenticateToken(context: RequestContext, sent: PresentedToken): Promise<RequestAuthentication> {
    const verify: AdmitToken = (near, call) => this.verify(sent.token, near, call);
    return (
      context.authentication ??
      this.once(context, () => this.byBearer(context, sent, verify), this.bearerByOneRead(context, sent))
    );
  }

  /** Whether tokens count that are bound to a key (option `jwt.dpop`). */
  get takesDpop(): boolean {
    return this.dpop !== undefined;
  }

  /**
   * Call this before refusing a request because of the state of its session. Returns whether only the near cache has answered so
   * far; the next `authenticate` then asks the store.
   */
  async askStore(context: RequestContext): Promise<boolean> {
    const current = context.asksStore ? null : await this.currentOf(context);
    if (current?.live.cached !== true) return false;
    context.asksStore = true;
    context.authentication = null;
    context.cookie = null;
    return true;
  }

  /**
   * Authenticates the cookie alone and ignores other credentials. Checks neither the origin nor the client.
   *
   * @throws {SessionError} if the cookie is not valid.
   */
  async authenticateCookie(context: RequestContext): Promise<Authentication | null> {
    return (await this.evaluateCookie(context))?.authentication ?? null;
  }

  /** The session cookie of a request, or null. If there are several, one that this server signed. */
  cookieOf(context: RequestContext): PresentedCookie | null {
    return this.cookiesOf(context)[0] ?? null;
  }

  /** The sessions named by the cookies of a request, live or not. */
  sessionsInCookies(context: RequestContext): string[] {
    return this.cookiesOf(context).flatMap(({ credential }) => credential?.sessionId ?? []);
  }

  /**
   * For a sign-out: every session named by a credential that this server signed, live or not and whatever the security
   * policies say, and the session that the request has started since. Sends no command unless the request was
   * authenticated before.
   *
   * @param others Sessions named by further cookies of the request.
   * @throws {SessionError} `csrf_rejected` if only cookies name a session, and another site sent the request.
   */
  async sessionsToEnd(context: RequestContext, others: readonly string[]): Promise<string[]> {
    const inCookies = [...this.sessionsInCookies(context), ...others];
    const inBearer = this.sessionInBearer(context);
    if (inBearer === null && inCookies.length > 0) this.csrf.check(context);
    const current = await this.currentOf(context);
    return [...new Set([inBearer, ...inCookies, current?.live.session.id].filter((id) => typeof id === 'string'))];
  }

  /** The session that the request was authenticated with, or has started since. */
  async currentOf(context: RequestContext): Promise<AuthenticatedRequest | null> {
    const answer = await context.authentication?.catch(() => null);
    return answer?.state === 'authenticated' ? answer : null;
  }

  /** Replaces the answer for the rest of this request, after it signed in, signed out or stepped up. */
  remember(context: RequestContext, authentication: RequestAuthentication): void {
    const cookie =
      authentication.state === 'authenticated' && authentication.transport === 'cookie'
        ? { authentication: { ...authentication, cookieToken: null }, mismatch: undefined }
        : null;
    context.ignoresBearer = true;
    context.asksStore = true;
    context.reading = null;
    context.authentication = Promise.resolve(authentication);
    context.cookie = Promise.resolve(cookie);
  }

  /**
   * @param evaluate How to find the answer. Default: by all credentials of the request.
   * @param begun The answer that is already on its way.
   */
  private once(
    context: RequestContext,
    evaluate: (() => Promise<RequestAuthentication>) | null,
    begun: Promise<RequestAuthentication> | null = null,
  ): Promise<RequestAuthentication> {
    if (context.authentication) return context.authentication;
    const asked = begun ?? this.answered(context, evaluate ?? (() => this.evaluate(context)));
    // Asked again after a near cache, it is still one request.
    if (!context.asksStore) this.telemetry?.countRequest(asked);
    context.evaluate = evaluate;
    context.authentication = asked;
    return asked;
  }

  private known(context: RequestContext): KnownRequest | null {
    // A socket is remembered by what let it in, which this would pass over.
    if (context.exchange.isUpgrade) return null;
    const sent = this.bearerOf(context);
    if (sent) {
      // A proof is looked at once, and so never without waiting.
      if (this.dpop && (this.dpop.required || sent.scheme === 'dpop')) return null;
      const verified = this.tokens?.peek(sent.token);
      if (!verified || this.isOfAnother(context, verified.live)) return null;
      if (this.policy.assess(context, verified.live, 'bearer')) return null;
      return { request: bearerRequest(verified, null), cookie: null };
    }
    const credential = this.onlyCookieOf(context);
    const found = credential && this.sessions.peek(credential);
    return found && this.unquestioned(context, found);
  }

  /** The request's only session cookie, if it may be used; null decides nothing. */
  private onlyCookieOf(context: RequestContext): Credential | null {
    const cookies = this.cookiesOf(context);
    const credential = (cookies.length === 1 && cookies[0]?.credential) || null;
    return credential && this.csrf.allows(context) ? credential : null;
  }

  /** A request with a good cookie, if nothing is to be announced or done beside it; null decides nothing. */
  private unquestioned(context: RequestContext, found: Authentication): KnownRequest | null {
    const { live, superseded, presented } = found;
    const binding = this.binding?.assess(context, live, null);
    const isDoubtful = binding !== undefined && (binding === 'missing' || this.binding?.denies(binding) === true);
    if (isDoubtful || this.policy.assess(context, live, 'cookie')) return null;
    this.sessions.noteUse(live);
    return {
      request: { state: 'authenticated', transport: 'cookie', live, superseded, presented, mismatch: null, binding },
      cookie: { authentication: found, mismatch: null, binding },
    };
  }

  /**
   * What most requests need: one read of the session and nothing beside it, with a third of the promises of `evaluate`. That goes on
   * with what was read where it does not suffice. Null decides nothing, and nothing was sent.
   */
  private byOneRead(context: RequestContext): Promise<RequestAuthentication> | null {
    // What was asked before is asked again only by `evaluate`.
    if (context.exchange.isUpgrade || context.asksStore || context.cookie) return null;
    let credential: Credential | null;
    try {
      const sent = this.bearerOf(context);
      if (sent) return this.bearerByOneRead(context, sent);
      credential = this.onlyCookieOf(context);
    } catch (error) {
      if (error instanceof SessionError) return null;
      throw error;
    }
    if (!credential) return null;
    const near = this.sessions.peek(credential);
    if (near) {
      const known = this.unquestioned(context, near);
      if (known) context.settle(known);
      return known && Promise.resolve(known.request);
    }
    const reading = this.sessions.read(credential, { wait: context.wait });
    context.reading = reading;
    return reading.then((snapshot) => this.byRead(context, credential, snapshot));
  }

  private byRead(
    context: RequestContext,
    credential: Credential,
    snapshot: SessionSnapshot,
  ): RequestAuthentication | Promise<RequestAuthentication> {
    const found = this.sessions.accept(credential, snapshot);
    const known = found && this.unquestioned(context, found);
    if (known) {
      // Unless the request has signed in or out meanwhile.
      if (context.reading) context.settle(known);
      context.reading = null;
      return known.request;
    }
    const answer = this.answered(context, () => this.evaluate(context));
    context.reading = null;
    return answer;
  }

  /** Like `byOneRead`, for a bearer token. */
  private bearerByOneRead(context: RequestContext, sent: PresentedToken): Promise<RequestAuthentication> | null {
    if (this.dpop || !this.tokens) return null;
    const { tokens } = this;
    return tokens.verify(sent.token, !context.asksStore, { wait: context.wait }).then(
      (verified) => {
        const { live } = verified;
        if (!this.isOfAnother(context, live) && !this.policy.assess(context, live, 'bearer')) {
          return bearerRequest(verified, null);
        }
        const admit: AdmitToken = async (near, call) => (near ? verified : tokens.verify(sent.token, false, call));
        return this.answered(context, () => this.byBearer(context, sent, admit));
      },
      (error: unknown) =>
        this.answered(context, async () => {
          throw error;
        }),
    );
  }

  private async evaluate(context: RequestContext): Promise<RequestAuthentication> {
    const { isUpgrade, node } = context.exchange;
    const onSocket = isUpgrade ? await this.sockets?.find(node, context) : null;
    if (onSocket) return onSocket;
    const sent = this.bearerOf(context);
    if (sent) return this.byBearer(context, sent, (near, call) => this.verify(sent.token, near, call));
    if (!this.cookieOf(context)) return { state: 'none' };
    this.csrf.check(context);
    const found = await this.evaluateCookie(context);
    if (!found) return { state: 'none' };
    const { live } = found.authentication;
    const { authentication, mismatch = this.policy.assess(context, live, 'cookie') } = found;
    const error = mismatch && (await this.policy.apply(live, mismatch, context));
    const signedIn = { state: 'authenticated', transport: 'cookie', mismatch: error, ...authentication } as const;
    const answer = this.binding ? this.bound(context, signedIn, found) : signedIn;
    if (isUpgrade) this.sockets?.remember(node, answer);
    return answer;
  }

  /** With what is known of the device that the session is bound to. */
  private bound(
    context: RequestContext,
    signedIn: AuthenticatedRequest,
    found: CookieAuthentication,
  ): AuthenticatedRequest {
    if (!this.binding) return signedIn;
    const { live, mismatch } = signedIn;
    const { binding = this.binding.assess(context, live, null) } = found;
    return { ...signedIn, mismatch: mismatch ?? this.binding.apply(context, live, binding), binding };
  }

  /**
   * The bearer token to authenticate with, or null. Beside a cookie that this server signed, a foreign token is ignored
   * (a proxy with its own sign-in may have added it); a token of this server counts, even an expired one.
   */
  private bearerOf(context: RequestContext): PresentedToken | null {
    if (context.ignoresBearer) return null;
    const hasCookie = this.hasOwnCookie(context);
    if (hasCookie && !this.tokens) return null;
    const sent = accessTokenOf(context.exchange, this.takesDpop);
    return sent && hasCookie && this.tokens?.sessionOf(sent.token) === null ? null : sent;
  }

  /** Whether this server signed a cookie of the request. */
  private hasOwnCookie(context: RequestContext): boolean {
    return (this.cookiesOf(context)[0]?.credential ?? null) !== null;
  }

  private sessionInBearer({ exchange }: RequestContext): string | null {
    try {
      const sent = accessTokenOf(exchange, this.takesDpop);
      return sent && (this.tokens?.sessionOf(sent.token) ?? null);
    } catch (error) {
      if (error instanceof SessionError && error.expose) return null;
      throw error;
    }
  }

  /** The cookies that this server signed; the others only if there are none. */
  private cookiesOf(context: RequestContext): readonly PresentedCookie[] {
    if (context.presentedCookies === undefined) {
      const all: PresentedCookie[] = [];
      for (const token of this.cookie.readAll(context.exchange)) {
        all.push({ token, credential: this.codec.parse(token, 'cookie') });
      }
      const own = all.length < 2 ? all : all.filter(({ credential }) => credential !== null);
      context.presentedCookies = own.length > 0 ? own : all;
    }
    return context.presentedCookies;
  }

  /**
   * Of several cookies with one name (RFC 6265, 8.6), the one whose session is live; of one session, the newest with
   * its secret. This costs one more read per session.
   *
   * @throws {SessionError} `invalid_request` if two sessions are live.
   */
  private async chooseCookie(context: RequestContext): Promise<PresentedCookie | null> {
    const cookies = this.cookiesOf(context);
    if (cookies.length < 2) return cookies[0] ?? null;
    const credentials = cookies.flatMap(({ credential }) => credential ?? []);
    const living = await this.sessions.findLiving(credentials.slice(0, MOST_TWINS), { wait: context.wait });
    if (living.length > 1) {
      throw new SessionError(
        'invalid_request',
        "The request has cookies of several live sessions. Sign in or out again; after a change of the cookie's path or domain, set cookie.former.",
      );
    }
    const chosen =
      cookies.find(({ credential }) => credential !== null && credential === living[0]) ?? cookies[0] ?? null;
    if (chosen) context.presentedCookies = [chosen, ...cookies.filter((cookie) => cookie !== chosen)];
    return chosen;
  }

  private async verify(token: string, near: boolean, call: VerifyOptions): Promise<VerifiedAccessToken> {
    if (!this.tokens) {
      throw new AuthenticationError(
        'invalid_token',
        'Access tokens are not accepted here: the option "jwt" is not set.',
      );
    }
    return this.tokens.verify(token, near, call);
  }

  private async byBearer(
    context: RequestContext,
    sent: PresentedToken | null,
    admit: AdmitToken,
  ): Promise<RequestAuthentication> {
    const { wait } = context;
    const { dpop } = this;
    const confirm = dpop && sent ? (jkt: string | undefined) => dpop.confirm(context, sent, jkt) : undefined;
    const known = await admit(!context.asksStore, { wait, confirm });
    const doubt = known.live.cached === true && this.policy.denies(this.policy.assess(context, known.live, 'bearer'));
    const verified = doubt ? await admit(false, { wait, confirm }) : known;
    const { live } = verified;
    if (this.isOfAnother(context, live)) {
      throw new SessionError(
        'invalid_request',
        'The cookie and the bearer token belong to different users. Send one of them.',
      );
    }
    const mismatch = this.policy.assess(context, live, 'bearer');
    return bearerRequest(verified, mismatch && (await this.policy.apply(live, mismatch, context)));
  }

  /** Whether the cookies are another user's. Session ids name their user's record, so no second read is needed. */
  private isOfAnother(context: RequestContext, { session }: LiveSession): boolean {
    if (!this.hasOwnCookie(context)) return false;
    const users = this.sessionsInCookies(context);
    return !users.map(userKeyOfSession).includes(userKeyOfSession(session.id));
  }

  /** A refusal is an answer about the request; only errors that are not the request's fault are thrown. */
  private async answered(
    context: RequestContext,
    evaluate: () => Promise<RequestAuthentication>,
  ): Promise<RequestAuthentication> {
    try {
      return await evaluate();
    } catch (error) {
      if (!(error instanceof SessionError) || error.statusCode >= 500) throw error;
      // The CSRF policy reports its own refusals, because it is also called elsewhere.
      if (error.code !== 'csrf_rejected') this.reports?.refused(error, context);
      return { state: 'refused', error };
    }
  }

  private evaluateCookie(context: RequestContext): Promise<CookieAuthentication | null> {
    return (context.cookie ??= this.readCookie(context));
  }

  private async readCookie(context: RequestContext): Promise<CookieAuthentication | null> {
    const { reading } = context;
    const presented = await this.chooseCookie(context);
    if (!presented) return null;
    if (!presented.credential) throw invalidToken('forged');
    const { exchange } = context;
    let mismatch: ClientMismatch | null | undefined;
    let binding: BindingState | undefined;
    const authentication = await this.sessions
      .authenticate(presented.credential, {
        client: () => context.clientDigest,
        deny: (live, actor) => {
          mismatch = this.policy.assess(context, live, 'cookie');
          binding = this.binding?.assess(context, live, actor);
          return this.policy.denies(mismatch) || (binding !== undefined && this.binding?.denies(binding) === true);
        },
        canSetCookie: exchange.canSetHeaders,
        near: !context.asksStore,
        reading,
        wait: context.wait,
      })
      .catch((error: unknown) => {
        // The token was copied. If the session merely ended, a sign-in in another tab may already have replaced the
        // cookie.
        const isReuse = error instanceof AuthenticationError && error.ended === 'reuse';
        if (isReuse && exchange.canSetHeaders) this.cookie.clear(exchange);
        throw error;
      });
    if (authentication.cookieToken !== null && exchange.canSetHeaders) {
      this.cookie.write(exchange, authentication.cookieToken, authentication.live);
    }
    return { authentication, mismatch, binding };
  }
}

function bearerRequest(
  { live, expiresAt, jkt }: VerifiedAccessToken,
  mismatch: SessionError | null,
): AuthenticatedRequest {
  return {
    state: 'authenticated',
    transport: 'bearer',
    live,
    superseded: false,
    presented: null,
    mismatch,
    expiresAt,
    ...(jkt !== undefined && { jkt }),
  };
}

/** The state of a request that has just signed in. */
export function authenticatedNow(live: LiveSession, transport: Transport, jkt?: string): AuthenticatedRequest {
  return { state: 'authenticated', transport, live, superseded: false, presented: null, mismatch: null, jkt };
}
