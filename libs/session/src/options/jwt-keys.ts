import { createHash, createPrivateKey, createPublicKey, createSecretKey, KeyObject, sign, verify } from 'node:crypto';
import { refuse } from './option-error.js';
import { isShortRsa, rsaProblem } from './rsa-strength.js';
import { secretProblem } from './secret-strength.js';
import type { JwtAlgorithm, JwtKeyMaterial, JwtKeyOptions } from './session-module-options.js';

/** A key for access tokens. It has exactly one algorithm, which is never taken from a token (RFC 8725, 3.1). */
export interface JwtKey {
  readonly kid: string;
  readonly alg: JwtAlgorithm;
  /** Null for a key that only verifies. */
  readonly signing: KeyObject | null;
  readonly verifying: KeyObject;
}

/** Minimum bytes of an HMAC key: the length of its hash (RFC 7518, 3.2; ASVS 5.0, 11.2.3). */
const HMAC_BYTES: Readonly<Partial<Record<JwtAlgorithm, number>>> = { HS256: 32, HS384: 48, HS512: 64 };
/** Curve of each ECDSA algorithm (RFC 7518, 3.4). */
const CURVES: Readonly<Partial<Record<JwtAlgorithm, string>>> = { ES256: 'prime256v1', ES384: 'secp384r1' };

/**
 * The keys of access tokens as `KeyObject`s, made once: a string would be parsed at every verification. Without `keys`, one
 * HS256 key is derived from each of `secrets`.
 *
 * @throws {ConfigurationError} for a key that is weak or does not fit its algorithm, and for a duplicate kid.
 */
export function resolveJwtKeys(
  keys: readonly JwtKeyOptions[] | undefined,
  derived: readonly KeyObject[],
): readonly JwtKey[] {
  const resolved = keys ? keys.map((key, index) => resolveKey(key, `jwt.keys[${index}]`)) : derived.map(derivedKey);
  const kids = resolved.map(({ kid }) => kid);
  const twice = kids.find((kid, index) => kids.indexOf(kid) !== index);
  if (twice !== undefined) refuse('jwt.keys', `two keys have the kid "${twice}"; give each its own`);
  if (resolved[0]?.signing === null)
    refuse('jwt.keys[0]', 'the first key signs and so needs a privateKey; put a key that only verifies after it');
  return Object.freeze(resolved.map((key) => Object.freeze(key)));
}

/** One warning for all RSA keys of fewer than 3072 bits, or null. */
export function shortRsaWarning(keys: readonly JwtKey[]): string | null {
  const short = keys.filter(({ verifying }) => isShortRsa(verifying));
  if (short.length === 0) return null;
  const listed = short.map(({ kid, verifying }) => `"${kid}" (${verifying.asymmetricKeyDetails?.modulusLength} bits)`);
  return `jwt.keys: ${listed.join(', ')}: RSA below 3072 bits has less than 128 bits of strength (ASVS 11.2.3). Use RSA of 3072 bits, or ES256.`;
}

function derivedKey(key: KeyObject): JwtKey {
  const kid = createHash('sha256').update('kid').update(key.export()).digest('base64url').slice(0, 12);
  return { kid, alg: 'HS256', signing: key, verifying: key };
}

function resolveKey(key: JwtKeyOptions, path: string): JwtKey {
  const minimum = HMAC_BYTES[key.alg];
  return minimum === undefined ? asymmetricKey(key, path) : secretKey(key, minimum, path);
}

function secretKey({ kid, alg, secret, privateKey, publicKey }: JwtKeyOptions, minimum: number, path: string): JwtKey {
  if (secret === undefined || privateKey !== undefined || publicKey !== undefined) {
    refuse(path, `${alg} takes a secret and nothing else`);
  }
  if (secret instanceof KeyObject) {
    if (secret.type !== 'secret') refuse(`${path}.secret`, `${alg} needs a secret key, this is a ${secret.type} one`);
    assertStrong(secret.export(), minimum, alg, path);
    return { kid, alg, signing: secret, verifying: secret };
  }
  const bytes = typeof secret === 'string' ? Buffer.from(secret, 'utf8') : Buffer.from(secret);
  assertStrong(bytes, minimum, alg, path);
  const object = createSecretKey(bytes);
  return { kid, alg, signing: object, verifying: object };
}

function assertStrong(bytes: Buffer, minimum: number, alg: string, path: string): void {
  // First, so that a misplaced key gets this message whatever its length.
  if (bytes.includes('-----BEGIN'))
    refuse(`${path}.secret`, `holds a PEM key; use privateKey and publicKey, or an algorithm other than ${alg}`);
  if (bytes.length < minimum)
    refuse(
      `${path}.secret`,
      `has ${bytes.length} bytes, ${alg} needs at least ${minimum}; \`openssl rand -base64 ${minimum}\` makes one`,
    );
  const problem = secretProblem(bytes);
  if (problem !== null) refuse(`${path}.secret`, problem);
}

function asymmetricKey({ kid, alg, secret, privateKey, publicKey }: JwtKeyOptions, path: string): JwtKey {
  if (secret !== undefined) refuse(path, `${alg} takes privateKey and publicKey, not secret`);
  if (privateKey === undefined && publicKey === undefined)
    refuse(path, `${alg} needs a privateKey, or a publicKey to verify only`);
  const signing =
    privateKey === undefined ? null : parsed(privateKey, createPrivateKey, 'private', `${path}.privateKey`);
  const verifying =
    publicKey === undefined
      ? createPublicKey(signing as KeyObject)
      : parsed(publicKey, createPublicKey, 'public', `${path}.publicKey`);
  assertFits(verifying, alg, path);
  if (signing) {
    assertFits(signing, alg, path);
    if (!belongTogether(signing, verifying)) refuse(path, 'privateKey and publicKey do not belong together');
  }
  return { kid, alg, signing, verifying };
}

function parsed(
  material: JwtKeyMaterial,
  parse: (key: Buffer) => KeyObject,
  type: 'private' | 'public',
  path: string,
): KeyObject {
  try {
    const key = material instanceof KeyObject ? material : parse(Buffer.from(material));
    if (key.type === type) return key;
  } catch {
    // The parser's message may quote the key.
  }
  return refuse(path, `is not a ${type} key; pass PEM text or a KeyObject`);
}

function assertFits(key: KeyObject, alg: JwtAlgorithm, path: string): void {
  const curve = CURVES[alg];
  const details = key.asymmetricKeyDetails;
  if (curve !== undefined) {
    if (key.asymmetricKeyType !== 'ec' || details?.namedCurve !== curve)
      refuse(path, `${alg} needs an EC key on the curve ${curve}`);
    return;
  }
  if (key.asymmetricKeyType !== 'rsa') refuse(path, `${alg} needs an RSA key`);
  const problem = rsaProblem(key);
  if (problem !== null) refuse(path, problem);
}

function belongTogether(privateKey: KeyObject, publicKey: KeyObject): boolean {
  const probe = Buffer.from('nestjs-sessions');
  return verify('sha256', probe, publicKey, sign('sha256', probe, privateKey));
}
