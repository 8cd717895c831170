import { Inject, Injectable, type ExecutionContext, type PipeTransform } from '@nestjs/common';
import { isAnonymousSession } from '../model/alias.js';
import { AuthenticationError } from '../model/errors.js';
import type { Session } from '../model/session.js';
import { SessionService } from '../services/session-service.js';
import { TokenService } from '../services/token-service.js';
import { ActorCookie } from './actor-cookie.js';
import { ClientRecognition } from './client-recognition.js';
import { findExchange } from './http-exchange.js';
import { Impersonation } from './impersonation.js';
import { RefreshCookie } from './refresh-cookie.js';
import { RequestAuthenticator } from './request-authenticator.js';
import { RequestSession } from './request-session.js';
import { routeRulesOf } from './route-rules.js';
import { SessionCookie } from './session-cookie.js';
import { SessionGate } from './session-gate.js';
import { SessionUsers } from './session-users.js';
import { SignIn } from './sign-in.js';
import { TokenRefresh } from './token-refresh.js';

// Parameter decorators have no injection, pipes do: the decorators hand the context on to these.

/** Makes the `RequestSession` of the request. */
@Injectable()
export class RequestSessionPipe implements PipeTransform<ExecutionContext, RequestSession> {
  constructor(
    @Inject(SessionService) private readonly sessions: SessionService,
    @Inject(RequestAuthenticator) private readonly authenticator: RequestAuthenticator,
    @Inject(SessionCookie) private readonly cookie: SessionCookie,
    @Inject(TokenService) private readonly tokens: TokenService,
    @Inject(RefreshCookie) private readonly refreshCookie: RefreshCookie,
    @Inject(SignIn) private readonly signIn: SignIn,
    @Inject(Impersonation) private readonly impersonation: Impersonation,
    @Inject(ActorCookie) private readonly actors: ActorCookie,
    @Inject(ClientRecognition) private readonly clients: ClientRecognition,
    @Inject(TokenRefresh) private readonly refreshing: TokenRefresh,
  ) {}

  transform(context: ExecutionContext): RequestSession {
    const exchange = findExchange(context);
    if (!exchange)
      throw new AuthenticationError('session_required', 'There is no HTTP request here to have a session.');
    return new RequestSession(exchange, routeRulesOf(context), {
      sessions: this.sessions,
      authenticator: this.authenticator,
      cookie: this.cookie,
      refreshCookie: this.refreshCookie,
      tokens: this.tokens,
      refreshing: this.refreshing,
      signIn: this.signIn,
      impersonation: this.impersonation,
      actors: this.actors,
      clients: this.clients,
    });
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

/** Finds the user of the request. */
@Injectable()
export class CurrentUserPipe implements PipeTransform<ExecutionContext, Promise<unknown>> {
  constructor(
    @Inject(SessionGate) private readonly gate: SessionGate,
    @Inject(SessionUsers) private readonly users: SessionUsers,
  ) {}

  async transform(context: ExecutionContext): Promise<unknown> {
    const session = await this.gate.findSession(context);
    return session && !isAnonymousSession(session) ? this.users.of(session) : null;
  }
}
