import type { ServerResponse } from 'node:http';
import { CredentialCodec } from '../model/credential.js';
import { ConfigurationError } from '../model/errors.js';
import { resolveSessionOptions } from '../options/resolve-options.js';
import type { SessionModuleOptions } from '../options/session-module-options.js';
import { SESSION_OPTIONS } from '../options/tokens.js';
import { SessionStore } from '../ports/session-store.js';
import { AccessTokenVerifier } from '../services/access-token-verifier.js';
import { SessionService } from '../services/session-service.js';
import { SessionSweeper } from '../services/session-sweeper.js';
import { SessionToucher } from '../services/session-toucher.js';
import { TokenService } from '../services/token-service.js';
import { PlainContainer } from './plain-container.js';
import { plainContext, plainRoute, type PlainRequest } from './plain-exchange.js';
import { RequestSessionProperty } from './request-session-property.js';
import type { RequestSession } from './request-session.js';
import type { SessionRequestHandler } from './require-session.js';
import { RequestSessionPipe } from './session-parameter.pipe.js';

/** The options of `SessionModule` that make sense without it. `store` is required: nobody else would make one, or close it. */
export type SessionMiddlewareOptions = Omit<SessionModuleOptions, 'redis' | 'keyPrefix' | 'expressSession'> & {
  store: SessionStore;
};

/** Middleware of Express that sets `request.session`, with what else a request may need. */
export interface PlainSessions extends SessionRequestHandler {
  /** Signs in, out and up in a handler, and sets the cookie, as `@ReqSession()` does in Nest. */
  of(request: PlainRequest, response: ServerResponse): RequestSession;
  /** Lists and ends sessions. */
  readonly sessions: SessionService;
  /** Issues and verifies tokens; for `validateToken`. */
  readonly tokens: TokenService;
  /** Stops removing what is past its deadline, and records what accesses are outstanding. The store stays open. */
  close(): Promise<void>;
}

const ANY_ROUTE = plainRoute({});

/**
 * Sessions in Express without Nest: sets `request.session` to the session of the request, or to null. Refuses nobody;
 * `requireSession` does. Reading the property records an access, and throws (503) where the store could not be asked.
 *
 * ```ts
 * const sessions = sessionMiddleware({ store: new RedisSessionStore(redis), secrets: process.env.SESSION_SECRET });
 * app.use(sessions);
 * app.post('/login', async (req, res) => {
 *   await sessions.of(req, res).start({ userId: await check(req.body) });
 *   res.sendStatus(204);
 * });
 * ```
 *
 * @throws {ConfigurationError} for options that are wrong or unknown.
 */
export function sessionMiddleware(options: SessionMiddlewareOptions): PlainSessions {
  const resolved = resolveSessionOptions(options);
  const { store } = resolved;
  if (!store) {
    throw new ConfigurationError(
      'store: needed here. Give one, such as new RedisSessionStore(redis), or new MemorySessionStore() for development.',
    );
  }
  const container = new PlainContainer([
    [SESSION_OPTIONS, resolved],
    [SessionStore, store],
    [CredentialCodec, new CredentialCodec(resolved.keys.credential)],
  ]);
  if (resolved.jwt) container.give(AccessTokenVerifier, container.get(TokenService));
  const [sweeper, toucher] = [container.get(SessionSweeper), container.get(SessionToucher)];
  sweeper.onApplicationBootstrap();
  const property = container.get(RequestSessionProperty);
  const pipe = container.get(RequestSessionPipe);
  const handler: SessionRequestHandler = (request, response, next) => {
    void property.define(request, response).then(() => next());
  };
  return Object.assign(handler, {
    of: (request: PlainRequest, response: ServerResponse) => pipe.transform(plainContext(request, response, ANY_ROUTE)),
    sessions: container.get(SessionService),
    tokens: container.get(TokenService),
    close: async () => {
      await Promise.all([sweeper.onModuleDestroy(), toucher.settle()]);
    },
  });
}
