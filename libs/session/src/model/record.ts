import { epochMs } from './deadlines.js';
import { InvalidArgumentError, SessionTooLargeError } from './errors.js';
import { isWellFormed } from './ids.js';
import {
  DEVICE_TYPES,
  type DeviceType,
  type NewSession,
  type Session,
  type SessionChange,
  type SessionLocation,
  type SessionMetadata,
  type SessionPatch,
} from './session.js';

/** Version of the record's form. A store leaves records of a newer version alone. */
export const RECORD_VERSION = 1;

/** Default cap on a record, bytes of UTF-8. */
export const DEFAULT_MAX_RECORD_BYTES = 64 * 1024;

/** Longest device id, device name and metadata value, in UTF-16 units. */
export const MAX_LABEL_LENGTH = 512;

/** The part of a session that no script needs to understand: kept as JSON. */
export interface SessionRecord {
  readonly v: number;
  readonly email: string;
  readonly roles: readonly string[];
  readonly data: Record<string, unknown>;
  readonly metadata?: SessionMetadata;
  readonly deviceId?: string;
  readonly deviceName?: string;
  readonly deviceType?: DeviceType;
  readonly lastLocation?: SessionLocation;
  readonly amr?: readonly string[];
  readonly acr?: string;
  readonly pending?: boolean;
  readonly actor?: { readonly userId: string; readonly sessionId: string };
}

/** The part that decides whether a session lives: kept packed, decided on by scripts. */
export interface SessionClock {
  readonly createdAt: number;
  readonly lastAccess: number;
  readonly idleTimeout: number;
  readonly expiresAt: number;
  readonly authenticatedAt: number;
  /** Access tokens issued before this instant are dead. */
  readonly tokensFrom: number;
  /** The user's profile as this record knew it: profile values of a higher number are newer than the record's own. */
  readonly profileSeq: number;
}

/** Email and roles set for all sessions of a user, numbered: instants would not order two changes in one millisecond. */
export interface UserProfile {
  readonly email: { readonly value: string; readonly seq: number } | null;
  readonly roles: { readonly value: readonly string[]; readonly seq: number } | null;
}

/** The number of the latest change to a profile. */
export function profileSeqOf(profile: UserProfile): number {
  return Math.max(profile.email?.seq ?? 0, profile.roles?.seq ?? 0);
}

/**
 * The record of a new session.
 *
 * @throws {InvalidArgumentError} when a field is not of its documented type.
 */
export function newRecord(input: NewSession): SessionRecord {
  return compact({
    v: RECORD_VERSION,
    email: text('email', input.email ?? ''),
    roles: roleList(input.roles ?? []),
    data: dataObject(input.data ?? {}),
    metadata: metadataOf(input.metadata),
    deviceId: deviceIdOf(input.deviceId),
    deviceName: optionalLabel('deviceName', input.deviceName),
    deviceType: deviceTypeOf(input),
    lastLocation: locationOf(input.lastLocation),
    amr: input.amr === undefined ? undefined : stringList('amr', input.amr),
    acr: input.acr === undefined ? undefined : text('acr', input.acr),
    pending: input.pending === true ? true : undefined,
    actor: actorOf(input.actor),
  });
}

/** The patch of a change: the change itself, or what its function makes of the session. */
export function patchOf(change: SessionChange, session: Session): SessionPatch {
  const patch = typeof change === 'function' ? change(session) : change;
  if (patch === null || typeof patch !== 'object' || Array.isArray(patch)) {
    throw new InvalidArgumentError(
      'update',
      'takes a patch object, or a function that returns one at once (no promise)',
    );
  }
  if (typeof (patch as { then?: unknown }).then === 'function') {
    // Refused unread: what it may still reject with must not end the process.
    Promise.resolve(patch).catch(() => undefined);
    throw new InvalidArgumentError('update', 'takes a function that returns its patch at once, not a promise');
  }
  return patch;
}

/** The record after a patch. Only the documented keys count, whatever else the patch holds. */
export function patchRecord(record: SessionRecord, patch: SessionPatch): SessionRecord {
  return compact({
    ...record,
    email: patch.email === undefined ? record.email : text('email', patch.email),
    roles: patch.roles === undefined ? record.roles : roleList(patch.roles),
    data: patch.data === undefined ? record.data : { ...record.data, ...dataObject(patch.data) },
    metadata: patch.metadata === undefined ? record.metadata : metadataOf(patch.metadata),
    deviceName: patch.deviceName === undefined ? record.deviceName : optionalLabel('deviceName', patch.deviceName),
    lastLocation: patch.lastLocation === undefined ? record.lastLocation : locationOf(patch.lastLocation),
    amr: patch.amr === undefined ? record.amr : stringList('amr', patch.amr),
    acr: patch.acr === undefined ? record.acr : text('acr', patch.acr),
    pending: patch.pending === undefined ? record.pending : patch.pending === true ? true : undefined,
  });
}

