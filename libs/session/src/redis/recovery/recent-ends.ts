import { LRUCache } from 'lru-cache';
import { ForeignKeyError } from '../connection/redis-trouble.js';

/** How many ends are remembered; the oldest are dropped first. */
const REMEMBERED = 10_000;
/** How long an end is remembered, ms: the longest pause between two snapshots in the default settings of Redis. */
const KEPT_FOR = 60 * 60_000;
/** How many ends are repeated in parallel. */
const PARALLEL = 32;

export interface RecentEnd {
  /** When it happened, epoch ms by the store's clock. */
  readonly at: number;
  /** Repeats it; returns how many sessions ended that were live again. Must change nothing if nothing was lost. */
  readonly repeat: () => Promise<number>;
}

/**
 * What this instance ended and revoked in the last hour, so that it can be repeated once Redis turns out to have lost
 * writes. Bounded: about 4 MB at most.
 */
export class RecentEnds {
  private readonly ends = new LRUCache<string, RecentEnd>({ max: REMEMBERED, ttl: KEPT_FOR });

  /** @param name what ended: a later end of the same name replaces it. */
  remember(name: string, end: RecentEnd): void {
    this.ends.set(name, end);
  }

  /**
   * Repeats all ends.
   *
   * @returns how many sessions were live again, and when the first of them had ended (Infinity if none was).
   * @throws the first error, once all others have been repeated.
   */
  async repeat(): Promise<{ endedAgain: number; since: number }> {
    const ends = [...this.ends.values()].reverse();
    const failures: unknown[] = [];
    let [endedAgain, since] = [0, Infinity];
    for (let first = 0; first < ends.length; first += PARALLEL) {
      const some = ends.slice(first, first + PARALLEL);
      const results = await Promise.allSettled(some.map((end) => end.repeat()));
      results.forEach((result, index) => {
        if (result.status === 'rejected') {
          // A key that holds another type holds no session.
          if (!(result.reason instanceof ForeignKeyError)) failures.push(result.reason);
        } else if (result.value > 0) {
          endedAgain += result.value;
          since = Math.min(since, some[index]?.at ?? Infinity);
        }
      });
      // Not answered: the rest would wait for the same server.
      if (failures.length > 0) throw failures[0];
    }
    return { endedAgain, since };
  }
}
