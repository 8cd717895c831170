import { checkPrimeSync, type KeyObject } from 'node:crypto';

/** RFC 7518, 3.3. */
const MINIMUM_BITS = 2048;
/** 128 bits of strength (NIST SP 800-57 part 1, table 2; ASVS 5.0, 11.2.3). */
const ADVISED_BITS = 3072;
/** FIPS 186-5, A.1.1: odd, above 2^16. With exponent 1 every message is its own signature. */
const SMALLEST_EXPONENT = 65_537n;
/** Rounds of Fermat's factorisation: finds primes that lie too close together (CVE-2022-26320). */
const FERMAT_ROUNDS = 100;

/** Why an RSA key must not be used, or null. OpenSSL loads all of these without a warning. */
export function rsaProblem(key: KeyObject): string | null {
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (bits < MINIMUM_BITS)
    return `the RSA key has ${bits} bits, at least ${MINIMUM_BITS} are needed, ${ADVISED_BITS} are better`;
  const exponent = key.asymmetricKeyDetails?.publicExponent ?? 0n;
  if (exponent < SMALLEST_EXPONENT || exponent % 2n === 0n) {
    return `the RSA key has the public exponent ${exponent}, with which others can sign; make one with exponent 65537: \`openssl genrsa ${ADVISED_BITS}\``;
  }
  const modulus = modulusOf(key);
  if (hasSmallFactor(modulus) || isPrime(modulus) || hasCloseFactors(modulus)) {
    return `the RSA key has a modulus that is easy to factor, so that others can sign; make one with \`openssl genrsa ${ADVISED_BITS}\``;
  }
  return null;
}

/** Whether the key has less than 128 bits of strength (ASVS 5.0, 11.2.3). */
export function isShortRsa(key: KeyObject): boolean {
  return key.asymmetricKeyType === 'rsa' && (key.asymmetricKeyDetails?.modulusLength ?? 0) < ADVISED_BITS;
}

function modulusOf(key: KeyObject): bigint {
  const { n = '' } = key.export({ format: 'jwk' });
  return BigInt(`0x${Buffer.from(n, 'base64url').toString('hex') || '0'}`);
}

function hasSmallFactor(modulus: bigint): boolean {
  if (modulus % 2n === 0n) return true;
  for (let divisor = 3n; divisor < 2_000n; divisor += 2n) if (modulus % divisor === 0n) return true;
  return false;
}

function isPrime(modulus: bigint): boolean {
  return checkPrimeSync(modulus);
}

function hasCloseFactors(modulus: bigint): boolean {
  let middle = squareRoot(modulus);
  if (middle * middle === modulus) return true;
  for (let round = 0; round < FERMAT_ROUNDS; round++) {
    middle += 1n;
    const rest = middle * middle - modulus;
    const root = squareRoot(rest);
    if (root * root === rest) return true;
  }
  return false;
}

/** The integer square root, by Newton's method. */
function squareRoot(value: bigint): bigint {
  if (value < 2n) return value;
  let root = 1n << BigInt((value.toString(2).length + 1) >> 1);
  for (;;) {
    const next = (root + value / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}
