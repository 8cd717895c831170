import { createHash, hash, randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { InvalidArgumentError } from './errors.js';

/** Length of the part of a session id that names its user's record. */
export const USER_KEY_LENGTH = 16;
/** Length of the part of a session id that names the session within it. */
export const SID_LENGTH = 16;

const SESSION_ID = /^[A-Za-z0-9_-]{32}$/;

/**
 * Address of a user's record: base64url of the first 96 bits of SHA-256 over the length-prefixed tenant and user id. An
 * address, not a proof: adapters compare the stored user id with the requested one.
 *
 * @throws {InvalidArgumentError} if either is not a well-formed, non-empty string (the tenant may be empty).
 */
export function userKeyOf(userId: string, tenant = ''): string {
  assertUserId(userId);
  const tenantBytes = Buffer.from(tenant, 'utf8');
  const userBytes = Buffer.from(userId, 'utf8');
  const lengths = Buffer.alloc(8);
  lengths.writeUInt32BE(tenantBytes.length, 0);
  lengths.writeUInt32BE(userBytes.length, 4);
  const whole = Buffer.concat([lengths.subarray(0, 4), tenantBytes, lengths.subarray(4), userBytes]);
  return hash('sha256', whole, 'buffer').subarray(0, 12).toString('base64url');
}

/** Whether the user key in a session id belongs to this user of this tenant. */
export function isUserKeyOf(sessionId: string, userId: string, tenant: string): boolean {
  const userKey = userKeyOfSession(sessionId);
  const known = tenant === '' ? confirmed.get(userKey) : undefined;
  if (known !== undefined && known === userId) return true;
  const isOwn = userId !== '' && isWellFormed(userId) && userKeyOf(userId, tenant) === userKey;
  if (isOwn && tenant === '') confirmed.set(userKey, userId);
  return isOwn;
}

/** User keys whose users were seen lately, without tenants: each read of a session compares them. */
const confirmed = new LRUCache<string, string>({ max: 10_000 });

/**
 * Refuses lone surrogates: in UTF-8 they all become U+FFFD, so that two such ids would name the same user.
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

/** Whether the text has no lone surrogates. */
export function isWellFormed(text: string): boolean {
  return !/[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?:[^\uD800-\uDBFF]|^)[\uDC00-\uDFFF]/.test(text);
}

/** A new session id: the key of the user's record and 96 random bits. */
export function newSessionId(userKey: string): string {
  return userKey + randomBytes(12).toString('base64url');
}

/**
 * The session id with these two parts.
 *
 * @throws {InvalidArgumentError} if the session's own part is not 16 characters of base64url.
 */
export function sessionIdOf(userKey: string, sid: string): string {
  const id = userKey + sid;
  if (sid.length !== SID_LENGTH || !isSessionId(id)) {
    throw new InvalidArgumentError('sid', `must be ${SID_LENGTH} characters of base64url`);
  }
  return id;
}

/** Whether the value has the form of a session id. The session need not exist. */
export function isSessionId(value: unknown): value is string {
  return typeof value === 'string' && SESSION_ID.test(value);
}

/** The part of a session id that is the key of the user's record. */
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
