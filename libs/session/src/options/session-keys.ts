import { createSecretKey, hkdfSync, randomBytes, type KeyObject } from 'node:crypto';
import { refuse } from './option-complaint.js';
import type { SessionModuleOptions } from './session-module-options.js';

/** Fewest bytes of a secret: the length of the hash it keys (ASVS 5.0, 11.2.3). */
export const MINIMUM_SECRET_BYTES = 32;

/** Keys for each purpose, one for each secret. The first signs, all are recognised. */
export interface SessionKeys {
  readonly credential: readonly KeyObject[];
  readonly fingerprint: readonly KeyObject[];
  readonly device: readonly KeyObject[];
  readonly jwt: readonly KeyObject[];
  /** Whether they were drawn at this boot, and everything they signed dies with the process. */
  readonly ephemeral: boolean;
}

/**
 * Derives every key from the secrets by HKDF-SHA-256 (RFC 5869), each for one purpose, so that no two uses share a key.
 *
 * @throws {ConfigurationError} for secrets that are missing where Redis keeps sessions, or too short.
 */
export function deriveKeys(options: Pick<SessionModuleOptions, 'secrets' | 'redis'>): SessionKeys {
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
    jwt: Object.freeze(derive('jwt')),
    ephemeral: options.secrets === undefined,
  });
}

function secretsOf({ secrets, redis }: Pick<SessionModuleOptions, 'secrets' | 'redis'>): Buffer[] {
  if (secrets === undefined) {
    if (redis === undefined) return [randomBytes(MINIMUM_SECRET_BYTES)];
    refuse(
      'secrets',
      'required with redis, or a restart would sign everybody out. Put the output of `openssl rand -base64 48` into the environment and pass it on',
    );
  }
  const list = typeof secrets === 'string' || secrets instanceof Uint8Array ? [secrets] : [...secrets];
  if (list.length === 0) refuse('secrets', 'the list is empty; give at least one secret');
  return list.map((secret, index) => {
    const bytes = typeof secret === 'string' ? Buffer.from(secret, 'utf8') : Buffer.from(secret);
    if (bytes.length < MINIMUM_SECRET_BYTES) {
      refuse(
        list.length === 1 ? 'secrets' : `secrets[${index}]`,
        `has ${bytes.length} bytes, at least ${MINIMUM_SECRET_BYTES} are needed; \`openssl rand -base64 48\` makes a good one`,
      );
    }
    return bytes;
  });
}
