import { LRUCache } from 'lru-cache';

/** Attempts in one window. */
const MOST = 30;
/** Length of the window, ms. */
const WINDOW = 60_000;
/** Of how many it is counted; of more, the ones not seen for longest are forgotten. */
const COUNTED = 10_000;

/** Counts attempts by name, in this process: a fixed window of a minute. */
export class AttemptLimit {
  private readonly counts = new LRUCache<string, { count: number; readonly since: number }>({ max: COUNTED });

  /** Counts one more, at `now` (epoch ms), and returns whether it is within the limit. */
  allows(name: string, now: number): boolean {
    const found = this.counts.get(name);
    if (!found || now - found.since >= WINDOW) {
      this.counts.set(name, { count: 1, since: now });
      return true;
    }
    found.count += 1;
    return found.count <= MOST;
  }
}