/**
 * The record with what the user's profile has set since it was written. A patch of email or roles builds on this one:
 * the patched record counts as newer than the profile as a whole, and would otherwise bring back the other value.
 */
export function withProfile(
  record: SessionRecord,
  clock: Pick<SessionClock, 'profileSeq'>,
  profile: UserProfile,
): SessionRecord {
  const { email, roles } = profile;
  if (!email && !roles) return record;
  return {
    ...record,
    email: email && email.seq > clock.profileSeq ? email.value : record.email,
    roles: [...(roles && roles.seq > clock.profileSeq ? roles.value : record.roles)],
  };
}

/** Whether a patch sets what the user's profile may also set. */
export function setsProfile(patch: SessionPatch): boolean {
  return patch.email !== undefined || patch.roles !== undefined;
}

/**
 * The record as text.
 *
 * @throws {SessionTooLargeError} above `limit` bytes.
 * @throws {InvalidArgumentError} when the data cannot be written as JSON.
 */
export function encodeRecord(record: SessionRecord, limit = DEFAULT_MAX_RECORD_BYTES): string {
  let json: string;
  try {
    json = JSON.stringify(record, withoutPrototypeKey);
  } catch {
    throw new InvalidArgumentError('data', 'must be plain JSON: no cycles, no BigInt');
  }
  const size = Buffer.byteLength(json, 'utf8');
  if (size > limit) throw new SessionTooLargeError(size, limit);
  return json;
}

/** `__proto__` as a data key would set the prototype of whoever copies it by assignment. */
function withoutPrototypeKey(key: string, value: unknown): unknown {
  return key === '__proto__' ? undefined : value;
}

/** What is wrong with a stored record. */
export class DamagedRecord {
  constructor(
    readonly detail: string,
    /** True when a later version of the library wrote it. */
    readonly newer = false,
  ) {}
}

/** Reads a record, or says what is wrong with it. Never throws. */
export function decodeRecord(json: string): SessionRecord | DamagedRecord {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return new DamagedRecord('the record is not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return new DamagedRecord('the record is not an object');
  }
  const fields = value as Record<string, unknown>;
  if (typeof fields['v'] !== 'number') return new DamagedRecord('the record has no version');
  if (fields['v'] > RECORD_VERSION) return new DamagedRecord(`the record has the newer version ${fields['v']}`, true);
  if (typeof fields['email'] !== 'string') return new DamagedRecord('the record has no email');
  if (!isStringList(fields['roles'])) return new DamagedRecord('the record has no list of roles');
  if (!isPlainObject(fields['data'])) return new DamagedRecord('the record has no data');
  if (!isOptional(fields['metadata'], isStringObject)) return new DamagedRecord('metadata is not an object of strings');
  if (!isOptional(fields['deviceId'], isString)) return new DamagedRecord('deviceId is not a string');
  if (!isOptional(fields['deviceName'], isString)) return new DamagedRecord('deviceName is not a string');
  if (!isOptional(fields['deviceType'], isString)) return new DamagedRecord('deviceType is not a string');
  if (!isOptional(fields['lastLocation'], isStringObject))
    return new DamagedRecord('lastLocation is not an object of strings');
  if (!isOptional(fields['amr'], isStringList)) return new DamagedRecord('amr is not a list of strings');
  if (!isOptional(fields['acr'], isString)) return new DamagedRecord('acr is not a string');
  if (!isOptional(fields['pending'], isBoolean)) return new DamagedRecord('pending is not a boolean');
  if (!isOptional(fields['actor'], isActor)) return new DamagedRecord('actor does not name a user and a session');
  return value as SessionRecord;
}

/** Puts a session together from its parts. */
export function toSession(
  id: string,
  userId: string,
  parts: { record: SessionRecord; clock: SessionClock; profile: UserProfile },
): Session {
  const { record, clock, profile } = parts;
  const content = withProfile(record, clock, profile);
  const session: Record<string, unknown> = {
    id,
    userId,
    email: content.email,
    roles: content.roles,
    createdAt: clock.createdAt,
    lastAccess: clock.lastAccess,
    expiresAt: clock.expiresAt,
    idleTimeout: clock.idleTimeout,
    authenticatedAt: clock.authenticatedAt,
    data: record.data,
  };
  // One by one: every request comes by here, and a copy by spread takes several times as long.
  for (const field of OPTIONAL_FIELDS) if (content[field] !== undefined) session[field] = content[field];
  return session as unknown as Session;
}

