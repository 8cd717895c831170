import { Inject, Injectable, Logger } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import { SESSION_OPTIONS } from '../options/tokens.js';
import { SessionStore, type LiveSession } from '../ports/session-store.js';

/** How many sessions' latest touches are remembered: requests that read before a touch must not repeat it. */
const REMEMBERED = 10_000;

/**
 * Records accesses beside the request, at most one per session and touch interval. An access that cannot be recorded
 * costs the session some of its idle time and nothing else.
 */
@Injectable()
export class SessionToucher {
  private readonly logger = new Logger(SessionToucher.name);
  private readonly running = new Map<string, Promise<void>>();
  private readonly touchedAt = new LRUCache<string, number>({ max: REMEMBERED });
  /** Reads that were noted already: guards and parameters of one request share theirs. */
  private readonly noted = new WeakSet<object>();
  private failing = false;

  constructor(
    @Inject(SessionStore) private readonly store: SessionStore,
    @Inject(SESSION_OPTIONS) private readonly options: ResolvedSessionOptions,
  ) {}

  /** Records an access to a session just read, if one is due. Returns at once. */
  noteAccess(live: Pick<LiveSession, 'session' | 'now'>): void {
    if (this.noted.has(live)) return;
    this.noted.add(live);
    const { session, now } = live;
    const { id, lastAccess, idleTimeout } = session;
    const interval = Math.min(this.options.session.touchInterval, idleTimeout / 10);
    if (now - Math.max(lastAccess, this.touchedAt.get(id) ?? 0) < interval || this.running.has(id)) return;
    this.touchedAt.set(id, now);
    this.running.set(id, this.touch(id));
  }

  /** Resolves when every access noted so far is recorded or given up. */
  async settle(): Promise<void> {
    await Promise.all(this.running.values());
  }

  private async touch(id: string): Promise<void> {
    try {
      await this.store.touch(id);
      this.failing = false;
    } catch (error) {
      this.touchedAt.delete(id);
      if (!this.failing) this.logger.warn(`Accesses cannot be recorded: ${messageOf(error)}`);
      this.failing = true;
    } finally {
      this.running.delete(id);
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
