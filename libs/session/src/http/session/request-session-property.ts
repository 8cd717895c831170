import type { ServerResponse } from 'node:http';
import { ConfigurationError } from '../../model/errors.js';
import type { Session, SessionData } from '../../model/session.js';
import { middlewareContext, middlewareExchange, middlewareRoute } from '../exchange/middleware-exchange.js';
import { markMiddlewareSession } from '../exchange/middleware-session.js';
import type { MiddlewareRequest } from '../exchange/request-view.js';
import type { RequestSessions } from './request-sessions.js';

/** A request after `SessionMiddleware` or `sessionMiddleware()`. */
export type RequestWithSession<R = unknown, T = SessionData> = R & { readonly session: Session<T> | null };

/** The first read does not count as an access; using the session does. */
const LOOKING = middlewareRoute({ noTouch: true });
const USING = middlewareRoute({});

/** Sets `request.session`. */
export class RequestSessionProperty {
  constructor(private readonly sessions: RequestSessions) {}

  /**
   * Sets `request.session` to the session of the request's cookie, or to null. Never rejects: if the store is
   * unavailable, reading the property throws. Reading it records an access. A `session` property of other code stays.
   */
  async define(request: MiddlewareRequest, response: ServerResponse): Promise<void> {
    this.sessions.attach(middlewareExchange(request, response).node);
    if ((request as { session?: unknown }).session !== undefined) return;
    let session: Session | null = null;
    let failure: { readonly error: unknown } | null = null;
    try {
      session = await this.sessions.findSession(middlewareContext(request, response, LOOKING));
    } catch (error) {
      failure = { error };
    }
    let isUsed = false;
    Reflect.defineProperty(request, 'session', {
      configurable: true,
      enumerable: false,
      get: markMiddlewareSession((): Session | null => {
        if (failure) throw failure.error;
        if (session && !isUsed) {
          isUsed = true;
          // The request is authenticated already, so this only records the access.
          this.sessions.findSession(middlewareContext(request, response, USING)).catch(() => undefined);
        }
        return session;
      }),
      set: (value: unknown) => {
        Reflect.defineProperty(request, 'session', { value, writable: true, configurable: true, enumerable: true });
      },
    });
  }
}

/**
 * The session of a request after the middleware or one of the guards; null if there is none.
 *
 * @throws {ConfigurationError} if neither has run.
 * @throws {SessionHttpException} 503 if the store was unavailable.
 */
export function sessionOf<T = SessionData>(request: object): Session<T> | null {
  const { session } = request as { session?: Session<T> | null };
  if (session !== undefined) return session;
  throw new ConfigurationError(
    'sessionOf: the session of this request was never looked up. Put SessionMiddleware or SessionGuard before it.',
  );
}
