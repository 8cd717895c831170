import { createHash, createPrivateKey, createPublicKey, createSecretKey, KeyObject, sign, verify } from 'node:crypto';
import { refuse } from './option-complaint.js';
import type { JwtAlgorithm, JwtKeyMaterial, JwtKeyOptions } from './session-module-options.js';

/** A key for access tokens. Exactly one algorithm: which one is never taken from a token (RFC 8725, 3.1). */
export interface JwtKey {
  readonly kid: string;
  readonly alg: JwtAlgorithm;
  /** Null for a key that only verifies. */
  readonly signing: KeyObject | null;
  readonly verifying: KeyObject;
}

/** Fewest bytes of an HMAC key: the length of its hash (RFC 7518, 3.2; ASVS 5.0, 11.2.3). */
const HMAC_BYTES: Readonly<Partial<Record<JwtAlgorithm, number>>> = { HS256: 32, HS384: 48, HS512: 64 };
/** Curve of each ECDSA algorithm (RFC 7518, 3.4). */
const CURVES: Readonly<Partial<Record<JwtAlgorithm, string>>> = { ES256: 'prime256v1', ES384: 'secp384r1' };
/** RFC 7518, 3.3; ASVS 5.0, 11.2.3 advises 3072. */
const MINIMUM_RSA_BITS = 2048;

/**
 * The keys of access tokens as `KeyObject`s, made once: a string would be parsed anew at every verification. Without
 * `keys`, one HS256 key is derived from each of `secrets`.
 *
 * @throws {ConfigurationError} for a key that is weak, of another kind than its algorithm, or under a kid twice.
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
    refuse('jwt.keys[0]', 'the first key signs and so needs a privateKey; put a key that only verifies behind it');
  return Object.freeze(resolved.map((key) => Object.freeze(key)));
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
    assertLength(secret.symmetricKeySize ?? 0, minimum, alg, path);
    return { kid, alg, signing: secret, verifying: secret };
  }
  const bytes = typeof secret === 'string' ? Buffer.from(secret, 'utf8') : Buffer.from(secret);
  // A public key used as an HMAC secret is the classic confusion: everyone could sign.
  if (bytes.includes('-----BEGIN'))
    refuse(`${path}.secret`, `holds a PEM key; use privateKey and publicKey, or an algorithm other than ${alg}`);
  assertLength(bytes.length, minimum, alg, path);
  const object = createSecretKey(bytes);
  return { kid, alg, signing: object, verifying: object };
}

function assertLength(length: number, minimum: number, alg: string, path: string): void {
  if (length < minimum)
    refuse(
      `${path}.secret`,
      `has ${length} bytes, ${alg} needs at least ${minimum}; \`openssl rand -base64 ${minimum}\` makes one`,
    );
}

function asymmetricKey({ kid, alg, secret, privateKey, publicKey }: JwtKeyOptions, path: string): JwtKey {
  if (secret !== undefined) refuse(path, `${alg} takes privateKey and publicKey, no secret`);
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
  return refuse(path, `is no ${type} key; give PEM text or a KeyObject`);
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
  if ((details?.modulusLength ?? 0) < MINIMUM_RSA_BITS) {
    refuse(
      path,
      `the RSA key has ${details?.modulusLength ?? 0} bits, at least ${MINIMUM_RSA_BITS} are needed, 3072 are better`,
    );
  }
}

function belongTogether(privateKey: KeyObject, publicKey: KeyObject): boolean {
  const probe = Buffer.from('nestjs-sessions');
  return verify('sha256', probe, publicKey, sign('sha256', probe, privateKey));
}
