import type { Lineage, Lineages } from '../model/lineage.js';
import type { SessionClock } from '../model/record.js';
import { END_REASONS, type EndReason } from '../model/session.js';
import { TOMBSTONES_PER_USER, type Tombstone } from '../model/tombstones.js';

// The binary forms that the scripts in lua/include write: big-endian, instants and durations in 6 bytes.

const FORM = 1;
const CLOCK_SIZE = 55;
const TOMBSTONE_SIZE = 23;

/** Length of the revision that is packed into a clock. */
export const REVISION_BYTES = 6;
/** Length of the device digest that is packed into a clock. */
export const DEVICE_BYTES = 8;

/** A clock with the revision that is packed into it. */
export interface PackedClock extends SessionClock {
  readonly revision: string;
  /** The credentials, packed, or whatever stands where they should. */
  readonly credentials: Buffer;
}

/** The clock, or null when the bytes are of no form this version knows. */
export function unpackClock(bytes: Buffer): PackedClock | null {
  if (bytes.length <= CLOCK_SIZE || bytes.readUInt8(0) >> 4 !== FORM) return null;
  return {
    createdAt: bytes.readUIntBE(1, 6),
    lastAccess: bytes.readUIntBE(7, 6),
    idleTimeout: bytes.readUIntBE(13, 6),
    expiresAt: bytes.readUIntBE(19, 6),
    authenticatedAt: bytes.readUIntBE(25, 6),
    tokensFrom: bytes.readUIntBE(31, 6),
    profileSeq: bytes.readUInt32BE(37),
    revision: bytes.toString('base64url', 41, 47),
    credentials: bytes.subarray(CLOCK_SIZE),
  };
}

/** The credentials, or null when the bytes are of no form this version knows. */
export function unpackLineages(bytes: Buffer): Lineages | null {
  const flags = bytes[0] ?? 0xff;
  const [cookie, refresh] = [flags & 7, flags >> 3];
  if (refresh > 7 || bytes.length !== 1 + sizeOf(cookie) + sizeOf(refresh)) return null;
  return { cookie: readLineage(bytes, 1, cookie), refresh: readLineage(bytes, 1 + sizeOf(cookie), refresh) };
}

/** The latest tombstones of a user, oldest first. Reads as far as the bytes make sense. */
export function unpackTombstones(bytes: Buffer): Tombstone[] {
  const stones: Tombstone[] = [];
  const count = Math.floor(bytes.length / TOMBSTONE_SIZE);
  for (let index = Math.max(0, count - TOMBSTONES_PER_USER); index < count; index += 1) {
    const at = index * TOMBSTONE_SIZE;
    const reason: EndReason | undefined = END_REASONS[bytes.readUInt8(at + 16)];
    if (reason) stones.push({ sid: bytes.toString('latin1', at, at + 16), reason, at: bytes.readUIntBE(at + 17, 6) });
  }
  return stones;
}

/** Flags of a kind: 1 present, 2 client known, 4 previous secret kept. */
function sizeOf(flags: number): number {
  if (!(flags & 1)) return 0;
  return 42 + (flags & 2 ? 8 : 0) + (flags & 4 ? 38 : 0);
}

function readLineage(bytes: Buffer, at: number, flags: number): Lineage | null {
  if (!(flags & 1)) return null;
  const previousAt = at + (flags & 2 ? 50 : 42);
  return {
    hash: copyOf(bytes, at, 32),
    n: bytes.readUInt32BE(at + 32),
    rotatedAt: bytes.readUIntBE(at + 36, 6),
    client: flags & 2 ? copyOf(bytes, at + 42, 8) : null,
    previous: flags & 4 ? { hash: copyOf(bytes, previousAt, 32), until: bytes.readUIntBE(previousAt + 32, 6) } : null,
  };
}

/** What is handed out must not be a window into what was received. */
function copyOf(bytes: Buffer, at: number, length: number): Buffer {
  return Buffer.from(bytes.subarray(at, at + length));
}
