import { SessionError } from '../../model/errors.js';
import type { NewSession, Session, SessionData } from '../../model/session.js';
import type { SessionAdminService } from '../../sessions/session-admin-service.js';
import type { SessionService, StartedSession } from '../../sessions/session-service.js';
import type { ActorCookie } from '../cookies/actor-cookie.js';
import type { RequestAuthenticator } from '../authentication/request-authenticator.js';
import type { AuthenticatedRequest, RequestContext } from '../authentication/request-context.js';
import type { SessionCookie } from '../cookies/session-cookie.js';
import { notSignedIn } from '../authentication/route-refusals.js';
import type { SignIn } from './sign-in.js';

/** Starts and ends impersonation for the session of a request. */
export class Impersonation {
  constructor(
    private readonly admin: SessionAdminService,
    private readonly sessions: SessionService,
    private readonly authenticator: RequestAuthenticator,
    private readonly signIn: SignIn,
    private readonly cookie: SessionCookie,
    private readonly actors: ActorCookie,
  ) {}

  /** See `RequestSession.impersonate`. */
  async start<T = SessionData>(
    context: RequestContext,
    request: AuthenticatedRequest,
    user: NewSession<T>,
  ): Promise<StartedSession<T>> {
    const cookie = request.transport === 'cookie';
    const own = cookie ? await this.ownToken(context) : null;
    const started = await this.admin.impersonate<T>(request.live.session, await this.signIn.described(context, user), {
      cookie,
      client: context.clientDigest,
      wait: context.wait,
    });
    if (own !== null) this.actors.write(context.exchange, own);
    return this.signIn.remembered(context, started, request.transport);
  }

  /** See `RequestSession.endImpersonation`. */
  async end(context: RequestContext, { live: { session }, transport }: AuthenticatedRequest): Promise<Session> {
    const { exchange } = context;
    const { actor } = session;
    if (!actor) throw new SessionError('invalid_request', 'This session is not impersonated.');
    const found = transport === 'cookie' ? await this.actors.find(context) : null;
    await this.sessions.end(session.id, { wait: context.wait });
    const own = found?.authentication.live;
    if (!found || own?.session.id !== actor.sessionId) {
      this.cookie.clear(exchange);
      this.actors.clear(exchange);
      this.authenticator.remember(context, { state: 'none' });
      throw notSignedIn();
    }
    this.cookie.write(exchange, found.token, own);
    this.actors.clear(exchange);
    this.authenticator.remember(context, {
      state: 'authenticated',
      transport: 'cookie',
      mismatch: null,
      ...found.authentication,
    });
    return own.session;
  }

  /** The token of the request, or its successor if it was rotated during the request. */
  private async ownToken(context: RequestContext): Promise<string | null> {
    const authentication = await this.authenticator.authenticateCookie(context);
    return authentication?.cookieToken ?? this.authenticator.cookieOf(context)?.token ?? null;
  }
}
