import { constants, verify, type KeyObject } from 'node:crypto';
import { jsonObjectIn } from './compact-jwt.js';
import type { ProofAlgorithm } from './public-jwk.js';

/** A compact JWS whose parts are JSON objects. Nothing in it was verified. */
export interface UnverifiedProof {
  readonly header: Readonly<Record<string, unknown>>;
  readonly payload: Readonly<Record<string, unknown>>;
  readonly signingInput: string;
  readonly signature: Buffer;
}

const COMPACT = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)$/;

/**
 * Reads a compact JWS (RFC 7515, 7.1), or returns null: longer than `maxLength`, other characters, parts that are no JSON
 * object, or a header with `crit`, of which we understand nothing (RFC 7515, 4.1.11). Never throws.
 */
export function readProof(token: string, maxLength: number): UnverifiedProof | null {
  if (token.length > maxLength) return null;
  const [, first, second, third] = COMPACT.exec(token) ?? [];
  if (first === undefined || second === undefined || third === undefined) return null;
  const [header, payload] = [jsonObjectIn(first), jsonObjectIn(second)];
  if (!header || !payload || Object.hasOwn(header, 'crit')) return null;
  return { header, payload, signingInput: `${first}.${second}`, signature: Buffer.from(third, 'base64url') };
}

/** Whether the proof was signed by the key with this algorithm. */
export function isSignedBy(proof: UnverifiedProof, key: KeyObject, algorithm: ProofAlgorithm): boolean {
  const input = Buffer.from(proof.signingInput, 'latin1');
  try {
    switch (algorithm) {
      case 'EdDSA':
        return verify(null, input, key, proof.signature);
      case 'PS256': {
        const padding = constants.RSA_PKCS1_PSS_PADDING;
        return verify('sha256', input, { key, padding, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }, proof.signature);
      }
      case 'RS256':
        return verify('sha256', input, key, proof.signature);
      case 'ES256':
      case 'ES384': {
        const digest = algorithm === 'ES256' ? 'sha256' : 'sha384';
        return verify(digest, input, { key, dsaEncoding: 'ieee-p1363' }, proof.signature);
      }
    }
  } catch {
    return false;
  }
}
