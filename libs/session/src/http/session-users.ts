import { Inject, Injectable } from '@nestjs/common';
import type { Session } from '../model/session.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import { SESSION_OPTIONS } from '../options/tokens.js';

/** What `@CurrentUser()` gives unless the option `resolveUser` says otherwise. */
export interface SessionUser {
  id: string;
  email: string;
  roles: string[];
}

/** Finds the user of a session; the option `resolveUser` is asked once for each session read. */
@Injectable()
export class SessionUsers {
  private readonly users = new WeakMap<Session, Promise<unknown>>();

  constructor(@Inject(SESSION_OPTIONS) private readonly options: ResolvedSessionOptions) {}

  async of(session: Session): Promise<unknown> {
    const { resolveUser } = this.options;
    if (!resolveUser) return { id: session.userId, email: session.email, roles: session.roles } satisfies SessionUser;
    const known = this.users.get(session);
    if (known) return known;
    const asked = Promise.resolve(resolveUser(session));
    this.users.set(session, asked);
    return asked;
  }
}
