import type { EndReason } from './session.js';

/** Number of ended sessions per user that a store remembers. */
export const TOMBSTONES_PER_USER = 8;

/** What remains of an ended session: its id stays refused, and its client learns why it ended. */
export interface Tombstone {
  readonly sid: string;
  readonly reason: EndReason;
  readonly at: number;
}
