import type { SessionContent } from './session-content.js';

/** The state of a session when a request read it or last saved it. A save writes the difference to this state. */
export interface Baseline {
  readonly digest: string;
  /** Null while the session is still where another library stored it. */
  readonly sessionId: string | null;
  readonly userId: string;
  readonly content: SessionContent;
  readonly idleTimeout: number;
  /** When the last access was recorded, by this process's monotonic clock, ms. */
  readonly accessedAt: number;
  /** Whether the current request recorded it. */
  readonly isRecorded: boolean;
}

/** Maps each session object to the state that its request read, as long as the object exists. */
export class SessionBaselines {
  private readonly baselines = new WeakMap<object, Baseline>();

  of(session: object): Baseline | null {
    return this.baselines.get(session) ?? null;
  }

  /** Null keeps the known state: the session has ended and must not look like a new one. */
  set(session: object, baseline: Baseline | null): void {
    if (baseline) this.baselines.set(session, baseline);
  }

  /** Copies the state of one object to another that was made from it. */
  copy(from: object, to: object): void {
    this.set(to, this.of(from));
  }
}
