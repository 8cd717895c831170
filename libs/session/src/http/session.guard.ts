import { Inject, Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { SessionGate } from './session-gate.js';

/**
 * Lets in requests of a live session, by cookie or bearer token. Honours `@Public()`, `@Roles()`, `@RequireFresh()`,
 * `@AllowPending()` and `@NoTouch()`. Where there is no request to look at (sockets, messages) it refuses.
 */
@Injectable()
export class SessionGuard implements CanActivate {
  constructor(@Inject(SessionGate) private readonly gate: SessionGate) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    await this.gate.admit(context);
    return true;
  }
}
