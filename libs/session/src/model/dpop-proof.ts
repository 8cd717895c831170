import { hash } from 'node:crypto';
import { publicJwkOf, type ProofAlgorithm } from './public-jwk.js';
import { isSignedBy, readProof } from './signed-proof.js';

/** `alg` of the proofs that may be accepted, and the algorithm that each names (RFC 7518, 3.1; RFC 8037, 3.1; RFC 9864, 2.2). */
const ALGORITHMS = {
  ES256: 'ES256',
  ES384: 'ES384',
  EdDSA: 'EdDSA',
  Ed25519: 'EdDSA',
  PS256: 'PS256',
  RS256: 'RS256',
} as const satisfies Record<string, ProofAlgorithm>;

export type DpopAlgorithm = keyof typeof ALGORITHMS;

export const DPOP_ALGORITHMS: readonly DpopAlgorithm[] = ['ES256', 'ES384', 'EdDSA', 'Ed25519', 'PS256', 'RS256'];

/** Longest proof read: one by an RSA key of 4096 bits has about 2,300 characters. */
export const MAX_DPOP_PROOF_LENGTH = 4096;
/** Longest `jti` (RFC 9449, 11.1); a UUID has 36 characters. */
const MAX_ID_LENGTH = 256;

const THUMBPRINT = /^[A-Za-z0-9_-]{43}$/;

/** The claims of a proof whose form is right and whose signature holds for the key that it carries. */
export interface DpopProof {
  readonly jti: string;
  readonly htm: string;
  readonly htu: string;
  /** Seconds, as the client's clock has it. */
  readonly iat: number;
  readonly ath?: string;
  readonly nonce?: string;
  /** Of the key that signed: RFC 7638, SHA-256, base64url. */
  readonly thumbprint: string;
}

/**
 * Reads a DPoP proof (RFC 9449, 4.2) and verifies its signature, or says what is wrong with it. What a proof must match in its
 * request is not checked here. Never throws.
 */
export function readDpopProof(
  text: string,
  accepted: readonly DpopAlgorithm[],
): DpopProof | { readonly fault: string } {
  const proof = readProof(text, MAX_DPOP_PROOF_LENGTH);
  if (!proof) return { fault: 'it is not a JWT of at most 4,096 characters' };
  const { typ, alg, jwk } = proof.header;
  if (typ !== 'dpop+jwt') return { fault: 'typ must be dpop+jwt' };
  const named = accepted.find((one) => one === alg);
  if (!named) return { fault: `alg must be one of ${accepted.join(', ')}` };
  const { jti, htm, htu, iat, ath, nonce } = proof.payload;
  if (!isText(jti) || jti.length > MAX_ID_LENGTH)
    return { fault: `jti must be text of at most ${MAX_ID_LENGTH} characters` };
  if (!isText(htm) || !isText(htu)) return { fault: 'htm and htu must be text' };
  if (typeof iat !== 'number' || !Number.isFinite(iat)) return { fault: 'iat must be a number' };
  if (ath !== undefined && !isText(ath)) return { fault: 'ath must be text' };
  if (nonce !== undefined && !isText(nonce)) return { fault: 'nonce must be text' };
  const key = publicJwkOf(jwk);
  if (!key?.algorithms.includes(ALGORITHMS[named])) return { fault: 'jwk must be a public key for alg' };
  if (!isSignedBy(proof, key.key, ALGORITHMS[named])) return { fault: 'the signature does not hold' };
  const { thumbprint } = key;
  return { jti, htm, htu, iat, thumbprint, ...(ath !== undefined && { ath }), ...(nonce !== undefined && { nonce }) };
}

/** `ath` of an access token (RFC 9449, 4.2). */
export function accessTokenHash(token: string): string {
  return hash('sha256', token, 'base64url');
}

/** Whether a value may be the thumbprint of a key. */
export function isThumbprint(value: unknown): value is string {
  return typeof value === 'string' && THUMBPRINT.test(value);
}

/**
 * Whether `htu` names the URI of a request: scheme, host and path, without query and fragment, both normalized (RFC 9449, 4.3;
 * RFC 3986, 6.2.2 and 6.2.3). The path of the request counts as it was sent: with dot segments it is no path that a proof names,
 * as routers do not resolve them.
 */
export function isTargetOf(htu: string, { origin, path }: { readonly origin: string; readonly path: string }): boolean {
  if (!/^https?:\/\/[^\s\\]+$/i.test(htu) || !URL.canParse(htu) || !URL.canParse(origin)) return false;
  const named = new URL(htu);
  if (named.username !== '' || named.password !== '') return false;
  return named.origin === new URL(origin).origin && normalized(named.pathname) === normalized(path);
}

/** Escapes in upper case, and none where none is needed. */
function normalized(path: string): string {
  return path.replace(/%[0-9a-f]{2}/gi, (escape) => {
    const character = String.fromCharCode(parseInt(escape.slice(1), 16));
    return /[A-Za-z0-9\-._~]/.test(character) ? character : escape.toUpperCase();
  });
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
