import { assertUserId } from '../model/ids.js';
import {
  readableHistory,
  SessionHistory,
  type HistoryLimits,
  type SessionHistoryEntry,
} from '../ports/session-history.js';

/** Number of trails checked per write: old entries go faster than new ones arrive. */
const SWEPT_PER_WRITE = 2;

/** Keeps audit trails in this process. */
export class MemorySessionHistory extends SessionHistory {
  private readonly trails = new Map<string, string[]>();

  constructor(
    private readonly limits: HistoryLimits,
    private readonly now: () => number,
  ) {
    super();
  }

  async add(userId: string, entry: SessionHistoryEntry): Promise<void> {
    assertUserId(userId);
    let looked = 0;
    for (const [other, trail] of this.trails) {
      if (looked++ === SWEPT_PER_WRITE) break;
      this.trails.delete(other);
      const kept = this.kept(trail);
      if (kept.length > 0) this.trails.set(other, kept);
    }
    const trail = this.trails.get(userId) ?? [];
    // Serialised, so that nobody holds a reference to stored data.
    const text = JSON.stringify(entry);
    if (!trail.includes(text)) this.trails.set(userId, this.kept([...trail, text]));
  }

  async list(userId: string, { limit }: { limit?: number } = {}): Promise<SessionHistoryEntry[]> {
    return readableHistory(this.kept(this.trails.get(userId) ?? []).map(read), limit);
  }

  async clear(userId: string): Promise<void> {
    this.trails.delete(userId);
  }

  private kept(trail: readonly string[]): string[] {
    const since = this.now() - this.limits.retention;
    return trail.filter((text) => read(text).at >= since).slice(-this.limits.maxEntries);
  }
}

function read(text: string): SessionHistoryEntry {
  return JSON.parse(text) as SessionHistoryEntry;
}
