import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';

/** A block shorter than this cannot hold 128 bits of strength (ASVS 5.0, 11.2.3), however often it is repeated. */
const SHORTEST_BLOCK = 16;

/** 32 random bytes have about 30 different values, 32 random hexadecimal digits about 14. */
const FEWEST_VALUES = 6;

/**
 * Why bytes of any length are not a usable secret, or null: they repeat themselves, or they are a public or private key in some
 * encoding. A public key as HMAC secret is the classic algorithm confusion: anyone could sign with it.
 */
export function secretProblem(bytes: Uint8Array): string | null {
  const secret = Buffer.from(bytes);
  if (isRepetitive(secret)) {
    return 'repeats itself and can be guessed; use random bytes: `openssl rand -base64 48` makes a good secret';
  }
  if (holdsKeyPair(secret)) {
    return 'holds a public or private key, and a public key is known to others; use random bytes: `openssl rand -base64 48` makes a good secret';
  }
  return null;
}

/** Whether the bytes are a public or private key: PEM, DER, JWK, a point or ssh's, or one of these in base64 or hexadecimal. */
export function holdsKeyPair(secret: Buffer): boolean {
  return spellingsOf(secret).some(holdsAsymmetricKey);
}

function isRepetitive(secret: Buffer): boolean {
  if (secret.length === 0) return false;
  if (new Set(secret).size < FEWEST_VALUES || isCounting(secret)) return true;
  for (let block = 1; block < SHORTEST_BLOCK && block * 2 <= secret.length; block++) {
    if (secret.subarray(block).equals(secret.subarray(0, -block))) return true;
  }
  return false;
}

/** Whether each byte is further than the one before by the same amount, as in 0, 1, 2, 3. */
function isCounting(secret: Buffer): boolean {
  const step = (secret[1] ?? 0) - (secret[0] ?? 0);
  return secret.every((byte, index) => index === 0 || ((secret[index - 1] ?? 0) + step - byte) % 256 === 0);
}

/** The bytes, and their decodings from base64, base64url or hexadecimal text, up to twice. */
function spellingsOf(secret: Buffer, depth = 2): Buffer[] {
  if (depth === 0) return [secret];
  const text = secret.toString('latin1').replace(/\s+/g, '');
  const decoded = [
    ...(/^[0-9a-f]{64,}$/i.test(text) ? [Buffer.from(text, 'hex')] : []),
    ...(/^[A-Za-z0-9+/_-]{40,}=*$/.test(text) ? [Buffer.from(text, 'base64')] : []),
  ];
  return [secret, ...decoded.flatMap((bytes) => spellingsOf(bytes, depth - 1))];
}

function holdsAsymmetricKey(bytes: Buffer): boolean {
  const text = bytes.toString('latin1').trim();
  if (/-----BEGIN |^(ssh-|ecdsa-sha2-)/.test(text)) return true;
  if (text.startsWith('{')) return isJwk(text);
  // What stands between the name and the comment of ssh's keys begins with the length and the name of the algorithm.
  if (/^\0{3}.(ssh-|ecdsa-sha2-)/s.test(text)) return true;
  return isDer(bytes) || isPoint(bytes);
}

/** A JWK or JWK set of any kind: JSON that describes a key is not a secret. */
function isJwk(text: string): boolean {
  try {
    const value = JSON.parse(text) as Record<string, unknown>;
    return 'kty' in value || 'keys' in value;
  } catch {
    return false;
  }
}

function isDer(key: Buffer): boolean {
  if (key[0] !== 0x30) return false;
  const readers = [
    () => createPublicKey({ key, format: 'der', type: 'spki' }),
    () => createPublicKey({ key, format: 'der', type: 'pkcs1' }),
    () => createPrivateKey({ key, format: 'der', type: 'pkcs8' }),
    () => createPrivateKey({ key, format: 'der', type: 'pkcs1' }),
    () => createPrivateKey({ key, format: 'der', type: 'sec1' }),
    () => new X509Certificate(key),
  ];
  return readers.some(isReadable);
}

/** An uncompressed point of an elliptic curve (SEC 1, 2.3.3). */
function isPoint(bytes: Buffer): boolean {
  const crv = { 65: 'P-256', 97: 'P-384', 133: 'P-521' }[bytes.length];
  if (crv === undefined || bytes[0] !== 4) return false;
  const half = (bytes.length - 1) / 2;
  const [x, y] = [bytes.subarray(1, 1 + half), bytes.subarray(1 + half)].map((part) => part.toString('base64url'));
  return isReadable(() => createPublicKey({ key: { kty: 'EC', crv, x, y }, format: 'jwk' }));
}

function isReadable(read: () => unknown): boolean {
  try {
    read();
    return true;
  } catch {
    return false;
  }
}
