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
  try {
    const reader = new Reader(bytes);
    const flags = reader.uint(1);
    const cookie = readLineage(reader, flags & 7);
    const refresh = readLineage(reader, flags >> 3);
    return reader.atEnd ? { cookie, refresh } : null;
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
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

function readLineage(reader: Reader, flags: number): Lineage | null {
  if (!(flags & 1)) return null;
  const hash = reader.bytes(32);
  const n = reader.uint(4);
  const rotatedAt = reader.uint(6);
  const client = flags & 2 ? reader.bytes(8) : null;
  const previous = flags & 4 ? { hash: reader.bytes(32), until: reader.uint(6) } : null;
  return { hash, n, rotatedAt, client, previous };
}

class Reader {
  private at = 0;

  constructor(private readonly source: Buffer) {}

  get atEnd(): boolean {
    return this.at === this.source.length;
  }

  uint(size: number): number {
    const value = this.source.readUIntBE(this.at, size);
    this.at += size;
    return value;
  }

  bytes(size: number): Buffer {
    if (this.at + size > this.source.length) throw new RangeError('the credentials end early');
    const value = Buffer.from(this.source.subarray(this.at, this.at + size));
    this.at += size;
    return value;
  }
}
