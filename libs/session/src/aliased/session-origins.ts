import type { AliasedContent } from './session-content.js';

/** What a request had read of a session, or last saved: what it changed since is the difference. */
export interface Origin {
  readonly digest: string;
  /** Null while the session is still where another library left it. */
  readonly sessionId: string | null;
  readonly userId: string;
  readonly content: AliasedContent;
  readonly idleTimeout: number;
  /** When the last access was recorded, by this process's monotonic clock, ms. */
  readonly accessedAt: number;
  /** Whether this very request recorded it. */
  readonly isRecorded: boolean;
}

/** Remembers of each session object what its request had read, for as long as the object lives. */
export class SessionOrigins {
  private readonly origins = new WeakMap<object, Origin>();

  of(session: object): Origin | null {
    return this.origins.get(session) ?? null;
  }

  /** Null leaves what is known: the session ended, and must not be taken for a new one. */
  set(session: object, origin: Origin | null): void {
    if (origin) this.origins.set(session, origin);
  }

  /** Hands on what is known of one object to another that was made of it. */
  copy(from: object, to: object): void {
    this.set(to, this.of(from));
  }
}
