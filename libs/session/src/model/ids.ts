import { createHash, randomBytes } from 'node:crypto';
import { InvalidArgumentError } from './errors.js';

/** Length of the part of a session id that names its user's record. */
export const USER_KEY_LENGTH = 16;
/** Length of the part of a session id that names the session within it. */
export const SID_LENGTH = 16;

const SESSION_ID = /^[A-Za-z0-9_-]{32}$/;

/**
 * Address of a user's record: base64url of the first 96 bits of SHA-256 over the length-prefixed tenant and user id.
 * An address, not a proof: adapters compare the stored user id with the one asked for.
 *
 * @throws {InvalidArgumentError} when either is not a well-formed, non-empty string (the tenant may be empty).
 */
export function userKeyOf(userId: string, tenant = ''): string {
  assertUserId(userId);
  const tenantBytes = Buffer.from(tenant, 'utf8');
  const userBytes = Buffer.from(userId, 'utf8');
  const lengths = Buffer.alloc(8);
  lengths.writeUInt32BE(tenantBytes.length, 0);
  lengths.writeUInt32BE(userBytes.length, 4);
  return createHash('sha256')
    .update(lengths.subarray(0, 4))
    .update(tenantBytes)
    .update(lengths.subarray(4))
    .update(userBytes)
    .digest()
    .subarray(0, 12)
    .toString('base64url');
}

/**
 * Lone surrogates are refused because they all become U+FFFD in UTF-8: two such ids would name the same user.
 *
 * @throws {InvalidArgumentError}
 */
export function assertUserId(userId: unknown): asserts userId is string {
  if (typeof userId !== 'string' || userId === '') {
    throw new InvalidArgumentError('userId', 'must be a non-empty string');
  }
  if (!isWellFormed(userId)) {
    throw new InvalidArgumentError('userId', 'must be well-formed Unicode');
  }
}

/** Whether every surrogate in the text has its partner. */
export function isWellFormed(text: string): boolean {
  return !/[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?:[^\uD800-\uDBFF]|^)[\uDC00-\uDFFF]/.test(text);
}

/** A fresh session id for the user: where the record is, and 96 random bits of its own. */
export function newSessionId(userKey: string): string {
  return userKey + randomBytes(12).toString('base64url');
}

/**
 * A session id of given parts.
 *
 * @throws {InvalidArgumentError} when the session's own part is not 16 characters of base64url.
 */
export function sessionIdOf(userKey: string, sid: string): string {
  const id = userKey + sid;
  if (sid.length !== SID_LENGTH || !isSessionId(id)) {
    throw new InvalidArgumentError('sid', `must be ${SID_LENGTH} characters of base64url`);
  }
  return id;
}

/** Whether the value has the shape of a session id. Says nothing about whether such a session exists. */
export function isSessionId(value: unknown): value is string {
  return typeof value === 'string' && SESSION_ID.test(value);
}

/** The address of the user's record within a session id. */
export function userKeyOfSession(sessionId: string): string {
  return sessionId.slice(0, USER_KEY_LENGTH);
}

/** The part of a session id that names the session within its user's record. */
export function sidOf(sessionId: string): string {
  return sessionId.slice(USER_KEY_LENGTH);
}

/** Digest under which adapters compare device ids without keeping them in an index: 96 bits of SHA-256. */
export function deviceHashOf(deviceId: string): Buffer {
  return createHash('sha256').update(deviceId, 'utf8').digest().subarray(0, 12);
}
