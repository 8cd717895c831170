import { Inject, Injectable, type ExecutionContext, type PipeTransform } from '@nestjs/common';
import { AuthenticationError } from '../model/errors.js';
import type { Session } from '../model/session.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import { SESSION_OPTIONS } from '../options/tokens.js';
import { SessionService } from '../services/session-service.js';
import { CsrfPolicy } from './csrf-policy.js';
import { findExchange } from './http-exchange.js';
import { RequestAuthenticator } from './request-authenticator.js';
import { RequestSession } from './request-session.js';
import { routeRulesOf } from './route-rules.js';
import { SessionCookie } from './session-cookie.js';
import { SessionGate } from './session-gate.js';

// Parameter decorators have no injection, pipes do: the decorators hand the context on to these.

/** Makes the `RequestSession` of the request. */
@Injectable()
export class RequestSessionPipe implements PipeTransform<ExecutionContext, RequestSession> {
  constructor(
    @Inject(SessionService) private readonly sessions: SessionService,
    @Inject(RequestAuthenticator) private readonly authenticator: RequestAuthenticator,
    @Inject(SessionCookie) private readonly cookie: SessionCookie,
    @Inject(CsrfPolicy) private readonly csrf: CsrfPolicy,
  ) {}

  transform(context: ExecutionContext): RequestSession {
    const exchange = findExchange(context);
    if (!exchange) throw new AuthenticationError('session_required', 'There is no HTTP request here to have a session.');
    const { sessions, authenticator, cookie, csrf } = this;
    return new RequestSession(exchange, routeRulesOf(context), { sessions, authenticator, cookie, csrf });
  }
}

/** Finds the session of the request. */
@Injectable()
export class CurrentSessionPipe implements PipeTransform<ExecutionContext, Promise<Session | null>> {
  constructor(@Inject(SessionGate) private readonly gate: SessionGate) {}

  async transform(context: ExecutionContext): Promise<Session | null> {
    return this.gate.findSession(context);
  }
}

/** What `@CurrentUser()` gives unless the option `resolveUser` says otherwise. */
export interface SessionUser {
  id: string;
  email: string;
  roles: string[];
}

/** Finds the user of the request; the option `resolveUser` is asked once for each session read. */
@Injectable()
export class CurrentUserPipe implements PipeTransform<ExecutionContext, Promise<unknown>> {
  private readonly users = new WeakMap<Session, Promise<unknown>>();

  constructor(
    @Inject(SessionGate) private readonly gate: SessionGate,
    @Inject(SESSION_OPTIONS) private readonly options: ResolvedSessionOptions,
  ) {}

  async transform(context: ExecutionContext): Promise<unknown> {
    const session = await this.gate.findSession(context);
    if (!session) return null;
    const { resolveUser } = this.options;
    if (!resolveUser) return { id: session.userId, email: session.email, roles: session.roles } satisfies SessionUser;
    const known = this.users.get(session);
    if (known) return known;
    const asked = Promise.resolve(resolveUser(session));
    this.users.set(session, asked);
    return asked;
  }
}
