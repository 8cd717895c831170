import type { Session } from '../../model/session.js';
import type { SessionUser } from '../../model/session-user.js';
import type { ResolvedSessionOptions } from '../../options/resolved-options.js';
import type { RequestContext } from './request-context.js';

/** Finds the user of a session. Calls the option `resolveUser` once per session of a request. */
export class SessionUsers {
  constructor(private readonly options: ResolvedSessionOptions) {}

  async of(context: RequestContext, session: Session): Promise<unknown> {
    const { resolveUser } = this.options;
    if (!resolveUser) return userOf(session);
    if (context.user?.session === session) return context.user.found;
    const found = Promise.resolve(resolveUser(session));
    context.user = { session, found };
    return found;
  }
}

/** The user of a session without the option `resolveUser`. */
export function userOf(session: Session): SessionUser {
  return { id: session.userId, email: session.email, roles: session.roles };
}
