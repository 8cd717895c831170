import type { DeviceType, Session } from './session.js';

/** What happens to a sign-in if the user has as many sessions as allowed. */
export type LimitPolicy = 'evict-least-recent' | 'evict-oldest' | 'reject';

export const LIMIT_POLICIES: readonly LimitPolicy[] = ['evict-least-recent', 'evict-oldest', 'reject'];

/** Upper bound of sessions per user, whatever the options say: a script over many more would block Redis. */
export const HARD_SESSION_LIMIT = 1000;

export interface SessionLimit {
  /** Maximum number of the user's sessions, including the new one. 1 to 1,000. */
  readonly max: number;
  /** Maximum number of sessions on devices of the new session's type, including the new one. Default: no limit per type. */
  readonly maxOfType?: number;
  readonly onLimit: LimitPolicy;
}

/**
 * How many of a user's sessions may be pending at once. They count towards no limit; beyond this the oldest is ended.
 */
export const MOST_PENDING = 3;

/** Stored with a pending session: the rules under which it is admitted once it is complete. */
export interface Admission {
  readonly limit: SessionLimit;
  /** A session of the same user that ends in the same step with the reason `replaced`. */
  readonly replaces?: string;
}

export interface LimitCandidate {
  readonly sid: string;
  readonly createdAt: number;
  readonly lastAccess: number;
  readonly deviceType: DeviceType;
}

/**
 * The live sessions to evict for a new one, or `reject`. Ties go to the smaller sid, so that all adapters choose the same.
 */
export function makeRoom(
  live: readonly LimitCandidate[],
  deviceType: DeviceType,
  limit: SessionLimit,
): string[] | 'reject' {
  const evicted = new Set<string>();
  const evictDownTo = (candidates: readonly LimitCandidate[], max: number): boolean => {
    const staying = candidates.filter((candidate) => !evicted.has(candidate.sid));
    const surplus = staying.length + 1 - max;
    if (surplus <= 0) return true;
    if (limit.onLimit === 'reject') return false;
    for (const { sid } of [...staying].sort(evictionOrder(limit.onLimit)).slice(0, surplus)) evicted.add(sid);
    return true;
  };
  const ofType = live.filter((candidate) => candidate.deviceType === deviceType);
  if (limit.maxOfType !== undefined && !evictDownTo(ofType, limit.maxOfType)) return 'reject';
  if (!evictDownTo(live, limit.max)) return 'reject';
  return [...evicted];
}

/** Which of the two limits a refused sign-in reached, given the user's live sessions. */
export function reachedLimit(
  { max, maxOfType = max }: SessionLimit,
  live: readonly Pick<Session, 'actor' | 'pending'>[],
): number {
  return live.filter(({ actor, pending }) => actor === undefined && pending !== true).length < max ? maxOfType : max;
}

function evictionOrder(policy: LimitPolicy): (a: LimitCandidate, b: LimitCandidate) => number {
  const key = policy === 'evict-oldest' ? 'createdAt' : 'lastAccess';
  return (a, b) => a[key] - b[key] || (a.sid < b.sid ? -1 : 1);
}
