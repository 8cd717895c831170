import { LRUCache } from 'lru-cache';
import { StoreUnavailableError } from '../model/errors.js';
import type { StoreWait } from '../ports/store-wait.js';

/** Maximum number of sessions whose accesses are remembered; the least recently used are dropped first. */
const REMEMBERED = 100_000;
/** How many are recorded in parallel when Redis accepts writes again. */
const PARALLEL = 32;

/**
 * Accesses that Redis refused to record while it still answered reads (MISCONF, NOREPLICAS, OOM). Nobody is signed out
 * because of them: this instance treats the sessions as live, and records the accesses as soon as possible. Other
 * instances do not know them: if requests of one session go to several instances, each counts those that it served.
 */
export class UnrecordedAccesses {
  private readonly at = new LRUCache<string, number>({ max: REMEMBERED });
  private flushing = false;

  constructor(private readonly record: (sessionId: string, at: number, wait?: StoreWait) => Promise<unknown>) {}

  /** The last access of the session, if Redis does not know it yet. */
  of(sessionId: string): number | undefined {
    return this.at.size === 0 ? undefined : this.at.get(sessionId);
  }

  /** Takes an access that failed with this error, if the error was a refusal to write. */
  failed(sessionId: string, at: number, error: unknown): void {
    if (isRefusedWrite(error)) this.at.set(sessionId, at);
  }

  /** An access was recorded, so the others can be as well. */
  recorded(sessionId: string): void {
    if (this.at.size === 0) return;
    this.at.delete(sessionId);
    if (!this.flushing) void this.flush();
  }

  /** Records an earlier access, so that a write finds the session live. Does nothing if there is none. */
  async settle(sessionId: string, wait?: StoreWait): Promise<void> {
    const at = this.of(sessionId);
    if (at === undefined) return;
    await this.record(sessionId, at, wait);
    this.recorded(sessionId);
  }

  private async flush(): Promise<void> {
    this.flushing = true;
    try {
      while (this.at.size > 0) {
        const some = [...this.at.entries()].slice(0, PARALLEL);
        await Promise.all(
          some.map(async ([id, at]) => {
            await this.record(id, at);
            if (this.at.peek(id) === at) this.at.delete(id);
          }),
        );
      }
    } catch {
      // Refused again: the next recorded access continues.
    } finally {
      this.flushing = false;
    }
  }
}

function isRefusedWrite(error: unknown): boolean {
  const cause = error instanceof StoreUnavailableError ? error.cause : undefined;
  return cause instanceof Error && /\b(MISCONF|NOREPLICAS|OOM)\b/.test(cause.message);
}
