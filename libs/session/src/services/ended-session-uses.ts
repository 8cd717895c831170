import { Inject, Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { SessionStore, type GoneSession } from '../ports/session-store.js';
import { SessionEvents } from './session-events.js';

/** A client that goes on asking with a dead token causes one event in this time, ms. */
const QUIET_FOR = 60_000;
const REMEMBERED = 10_000;

/** Announces `use-after-end`: a token of an ended session came back whose signature is ours. */
@Injectable()
export class EndedSessionUses {
  private readonly noted = new LRUCache<string, true>({ max: REMEMBERED, ttl: QUIET_FOR });

  constructor(
    @Inject(SessionEvents) private readonly events: SessionEvents,
    @Inject(SessionStore) private readonly store: SessionStore,
  ) {}

  /** Notes that credentials of a session were presented which is gone. Costs nothing but memory, and never throws. */
  note(sessionId: string, gone: GoneSession): void {
    if (gone.state !== 'ended' || this.noted.has(sessionId)) return;
    this.noted.set(sessionId, true);
    const { reason, userId = '' } = gone;
    this.events.publish({ type: 'use-after-end', at: this.store.now(), sessionId, userId, reason, remote: false });
  }
}
