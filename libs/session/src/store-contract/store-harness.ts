import type { SessionStoreOptions } from '../options/store-options.js';
import type { SessionStore } from '../ports/session-store.js';

/** The kinds of damage to a stored record. `newer-version`: a later version of the library wrote it. */
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

/** A store under test, with what a test needs to do from outside. */
export interface StoreHarness {
  /** Empty, and shared with no other harness. */
  readonly store: SessionStore;
  /** Moves the store's time forward, ms; resolves once every instance on the same data has the new time. */
  advance(ms: number): Promise<void>;
  /** Another instance on the same data, like a second process. Default: none; `store` is used again. */
  openSecond?(): Promise<SessionStore>;
  /** Damages the stored record of a session. Default: tests that need it pass without running. */
  corrupt?(sessionId: string, how: StoreDamage): Promise<void>;
  /**
   * Resolves once the listeners of `store` have received everything that any instance announced before. Default: waits
   * for a later event, which requires a store that delivers events in order.
   */
  settle?(): Promise<void>;
  /** True if time stands still between calls of `advance`: deadlines are then tested to the millisecond. */
  readonly exactTime?: boolean;
  /** Closes everything that was opened, including second instances. */
  close(): Promise<void>;
}

/** Opens an empty store with the given options. */
export type CreateStoreHarness = (options: SessionStoreOptions) => Promise<StoreHarness>;
