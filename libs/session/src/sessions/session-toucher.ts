import { AsyncLocalStorage } from 'node:async_hooks';
import { Logger } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { messageOf } from '../model/error-text.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import type { UsedCredential } from '../model/token-family.js';
import type { SessionStore, LiveSession, TouchOptions } from '../ports/session-store.js';

/** Number of sessions whose latest write is remembered, so that a request that read before it does not repeat it. */
const REMEMBERED = 10_000;

/**
 * Records accesses in the background, at most one per session and touch interval, and the use of a token, once per
 * rotation; both in one write if both are due. If an access cannot be recorded, the session may reach its idle timeout
 * earlier; a use is recorded at the next request instead. Neither fails the request.
 */
export class SessionToucher {
  private readonly logger = new Logger(SessionToucher.name);
  private readonly running = new Map<object, Promise<void>>();
  private readonly touching = new Set<string>();
  private readonly touchedAt = new LRUCache<string, number>({ max: REMEMBERED });
  /** The branch last recorded as in use, by kind and session. */
  private readonly usedBranch = new LRUCache<string, number>({ max: REMEMBERED });
  /** Uses that wait for the end of this turn of the event loop: an access in the same turn records them too. */
  private readonly waiting = new Map<object, () => void>();
  private readonly uses = new WeakMap<object, UsedCredential>();
  /** Reads that already counted as an access: guards and parameters of one request share a read. */
  private readonly noted = new WeakSet<object>();
  private failing = false;

  constructor(
    private readonly store: SessionStore,
    private readonly options: ResolvedSessionOptions,
  ) {}

  /** Records an access to a session that was just read, if due. Returns at once. */
  noteAccess(live: Pick<LiveSession, 'session' | 'now'>): void {
    const { session, now } = live;
    const { id, lastAccess, idleTimeout } = session;
    const interval = Math.min(this.options.session.touchInterval, idleTimeout / 10);
    if (now - lastAccess < interval) return;
    if (now - (this.touchedAt.get(id) ?? 0) < interval || this.touching.has(id)) return;
    // Only where it was due and failed: an entry per request would keep the garbage collector busy.
    if (this.noted.has(live)) return;
    this.noted.add(live);
    this.touchedAt.set(id, now);
    this.touching.add(id);
    this.record(id, { ...this.takeUse(live) });
  }

  /** Records that the current token is in use, for a session that was just read without that mark. Returns at once. */
  noteUse(live: Pick<LiveSession, 'session' | 'now'>, used: UsedCredential): void {
    const key = useKey(live.session.id, used);
    if (this.usedBranch.get(key) === used.branch) return;
    this.usedBranch.set(key, used.branch);
    this.uses.set(live, used);
    // At the shutdown it is called outside of the request, whose tenant counts.
    const recordUse = AsyncLocalStorage.bind((): void => {
      this.waiting.delete(live);
      const use = this.takeUse(live);
      if (use) this.record(live.session.id, { slide: false, ...use });
    });
    this.waiting.set(live, recordUse);
    setImmediate(recordUse);
  }

  /** Resolves when all accesses so far are recorded or failed. */
  async settle(): Promise<void> {
    for (const recordUse of [...this.waiting.values()]) recordUse();
    await Promise.all(this.running.values());
  }

  private takeUse(live: object): { used: UsedCredential } | null {
    const used = this.uses.get(live);
    this.uses.delete(live);
    return used ? { used } : null;
  }

  private record(id: string, options: TouchOptions): void {
    const key = {};
    this.running.set(
      key,
      this.touch(id, options).finally(() => this.running.delete(key)),
    );
  }

  private async touch(id: string, options: TouchOptions): Promise<void> {
    const { slide = true, used } = options;
    try {
      await this.store.touch(id, options);
      this.failing = false;
    } catch (error) {
      if (slide) this.touchedAt.delete(id);
      if (used) this.usedBranch.delete(useKey(id, used));
      if (!this.failing) this.logger.warn(`Accesses cannot be recorded: ${messageOf(error)}`);
      this.failing = true;
    } finally {
      if (slide) this.touching.delete(id);
    }
  }
}

function useKey(sessionId: string, { kind }: UsedCredential): string {
  return `${kind} ${sessionId}`;
}
