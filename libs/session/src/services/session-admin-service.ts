import { Inject, Injectable } from '@nestjs/common';
import type { EndReason, Session, SessionData } from '../model/session.js';
import { SessionStore } from '../ports/session-store.js';

/** What administrators do to other people's sessions. Ends carry the reason `admin` unless told otherwise. */
@Injectable()
export class SessionAdminService {
  constructor(@Inject(SessionStore) private readonly store: SessionStore) {}

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

  /** How many sessions live, of all users. Exact. */
  async countSessions(): Promise<number> {
    return this.store.count();
  }
}
