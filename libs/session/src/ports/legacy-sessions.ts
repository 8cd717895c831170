export interface LegacySession {
  /** As the other library wrote it. */
  readonly text: string;
  /** Remaining time to live, ms; null for no expiry. */
  readonly lifetime: number | null;
}

/** Sessions that another library left, by its own ids. They are read until they are migrated, and never written. */
export abstract class LegacySessions {
  /** The session, or null. */
  abstract find(foreignId: string): Promise<LegacySession | null>;

  /** Removes it. Safe to repeat. */
  abstract remove(foreignId: string): Promise<void>;

  /** The ids of all remaining sessions, in batches and in no order. */
  abstract list(options?: { batch?: number }): AsyncIterable<readonly string[]>;
}
