import { randomBytes } from 'node:crypto';
import { InvalidArgumentError } from './errors.js';

/** A-Z, a-z, 0-9. */
export const ALPHANUMERIC = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** Minimum random bits of a reference token (ASVS 5.0, 7.2.3). */
export const MINIMUM_ID_BITS = 128;

export interface SecureIdOptions {
  /** Number of characters. Default 32. */
  length?: number;
  /** 2 to 256 distinct characters. Default A-Za-z0-9. */
  alphabet?: string;
}

/**
 * A random id from the system's CSPRNG. All characters are equally likely: bytes that would favour some are discarded.
 * Default: 32 characters over A-Za-z0-9, 190 bits.
 *
 * @throws {InvalidArgumentError} under 128 bits (ASVS 5.0, 7.2.3), or for an alphabet with repeated characters.
 */
export function generateSecureSessionId(options: SecureIdOptions = {}): string {
  const { length = 32, alphabet = ALPHANUMERIC } = options;
  const problem = idShapeProblem(length, alphabet);
  if (problem) throw new InvalidArgumentError(problem.option, problem.expected);
  return drawId(length, alphabet);
}

/** The problem with a length and an alphabet, or null. */
export function idShapeProblem(
  length: number,
  alphabet: string,
): { option: 'length' | 'alphabet'; expected: string } | null {
  if (!Number.isInteger(length) || length < 1 || length > 256) {
    return { option: 'length', expected: 'must be a whole number from 1 to 256' };
  }
  if (typeof alphabet !== 'string' || alphabet.length < 2 || alphabet.length > 256) {
    return { option: 'alphabet', expected: 'must have 2 to 256 characters' };
  }
  if (new Set(alphabet).size !== alphabet.length) {
    return { option: 'alphabet', expected: 'must not repeat a character' };
  }
  const bits = length * Math.log2(alphabet.length);
  if (bits < MINIMUM_ID_BITS) {
    const needed = Math.ceil(MINIMUM_ID_BITS / Math.log2(alphabet.length));
    return {
      option: 'length',
      expected: `gives ${Math.floor(bits)} bits, at least ${MINIMUM_ID_BITS} are needed: use ${needed} characters or more`,
    };
  }
  return null;
}

/** Draws an id with a length and an alphabet that were already checked. */
export function drawId(length: number, alphabet: string): string {
  const size = alphabet.length;
  const fair = 256 - (256 % size);
  let id = '';
  while (id.length < length) {
    for (const byte of randomBytes(Math.ceil((length - id.length) * (256 / fair) * 1.1))) {
      if (byte < fair && id.length < length) id += alphabet.charAt(byte % size);
    }
  }
  return id;
}
