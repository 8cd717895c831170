import { createHash, hash } from 'node:crypto';
import { InvalidArgumentError } from './errors.js';
import { isWellFormed } from './ids.js';

/** Longest session id of a framework that is looked up, UTF-16 units. */
export const MAX_FOREIGN_ID_LENGTH = 1024;

/** Prefix of the user id of sessions whose user is not known. */
const ANONYMOUS = 'anonymous:';

/**
 * The digest under which a session with a framework's own id is found: SHA-256, base64url. The id itself grants access, so it
 * is not stored.
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

/** The user id of a session before its user is known. It is unique, so that no two such sessions share a record. */
export function anonymousUserId(digest: string): string {
  return ANONYMOUS + digest;
}

/** Whether the session has no user: `startAnonymous` started it. */
export function isAnonymousSession(session: { readonly userId: string }): boolean {
  return isAnonymousUserId(session.userId);
}

/** Whether a user id was made by `anonymousUserId`. */
export function isAnonymousUserId(userId: string): boolean {
  return userId.startsWith(ANONYMOUS);
}

/**
 * The session's part of the id that follows `before` under this alias: 96 bits of SHA-256. It is computed, not random: a
 * repeated step reaches the same session, and each new step a different one.
 */
export function nextSid(digest: string, before: string | null): string {
  return createHash('sha256')
    .update(`nestjs-sessions/alias\n${digest}\n${before ?? ''}`)
    .digest()
    .subarray(0, 12)
    .toString('base64url');
}
