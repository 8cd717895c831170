import type { EndReason } from './session.js';

/** How many ended sessions of a user a store remembers. */
export const TOMBSTONES_PER_USER = 8;

/** What remains of an ended session: enough to refuse its return and to tell its client why. */
export interface Tombstone {
  readonly sid: string;
  readonly reason: EndReason;
  readonly at: number;
}
