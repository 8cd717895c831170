import { performance } from 'node:perf_hooks';

/** The answer of `TIME`: seconds and microseconds. */
export type TimeReply = readonly [string | number, string | number];

/** How far two clocks may drift apart, ms a ms: 500 ppm is what NTP slews at most, on either side. */
const DRIFT = 1 / 1000;
/** Steps back of more than this are the server's clock being set, and no inexactness of two measurements, ms. */
const LEAP = 1000;

/**
 * By how much a server's clock may be set forward between two measurements without a session being overlooked that was
 * there when its end was asked for, ms. A sign-in that follows by less may be ended with the others.
 */
export const STEP_ALLOWANCE = 50;

interface Sample {
  /** The server's time less this process's monotonic time. */
  readonly offset: number;
  /** How far off that was at most when it was measured. */
  readonly error: number;
  readonly at: number;
}

/**
 * The time of one Redis server, kept against this process's monotonic clock, so that a wrong wall clock of this process
 * changes nothing. Off by at most half the round trip of its best measurement, and what the clocks drifted since.
 */
export class RedisClock {
  private sample: Sample | null = null;
  private latest = 0;

  /** Whether the server's time is known at all. */
  get isSet(): boolean {
    return this.sample !== null;
  }

  /**
   * Asks the server. An answer that took longer than `longest` is not used: whoever waited for it has given up, and it
   * may have stood in a queue for minutes.
   *
   * @throws whatever the client rejects with.
   */
  async ask(time: () => Promise<TimeReply>, longest: number): Promise<void> {
    const asked = performance.now();
    const [seconds, microseconds] = await time();
    const answered = performance.now();
    if (answered - asked > longest) return;
    this.learn({
      offset: Number(seconds) * 1000 + Number(microseconds) / 1000 - (asked + answered) / 2,
      error: (answered - asked) / 2,
      at: answered,
    });
  }

  /** The server's time, epoch ms. Runs backwards only where the server's does, by more than a second. */
  now(): number {
    const estimate = Math.floor(performance.now() + this.known.offset);
    if (estimate > this.latest || this.latest - estimate > LEAP) this.latest = estimate;
    return this.latest;
  }

  /** An instant that the server has not passed yet. */
  upperBound(): number {
    return Math.ceil(performance.now() + this.known.offset + this.errorOf(this.known)) + 1;
  }

  /** An instant that the server has passed already. */
  lowerBound(): number {
    return Math.floor(performance.now() + this.known.offset - this.errorOf(this.known)) - 1;
  }

  /** A worse measurement is of use only where the better one cannot be true any more. */
  private learn(fresh: Sample): void {
    const { sample } = this;
    const worse = sample !== null && fresh.error > this.errorOf(sample);
    if (worse && Math.abs(fresh.offset - sample.offset) <= fresh.error + this.errorOf(sample)) return;
    this.sample = fresh;
  }

  private errorOf(sample: Sample): number {
    return sample.error + (performance.now() - sample.at) * DRIFT;
  }

  private get known(): Sample {
    if (!this.sample) throw new Error('the time of the Redis server is not known yet');
    return this.sample;
  }
}
