import { performance } from 'node:perf_hooks';

/** The answer of `TIME`: seconds and microseconds. */
export type TimeReply = readonly [string | number, string | number];

/**
 * The time of one Redis server, kept against this process's monotonic clock, so that a wrong wall clock on either side of
 * the wire changes nothing. Off by at most half a round trip, which it knows.
 */
export class RedisClock {
  private offset: number | null = null;
  private error = 0;
  private latest = 0;

  /** Whether the server's time is known at all. */
  get isSet(): boolean {
    return this.offset !== null;
  }

  /** Asks the server. @throws whatever the client rejects with. */
  async sample(time: () => Promise<TimeReply>): Promise<void> {
    const asked = performance.now();
    const [seconds, microseconds] = await time();
    const answered = performance.now();
    this.offset = Number(seconds) * 1000 + Number(microseconds) / 1000 - (asked + answered) / 2;
    this.error = (answered - asked) / 2;
  }

  /** The server's time, epoch ms. Never runs backwards. */
  now(): number {
    this.latest = Math.max(this.latest, Math.floor(this.estimate()));
    return this.latest;
  }

  /** An instant that the server has surely not passed yet. */
  upperBound(): number {
    return Math.ceil(this.estimate() + this.error) + 1;
  }

  private estimate(): number {
    return this.offset === null ? Date.now() : performance.now() + this.offset;
  }
}
