import { createHmac, hash, type KeyObject } from 'node:crypto';
import type { UserAgentFamilies } from './user-agent.js';

/** Names the facts a fingerprint is made of. A later version has another one and is never compared with this one. */
const VERSION = 'f1';

const FINGERPRINT = /^f1\.[A-Za-z0-9_-]{43}$/;

/** Length of the digest that is kept beside a token. */
const CLIENT_BYTES = 8;

/**
 * A keyed digest of browser family, system and device kind: HMAC-SHA-256 under a key of the server, so that whoever reads
 * a fingerprint can neither tell the client nor make another.
 */
export function fingerprintOf(families: UserAgentFamilies, key: KeyObject): string {
  return `${VERSION}.${createHmac('sha256', key).update(textOf(families)).digest('base64url')}`;
}

/**
 * Whether a fingerprint is of these facts, under any of the keys; null where it cannot be told: there is none, or another
 * version of the library made it.
 */
export function matchesFingerprint(
  fingerprint: string | undefined,
  families: UserAgentFamilies,
  keys: readonly KeyObject[],
): boolean | null {
  if (fingerprint === undefined || !FINGERPRINT.test(fingerprint)) return null;
  return keys.some((key) => fingerprintOf(families, key) === fingerprint);
}

/**
 * What is kept beside a token to tell its client again when the token is repeated: the first 64 bits of SHA-256 over the
 * same facts. Not keyed, because a change of keys between two requests would look like another client, and so like theft.
 */
export function clientDigestOf(families: UserAgentFamilies): Buffer {
  return hash('sha256', `nestjs-sessions/client\n${textOf(families)}`, 'buffer').subarray(0, CLIENT_BYTES);
}

function textOf({ browser, os, deviceType }: UserAgentFamilies): string {
  return JSON.stringify([VERSION, browser, os, deviceType]);
}
