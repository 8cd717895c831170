import type { Origin } from './session-writer.js';

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
