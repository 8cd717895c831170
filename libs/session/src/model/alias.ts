import { createHash, hash } from 'node:crypto';
import { InvalidArgumentError } from './errors.js';
import { isWellFormed } from './ids.js';

/** Longest id of a framework's own that is looked up, UTF-16 units. */
export const MAX_FOREIGN_ID_LENGTH = 1024;

/** Begins the user id of sessions whose user is not known. */
const ANONYMOUS = 'anonymous:';

/**
 * Under what a session is found whose id somebody else drew: SHA-256, base64url. The id itself lets its bearer in and is
 * kept nowhere.
 *
 * @throws {InvalidArgumentError} unless the id is a well-formed string of 1 to 1,024 characters.
 */
export function aliasDigest(foreignId: unknown): string {
  if (
    typeof foreignId !== 'string' ||
    foreignId === '' ||
    foreignId.length > MAX_FOREIGN_ID_LENGTH ||
    !isWellFormed(foreignId)
  ) {
    throw new InvalidArgumentError('sid', `must be a well-formed string of 1 to ${MAX_FOREIGN_ID_LENGTH} characters`);
  }
  return hash('sha256', foreignId, 'base64url');
}

/** The user id under which a session is kept before its user is known: one of its own, so that no two share a record. */
export function anonymousUserId(digest: string): string {
  return ANONYMOUS + digest;
}

/** Whether nobody is signed in under the session: it was started by `startAnonymous`. */
export function isAnonymousSession(session: { readonly userId: string }): boolean {
  return isAnonymousUserId(session.userId);
}

/** Whether a user id was made by `anonymousUserId`. */
export function isAnonymousUserId(userId: string): boolean {
  return userId.startsWith(ANONYMOUS);
}

/**
 * The session's part of the id that follows `before` under this alias: 96 bits of SHA-256. Computed and not drawn, so that
 * whoever has to repeat a step comes to the same session again, and every step leads to another one.
 */
export function nextSid(digest: string, before: string | null): string {
  return createHash('sha256')
    .update(`nestjs-sessions/alias\n${digest}\n${before ?? ''}`)
    .digest()
    .subarray(0, 12)
    .toString('base64url');
}
