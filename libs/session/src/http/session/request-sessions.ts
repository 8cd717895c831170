import { Logger, type ExecutionContext } from '@nestjs/common';
import { isAnonymousSession } from '../../model/alias.js';
import { ConfigurationError } from '../../model/errors.js';
import type { Session } from '../../model/session.js';
import type { TokenService } from '../../tokens/token-service.js';
import type { RequestContexts } from '../authentication/request-context.js';
import type { SessionAdmission } from '../authentication/session-admission.js';
import type { SessionUsers } from '../authentication/session-users.js';
import { routeOf } from '../authorization/route-rules.js';
import { findExchange, type HttpExchange } from '../exchange/http-exchange.js';
import { requestSlot, type RequestSlot } from '../exchange/request-slot.js';
import { withoutRequest } from '../exchange/without-request.js';
import type { SessionWatch } from '../streams/session-watch.js';
import { noteOrigin } from '../streams/take-until-ended.js';
import { RequestSession } from './request-session.js';
import type { RequestSessionServices } from './request-session-services.js';

/** Where a request keeps its application's `RequestSessions`, the same for every copy of the library in a process. */
const SLOT = Symbol.for('nestjs-sessions/request-sessions');
const shared = globalThis as Partial<Record<symbol, RequestSlot<RequestSessions>>>;

const logger = new Logger('SessionModule');

const byTokens = new WeakMap<TokenService, RequestSessions>();

/**
 * Gives handlers the session of their request. Parameter decorators have no injection and must not pass Nest's contexts
 * through pipes, so this is attached to each request before pipes run.
 */
export class RequestSessions {
  private readonly slot = (shared[SLOT] ??= requestSlot());

  constructor(
    private readonly contexts: RequestContexts,
    readonly admission: SessionAdmission,
    private readonly users: SessionUsers,
    private readonly services: RequestSessionServices,
    private readonly watch: SessionWatch,
    /** Those of a realm by its name; absent in a realm, and in an application that has none. */
    private readonly ofRealm?: (realm: string) => RequestSessions,
  ) {
    byTokens.set(services.tokens, this);
  }

  private at(host: ExecutionContext): RequestSessions {
    const { realm } = routeOf(host);
    return realm === '' || !this.ofRealm ? this : this.ofRealm(realm);
  }

  /** From now on the decorators use this application's session for the request. `node` is Node's own request. */
  attach(node: object): void {
    this.slot.put(node, this);
  }

  /**
   * The `RequestSession` for a handler.
   *
   * @throws {AuthenticationError} if there is no request.
   */
  of(host: ExecutionContext): RequestSession {
    const own = this.at(host);
    if (own !== this) return own.of(host);
    const { rules, name } = routeOf(host);
    return new RequestSession(this.contexts.of(requireExchange(host), rules, name), rules, this.services);
  }

  /** See `@CurrentSession()`. */
  async findSession(host: ExecutionContext): Promise<Session | null> {
    const own = this.at(host);
    if (own !== this) return own.findSession(host);
    const session = await this.admission.findSession(host);
    if (!session) return null;
    const exchange = requireExchange(host);
    const request = await this.contexts.of(exchange).authentication;
    const expiresAt = request?.state === 'authenticated' ? request.expiresAt : undefined;
    const watch = await this.services.tenants.within(exchange, () => this.watch.ofTenant());
    noteOrigin(session, { watch, expiresAt });
    return session;
  }

  /** See `@CurrentUser()`. */
  async findUser(host: ExecutionContext): Promise<unknown> {
    const own = this.at(host);
    if (own !== this) return own.findUser(host);
    const session = await this.admission.findSession(host);
    if (!session || isAnonymousSession(session)) return null;
    const exchange = requireExchange(host);
    return this.services.tenants.within(
      exchange,
      async () => (await this.users.of(this.contexts.of(exchange), session)) ?? null,
    );
  }
}

/**
 * The `RequestSessions` behind this service.
 *
 * @throws {ConfigurationError} for a service that was not created by the module.
 */
export function requestSessionsOf(tokens: TokenService): RequestSessions {
  const found = byTokens.get(tokens);
  if (found) return found;
  throw new ConfigurationError('tokens: must be the TokenService of SessionModule, or of sessionMiddleware().');
}

/** The `RequestSessions` attached to a request, or null. `key` is Node's own request. */
export function findRequestSessions(key: object): RequestSessions | null {
  return shared[SLOT]?.find(key) ?? null;
}

/**
 * The `RequestSessions` attached to the request of a handler.
 *
 * @throws {AuthenticationError} if there is no request.
 * @throws {ConfigurationError} if no `SessionModule` has seen it.
 */
export function requireRequestSessions(host: ExecutionContext): RequestSessions {
  const found = findRequestSessions(requireExchange(host).node);
  if (found) return found;
  const error = new ConfigurationError(
    'No SessionModule has seen this request, so it has no session: import SessionModule.forRoot() in the root module. Where Nest runs no global guards, put SessionGuard or SessionMiddleware before the handler.',
  );
  // Nest's own filter does not log an HttpException, and without the module the library's filter is not registered.
  logger.error(error.message);
  throw error;
}

function requireExchange(host: ExecutionContext): HttpExchange {
  const exchange = findExchange(host);
  if (exchange) return exchange;
  throw withoutRequest(host);
}
