import { createPublicKey, hash, type JsonWebKey, type KeyObject } from 'node:crypto';
import { LRUCache } from 'lru-cache';

/** Algorithms of asymmetric signatures that proofs may be made with (RFC 7518, 3.1; RFC 8037, 3.1). */
export type ProofAlgorithm = 'ES256' | 'ES384' | 'RS256' | 'PS256' | 'EdDSA';

/** A public key that came with a proof. */
export interface PublicJwk {
  readonly key: KeyObject;
  /** Algorithms the key can be used with. */
  readonly algorithms: readonly ProofAlgorithm[];
  /** RFC 7638, SHA-256, base64url. */
  readonly thumbprint: string;
}

/** Private and symmetric members (RFC 7518, 6). A proof must not give its key away. */
const SECRET_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'];

const SMALLEST_RSA = 2048;
const LARGEST_RSA = 4096;
/** Bytes of a coordinate, and what the curve signs with. */
const CURVES: Readonly<Record<string, { kty: 'EC' | 'OKP'; bytes: number; algorithm: ProofAlgorithm } | undefined>> =
  Object.assign(
    Object.create(null) as object,
    {
      'P-256': { kty: 'EC', bytes: 32, algorithm: 'ES256' },
      'P-384': { kty: 'EC', bytes: 48, algorithm: 'ES384' },
      Ed25519: { kty: 'OKP', bytes: 32, algorithm: 'EdDSA' },
    } as const,
  );

/**
 * By all members that make the key: an import costs as much as a signature, and a client brings the same key with each request. It says
 * nothing of who may use a key, and a signature is verified each time.
 */
const importedKeys = new LRUCache<string, PublicJwk>({ max: 1_000 });

/**
 * The key of a JWK (RFC 7517), or null where it is no public key of ours to accept: private members, unknown curves, points off
 * the curve, RSA under 2048 or over 4096 bits or with another exponent than 65537. Never throws.
 */
export function publicJwkOf(value: unknown): PublicJwk | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  const jwk = value as Record<string, unknown>;
  if (SECRET_MEMBERS.some((member) => Object.hasOwn(jwk, member))) return null;
  if (jwk['use'] !== undefined && jwk['use'] !== 'sig') return null;
  return jwk['kty'] === 'RSA' ? rsaKey(jwk) : curveKey(jwk);
}

function curveKey({ kty, crv, x, y }: Record<string, unknown>): PublicJwk | null {
  const curve = typeof crv === 'string' ? CURVES[crv] : undefined;
  if (!curve || kty !== curve.kty || typeof crv !== 'string' || !isBytes(x, curve.bytes)) return null;
  if (kty === 'EC' && !isBytes(y, curve.bytes)) return null;
  const members = { crv, kty: curve.kty, x, ...(curve.kty === 'EC' && { y: y as string }) };
  return imported(members, [curve.algorithm]);
}

function rsaKey({ e, n }: Record<string, unknown>): PublicJwk | null {
  if (e !== 'AQAB' || typeof n !== 'string' || n.length > (LARGEST_RSA / 6) * 1.01) return null;
  if (!isBytes(n, null)) return null;
  const found = imported({ e, kty: 'RSA', n }, ['RS256', 'PS256']);
  const bits = found?.key.asymmetricKeyDetails?.modulusLength ?? 0;
  return bits >= SMALLEST_RSA && bits <= LARGEST_RSA ? found : null;
}

/** The members in the order of RFC 7638, 3.3: that of their names. */
function imported(members: Record<string, string>, algorithms: readonly ProofAlgorithm[]): PublicJwk | null {
  const text = JSON.stringify(members);
  const known = importedKeys.get(text);
  if (known) return known;
  try {
    const key = createPublicKey({ key: members as JsonWebKey, format: 'jwk' });
    const jwk = Object.freeze({ key, algorithms, thumbprint: hash('sha256', text, 'base64url') });
    importedKeys.set(text, jwk);
    return jwk;
  } catch {
    return null;
  }
}

/** Whether a text is the one canonical base64url spelling of so many bytes, without leading zeros where any number will do. */
function isBytes(value: unknown, length: number | null): value is string {
  if (typeof value !== 'string' || !/^[A-Za-z0-9_-]+$/.test(value)) return false;
  const bytes = Buffer.from(value, 'base64url');
  if (bytes.toString('base64url') !== value) return false;
  return length === null ? bytes[0] !== 0 : bytes.length === length;
}
