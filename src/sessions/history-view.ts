import type { EndReason, SessionEventType, SessionHistoryEntry } from 'nestjs-sessions';

/** An entry of the session history, as clients see it. */
export interface HistoryView {
  type: SessionEventType;
  /** Epoch milliseconds. */
  at: number;
  sessionId: string;
  reason: EndReason | null;
  deviceName: string | null;
  ip: string | null;
  /** Whether it concerns the session of this request. */
  current: boolean;
}

export function historyViewOf(entry: SessionHistoryEntry, currentId: string): HistoryView {
  return {
    type: entry.type,
    at: entry.at,
    sessionId: entry.sessionId,
    reason: entry.reason ?? null,
    deviceName: entry.deviceName ?? null,
    ip: entry.ip ?? null,
    current: entry.sessionId === currentId,
  };
}
