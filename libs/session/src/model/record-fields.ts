// Checks of the fields of a session: what an application passes in, and what a store reads back.
import { InvalidArgumentError } from './errors.js';
import { isWellFormed } from './ids.js';
import { LIMIT_POLICIES, type Admission } from './limit.js';
import {
  DEVICE_TYPES,
  type DeviceType,
  type NewSession,
  type SessionLocation,
  type SessionMetadata,
} from './session.js';

/** Longest device id, device name and metadata value, in UTF-16 units. */
export const MAX_LABEL_LENGTH = 512;

type Actor = NonNullable<NewSession['actor']>;

/**
 * A checked list of roles.
 *
 * @throws {InvalidArgumentError}
 */
export function roleList(value: unknown): readonly string[] {
  return stringList('roles', value);
}

export function stringList(name: string, value: unknown): readonly string[] {
  if (!isStringList(value)) throw new InvalidArgumentError(name, 'must be a list of strings');
  return [...value];
}

/**
 * A checked string.
 *
 * @throws {InvalidArgumentError}
 */
export function text(name: string, value: unknown): string {
  if (typeof value !== 'string') throw new InvalidArgumentError(name, 'must be a string');
  return value;
}

export function optionalLabel(name: string, value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'string' || value.length === 0 || value.length > MAX_LABEL_LENGTH) {
    throw new InvalidArgumentError(name, `must be a string of 1 to ${MAX_LABEL_LENGTH} characters`);
  }
  return value;
}

/** Device ids are compared by digest, in which all lone surrogates are the same: see `assertUserId`. */
export function deviceIdOf(value: unknown): string | undefined {
  const deviceId = optionalLabel('deviceId', value);
  if (deviceId !== undefined && !isWellFormed(deviceId)) {
    throw new InvalidArgumentError('deviceId', 'must be well-formed Unicode');
  }
  return deviceId;
}

export function deviceTypeOf(input: NewSession): DeviceType | undefined {
  if (input.deviceType === undefined) return input.deviceId === undefined ? undefined : 'unknown';
  if (!DEVICE_TYPES.includes(input.deviceType)) {
    throw new InvalidArgumentError('deviceType', `must be one of ${DEVICE_TYPES.join(', ')}`);
  }
  return input.deviceType;
}

export function dataObject(value: unknown): Record<string, unknown> {
  if (!isPlainObject(value)) throw new InvalidArgumentError('data', 'must be an object');
  // A Date, for instance, would be written as a string, and the record could not be read.
  if (typeof value['toJSON'] === 'function') throw new InvalidArgumentError('data', 'must be an object without toJSON');
  return value;
}

export function metadataOf(value: unknown): SessionMetadata | undefined {
  return value === undefined ? undefined : stringsOf('metadata', value);
}

export function locationOf(value: unknown): SessionLocation | undefined {
  // `ip`, which the type requires, is up to the caller: only the kind of each value is checked here.
  return value === undefined ? undefined : (stringsOf('lastLocation', value) as unknown as SessionLocation);
}

export function actorOf(value: NewSession['actor']): Actor | undefined {
  if (value === undefined) return undefined;
  return { userId: text('actor.userId', value.userId), sessionId: text('actor.sessionId', value.sessionId) };
}

/** These values come from requests: they are truncated, not refused, so that a hostile header cannot block a sign-in. */
function stringsOf(name: string, value: unknown): Record<string, string> {
  if (!isPlainObject(value)) throw new InvalidArgumentError(name, 'must be an object of strings');
  const strings: Record<string, string> = {};
  for (const [key, entry] of Object.entries(value)) {
    if (entry === undefined) continue;
    strings[key] = text(`${name}.${key}`, entry).slice(0, MAX_LABEL_LENGTH);
  }
  return strings;
}

export function isString(value: unknown): value is string {
  return typeof value === 'string';
}

export function isStringList(value: unknown): value is string[] {
  return Array.isArray(value) && value.every(isString);
}

export function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isInteger(value: unknown): value is number {
  return Number.isInteger(value);
}

export function isBoolean(value: unknown): value is boolean {
  return typeof value === 'boolean';
}

export function isStringObject(value: unknown): value is Record<string, string> {
  return isPlainObject(value) && Object.values(value).every(isString);
}

export function isAdmission(value: unknown): value is Admission {
  if (!isPlainObject(value) || !isOptional(value['replaces'], isString)) return false;
  const { limit } = value;
  if (!isPlainObject(limit) || !(LIMIT_POLICIES as readonly unknown[]).includes(limit['onLimit'])) return false;
  return Number.isInteger(limit['max']) && isOptional(limit['maxOfType'], isInteger);
}

export function isActor(value: unknown): value is Actor {
  return isPlainObject(value) && isString(value['userId']) && isString(value['sessionId']);
}

export function isOptional<T>(value: unknown, check: (value: unknown) => value is T): boolean {
  return value === undefined || check(value);
}
