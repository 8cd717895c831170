import type { SessionEventType } from '../model/events.js';
import type { EndReason } from '../model/session.js';

/** Something that happened to a user's sessions. No secret is in it. */
export interface SessionHistoryEntry {
  readonly type: SessionEventType;
  /** Epoch ms by the store's clock. */
  readonly at: number;
  readonly sessionId: string;
  /** Of an end, or of the use after it. */
  readonly reason?: EndReason;
  /** What `hijack-suspected` found, and what was done. */
  readonly detail?: string;
  readonly deviceName?: string;
  readonly ip?: string;
}

export interface HistoryLimits {
  /** Most entries of a user; the oldest go. */
  readonly maxEntries: number;
  /** How long an entry is kept, ms. */
  readonly retention: number;
}

/**
 * The audit trail of each user, capped and with an end. Rules for every adapter: each operation is atomic and may be carried
 * out twice; `StoreUnavailableError` when it cannot be carried out.
 */
export abstract class SessionHistory {
  /** Adds an entry. One that is there already is not added again. */
  abstract add(userId: string, entry: SessionHistoryEntry): Promise<void>;

  /** The user's entries, latest first. An entry knows device and address of its session where its sign-in is still kept. */
  abstract list(userId: string, options?: { limit?: number }): Promise<SessionHistoryEntry[]>;

  /** Forgets all entries of the user. */
  abstract clear(userId: string): Promise<void>;
}

/** Entries of one user, latest first, with what is known of their sessions from their sign-ins. */
export function readableHistory(entries: readonly SessionHistoryEntry[], limit = Infinity): SessionHistoryEntry[] {
  const signIns = new Map(entries.filter(({ type }) => type === 'created').map((entry) => [entry.sessionId, entry]));
  const latest = [...entries].sort((a, b) => b.at - a.at).slice(0, limit);
  return latest.map((entry) => {
    const { deviceName, ip } = signIns.get(entry.sessionId) ?? {};
    return { ...(deviceName !== undefined && { deviceName }), ...(ip !== undefined && { ip }), ...entry };
  });
}
