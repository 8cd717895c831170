import { createHmac, hash, type KeyObject } from 'node:crypto';
import type { ClientTraits } from './user-agent.js';

/** Version of the input of a fingerprint. Fingerprints of different versions are never compared. */
const VERSION = 'f1';

const FINGERPRINT = /^f1\.[A-Za-z0-9_-]{43}$/;

/** Length of the digest that is stored beside a token. */
const CLIENT_BYTES = 8;

/**
 * A keyed digest of browser family, system and kind of device: HMAC-SHA-256 with a server key, so that a reader of the
 * fingerprint can neither recover the client nor compute another one.
 */
export function fingerprintOf(traits: ClientTraits, key: KeyObject): string {
  const byKey = known.get(traits) ?? [];
  for (const { key: of, fingerprint } of byKey) if (of === key) return fingerprint;
  const fingerprint = computed(traits, key);
  known.set(traits, [{ key, fingerprint }, ...byKey.slice(0, REMEMBERED_KEYS - 1)]);
  return fingerprint;
}

/** By the traits of recent clients, which are the same objects each time: see `traitsOf`. */
const known = new WeakMap<ClientTraits, readonly { readonly key: KeyObject; readonly fingerprint: string }[]>();
/** Keys of other applications in the process, and of those that were closed. */
const REMEMBERED_KEYS = 8;

function computed(traits: ClientTraits, key: KeyObject): string {
  return `${VERSION}.${createHmac('sha256', key).update(textOf(traits)).digest('base64url')}`;
}

/**
 * Whether a fingerprint matches this client under any of the keys; null if unknown: there is no fingerprint, or another
 * version of the library created it.
 */
export function matchesFingerprint(
  fingerprint: string | undefined,
  traits: ClientTraits,
  keys: readonly KeyObject[],
): boolean | null {
  if (fingerprint === undefined) return null;
  for (const key of keys) if (fingerprintOf(traits, key) === fingerprint) return true;
  return FINGERPRINT.test(fingerprint) ? false : null;
}

/**
 * Stored with a token to recognise its client if the token is sent again: the first 64 bits of SHA-256 over the same
 * input. It is not keyed, because a change of keys between two requests would look like another client, and so like
 * reuse.
 */
export function clientDigestOf(traits: ClientTraits): Buffer {
  return hash('sha256', `nestjs-sessions/client\n${textOf(traits)}`, 'buffer').subarray(0, CLIENT_BYTES);
}

function textOf({ browser, os, deviceType }: ClientTraits): string {
  return JSON.stringify([VERSION, browser, os, deviceType]);
}
