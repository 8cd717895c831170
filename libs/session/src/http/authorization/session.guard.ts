import { Injectable, Optional, type CanActivate, type ExecutionContext, type OnModuleInit } from '@nestjs/common';
import { SessionAdmission } from '../authentication/session-admission.js';
import { requireModule } from './require-module.js';
import { MarksSessionGuard } from './session-guard-mark.js';

/**
 * Lets in requests with a live session, by cookie or bearer token. Honours `@Public()`, `@Roles()`, `@RequireFresh()`,
 * `@AllowPending()` and `@NoTouch()`. Refuses where there is no request (sockets, messages).
 *
 * Without `SessionModule` the application does not start; a testing module that only compiles its controllers does.
 */
@Injectable()
@MarksSessionGuard()
export class SessionGuard implements CanActivate, OnModuleInit {
  constructor(@Optional() private readonly admission?: SessionAdmission) {}

  /** @throws {ConfigurationError} without `SessionModule`. */
  onModuleInit(): void {
    requireModule(this.admission, SessionGuard.name);
  }

  /** True at once where a near cache lets the request in: Nest then waits for nothing. */
  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    return requireModule(this.admission, SessionGuard.name).admits(context);
  }
}
