import {
  decodeRecord,
  DamagedRecord,
  type SessionClock,
  type SessionRecord,
  type UserProfile,
} from '../model/record.js';
import type { DeviceBinding } from '../model/device-binding.js';
import type { TokenFamily } from '../model/token-family.js';
import type { Tombstone } from '../model/tombstones.js';

export interface StoredSession {
  /** Serialised, so that nobody holds a reference into the store, and values that JSON loses are lost here as well. */
  record: string;
  clock: SessionClock;
  revision: string;
  deviceHash: Buffer | null;
  cookie: TokenFamily | null;
  refresh: TokenFamily | null;
  binding: DeviceBinding | null;
  /** When the challenge was issued that the device answered last; 0 before the first. */
  challengedAt: number;
}

export interface StoredUser {
  readonly userId: string;
  readonly tenant: string;
  readonly sessions: Map<string, StoredSession>;
  profile: { email: UserProfile['email']; roles: UserProfile['roles'] };
  tokensFrom: number;
  /** A sign-in must not have been verified before this instant; 0 for no limit. */
  verifiedFrom: number;
  /** When the last session ended. */
  leftAt: number;
  /** Singly revoked token ids, and when they may be deleted. */
  readonly revoked: Map<string, number>;
  tombstones: Tombstone[];
}

export function newUser(userId: string, tenant: string): StoredUser {
  return {
    userId,
    tenant,
    sessions: new Map(),
    profile: { email: null, roles: null },
    tokensFrom: 0,
    verifiedFrom: 0,
    leftAt: 0,
    revoked: new Map(),
    tombstones: [],
  };
}

/** The record, or null if it is damaged. */
export function recordOf(stored: StoredSession): SessionRecord | null {
  const record = decodeRecord(stored.record);
  return record instanceof DamagedRecord ? null : record;
}
