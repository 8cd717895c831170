import type { TokenFamily, TokenFamilies } from '../model/token-family.js';
import type { SessionClock } from '../model/record.js';
import { END_REASONS, type EndReason } from '../model/session.js';
import { TOMBSTONES_PER_USER, type Tombstone } from '../model/tombstones.js';

// The binary forms that the scripts in lua/include write: big-endian, instants and durations in 6 bytes.

const FORM = 2;
const CLOCK_SIZE = 56;
/** The earlier form has no byte of flags. It is read but never written. */
const EARLIER_FORM = 1;
const TOMBSTONE_SIZE = 23;
/** Added to the first byte of credentials with branches. */
const WITH_BRANCHES = 64;

/** Length of the revision in a packed clock. */
export const REVISION_BYTES = 6;
/** Length of the device digest in a packed clock. */
export const DEVICE_BYTES = 8;

/** A clock with its packed revision. */
export interface PackedClock extends SessionClock {
  readonly revision: string;
  /** The packed credentials, or whatever is stored in their place. */
  readonly credentials: Buffer;
}

/** The clock, or null if this version does not know the form of the bytes. */
export function unpackClock(bytes: Buffer): PackedClock | null {
  const form = (bytes[0] ?? 0) >> 4;
  const size = form === EARLIER_FORM ? CLOCK_SIZE - 1 : CLOCK_SIZE;
  if (bytes.length <= size || (form !== FORM && form !== EARLIER_FORM)) return null;
  const at = form === EARLIER_FORM ? 1 : 2;
  return {
    createdAt: bytes.readUIntBE(at, 6),
    lastAccess: bytes.readUIntBE(at + 6, 6),
    idleTimeout: bytes.readUIntBE(at + 12, 6),
    expiresAt: bytes.readUIntBE(at + 18, 6),
    authenticatedAt: bytes.readUIntBE(at + 24, 6),
    tokensFrom: bytes.readUIntBE(at + 30, 6),
    profileSeq: bytes.readUInt32BE(at + 36),
    revision: bytes.toString('base64url', at + 40, at + 46),
    credentials: bytes.subarray(size),
  };
}

/** The clock with a later access. Unchanged if it cannot be read or already has a later one. */
export function withAccess(bytes: Buffer, at: number): Buffer {
  const clock = unpackClock(bytes);
  if (!clock || clock.lastAccess >= at) return bytes;
  const later = Buffer.from(bytes);
  later.writeUIntBE(at, 8, 6);
  return later;
}

/** The credentials, or null if this version does not know the form of the bytes. */
export function unpackFamilies(bytes: Buffer): TokenFamilies | null {
  const first = bytes[0] ?? 0xff;
  const isEarlier = first < WITH_BRANCHES;
  const [cookie, refresh] = isEarlier ? [first & 7, first >> 3] : [first - WITH_BRANCHES, bytes[1] ?? 0xff];
  if (cookie > 63 || refresh > 63) return null;
  const at = isEarlier ? 1 : 2;
  if (bytes.length !== at + sizeOf(cookie) + sizeOf(refresh)) return null;
  return { cookie: readFamily(bytes, at, cookie), refresh: readFamily(bytes, at + sizeOf(cookie), refresh) };
}

/** The latest tombstones of a user, oldest first. Stops at the first bytes that cannot be read. */
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

/**
 * Flags of a kind: 1 present, 2 client known, 4 previous secret kept, 8 parent's branch known, 16 a branch replaced, 32
 * in use.
 */
function sizeOf(flags: number): number {
  if (!(flags & 1)) return 0;
  return 42 + (flags & 2 ? 8 : 0) + (flags & 4 ? 38 : 0) + (flags & 8 ? 6 : 0) + (flags & 16 ? 6 : 0);
}

function readFamily(bytes: Buffer, at: number, flags: number): TokenFamily | null {
  if (!(flags & 1)) return null;
  const previousAt = at + (flags & 2 ? 50 : 42);
  const parentAt = previousAt + (flags & 4 ? 38 : 0);
  const replacedAt = parentAt + (flags & 8 ? 6 : 0);
  return {
    hash: copyOf(bytes, at, 32),
    generation: bytes.readUInt32BE(at + 32),
    branch: bytes.readUIntBE(at + 36, 6),
    parentBranch: flags & 8 ? bytes.readUIntBE(parentAt, 6) : null,
    replacedBranch: flags & 16 ? bytes.readUIntBE(replacedAt, 6) : null,
    inUse: (flags & 32) !== 0 || bytes.readUInt32BE(at + 32) === 0,
    client: flags & 2 ? copyOf(bytes, at + 42, 8) : null,
    previous: flags & 4 ? { hash: copyOf(bytes, previousAt, 32), until: bytes.readUIntBE(previousAt + 32, 6) } : null,
  };
}

/** A copy, so that the result is no view of the receive buffer. */
function copyOf(bytes: Buffer, at: number, length: number): Buffer {
  return Buffer.from(bytes.subarray(at, at + length));
}
