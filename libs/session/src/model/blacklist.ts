import { createHash } from 'node:crypto';
import { InvalidArgumentError } from './errors.js';
import { isWellFormed } from './ids.js';
import { tenantPrefix } from './tenant.js';

/** Longest `jti`, `iss` or `sub` that is looked up, UTF-16 units. */
const MAX_CLAIM_LENGTH = 1024;

/** A smaller instant must be in seconds: this number is 1973 in milliseconds and 5138 in seconds. */
const LOOKS_LIKE_SECONDS = 100_000_000_000;

/** How long a subject's cutoff is kept when no `until` is given, ms: 30 days. */
export const DEFAULT_CUTOFF_LIFETIME = 30 * 24 * 60 * 60_000;

/**
 * Digest of (tenant, issuer, value), length-prefixed so that no two triples give the same bytes: SHA-256, base64url.
 *
 * @throws {InvalidArgumentError} unless `value` is a non-empty, well-formed string and the issuer a string or absent.
 */
export function claimDigest(name: string, value: unknown, issuer: unknown, tenant = ''): string {
  assertClaim(name, value, 1);
  assertClaim('issuer', issuer ?? '', 0);
  const issuerBytes = Buffer.from((issuer as string | undefined) ?? '', 'utf8');
  const length = Buffer.alloc(4);
  length.writeUInt32BE(issuerBytes.length);
  return createHash('sha256')
    .update(tenantDigest(tenant))
    .update(length)
    .update(issuerBytes)
    .update(value as string, 'utf8')
    .digest('base64url');
}

/**
 * Epoch ms of a Date or number, rounded up: a token must not become valid again for the last fraction of a millisecond.
 *
 * @throws {InvalidArgumentError} for anything else, and for numbers that look like seconds.
 */
export function instantOf(name: string, value: unknown): number {
  const ms = value instanceof Date ? value.getTime() : value;
  if (typeof ms !== 'number' || !Number.isFinite(ms)) {
    throw new InvalidArgumentError(name, 'must be a Date or epoch milliseconds');
  }
  if (ms > 0 && ms < LOOKS_LIKE_SECONDS) {
    throw new InvalidArgumentError(name, 'looks like seconds; multiply `exp` by 1000, or give a Date');
  }
  return Math.ceil(ms);
}

function assertClaim(name: string, value: unknown, minimum: number): void {
  if (typeof value !== 'string' || value.length < minimum || value.length > MAX_CLAIM_LENGTH || !isWellFormed(value)) {
    throw new InvalidArgumentError(
      name,
      `must be a well-formed string of ${minimum} to ${MAX_CLAIM_LENGTH} characters`,
    );
  }
}

/** Of fixed length, and with a first byte that no issuer's length has, so that any text may follow. Empty without a tenant. */
function tenantDigest(tenant: string): Buffer {
  if (tenant === '') return Buffer.alloc(0);
  const digest = createHash('sha256').update(tenantPrefix(tenant)).digest();
  return Buffer.concat([Buffer.from([0xff]), digest]);
}
