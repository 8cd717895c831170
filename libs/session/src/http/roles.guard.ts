import { Inject, Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { SessionGate } from './session-gate.js';

/**
 * Lets in whoever has one of the roles of `@Roles()`; without that decorator, everybody. For applications that apply it
 * apart from a session guard: those check roles as well.
 */
@Injectable()
export class RolesGuard implements CanActivate {
  constructor(@Inject(SessionGate) private readonly gate: SessionGate) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    await this.gate.admitRoles(context);
    return true;
  }
}
