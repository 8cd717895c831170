import type { SessionStoreOptions } from '../options/store-options.js';
import type { SessionStore } from '../ports/session-store.js';

/** What can have befallen a stored record. `newer-version`: a later version of the library wrote it. */
export type StoreDamage = 'not-json' | 'null' | 'number' | 'array' | 'missing-fields' | 'newer-version';

/** Every kind of damage. */
export const STORE_DAMAGES: readonly StoreDamage[] = [
  'not-json',
  'null',
  'number',
  'array',
  'missing-fields',
  'newer-version',
];

/** A store under test, and what a test must be able to do to it from outside. */
export interface StoreHarness {
  /** Empty, and shared with no other harness. */
  readonly store: SessionStore;
  /** Moves the store's time forward, ms; resolves once every instance over the data goes by it. */
  advance(ms: number): Promise<void>;
  /** Another instance over the same data, as a second process would have it. Default: there is none, `store` is used again. */
  openSecond?(): Promise<SessionStore>;
  /** Damages the stored record of a session. Default: such tests pass unrun. */
  corrupt?(sessionId: string, how: StoreDamage): Promise<void>;
  /**
   * Resolves once the listeners of `store` have heard all that any instance announced before. Default: found out by an
   * event that follows, which takes a store whose events arrive in the order in which they happened.
   */
  settle?(): Promise<void>;
  /** True when time stands still between calls of `advance`: deadlines are then tested to the millisecond. */
  readonly exactTime?: boolean;
  /** Frees all that was opened, second instances included. */
  close(): Promise<void>;
}

/** Opens an empty store with the options given. */
export type CreateStoreHarness = (options: SessionStoreOptions) => Promise<StoreHarness>;
