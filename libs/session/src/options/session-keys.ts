import { createSecretKey, hkdfSync, randomBytes, type KeyObject } from 'node:crypto';
import { refuse } from './option-error.js';
import { secretProblem } from './secret-strength.js';

/** Minimum bytes of a secret: the length of the hash it keys (ASVS 5.0, 11.2.3). */
export const MINIMUM_SECRET_BYTES = 32;

/** Keys for each purpose, one per secret. The first one signs; all of them verify. */
export interface SessionKeys {
  readonly credential: readonly KeyObject[];
  readonly fingerprint: readonly KeyObject[];
  readonly device: readonly KeyObject[];
  /** For challenges and cookies of device-bound sessions. */
  readonly deviceBound: readonly KeyObject[];
  /** For nonces of proofs of possession. */
  readonly dpop: readonly KeyObject[];
  readonly jwt: readonly KeyObject[];
  /** Whether the secret was generated at this boot: everything it signed is invalid after a restart. */
  readonly ephemeral: boolean;
}

/** The options that keys are derived from. */
interface SecretSource {
  secrets?: string | Uint8Array | readonly (string | Uint8Array)[] | undefined;
  redis?: unknown;
}

/**
 * Derives every key from the secrets by HKDF-SHA-256 (RFC 5869), each for one purpose, so that no two uses share a key.
 *
 * @throws {ConfigurationError} if secrets are missing although Redis keeps the sessions, or a secret is too short.
 */
export function deriveKeys(options: SecretSource): SessionKeys {
  const secrets = secretsOf(options);
  const derive = (purpose: string): KeyObject[] =>
    secrets.map((secret) => {
      const key = hkdfSync('sha256', secret, Buffer.alloc(0), `nestjs-sessions/v1/${purpose}`, 32);
      return createSecretKey(Buffer.from(key));
    });
  return Object.freeze({
    credential: Object.freeze(derive('credential')),
    fingerprint: Object.freeze(derive('fingerprint')),
    device: Object.freeze(derive('device')),
    deviceBound: Object.freeze(derive('device-bound')),
    dpop: Object.freeze(derive('dpop')),
    jwt: Object.freeze(derive('jwt')),
    ephemeral: options.secrets === undefined,
  });
}

function secretsOf({ secrets, redis }: SecretSource): Buffer[] {
  if (secrets === undefined) {
    if (redis === undefined) return [randomBytes(MINIMUM_SECRET_BYTES)];
    refuse(
      'secrets',
      'required with redis, or a restart would sign everybody out. Put the output of `openssl rand -base64 48` into an environment variable and pass it here',
    );
  }
  const list = typeof secrets === 'string' || secrets instanceof Uint8Array ? [secrets] : [...secrets];
  if (list.length === 0) refuse('secrets', 'the list is empty; pass at least one secret');
  return list.map((secret, index) => {
    return strongSecret(secret, list.length === 1 ? 'secrets' : `secrets[${index}]`);
  });
}

/**
 * The bytes of a secret that is long enough and not known to others.
 *
 * @throws {ConfigurationError}
 */
export function strongSecret(secret: string | Uint8Array, option: string, minimum = MINIMUM_SECRET_BYTES): Buffer {
  const bytes = typeof secret === 'string' ? Buffer.from(secret, 'utf8') : Buffer.from(secret);
  if (bytes.length < minimum) {
    refuse(
      option,
      `has ${bytes.length} bytes, at least ${minimum} are needed; \`openssl rand -base64 ${Math.max(48, minimum)}\` makes a good one`,
    );
  }
  const problem = secretProblem(bytes);
  if (problem !== null) refuse(option, problem);
  return bytes;
}
