import { createPublicKey, generateKeyPairSync, hash, randomBytes } from 'node:crypto';

export const JWT_ALGORITHMS = ['ES256', 'ES384', 'RS256', 'PS256', 'HS256'] as const;
export type JwtAlgorithm = (typeof JWT_ALGORITHMS)[number];

/** A key as the option `jwt.keys` takes it, from JSON. */
export interface JwtKey {
  readonly kid: string;
  readonly alg: string;
  readonly secret?: string;
  readonly privateKey?: string;
  readonly publicKey?: string;
}

/** 48 random bytes; base64 has no commas. */
export function newSecret(): string {
  return randomBytes(48).toString('base64');
}

/** A new key; RSA has 3072 bits (ASVS 5.0, 11.2.3). */
export function newJwtKey(alg: JwtAlgorithm): JwtKey {
  if (alg === 'HS256') return { kid: randomBytes(9).toString('base64url'), alg, secret: newSecret() };
  const { privateKey } =
    alg === 'ES256' || alg === 'ES384'
      ? generateKeyPairSync('ec', { namedCurve: alg === 'ES256' ? 'P-256' : 'P-384' })
      : generateKeyPairSync('rsa', { modulusLength: 3072 });
  const der = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  return {
    kid: hash('sha256', der, 'base64url').slice(0, 12),
    alg,
    privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

/** What is left of a key that signs no more: verifying takes the public half alone. */
export function verifyingHalf({ kid, alg, secret, privateKey, publicKey }: JwtKey): JwtKey {
  if (privateKey === undefined)
    return { kid, alg, ...(secret !== undefined && { secret }), ...(publicKey !== undefined && { publicKey }) };
  const half = publicKey ?? createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }).toString();
  return { kid, alg, publicKey: half };
}
