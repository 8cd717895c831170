import { Inject, Injectable, Optional, type ExecutionContext, type OnModuleInit } from '@nestjs/common';
import { AuthGuard } from '@nestjs/passport';
import type { SessionCore } from '../core/session-core.js';
import { SESSION_CORE } from '../core/tokens.js';
import { AuthenticationError, SessionError } from '../model/errors.js';
import { invalidToken } from '../tokens/authentication-errors.js';
import { refusalFor } from '../http/exchange/http-errors.js';
import { findExchange, type HttpExchange } from '../http/exchange/http-exchange.js';
import { withoutRequest } from '../http/exchange/without-request.js';
import { JwtStrategy, strategyOf } from './jwt.strategy.js';
import { requireModule } from '../http/authorization/require-module.js';
import { MarksSessionGuard } from '../http/authorization/session-guard-mark.js';
import { routeOf, routeRulesOf } from '../http/authorization/route-rules.js';
import { accessTokenOf, type PresentedToken } from '../http/authentication/bearer-token.js';

/** The message of passport-jwt for a request without a token. */
const NO_TOKEN = 'No auth token';

/**
 * Lets in requests with an access token in the Authorization header; cookies do not count. Honours the same decorators
 * as `SessionGuard`. An `AuthGuard` of @nestjs/passport that needs nothing but the option `jwt`:
 * extend it and override `handleRequest` as usual.
 */
@Injectable()
@MarksSessionGuard()
export class JwtAuthGuard extends AuthGuard() implements OnModuleInit {
  /** Set by the base class from `PassportModule`, where an application imports it. */
  declare protected options: Record<string, unknown>;
  private readonly ofRealms = new Map<string, this>();

  constructor(@Optional() @Inject(SESSION_CORE) private readonly given?: SessionCore) {
    // The strategy is not asked for before a request, so that one of the application's own may be made first.
    super({ defaultStrategy: 'session-jwt', session: false });
  }

  /** @throws {ConfigurationError} without `SessionModule`. */
  onModuleInit(): void {
    void this.own;
  }

  /** True at once where a near cache lets the request in: Nest then waits for nothing. */
  override canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    if (routeRulesOf(context).public) return true;
    const token = this.isPlain(context) ? this.tokenOf(context) : null;
    return token ? this.coreOf(context).admission.admits(context, { only: 'bearer', token }) : this.ask(context);
  }

  private async ask(context: ExecutionContext): Promise<boolean> {
    const exchange = findExchange(context);
    if (!exchange) throw withoutRequest(context);
    try {
      return await this.own.tenants.within(exchange, () => this.admits(context, exchange));
    } catch (error) {
      throw error instanceof SessionError ? refusalFor(error, exchange) : error;
    }
  }

  private async admits(context: ExecutionContext, exchange: HttpExchange): Promise<boolean> {
    // Passport takes requests. A socket was opened by one, but each of its messages is checked by itself.
    if (exchange.isUpgrade && context.getType<string>() !== 'http') {
      await this.own.admission.admit(context, { only: 'bearer' });
      return true;
    }
    // Without this, the application's own PassportModule would select its default strategy.
    const core = this.coreOf(context);
    const guard = this.forRealm(core);
    guard.options = { ...this.options, defaultStrategy: strategyOf(core).name, session: false };
    await super.canActivate.call(guard, context);
    if (this.isGuest(context)) return true;
    await this.own.admission.admit(context, { only: 'bearer' });
    return true;
  }

  /**
   * Whether passport would only repeat what `SessionGuard` does: neither guard nor strategy is a subclass or has options of
   * the application, and nobody has set the request's user before.
   */
  private isPlain(context: ExecutionContext): boolean {
    const core = this.coreOf(context);
    const isOwn = this.constructor === JwtAuthGuard && strategyOf(core).constructor === JwtStrategy;
    if (!isOwn || !core.tokens.enabled || this.options['property'] !== undefined) return false;
    const { user } = this.getRequest(context) as { user?: unknown };
    return user === undefined || user === null;
  }

  /** The token that passport would look at; null if there is none, and for a header that passport's way refuses. */
  private tokenOf(context: ExecutionContext): PresentedToken | null {
    const exchange = findExchange(context);
    if (!exchange || (exchange.isUpgrade && context.getType<string>() !== 'http')) return null;
    try {
      return accessTokenOf(exchange, this.coreOf(context).requests.takesDpop);
    } catch {
      return null;
    }
  }

  /** The request that passport looks at, also that of a GraphQL operation. */
  override getRequest(context: ExecutionContext): object {
    if (context.getType<string>() === 'http') return context.switchToHttp().getRequest<object>();
    return findExchange(context)?.request ?? {};
  }

  /** Passport asks for one, and our strategy writes nothing to it. */
  getResponse(context: ExecutionContext): unknown {
    return context.getType<string>() === 'http' ? context.switchToHttp().getResponse() : {};
  }

  /** Whether an overridden `handleRequest` returned no user. It cannot waive roles, fresh proof, a bound device and a bound token. */
  private isGuest(context: ExecutionContext): boolean {
    const property = (this.options['property'] as string | undefined) ?? 'user';
    const user: unknown = Reflect.get(this.getRequest(context), property);
    const { roles, maxAge, deviceBound, dpop } = routeRulesOf(context);
    return (user === null || user === undefined) && roles === null && maxAge === null && !deviceBound && !dpop;
  }

  private get own(): SessionCore {
    return requireModule(this.given, JwtAuthGuard.name);
  }

  /** That of the route's realm. */
  private coreOf(context: ExecutionContext): SessionCore {
    const { own } = this;
    const { realm } = routeOf(context);
    // The registry knows only the part of a core that is below passport.
    return realm === '' || !own.realms ? own : (own.realms.require(realm) as SessionCore);
  }

  /** This guard, with a strategy of the realm's own: passport's guard keeps its name while it waits. */
  private forRealm(core: SessionCore): this {
    const { realm } = core.options;
    if (realm === '') return this;
    const guard = this.ofRealms.get(realm) ?? (Object.create(this) as this);
    this.ofRealms.set(realm, guard);
    return guard;
  }

  /**
   * The user, or the exception to answer with. Override to let other requests pass, or to answer otherwise.
   *
   * @throws {SessionHttpException}
   */
  override handleRequest<TUser = unknown>(
    error: unknown,
    user: unknown,
    info: unknown,
    context: ExecutionContext,
  ): TUser {
    const exchange = findExchange(context);
    if (error instanceof SessionError) throw refusalFor(error, exchange);
    if (error) throw error instanceof Error ? error : new Error('The passport strategy failed.', { cause: error });
    if (user) return user as TUser;
    const isMissing = info instanceof Error && info.message === NO_TOKEN;
    const reason =
      info instanceof SessionError
        ? info
        : isMissing
          ? new AuthenticationError('session_required', 'Sign in first.')
          : invalidToken('forged');
    const { contexts, requestReports } = this.coreOf(context);
    if (exchange) requestReports.refused(reason, contexts.of(exchange));
    throw refusalFor(reason, exchange);
  }
}
