import { Inject, Injectable } from '@nestjs/common';
import { SessionError } from '../model/errors.js';
import type { NewSession, Session, SessionData } from '../model/session.js';
import { SessionAdminService } from '../services/session-admin-service.js';
import { SessionService } from '../services/session-service.js';
import { ActorCookie } from './actor-cookie.js';
import { ClientRecognition } from './client-recognition.js';
import type { HttpExchange } from './http-exchange.js';
import { RequestAuthenticator, type AuthenticatedRequest } from './request-authenticator.js';
import { SessionCookie } from './session-cookie.js';
import { notSignedIn } from './session-gate.js';
import { liveOf, SignIn, type Started } from './sign-in.js';

/** Has the session of a request act as somebody else, and go back to being itself. */
@Injectable()
export class Impersonation {
  constructor(
    @Inject(SessionAdminService) private readonly admin: SessionAdminService,
    @Inject(SessionService) private readonly sessions: SessionService,
    @Inject(RequestAuthenticator) private readonly authenticator: RequestAuthenticator,
    @Inject(SignIn) private readonly signIn: SignIn,
    @Inject(SessionCookie) private readonly cookie: SessionCookie,
    @Inject(ActorCookie) private readonly actors: ActorCookie,
    @Inject(ClientRecognition) private readonly clients: ClientRecognition,
  ) {}

  /** See `RequestSession.impersonate`. */
  async start<T = SessionData>(
    exchange: HttpExchange,
    request: AuthenticatedRequest,
    user: NewSession<T>,
  ): Promise<Started<T>> {
    const cookie = request.transport === 'cookie';
    const own = cookie ? await this.ownToken(exchange) : null;
    const started = await this.admin.impersonate<T>(request.live.session, await this.signIn.described(exchange, user), {
      cookie,
      client: this.clients.digestOf(exchange),
    });
    if (own !== null) this.actors.write(exchange, own);
    return this.signIn.remembered(
      exchange,
      { ...started, live: liveOf(started.session as Session) },
      request.transport,
    );
  }

  /** See `RequestSession.endImpersonation`. */
  async end(exchange: HttpExchange, { live: { session }, transport }: AuthenticatedRequest): Promise<Session> {
    const { actor } = session;
    if (!actor) throw new SessionError('invalid_request', 'This session acts as nobody else.');
    const found = transport === 'cookie' ? await this.actors.find(exchange) : null;
    await this.sessions.end(session.id);
    const own = found?.authentication.live;
    if (!found || own?.session.id !== actor.sessionId) {
      this.cookie.clear(exchange);
      this.actors.clear(exchange);
      this.authenticator.remember(exchange, { state: 'none' });
      throw notSignedIn();
    }
    this.cookie.write(exchange, found.token, own);
    this.actors.clear(exchange);
    this.authenticator.remember(exchange, {
      state: 'authenticated',
      transport: 'cookie',
      suspicion: null,
      ...found.authentication,
    });
    return own.session;
  }

  /** The token the request came with, or its successor where it was rotated on the way. */
  private async ownToken(exchange: HttpExchange): Promise<string | null> {
    const authentication = await this.authenticator.authenticateCookie(exchange);
    return authentication?.cookieToken ?? this.cookie.read(exchange);
  }
}
