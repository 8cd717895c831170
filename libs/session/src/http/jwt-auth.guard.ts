import { Inject, Injectable, type ExecutionContext } from '@nestjs/common';
import { AuthGuard } from '@nestjs/passport';
import { AuthenticationError, SessionError } from '../model/errors.js';
import { invalidToken } from '../services/authentication-errors.js';
import { refusal } from './http-errors.js';
import { findExchange } from './http-exchange.js';
import { JwtStrategy } from './jwt.strategy.js';
import { routeRulesOf } from './route-rules.js';
import { SessionGate } from './session-gate.js';

/** What passport-jwt calls a request without a token. */
const NO_TOKEN = 'No auth token';

/**
 * Lets in requests with an access token in the Authorization header; cookies do not count. Honours the same decorators
 * as `SessionGuard`. An `AuthGuard` of @nestjs/passport: extend it and override `handleRequest` as usual.
 */
@Injectable()
export class JwtAuthGuard extends AuthGuard() {
  /** Set by the base class from `PassportModule`, where an application imports it. */
  declare protected options: Record<string, unknown>;

  constructor(
    @Inject(JwtStrategy) private readonly strategy: JwtStrategy,
    @Inject(SessionGate) private readonly gate: SessionGate,
  ) {
    super({ defaultStrategy: strategy.name, session: false });
  }

  override async canActivate(context: ExecutionContext): Promise<boolean> {
    if (routeRulesOf(context).public) return true;
    if (!findExchange(context)) {
      throw new AuthenticationError(
        'session_required',
        'There is no HTTP request here from which a token could be read.',
      );
    }
    // An application's own PassportModule would otherwise have us ask its strategy.
    this.options = { ...this.options, defaultStrategy: this.strategy.name, session: false };
    await super.canActivate(context);
    await this.gate.admit(context, { only: 'bearer' });
    return true;
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
    if (error instanceof SessionError) throw refusal(error, exchange);
    if (error) throw error instanceof Error ? error : new Error('The passport strategy failed.', { cause: error });
    if (user) return user as TUser;
    if (info instanceof SessionError) throw refusal(info, exchange);
    const isMissing = info instanceof Error && info.message === NO_TOKEN;
    throw refusal(isMissing ? new AuthenticationError('session_required', 'Sign in first.') : invalidToken(), exchange);
  }
}
