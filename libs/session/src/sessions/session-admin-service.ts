import { Logger } from '@nestjs/common';
import { messageOf } from '../model/error-text.js';
import type { SessionEvents } from '../events/session-events.js';
import { isAnonymousUserId } from '../model/alias.js';
import { InvalidArgumentError, SessionError } from '../model/errors.js';
import type { NewSession, Session, SessionData } from '../model/session.js';
import type { SessionStore } from '../ports/session-store.js';
import { invalidToken } from '../tokens/authentication-errors.js';
import { SessionAdministration } from './session-administration.js';
import { inTenant } from './session-tenants.js';
import type { SessionService, StartedSession, StartOptions } from './session-service.js';

export interface ImpersonateOptions extends Pick<StartOptions, 'client' | 'wait'> {
  /** Whether the session gets a secret for a cookie. It never gets a refresh token. Default true. */
  cookie?: boolean;
}

/**
 * Operations of administrators on other people's sessions, of this application's tenant. The end reason is `admin`. Every
 * end publishes an `admin-action` event with `actor` and `reason`, and is refused without them.
 */
export class SessionAdminService extends SessionAdministration {
  private readonly logger = new Logger(SessionAdminService.name);
  /** Impersonated sessions that this instance started: session id to the id of the administrator's own session. */
  private readonly impersonated = new Map<string, string>();

  constructor(
    store: SessionStore,
    private readonly sessions: SessionService,
    private readonly events: SessionEvents,
  ) {
    super(store, (event) => events.publish(event));
    events.on('ended', ({ sessionId }) => this.endImpersonationsBy(sessionId));
  }

  /**
   * This service for the sessions of a tenant, where the option `tenant` is a function: for calls outside of a request, and for
   * another tenant than the request's.
   *
   * @throws {ConfigurationError} in an application with one tenant or none, for another one.
   */
  forTenant(tenant: string): SessionAdminService {
    return inTenant(this, this.store, tenant);
  }

  /**
   * Starts a session in which an administrator acts as another user. The session names both (`userId`, and the administrator
   * as `actor`), is in the user's list, counts towards no limit, has no refresh token and never counts as fresh. It ends with
   * the administrator's own session: at once where this instance started it, otherwise at its next request. The caller decides
   * whether this administrator may do so. `RequestSession.impersonate` does the same for the current request.
   *
   * @throws {SessionError} `insufficient_scope` from a session that is itself impersonated, anonymous or pending.
   * @throws {AuthenticationError} when the administrator's session has ended.
   */
  async impersonate<T = SessionData>(
    admin: Session,
    user: NewSession<NoInfer<T>>,
    { cookie = true, client = null, wait }: ImpersonateOptions = {},
  ): Promise<StartedSession<T>> {
    assertMayImpersonate(admin, user.userId);
    const actor = { userId: admin.userId, sessionId: admin.id };
    const started = await this.sessions.start<T>(
      { ...user, actor, expiresAt: Math.min(Number(user.expiresAt ?? Infinity), admin.expiresAt) },
      { credentials: cookie ? ['cookie'] : [], client, ...(wait && { wait }) },
    );
    const { id, userId, createdAt } = started.session;
    this.impersonated.set(id, admin.id);
    // The administrator's session may have ended after the caller read it.
    if (!(await this.store.get(admin.id))) {
      await this.store.destroy(id, { reason: 'revoked' });
      throw invalidToken();
    }
    this.events.publish({ type: 'impersonation-started', at: createdAt, sessionId: id, userId, remote: false, actor });
    return started;
  }

  private endImpersonationsBy(adminSessionId: string): void {
    this.impersonated.delete(adminSessionId);
    for (const [id, admin] of this.impersonated) {
      if (admin !== adminSessionId) continue;
      this.impersonated.delete(id);
      this.store.destroy(id, { reason: 'revoked' }).catch((error: unknown) => {
        // Its next request ends it.
        this.logger.warn(`An impersonated session could not be ended: ${messageOf(error)}`);
      });
    }
  }
}

function assertMayImpersonate({ userId, actor, pending }: Session, as: string): void {
  if (actor || pending === true || isAnonymousUserId(userId)) {
    throw new SessionError(
      'insufficient_scope',
      'Only a fully signed-in session that is not impersonated itself may act as another user.',
    );
  }
  if (as === userId) throw new InvalidArgumentError('userId', 'must be another user');
}
