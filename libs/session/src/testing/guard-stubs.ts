import type { CanActivate, ExecutionContext } from '@nestjs/common';
import type { SessionCore } from '../core/session-core.js';
import { refusal } from '../http/exchange/http-errors.js';
import { findExchange } from '../http/exchange/http-exchange.js';
import { SessionError, type SessionErrorCode } from '../model/errors.js';
import { coreInMemory, signInRequest } from './test-request.js';
import type { TestUser } from './test-user.js';

/**
 * In place of `SessionGuard` or `JwtAuthGuard`: every request is signed in as this user, whatever it brings and whatever the route
 * asks for. The parameter decorators work, also where the testing module does not import `SessionModule`.
 *
 * ```ts
 * builder.overrideGuard(SessionGuard).useValue(guardSignedInAs({ id: 'ann', roles: ['user'] }));
 * ```
 */
export function guardSignedInAs(user: TestUser): CanActivate {
  let making: Promise<SessionCore> | undefined;
  return {
    async canActivate(host: ExecutionContext): Promise<boolean> {
      const exchange = findExchange(host);
      if (!exchange) return true;
      const core = await (making ??= coreInMemory({}));
      await signInRequest(core, exchange, user);
      core.requestSessions.attach(exchange.node);
      return true;
    },
  };
}

/**
 * In place of `SessionGuard` or `JwtAuthGuard`: refuses every request with the code, as the guard would answer it.
 *
 * @param code Default `session_required`.
 */
export function guardRefusing(code: SessionErrorCode = 'session_required'): CanActivate {
  return {
    canActivate(host: ExecutionContext): boolean {
      throw refusal(new SessionError(code, 'Refused by the test.'), findExchange(host));
    },
  };
}
