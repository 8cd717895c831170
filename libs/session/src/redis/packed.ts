import type { Lineage, Lineages } from '../model/lineage.js';
import type { SessionClock } from '../model/record.js';
import { END_REASONS, type EndReason } from '../model/session.js';
import type { Tombstone } from '../model/tombstones.js';

// The binary forms that the scripts in lua/include write: big-endian, instants and durations in 6 bytes.

const CLOCK_SIZE = 62;
const TOMBSTONE_SIZE = 23;

/** A clock with the revision that is packed into it. */
export interface PackedClock extends SessionClock {
  readonly revision: string;
}

/** The clock, or null when the bytes are of no form this version knows. */
export function unpackClock(bytes: Buffer): PackedClock | null {
  if (bytes.length !== CLOCK_SIZE || bytes[0] !== 1) return null;
  return {
    createdAt: bytes.readUIntBE(2, 6),
    lastAccess: bytes.readUIntBE(8, 6),
    idleTimeout: bytes.readUIntBE(14, 6),
    expiresAt: bytes.readUIntBE(20, 6),
    authenticatedAt: bytes.readUIntBE(26, 6),
    tokensFrom: bytes.readUIntBE(32, 6),
    profileSeq: bytes.readUInt32BE(38),
    revision: bytes.toString('base64url', 42, 50),
  };
}

/** The credentials, or null when the bytes are of no form this version knows. */
export function unpackLineages(bytes: Buffer): Lineages | null {
  try {
    const reader = new Reader(bytes);
    const cookie = readLineage(reader);
    const refresh = readLineage(reader);
    return reader.atEnd ? { cookie, refresh } : null;
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

/** The tombstones of a user, oldest first. Reads as far as the bytes make sense. */
export function unpackTombstones(bytes: Buffer): Tombstone[] {
  const stones: Tombstone[] = [];
  for (let at = 0; at + TOMBSTONE_SIZE <= bytes.length; at += TOMBSTONE_SIZE) {
    const reason: EndReason | undefined = END_REASONS[bytes.readUInt8(at + 16)];
    if (reason) stones.push({ sid: bytes.toString('latin1', at, at + 16), reason, at: bytes.readUIntBE(at + 17, 6) });
  }
  return stones;
}

function readLineage(reader: Reader): Lineage | null {
  const flags = reader.uint(1);
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
