import { Inject, Injectable, type ExecutionContext } from '@nestjs/common';
import { isAnonymousUserId } from '../model/alias.js';
import { AuthenticationError, SessionError } from '../model/errors.js';
import type { Session } from '../model/session.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import { SESSION_OPTIONS } from '../options/tokens.js';
import { invalidToken } from '../services/authentication-errors.js';
import { SessionToucher } from '../services/session-toucher.js';
import { findExchange, type HttpExchange } from './http-exchange.js';
import { refusal } from './http-errors.js';
import { RequestAuthenticator, type AuthenticatedRequest } from './request-authenticator.js';
import { routeRulesOf, type RouteRules, type Transport } from './route-rules.js';

export interface AdmissionOptions {
  /** The only transport accepted. Default: both. */
  only?: Transport;
}

/** Decides who may pass to a route: what all guards share. */
@Injectable()
export class SessionGate {
  constructor(
    @Inject(RequestAuthenticator) private readonly authenticator: RequestAuthenticator,
    @Inject(SessionToucher) private readonly toucher: SessionToucher,
    @Inject(SESSION_OPTIONS) private readonly options: ResolvedSessionOptions,
  ) {}

  /**
   * Passes, or rejects with the exception to answer with. Public routes pass before anything is read.
   *
   * @throws {SessionHttpException} on HTTP and GraphQL.
   * @throws {AuthenticationError} where there is no request at all: on sockets and messages.
   */
  async admit(context: ExecutionContext, options: AdmissionOptions = {}): Promise<void> {
    const rules = routeRulesOf(context);
    if (rules.public) return;
    await this.answering(context, async (exchange) => {
      const request = await this.require(exchange, options);
      assertState(request, rules);
      this.assertFreshness(request, rules);
      assertRoles(request, rules);
      if (!rules.noTouch) this.toucher.noteAccess(request.live);
    });
  }

  /** As `admit`, for the roles alone. */
  async admitRoles(context: ExecutionContext): Promise<void> {
    const rules = routeRulesOf(context);
    if (rules.public || rules.roles === null) return;
    await this.answering(context, async (exchange) => {
      const request = await this.require(exchange, {});
      assertState(request, rules);
      assertRoles(request, rules);
    });
  }

  /**
   * The session of a request, or null where it has none that counts on this route. Records the access.
   *
   * @throws {SessionHttpException} 503 when that cannot be known.
   */
  async findSession(context: ExecutionContext): Promise<Session | null> {
    if (!findExchange(context)) return null;
    return this.answering(context, async (exchange) => {
      const rules = routeRulesOf(context);
      const request = await this.authenticator.authenticate(exchange);
      if (request.state !== 'authenticated' || complaintAboutState(request, rules)) return null;
      if (!rules.noTouch) this.toucher.noteAccess(request.live);
      return request.live.session;
    });
  }

  private async require(exchange: HttpExchange, { only }: AdmissionOptions): Promise<AuthenticatedRequest> {
    const request = await this.authenticator.authenticate(exchange);
    if (request.state === 'refused') throw request.error;
    if (request.state === 'none' || (only !== undefined && request.transport !== only)) {
      throw notSignedIn();
    }
    return request;
  }

  private assertFreshness({ live: { session, now } }: AuthenticatedRequest, { maxAge }: RouteRules): void {
    if (maxAge === null) return;
    const isFresh = now - session.authenticatedAt <= (maxAge === 'default' ? this.options.session.freshness : maxAge);
    // That an administrator began to act as the user proves nothing of the user.
    if (isFresh && !session.actor) return;
    throw new SessionError('reauthentication_required', 'Prove again who you are: the last time is too long ago.');
  }

  private async answering<T>(context: ExecutionContext, run: (exchange: HttpExchange) => Promise<T>): Promise<T> {
    const exchange = findExchange(context);
    if (!exchange) {
      throw new AuthenticationError(
        'session_required',
        'There is no HTTP request here from which a session could be told.',
      );
    }
    try {
      return await run(exchange);
    } catch (error) {
      throw error instanceof SessionError ? refusal(error, exchange) : error;
    }
  }
}

/** Why a session that holds does not count on a route, or null. */
export function complaintAboutState(
  { superseded, suspicion, transport, live }: AuthenticatedRequest,
  rules: RouteRules,
): SessionError | null {
  if (superseded && !rules.stepUp) return invalidToken();
  const isOfTransport = rules.transport === null || rules.transport === transport;
  const isAnonymous = isAnonymousUserId(live.session.userId);
  if (!isOfTransport || (isAnonymous && !rules.allowAnonymous)) return notSignedIn();
  if (suspicion && !rules.stepUp) return suspicion;
  if (live.session.pending === true && !rules.allowPending) {
    return new SessionError('pending_authentication', 'A further factor is needed before this session can be used.');
  }
  return null;
}

/** The answer to whoever brings no session that counts. */
export function notSignedIn(): AuthenticationError {
  return new AuthenticationError('session_required', 'Sign in first.');
}

function assertState(request: AuthenticatedRequest, rules: RouteRules): void {
  const complaint = complaintAboutState(request, rules);
  if (complaint) throw complaint;
}

function assertRoles({ live }: AuthenticatedRequest, { roles }: RouteRules): void {
  if (roles === null || roles.some((role) => live.session.roles.includes(role))) return;
  throw new SessionError('insufficient_scope', 'This needs a role that you do not have.');
}