const OPTIONAL_FIELDS = [
  'metadata',
  'deviceId',
  'deviceName',
  'deviceType',
  'lastLocation',
  'amr',
  'acr',
  'pending',
  'actor',
] as const satisfies readonly (keyof SessionRecord)[];

/** The absolute end of a session that starts now. */
export function absoluteEnd(now: number, absoluteTimeout: number, cap: number | Date | undefined): number {
  const end = now + absoluteTimeout;
  return cap === undefined ? end : Math.min(end, epochMs('expiresAt', cap));
}

function compact(record: { [K in keyof SessionRecord]: SessionRecord[K] | undefined }): SessionRecord {
  return Object.fromEntries(
    Object.entries(record).filter(([, value]) => value !== undefined),
  ) as unknown as SessionRecord;
}

/** Checked list of roles. @throws {InvalidArgumentError} */
export function roleList(value: unknown): readonly string[] {
  return stringList('roles', value);
}

function stringList(name: string, value: unknown): readonly string[] {
  if (!isStringList(value)) throw new InvalidArgumentError(name, 'must be a list of strings');
  return [...value];
}

/** Checked text. @throws {InvalidArgumentError} */
export function text(name: string, value: unknown): string {
  if (typeof value !== 'string') throw new InvalidArgumentError(name, 'must be a string');
  return value;
}

function optionalLabel(name: string, value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'string' || value.length === 0 || value.length > MAX_LABEL_LENGTH) {
    throw new InvalidArgumentError(name, `must be a string of 1 to ${MAX_LABEL_LENGTH} characters`);
  }
  return value;
}

/** Device ids are compared by digest, where lone surrogates would all be one: see `assertUserId`. */
function deviceIdOf(value: unknown): string | undefined {
  const deviceId = optionalLabel('deviceId', value);
  if (deviceId !== undefined && !isWellFormed(deviceId)) {
    throw new InvalidArgumentError('deviceId', 'must be well-formed Unicode');
  }
  return deviceId;
}

function deviceTypeOf(input: NewSession): DeviceType | undefined {
  if (input.deviceType === undefined) return input.deviceId === undefined ? undefined : 'unknown';
  if (!DEVICE_TYPES.includes(input.deviceType)) {
    throw new InvalidArgumentError('deviceType', `must be one of ${DEVICE_TYPES.join(', ')}`);
  }
  return input.deviceType;
}

function dataObject(value: unknown): Record<string, unknown> {
  if (!isPlainObject(value)) throw new InvalidArgumentError('data', 'must be an object');
  // A Date, for one, would be written as a string and leave a record that cannot be read.
  if (typeof value['toJSON'] === 'function') throw new InvalidArgumentError('data', 'must be an object without toJSON');
  return value;
}

function metadataOf(value: unknown): SessionMetadata | undefined {
  return value === undefined ? undefined : stringsOf('metadata', value);
}

function locationOf(value: unknown): SessionLocation | undefined {
  return value === undefined ? undefined : (stringsOf('lastLocation', value) as unknown as SessionLocation);
}

function actorOf(value: NewSession['actor']): SessionRecord['actor'] {
  if (value === undefined) return undefined;
  return { userId: text('actor.userId', value.userId), sessionId: text('actor.sessionId', value.sessionId) };
}

/** Descriptive values come from requests: cut to a bound instead of refused, so that a hostile header stops no sign-in. */
function stringsOf(name: string, value: unknown): Record<string, string> {
  if (!isPlainObject(value)) throw new InvalidArgumentError(name, 'must be an object of strings');
  const strings: Record<string, string> = {};
  for (const [key, entry] of Object.entries(value)) {
    if (entry === undefined) continue;
    strings[key] = text(`${name}.${key}`, entry).slice(0, MAX_LABEL_LENGTH);
  }
  return strings;
}

function isString(value: unknown): value is string {
  return typeof value === 'string';
}

function isStringList(value: unknown): value is string[] {
  return Array.isArray(value) && value.every(isString);
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isBoolean(value: unknown): value is boolean {
  return typeof value === 'boolean';
}

function isStringObject(value: unknown): value is Record<string, string> {
  return isPlainObject(value) && Object.values(value).every(isString);
}

function isActor(value: unknown): value is NonNullable<SessionRecord['actor']> {
  return isPlainObject(value) && isString(value['userId']) && isString(value['sessionId']);
}

function isOptional<T>(value: unknown, check: (value: unknown) => value is T): boolean {
  return value === undefined || check(value);
}
