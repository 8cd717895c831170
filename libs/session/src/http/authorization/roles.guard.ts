import { Injectable, Optional, type CanActivate, type ExecutionContext, type OnModuleInit } from '@nestjs/common';
import { SessionAdmission } from '../authentication/session-admission.js';
import { requireModule } from './require-module.js';
import { MarksSessionGuard } from './session-guard-mark.js';

/**
 * Lets in sessions with one of the roles of `@Roles()`; without that decorator, every request. For applications that
 * use it without a session guard: those check roles as well.
 */
@Injectable()
@MarksSessionGuard()
export class RolesGuard implements CanActivate, OnModuleInit {
  constructor(@Optional() private readonly admission?: SessionAdmission) {}

  /** @throws {ConfigurationError} without `SessionModule`. */
  onModuleInit(): void {
    requireModule(this.admission, RolesGuard.name);
  }

  async canActivate(context: ExecutionContext): Promise<boolean> {
    await requireModule(this.admission, RolesGuard.name).admitRoles(context);
    return true;
  }
}
