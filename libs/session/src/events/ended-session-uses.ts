import { LRUCache } from 'lru-cache';
import type { SessionStore, GoneSession } from '../ports/session-store.js';
import type { SessionEvents } from './session-events.js';

/** A client that keeps sending a dead token causes one event in this time, ms. */
const QUIET_FOR = 60_000;
const REMEMBERED = 10_000;

/** Publishes `use-after-end`: a validly signed token of an ended session was presented. */
export class EndedSessionUses {
  private readonly noted = new LRUCache<string, true>({ max: REMEMBERED, ttl: QUIET_FOR });

  constructor(
    private readonly events: SessionEvents,
    private readonly store: SessionStore,
  ) {}

  /** Records that credentials of an ended session were presented. Waits for nothing and never throws. */
  note(sessionId: string, gone: GoneSession): void {
    if (gone.state !== 'ended' || this.noted.has(sessionId)) return;
    this.noted.set(sessionId, true);
    const { reason, userId = '' } = gone;
    this.events.publish({ type: 'use-after-end', at: this.store.now(), sessionId, userId, reason, remote: false });
  }
}
