import { Inject, Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import { isAnonymousUserId } from '../model/alias.js';
import { InvalidArgumentError, SessionError } from '../model/errors.js';
import type { NewSession, Session, SessionData } from '../model/session.js';
import { SessionStore } from '../ports/session-store.js';
import { invalidToken } from './authentication-errors.js';
import { SessionEvents } from './session-events.js';
import { SessionService, type StartedSession, type StartOptions } from './session-service.js';

export interface ImpersonateOptions extends Pick<StartOptions, 'client'> {
  /** Whether a secret for a cookie is drawn. There is never a refresh token. Default true. */
  cookie?: boolean;
}

/**
 * Starts sessions in which an administrator acts as somebody else, and ends them when the administrator's own session
 * ends: at once those that were started by this instance, and every other at its next request.
 */
@Injectable()
export class Impersonations implements OnApplicationShutdown {
  private readonly logger = new Logger(Impersonations.name);
  /** Session id to that of the administrator's own session. */
  private readonly started = new Map<string, string>();
  private readonly unsubscribe: () => void;

  constructor(
    @Inject(SessionService) private readonly sessions: SessionService,
    @Inject(SessionStore) private readonly store: SessionStore,
    @Inject(SessionEvents) private readonly events: SessionEvents,
  ) {
    this.unsubscribe = events.on('ended', ({ sessionId }) => this.onEnd(sessionId));
  }

  /** See `SessionAdminService.impersonate`. */
  async start<T = SessionData>(
    admin: Session,
    user: NewSession<T>,
    { cookie = true, client = null }: ImpersonateOptions = {},
  ): Promise<StartedSession<T>> {
    assertMayAct(admin, user.userId);
    const actor = { userId: admin.userId, sessionId: admin.id };
    const started = await this.sessions.start<T>(
      { ...user, actor, expiresAt: Math.min(Number(user.expiresAt ?? Infinity), admin.expiresAt) },
      { credentials: cookie ? ['cookie'] : [], client },
    );
    const { id, userId, createdAt } = started.session;
    this.started.set(id, admin.id);
    // What was handed in may be older than the end of that session.
    if (!(await this.store.get(admin.id))) {
      await this.store.destroy(id, { reason: 'revoked' });
      throw invalidToken();
    }
    this.events.publish({ type: 'impersonation-started', at: createdAt, sessionId: id, userId, remote: false, actor });
    return started;
  }

  onApplicationShutdown(): void {
    this.unsubscribe();
  }

  private onEnd(ended: string): void {
    this.started.delete(ended);
    for (const [id, admin] of this.started) {
      if (admin !== ended) continue;
      this.started.delete(id);
      this.store.destroy(id, { reason: 'revoked' }).catch((error: unknown) => {
        // Its next request ends it.
        this.logger.warn(
          `An impersonated session could not be ended: ${error instanceof Error ? error.message : String(error)}`,
        );
      });
    }
  }
}

function assertMayAct({ userId, actor, pending }: Session, as: string): void {
  if (actor || pending === true || isAnonymousUserId(userId)) {
    throw new SessionError(
      'insufficient_scope',
      'Only a session of one’s own, fully signed in, may act as somebody else.',
    );
  }
  if (as === userId) throw new InvalidArgumentError('userId', 'must be of somebody else');
}
