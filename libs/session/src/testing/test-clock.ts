import { ConfigurationError } from '../model/errors.js';
import { notADuration, parseDuration, type Duration } from '../options/duration.js';

/** The time of a memory store: it runs by itself, and jumps when a test says so. */
export class TestClock {
  private ahead = 0;

  /** Epoch ms. */
  readonly now = (): number => Date.now() + this.ahead;

  /** @throws {ConfigurationError} for what is no duration. */
  advance(duration: Duration): void {
    const ms = parseDuration(duration);
    if (ms === null) throw new ConfigurationError(`advance: ${notADuration(duration)}.`);
    this.ahead += ms;
  }
}
