import type { ExecutionContext } from '@nestjs/common';
import { isAnonymousUserId } from '../../model/alias.js';
import { dpopRefusal } from '../../model/dpop-refusal.js';
import { SessionError } from '../../model/errors.js';
import type { Session } from '../../model/session.js';
import type { ResolvedSessionOptions } from '../../options/resolved-options.js';
import { invalidToken } from '../../tokens/authentication-errors.js';
import type { SessionToucher } from '../../sessions/session-toucher.js';
import { findExchange, type HttpExchange } from '../exchange/http-exchange.js';
import { refusalFor } from '../exchange/http-errors.js';
import { forgetMiddlewareSession } from '../exchange/middleware-session.js';
import { withoutRequest } from '../exchange/without-request.js';
import { exposeSession } from './expose-session.js';
import type { RequestAuthenticator } from './request-authenticator.js';
import type { PresentedToken } from './bearer-token.js';
import type {
  RequestContexts,
  AuthenticatedRequest,
  RequestAuthentication,
  RequestContext,
} from './request-context.js';
import type { RequestReports } from './request-reports.js';
import type { RequestTenants } from './request-tenants.js';
import {
  assertDeviceBound,
  assertRoles,
  assertState,
  hasRole,
  isProven,
  lacksKey,
  notSignedIn,
  stateRefusal,
} from './route-refusals.js';
import { userOf, type SessionUsers } from './session-users.js';
import { routeOf, routeRulesOf, type RouteRules, type Transport } from '../authorization/route-rules.js';

export interface AdmissionOptions {
  /** The only transport accepted. Default: both. */
  only?: Transport;
  /** The request's bearer token, where it counts whatever its cookies. Default: by all credentials of the request. */
  token?: PresentedToken;
}

/** The admission of a realm by its name. @throws {ConfigurationError} if there is none. */
export type FindAdmission = (realm: string) => SessionAdmission;

/**
 * Decides whether a request may pass to a route. All guards share the one of the application, which leaves the routes of a realm to
 * that realm's: by whatever guard, a session of another realm lets nobody in.
 */
export class SessionAdmission {
  constructor(
    private readonly contexts: RequestContexts,
    private readonly authenticator: RequestAuthenticator,
    private readonly users: SessionUsers,
    private readonly toucher: SessionToucher,
    private readonly options: ResolvedSessionOptions,
    private readonly tenants: RequestTenants,
    private readonly reports?: RequestReports,
    /** Absent in a realm, and in an application that has none. */
    private readonly ofRealm?: FindAdmission,
  ) {}

  private at(host: ExecutionContext): SessionAdmission {
    const { realm } = routeOf(host);
    return realm === '' || !this.ofRealm ? this : this.ofRealm(realm);
  }

  /** Whether a near cache may let requests in. */
  private get asksNear(): boolean {
    return this.options.nearCache !== null && !this.options.resolveUser;
  }

  /** Whether the request may pass by what a near cache knows. False decides nothing. Does not wait. */
  private admitsKnown(context: RequestContext, rules: RouteRules, options: AdmissionOptions): boolean {
    if (!this.tenants.enabled) return this.isKnown(context, rules, options);
    return this.tenants.enterKnown(context.exchange.request, () => this.isKnown(context, rules, options));
  }

  private isKnown(context: RequestContext, rules: RouteRules, options: AdmissionOptions): boolean {
    const request = this.authenticator.peek(context, options.only ?? rules.transport);
    return request !== null && this.passes(context, request, rules, options);
  }

  /** Whether the request may pass by what is known of it. False decides nothing. */
  private passes(
    context: RequestContext,
    request: RequestAuthentication,
    rules: RouteRules,
    { only }: AdmissionOptions,
  ): boolean {
    if (this.options.resolveUser || request.state !== 'authenticated') return false;
    if ((only !== undefined && request.transport !== only) || stateRefusal(request, rules)) return false;
    if (!isProven(request, rules) || lacksKey(request, rules)) return false;
    if (!this.isFresh(request, rules) || !hasRole(request, rules)) return false;
    const { session } = request.live;
    if (!rules.noTouch) this.toucher.noteAccess(request.live);
    this.expose(context, session, isAnonymousUserId(session.userId) ? null : userOf(session));
    return true;
  }

