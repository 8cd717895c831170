import type { Baseline } from '../engine/session-baseline.js';

/**
 * The key under which a session carries the state that was read: @fastify/session copies the store's result key by key
 * into its own object, so nothing else tells which of two reads a save belongs to. It is never stored.
 */
export const BASELINE = '$baseline';

/** The state that a request read. Invisible to JSON, and therefore to saving and to `isModified`. */
export class BaselineTag {
  readonly #baseline: Baseline;

  constructor(baseline: Baseline) {
    this.#baseline = baseline;
  }

  static baselineOf(session: object): Baseline | null {
    const tag: unknown = (session as Record<string, unknown>)[BASELINE];
    return tag instanceof BaselineTag ? tag.#baseline : null;
  }

  toJSON(): undefined {
    return undefined;
  }
}
