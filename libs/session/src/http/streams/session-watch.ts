import type { BeforeApplicationShutdown, OnModuleInit } from '@nestjs/common';
import type { SessionEvents } from '../../events/session-events.js';
import type { Session } from '../../model/session.js';
import type { SessionStore } from '../../ports/session-store.js';
import { viewOf } from '../../ports/tenants/tenants-session-store.js';
import { timerAt, WatchedSessions, type ReadableStore, type SessionOverReason } from './watched-sessions.js';

export interface WatchOptions {
  /** When the access token expires that let the client in, epoch ms by the store's clock. Default: never. */
  expiresAt?: number | undefined;
  /** Called once, when the session is over for this watcher. */
  onOver: (reason: SessionOverReason) => void;
}

interface Watcher extends WatchOptions {
  timer?: NodeJS.Timeout;
}

/** Between two questions whether the watched sessions still live, ms. */
const CHECK_INTERVAL = 60_000;
/** How many watchers are told in one turn of the event loop. */
const TOLD_AT_ONCE = 100;

/**
 * Watches sessions on behalf of what outlives a request: sockets, subscriptions, streams. Hears of ends on every instance, and asks
 * the store after a break of the event channel and once a minute.
 */
export class SessionWatch implements OnModuleInit, BeforeApplicationShutdown {
  private readonly watched: WatchedSessions<Watcher>;
  private timer: NodeJS.Timeout | null = null;
  private stopHearing: (() => void)[] = [];

  constructor(
    private readonly events: SessionEvents,
    private readonly store: SessionStore,
  ) {
    this.watched = new WatchedSessions(({ reason }, watchers) => this.tell(watchers, reason));
  }

  /** How many watchers there are. */
  get size(): number {
    return this.watched.size;
  }

  onModuleInit(): void {
    const subscription = this.events.all$.subscribe((event) => this.watched.hear(event));
    // Ends announced during a gap were missed.
    const stopGaps = this.store.onGap?.(() => void this.watched.checkAll());
    this.stopHearing = [() => subscription.unsubscribe(), ...(stopGaps ? [stopGaps] : [])];
  }

  beforeApplicationShutdown(): void {
    for (const stop of this.stopHearing.splice(0)) stop();
    if (this.timer) clearInterval(this.timer);
    for (const { timer } of this.watched.all()) clearTimeout(timer);
    this.watched.clear();
  }

  /**
   * Watches a session of the current tenant until it is over, or until the function that it returns is called.
   */
  watch(session: Pick<Session, 'id'>, options: WatchOptions): () => void {
    return this.ofTenant().watch(session, options);
  }

  /** Watches sessions of the tenant that is the current one now. */
  ofTenant(): Pick<SessionWatch, 'watch'> {
    const store = viewOf(this.store);
    return { watch: (session, options) => this.watchIn(store, session, options) };
  }

  private watchIn(store: ReadableStore, { id }: Pick<Session, 'id'>, options: WatchOptions): () => void {
    const watcher: Watcher = { ...options };
    this.watched.add(id, watcher, store);
    const { expiresAt } = options;
    if (expiresAt !== undefined) {
      watcher.timer = timerAt(expiresAt, this.store, () => {
        if (this.forget(id, watcher)) watcher.onOver('token-expired');
      });
    }
    this.timer ??= setInterval(() => void this.watched.checkAll(), CHECK_INTERVAL).unref();
    return () => this.forget(id, watcher);
  }

  /** Tells many watchers over several turns of the event loop, so that other requests are not kept waiting. */
  private tell(watchers: ReadonlySet<Watcher>, reason: SessionOverReason): void {
    this.stopTimer();
    const left = [...watchers];
    const tellSome = (): void => {
      for (const watcher of left.splice(0, TOLD_AT_ONCE)) {
        clearTimeout(watcher.timer);
        watcher.onOver(reason);
      }
      if (left.length > 0) setImmediate(tellSome);
    };
    tellSome();
  }

  private forget(id: string, watcher: Watcher): boolean {
    clearTimeout(watcher.timer);
    if (!this.watched.remove(id, watcher)) return false;
    this.stopTimer();
    return true;
  }

  private stopTimer(): void {
    if (!this.watched.isEmpty || !this.timer) return;
    clearInterval(this.timer);
    this.timer = null;
  }
}
