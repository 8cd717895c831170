import { performance } from 'node:perf_hooks';

/** The answer of `TIME`: seconds and microseconds. */
export type TimeReply = readonly [string | number, string | number];

/** Maximum drift between two clocks, ms per ms: NTP slews by at most 500 ppm, on either side. */
const DRIFT = 1 / 1000;
/** A larger step back means that the server's clock was set, not that two measurements are inexact, ms. */
export const LEAP = 1000;

/**
 * A server's clock may be set forward by this much between two measurements, and ending all sessions still reaches each
 * one that existed when it was requested, ms. A sign-in that follows sooner than that may end as well.
 */
export const STEP_ALLOWANCE = 50;

interface Sample {
  /** The server's time less this process's monotonic time. */
  readonly offset: number;
  /** The maximum error at the time of measurement. */
  readonly error: number;
  readonly at: number;
}

/**
 * The time of one Redis server, measured against this process's monotonic clock, so that a wrong wall clock of this
 * process has no effect. The error is at most half the round trip of the best measurement plus the drift since then.
 */
export class RedisClock {
  private sample: Sample | null = null;
  private latest = 0;

  /** Whether the server's time is known. */
  get isSet(): boolean {
    return this.sample !== null;
  }

  /**
   * Asks the server. An answer that took longer than `longest` is ignored: its caller has given up, and it may have
   * waited in a queue for minutes.
   *
   * @throws the error of the client.
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

  /** The server's time, epoch ms. Runs backwards only if the server's clock is set back by more than a second. */
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

  /** A less exact measurement is used only if the more exact one can no longer be right. */
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
