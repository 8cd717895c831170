/**
 * What several calls have waited for the store so far. Calls that share it wait for `commandTimeout` together instead of
 * each: a call gets what the others have left, is refused once nothing is left, and has no effect after that.
 */
export class StoreWait {
  private past = 0;
  private running = 0;
  private since = 0;

  /** ms. Calls that run in parallel count once. */
  get elapsed(): number {
    return this.running === 0 ? this.past : this.past + performance.now() - this.since;
  }

  /** The result of the work; the time until then counts. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    this.begin();
    try {
      return await work();
    } finally {
      this.end();
    }
  }

  /** Counts from now on, until `end`. Prefer `during`. */
  begin(): void {
    if (this.running === 0) this.since = performance.now();
    this.running += 1;
  }

  end(): void {
    this.running -= 1;
    if (this.running === 0) this.past += performance.now() - this.since;
  }
}
