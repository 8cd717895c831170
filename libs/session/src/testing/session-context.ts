import type { ExecutionContext } from '@nestjs/common';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { middlewareExchange } from '../http/exchange/middleware-exchange.js';
import type { RequestSession } from '../http/session/request-session.js';
import type { Session } from '../model/session.js';
import type { RequestUser } from '../model/session-user.js';
import type { Duration } from '../options/duration.js';
import type { SessionModuleOptions } from '../options/session-module-options.js';
import type { SessionService } from '../sessions/session-service.js';
import { TestClock } from './test-clock.js';
import { coreInMemory, signInRequest, testExchange, testHost } from './test-request.js';
import type { TestUser } from './test-user.js';

export interface SessionContextOptions {
  /** As of the module; adapters are left out. Default: none. */
  options?: SessionModuleOptions;
  /** The class and method that `context` is for. Default: ones without decorators. */
  controller?: new (...args: never[]) => object;
  method?: string;
}

/** One request of a user, and what the decorators give a handler for it. */
export interface SessionContext {
  /** What `@CurrentUser()` gives; null where nobody is signed in. */
  readonly user: RequestUser | null;
  /** What `@CurrentSession()` gives. */
  readonly session: Session | null;
  /** What `@ReqSession()` gives: it signs in and out, and sets the cookie on `response`. */
  readonly reqSession: RequestSession;
  /** For guards and interceptors of your own. */
  readonly context: ExecutionContext;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** The sessions of this context, to look at what became of them. */
  readonly sessions: SessionService;
  /** Moves the time of the sessions. */
  advance(duration: Duration): void;
}

/**
 * What a controller's parameters hold for a request of this user, without an application, a server or Redis.
 *
 * ```ts
 * const { user, reqSession } = await sessionContext({ id: 'ann', roles: ['admin'] });
 * expect(await new AccountController().me(user)).toEqual({ id: 'ann' });
 * await new AccountController().logout(reqSession);
 * expect(await reqSession.current).toBeNull();
 * ```
 *
 * @param user Null for a request of nobody.
 */
export async function sessionContext(
  user: TestUser | null,
  { options = {}, controller, method }: SessionContextOptions = {},
): Promise<SessionContext> {
  const clock = new TestClock();
  const core = await coreInMemory(options, clock);
  const sent = testExchange();
  const host = testHost(sent, controller, method);
  const exchange = middlewareExchange(sent.request, sent.response);
  if (user !== null) await signInRequest(core, exchange, user);
  core.requestSessions.attach(exchange.node);
  const live = await core.requests.currentOf(core.contexts.of(exchange));
  const session = live?.live.session ?? null;
  return {
    user: session && ((await core.users.of(core.contexts.of(exchange), session)) as RequestUser | null),
    session,
    reqSession: core.requestSessions.of(host),
    context: host,
    request: sent.request,
    response: sent.response,
    sessions: core.sessions,
    advance: (duration) => clock.advance(duration),
  };
}
