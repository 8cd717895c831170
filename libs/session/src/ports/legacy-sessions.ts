export interface LegacySession {
  /** As it was written. */
  readonly text: string;
  /** How long it is still kept there, ms; null where it has no end. */
  readonly lifetime: number | null;
}

/** Sessions that another library left, by their own id: read until they are taken over, and never written. */
export abstract class LegacySessions {
  /** The session, or null. */
  abstract find(foreignId: string): Promise<LegacySession | null>;

  /** Removes it. Safe to repeat. */
  abstract remove(foreignId: string): Promise<void>;

  /** The ids of all that are left, in portions and in no order. */
  abstract list(options?: { batch?: number }): AsyncIterable<readonly string[]>;
}
