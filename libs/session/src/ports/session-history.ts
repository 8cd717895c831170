import type { SessionEventType } from '../model/events.js';
import type { EndReason } from '../model/session.js';

/** Something that happened to a user's sessions. Contains no secret. */
export interface SessionHistoryEntry {
  readonly type: SessionEventType;
  /** Epoch ms by the store's clock. */
  readonly at: number;
  readonly sessionId: string;
  /** For `ended` and `use-after-end`. */
  readonly reason?: EndReason;
  /** For `hijack-suspected`: the signals and the action taken. */
  readonly detail?: string;
  readonly deviceName?: string;
  readonly ip?: string;
}

export interface HistoryLimits {
  /** Maximum number of entries per user; the oldest are dropped. */
  readonly maxEntries: number;
  /** How long an entry is kept, ms. */
  readonly retention: number;
}

/**
 * The audit trail of each user, bounded in number and time. Rules for every adapter: each operation is atomic, safe to repeat,
 * and rejects with `StoreUnavailableError` when the store does not answer.
 */
export abstract class SessionHistory {
  /** Adds an entry. An identical one is not added again. */
  abstract add(userId: string, entry: SessionHistoryEntry): Promise<void>;

  /** The user's entries, latest first. Device and address come from the session's sign-in while that is kept. */
  abstract list(userId: string, options?: { limit?: number }): Promise<SessionHistoryEntry[]>;

  /** Deletes all entries of the user. */
  abstract clear(userId: string): Promise<void>;
}

/** Entries of one user, latest first, completed with device and address from the sign-ins. */
export function readableHistory(entries: readonly SessionHistoryEntry[], limit = Infinity): SessionHistoryEntry[] {
  const signIns = new Map(entries.filter(({ type }) => type === 'created').map((entry) => [entry.sessionId, entry]));
  const latest = [...entries].sort((a, b) => b.at - a.at).slice(0, limit);
  return latest.map((entry) => {
    const { deviceName, ip } = signIns.get(entry.sessionId) ?? {};
    return { ...(deviceName !== undefined && { deviceName }), ...(ip !== undefined && { ip }), ...entry };
  });
}
