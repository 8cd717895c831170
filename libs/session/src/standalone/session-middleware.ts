import type { ServerResponse } from 'node:http';
import { createSessionCore, startSessionCore } from '../core/session-core.js';
import { middlewareContext, middlewareRoute } from '../http/exchange/middleware-exchange.js';
import { viewOf, type MiddlewareRequest } from '../http/exchange/request-view.js';
import type { RequestSession } from '../http/session/request-session.js';
import { ConfigurationError } from '../model/errors.js';
import { resolveSessionOptions } from '../options/resolve-options.js';
import type { SessionModuleOptions } from '../options/session-module-options.js';
import type { SessionStore } from '../ports/session-store.js';
import type { SessionService } from '../sessions/session-service.js';
import type { TokenService } from '../tokens/token-service.js';
import type { SessionRequestHandler } from './require-session.js';

/**
 * The options of `SessionModule` that apply without it. `store` is required, because nothing else would create or close
 * it.
 */
export type SessionMiddlewareOptions = Omit<
  SessionModuleOptions,
  'redis' | 'keyPrefix' | 'expressSession' | 'deviceBound'
> & {
  store: SessionStore;
};

/** Middleware of Express that sets `request.session`, with the services that handlers need. */
export interface StandaloneSessions extends SessionRequestHandler {
  /** The session of a request, for handlers that sign in, sign out or step up, like `@ReqSession()` in Nest. */
  of(request: MiddlewareRequest, response: ServerResponse): RequestSession;
  /** Lists and ends sessions. */
  readonly sessions: SessionService;
  /** Issues and verifies tokens; for `validateToken`. */
  readonly tokens: TokenService;
  /** Stops the sweep and finishes recording accesses. The store stays open. */
  close(): Promise<void>;
}

const ANY_ROUTE = middlewareRoute({});

/**
 * Sessions in Express without Nest: sets `request.session` to the session of the request, or to null. Refuses no
 * request; `requireSession` does. Reading the property records an access, and throws (503) if the store is unavailable.
 *
 * ```ts
 * const sessions = await sessionMiddleware({ store: new RedisSessionStore(redis), secrets: process.env.SESSION_SECRET });
 * app.use(sessions);
 * app.post('/login', async (req, res) => {
 *   await sessions.of(req, res).start({ userId: await check(req.body) });
 *   res.sendStatus(204);
 * });
 * ```
 *
 * Rejects with `ConfigurationError` for wrong or unknown options, and for `jwt` without @nestjs/jwt.
 */
export async function sessionMiddleware(options: SessionMiddlewareOptions): Promise<StandaloneSessions> {
  const resolved = resolveSessionOptions(options);
  const { store, blacklist } = resolved;
  if (!store) {
    throw new ConfigurationError(
      'store: required here. Pass new RedisSessionStore(redis), or new MemorySessionStore() for development.',
    );
  }
  if (resolved.deviceBound) {
    throw new ConfigurationError(
      'deviceBound: not supported without Nest, whose module serves the endpoints for registration and renewal. Remove the option.',
    );
  }
  const core = await createSessionCore(resolved, { store, ...(blacklist && { blacklist }) });
  const stop = startSessionCore(core);
  const handler: SessionRequestHandler = (request, response, next) => {
    core.tenants.enter(viewOf(request), () => {
      void core.requestSessionProperty.define(request, response).then(() => next());
    });
  };
  return Object.assign(handler, {
    of: (request: MiddlewareRequest, response: ServerResponse) =>
      core.requestSessions.of(middlewareContext(request, response, ANY_ROUTE)),
    sessions: core.sessions,
    tokens: core.tokens,
    close: stop,
  });
}