  /** Like `admit`, with fewer promises. True at once where a near cache lets the request in: Nest then waits for nothing. */
  admits(host: ExecutionContext, options: AdmissionOptions = {}): boolean | Promise<boolean> {
    const own = this.at(host);
    if (own !== this) return own.admits(host, options);
    const { rules, name } = routeOf(host);
    const exchange = rules.public ? null : findExchange(host);
    if (!exchange) return (rules.public && this.asksNear) || this.admitted(host, options);
    const context = this.contexts.of(exchange, rules, name);
    if (this.asksNear && this.admitsKnown(context, rules, options)) return true;
    return this.admitsByAnswer(host, context, rules, options);
  }

  private admitsByAnswer(
    host: ExecutionContext,
    context: RequestContext,
    rules: RouteRules,
    options: AdmissionOptions,
  ): Promise<boolean> {
    const { exchange } = context;
    const run = (): Promise<boolean> =>
      this.ask(context, rules, options).then(
        (request) => this.passes(context, request, rules, options) || this.admitted(host, options),
        // The same answer again, as an error that tells the client what it may know.
        () => this.admitted(host, options),
      );
    if (!this.tenants.enabled) return run();
    return this.tenants.within(exchange, run).catch((error: unknown) => {
      throw error instanceof SessionError ? refusalFor(error, exchange) : error;
    });
  }

  private async admitted(host: ExecutionContext, options: AdmissionOptions): Promise<true> {
    await this.admit(host, options);
    return true;
  }

  private ask(context: RequestContext, rules: RouteRules, { token }: AdmissionOptions): Promise<RequestAuthentication> {
    return token
      ? this.authenticator.authenticateToken(context, token)
      : this.authenticator.authenticate(context, rules.transport);
  }

  /**
   * Resolves if the request may pass; otherwise rejects with the exception to answer with. Public routes pass without
   * reading anything.
   *
   * @throws {HttpException} on HTTP and GraphQL. @throws {WsException} on sockets.
   * @throws {AuthenticationError} if there is no request, as for messages of microservices.
   */
  async admit(host: ExecutionContext, options: AdmissionOptions = {}): Promise<void> {
    const own = this.at(host);
    if (own !== this) return own.admit(host, options);
    const rules = routeRulesOf(host);
    if (rules.public) return;
    await this.answering(host, async (context) => {
      const { request, user } = await this.evaluated(context, rules, options, (found) => {
        assertDeviceBound(found, rules);
        if (lacksKey(found, rules)) throw dpopRefusal('required');
        this.assertFreshness(found, rules);
        assertRoles(found, rules);
      });
      if (!rules.noTouch) this.toucher.noteAccess(request.live);
      this.expose(context, request.live.session, user);
    });
  }

  /** Like `admit`, for the roles alone. */
  async admitRoles(host: ExecutionContext): Promise<void> {
    const own = this.at(host);
    if (own !== this) return own.admitRoles(host);
    const rules = routeRulesOf(host);
    if (rules.public || rules.roles === null) return;
    await this.answering(host, async (context) => {
      const { request, user } = await this.evaluated(context, rules, {}, (found) => assertRoles(found, rules));
      this.expose(context, request.live.session, user);
    });
  }

