import type { Origin } from '../aliased/session-origins.js';

/**
 * Under which key a session carries where it came from: @fastify/session copies what the store gave key by key into an
 * object of its own, so that nothing else tells which of two reads a save belongs to. It is written nowhere.
 */
export const ORIGIN = '$origin';

/** What a request had read of the session. Invisible to JSON, and so to what is saved and to `isModified`. */
export class OriginTag {
  readonly #origin: Origin;

  constructor(origin: Origin) {
    this.#origin = origin;
  }

  static originOf(session: object): Origin | null {
    const tag: unknown = (session as Record<string, unknown>)[ORIGIN];
    return tag instanceof OriginTag ? tag.#origin : null;
  }

  toJSON(): undefined {
    return undefined;
  }
}
