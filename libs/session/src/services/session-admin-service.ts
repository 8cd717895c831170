import { Inject, Injectable } from '@nestjs/common';
import type { EndReason, NewSession, Session, SessionData } from '../model/session.js';
import { SessionStore } from '../ports/session-store.js';
import { Impersonations, type ImpersonateOptions } from './impersonations.js';
import type { StartedSession } from './session-service.js';

/** What administrators do to other people's sessions. Ends carry the reason `admin` unless told otherwise. */
@Injectable()
export class SessionAdminService {
  constructor(
    @Inject(SessionStore) private readonly store: SessionStore,
    @Inject(Impersonations) private readonly impersonations: Impersonations,
  ) {}

  /** The user's live sessions, latest access first. Records no access. */
  async listSessions<T = SessionData>(userId: string): Promise<Session<T>[]> {
    return this.store.getActiveSessions<T>(userId);
  }

  /** Ends one session, whosever it is. False when there was no live one. */
  async endSession(sessionId: string, reason: EndReason = 'admin'): Promise<boolean> {
    return this.store.destroy(sessionId, { reason });
  }

  /** Ends all sessions of a user in one step. Returns how many. */
  async endUserSessions(userId: string, reason: EndReason = 'admin'): Promise<number> {
    return this.store.destroyAll(userId, { reason });
  }

  /**
   * Ends the sessions of everybody who signed in before now (ASVS 5.0, 7.4.5). Goes user by user: where it fails half
   * way, calling it again ends the rest. Returns how many.
   */
  async endEverybody(reason: EndReason = 'admin'): Promise<number> {
    const createdBefore = this.store.now();
    let total = 0;
    let cursor: number | undefined;
    do {
      const part = await this.store.destroyEverybody({
        reason,
        createdBefore,
        ...(cursor !== undefined && { cursor }),
      });
      total += part.ended;
      cursor = part.cursor ?? undefined;
    } while (cursor !== undefined);
    return total;
  }

  /**
   * Starts a session in which an administrator acts as somebody else. It names both (`userId`, and the administrator as
   * `actor`), is in the user's list, counts towards no limit, ends with the administrator's own session and never later
   * than that one's absolute end, has no refresh token, and counts as fresh nowhere. Whether this administrator may do so
   * is for the caller to decide. `RequestSession.impersonate` does the same for the request at hand.
   *
   * @throws {SessionError} `insufficient_scope` from a session that is itself impersonated, anonymous or pending.
   * @throws {AuthenticationError} when the administrator's session has ended meanwhile.
   */
  async impersonate<T = SessionData>(
    admin: Session,
    user: NewSession<T>,
    options: ImpersonateOptions = {},
  ): Promise<StartedSession<T>> {
    return this.impersonations.start<T>(admin, user, options);
  }

  /** How many sessions live, of all users. Exact. */
  async countSessions(): Promise<number> {
    return this.store.count();
  }
}
