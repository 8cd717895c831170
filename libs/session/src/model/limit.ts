import type { DeviceType, Session } from './session.js';

/** What happens to a sign-in when the user has as many sessions as allowed. */
export type LimitPolicy = 'evict-least-recent' | 'evict-oldest' | 'reject';

export const LIMIT_POLICIES: readonly LimitPolicy[] = ['evict-least-recent', 'evict-oldest', 'reject'];

/** No user has more sessions than this, whatever the options say: a script over many more would block Redis. */
export const HARD_SESSION_LIMIT = 1000;

export interface SessionLimit {
  /** Most sessions of the user, the new one included. 1 to 1,000. */
  readonly max: number;
  /** Most sessions on devices of the new session's type, the new one included. Default: no limit of its own. */
  readonly maxOfType?: number;
  readonly onLimit: LimitPolicy;
}

export interface LimitCandidate {
  readonly sid: string;
  readonly createdAt: number;
  readonly lastAccess: number;
  readonly deviceType: DeviceType;
}

/**
 * Which of the live sessions make way for a new one, or `reject`. Ties fall to the smaller sid, so that every adapter
 * chooses alike.
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
export function reachedLimit({ max, maxOfType = max }: SessionLimit, live: readonly Pick<Session, 'actor'>[]): number {
  return live.filter(({ actor }) => actor === undefined).length < max ? maxOfType : max;
}

function evictionOrder(policy: LimitPolicy): (a: LimitCandidate, b: LimitCandidate) => number {
  const key = policy === 'evict-oldest' ? 'createdAt' : 'lastAccess';
  return (a, b) => a[key] - b[key] || (a.sid < b.sid ? -1 : 1);
}
