import type { SessionEvent } from '../../model/events.js';
import type { EndReason } from '../../model/session.js';
import type { SessionStore } from '../../ports/session-store.js';

/**
 * Why something that lives by a session is over: the session's own reason, or
 * `unknown` (it is gone, and the store no longer knows why), `regenerated` (its secrets were replaced), `tokens-revoked` (its access
 * tokens were), `token-expired` (the access token that let the client in has expired).
 */
export type SessionOverReason = EndReason | 'unknown' | 'regenerated' | 'tokens-revoked' | 'token-expired';

export interface SessionOver {
  readonly sessionId: string;
  readonly reason: SessionOverReason;
  /** The end of the session, if the store told of it and no event did; `reason` is null if the store no longer knows it. */
  readonly unheard: { readonly at: number; readonly reason: EndReason | null } | null;
}

interface Watched<T> {
  readonly members: Set<T>;
  /** Of the session's tenant. */
  readonly store: ReadableStore;
  /** Access tokens and cookies from before are dead; null until the store was asked. */
  tokensFrom: number | null;
}

export type ReadableStore = Pick<SessionStore, 'read' | 'now'>;

/** Number of sessions that are asked for at once. */
const AT_ONCE = 50;
/** Maximum of Node's timers, ms. */
const LONGEST_TIMER = 2 ** 31 - 1;

/**
 * Sessions on which something depends that outlives a request (sockets, subscriptions, streams), each with what depends on it. Tells
 * when a session is over, by an event or by asking the store, and forgets it.
 */
export class WatchedSessions<T> {
  private readonly watched = new Map<string, Watched<T>>();

  constructor(private readonly onOver: (over: SessionOver, members: ReadonlySet<T>) => void) {}

  /** Number of members of all sessions. */
  get size(): number {
    return [...this.watched.values()].reduce((sum, { members }) => sum + members.size, 0);
  }

  get isEmpty(): boolean {
    return this.watched.size === 0;
  }

  /** The members of all sessions. */
  *all(): Iterable<T> {
    for (const { members } of this.watched.values()) yield* members;
  }

  of(sessionId: string): ReadonlySet<T> | undefined {
    return this.watched.get(sessionId)?.members;
  }

  /**
   * Adds a member, and asks the store: the session may have ended since it was read. Returns all members of the session.
   *
   * @param store The session's, of its tenant.
   */
  add(sessionId: string, member: T, store: ReadableStore): ReadonlySet<T> {
    const watched = this.watched.get(sessionId) ?? { members: new Set<T>(), store, tokensFrom: null };
    this.watched.set(sessionId, watched);
    watched.members.add(member);
    void this.check(sessionId, watched);
    return watched.members;
  }

  /** Whether it was a member. */
  remove(sessionId: string, member: T): boolean {
    const watched = this.watched.get(sessionId);
    if (!watched?.members.delete(member)) return false;
    if (watched.members.size === 0) this.watched.delete(sessionId);
    return true;
  }

  clear(): void {
    this.watched.clear();
  }

  /** Call this for every event. */
  hear(event: SessionEvent): void {
    const watched = this.watched.get(event.sessionId);
    const reason = overBy(event);
    if (watched && reason !== null) this.end(watched, { sessionId: event.sessionId, reason, unheard: null });
  }

  /** Asks the store for every session, some at a time: events may have been missed. */
  async checkAll(): Promise<void> {
    const all = [...this.watched];
    for (let first = 0; first < all.length; first += AT_ONCE) {
      await Promise.all(all.slice(first, first + AT_ONCE).map(([id, watched]) => this.check(id, watched)));
    }
  }

  private async check(sessionId: string, watched: Watched<T>): Promise<void> {
    let found;
    try {
      found = await watched.store.read(sessionId);
    } catch {
      // The store is unavailable; the next check asks again.
      return;
    }
    if (this.watched.get(sessionId) !== watched) return;
    if (found.state === 'live') {
      watched.tokensFrom ??= found.tokensFrom;
      if (found.tokensFrom > watched.tokensFrom)
        this.end(watched, { sessionId, reason: 'tokens-revoked', unheard: null });
      return;
    }
    const [at, reason] = found.state === 'ended' ? [found.endedAt, found.reason] : [watched.store.now(), null];
    this.end(watched, { sessionId, reason: reason ?? 'unknown', unheard: { at, reason } });
  }

  private end(watched: Watched<T>, over: SessionOver): void {
    this.watched.delete(over.sessionId);
    this.onOver(over, watched.members);
  }
}

/** Runs at an instant of the store's time. */
export function timerAt(instant: number, store: Pick<SessionStore, 'now'>, run: () => void): NodeJS.Timeout {
  return setTimeout(run, Math.min(Math.max(0, instant - store.now()), LONGEST_TIMER)).unref();
}

function overBy(event: SessionEvent): SessionOverReason | null {
  if (event.type === 'ended') return event.reason;
  if (event.type === 'regenerated') return 'regenerated';
  return event.type === 'changed' && event.cause !== undefined ? 'tokens-revoked' : null;
}