  /**
   * The session of a request, or null if it has none that counts on this route. Records the access.
   *
   * @throws {SessionHttpException} 503 if the store is unavailable.
   */
  async findSession(host: ExecutionContext): Promise<Session | null> {
    const own = this.at(host);
    if (own !== this) return own.findSession(host);
    if (!findExchange(host)) return null;
    return this.answering(host, async (context) => {
      const rules = routeRulesOf(host);
      const request = await this.authenticator.authenticate(context, rules.transport);
      if (request.state !== 'authenticated') return null;
      if (stateRefusal(request, rules)) {
        return (await this.authenticator.askStore(context)) ? this.findSession(host) : null;
      }
      if (!rules.noTouch) this.toucher.noteAccess(request.live);
      return request.live.session;
    });
  }

  private expose({ exchange }: RequestContext, session: Session, user: unknown): void {
    if (this.options.realm !== '') forgetMiddlewareSession(exchange.node);
    exposeSession(exchange, session, user);
  }

  /** Runs the work in the tenant of a request. */
  async within<T>(exchange: HttpExchange, work: () => T): Promise<T> {
    return this.tenants.within(exchange, work);
  }

  /** A request that passes, and its user. What a near cache knows may let it pass; to be refused, it takes the store. */
  private async evaluated(
    context: RequestContext,
    rules: RouteRules,
    options: AdmissionOptions,
    assertRules: (request: AuthenticatedRequest) => void,
  ): Promise<{ request: AuthenticatedRequest; user: unknown }> {
    const request = await this.require(context, { ...options, transport: rules.transport });
    try {
      this.reporting(context, request, () => assertState(request, rules));
      const user = await this.requireUser(context, request);
      this.reporting(context, request, () => assertRules(request));
      return { request, user };
    } catch (error) {
      if (!(error instanceof SessionError) || !(await this.authenticator.askStore(context))) throw error;
      return this.evaluated(context, rules, options, assertRules);
    }
  }

  private async require(
    context: RequestContext,
    { only, transport = null }: AdmissionOptions & Partial<Pick<RouteRules, 'transport'>>,
  ): Promise<AuthenticatedRequest> {
    const request = await this.authenticator.authenticate(context, transport);
    if (request.state === 'refused') throw request.error;
    if (request.state === 'none' || (only !== undefined && request.transport !== only)) {
      throw notSignedIn();
    }
    return request;
  }

  /**
   * The user of a session; null for an anonymous one.
   *
   * @throws {AuthenticationError} if `resolveUser` finds none.
   */
  private async requireUser(context: RequestContext, { live: { session } }: AuthenticatedRequest): Promise<unknown> {
    if (isAnonymousUserId(session.userId)) return null;
    const user = await this.users.of(context, session);
    if (user === null || user === undefined) throw invalidToken();
    return user;
  }

  private isFresh({ live: { session, now } }: AuthenticatedRequest, { maxAge }: RouteRules): boolean {
    if (maxAge === null) return true;
    const isFresh = now - session.authenticatedAt <= (maxAge === 'default' ? this.options.session.freshness : maxAge);
    // An administrator who starts to act as the user has not proved to be the user.
    return isFresh && !session.actor;
  }

  private assertFreshness(request: AuthenticatedRequest, rules: RouteRules): void {
    if (this.isFresh(request, rules)) return;
    throw new SessionError(
      'reauthentication_required',
      'Verify your identity again: the last verification is too long ago.',
    );
  }

  private reporting(context: RequestContext, { live }: AuthenticatedRequest, assert: () => void): void {
    try {
      assert();
    } catch (error) {
      if (error instanceof SessionError && live.cached !== true) this.reports?.refused(error, context, live.session);
      throw error;
    }
  }

  private async answering<T>(host: ExecutionContext, run: (context: RequestContext) => Promise<T>): Promise<T> {
    const exchange = findExchange(host);
    if (!exchange) throw withoutRequest(host);
    try {
      const { rules, name } = routeOf(host);
      const context = this.contexts.of(exchange, rules, name);
      return await this.tenants.within(exchange, () => run(context));
    } catch (error) {
      throw error instanceof SessionError ? refusalFor(error, exchange) : error;
    }
  }
}
