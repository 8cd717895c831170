import { epochMs } from './deadlines.js';
import { InvalidArgumentError, SessionTooLargeError } from './errors.js';
import { assertSessionData } from './session-data.js';
import type { Admission } from './limit.js';
import {
  actorOf,
  dataObject,
  deviceIdOf,
  deviceTypeOf,
  isActor,
  isAdmission,
  isBoolean,
  isOptional,
  isPlainObject,
  isString,
  isStringList,
  isStringObject,
  locationOf,
  metadataOf,
  optionalLabel,
  roleList,
  stringList,
  text,
} from './record-fields.js';
import type {
  DeviceType,
  NewSession,
  Session,
  SessionChange,
  SessionLocation,
  SessionMetadata,
  SessionPatch,
} from './session.js';

/** Version of the record's format. A store does not touch records of a newer version. */
export const RECORD_VERSION = 1;

/** Default maximum size of a record, bytes of UTF-8. */
export const DEFAULT_MAX_RECORD_BYTES = 64 * 1024;

/** The part of a session that scripts do not read: stored as JSON. */
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
  readonly rememberMe?: boolean;
  /** Only on a pending session. */
  readonly admission?: Admission;
  readonly actor?: { readonly userId: string; readonly sessionId: string };
}

/** The part that decides whether a session is live: stored packed, evaluated by scripts. */
export interface SessionClock {
  readonly createdAt: number;
  readonly lastAccess: number;
  readonly idleTimeout: number;
  readonly expiresAt: number;
  readonly authenticatedAt: number;
  /** Access tokens issued before this instant are dead. */
  readonly tokensFrom: number;
  /** Number of the user's profile when this record was written: profile values with a higher number are newer. */
  readonly profileSeq: number;
}

/** Email and roles set for all sessions of a user. Numbered, because two changes can share a millisecond. */
export interface UserProfile {
  readonly email: { readonly value: string; readonly seq: number } | null;
  readonly roles: { readonly value: readonly string[]; readonly seq: number } | null;
}

/** Number of the latest change to a profile. */
export function profileSeqOf(profile: UserProfile): number {
  return Math.max(profile.email?.seq ?? 0, profile.roles?.seq ?? 0);
}

/**
 * The record of a new session. A pending one also stores the rules of its later admission.
 *
 * @throws {InvalidArgumentError} if a field does not have its documented type.
 */
export function newRecord(input: NewSession, admission?: Admission): SessionRecord {
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
    rememberMe: input.rememberMe === true ? true : undefined,
    admission: input.pending === true && !input.actor ? admission : undefined,
    actor: actorOf(input.actor),
  });
}

/** The patch of a change: the change itself, or the result of its function. */
export function patchOf(change: SessionChange, session: Session): SessionPatch {
  const patch = typeof change === 'function' ? change(session) : change;
  if (patch === null || typeof patch !== 'object' || Array.isArray(patch)) {
    throw new InvalidArgumentError(
      'update',
      'takes a patch object, or a function that returns one at once (no promise)',
    );
  }
  if (typeof (patch as { then?: unknown }).then === 'function') {
    // A later rejection of the refused promise must not end the process.
    Promise.resolve(patch).catch(() => undefined);
    throw new InvalidArgumentError('update', 'takes a function that returns its patch at once, not a promise');
  }
  return patch;
}

/** The record after a patch. Only the documented keys of the patch count. */
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
    admission: patch.pending === false ? undefined : record.admission,
  });
}

/** The effect on limits when a session becomes pending or stops being pending. */
export interface StandingChange {
  readonly pending: boolean;
  readonly deviceType: DeviceType;
  /** The rules of its admission; null if it was admitted before or is pending. */
  readonly admission: Admission | null;
}

/** The effect of a patch on limits, or null. An impersonated session counts towards no limit. */
export function standingChange(record: SessionRecord, patch: SessionPatch, replaces?: string): StandingChange | null {
  const pending = patch.pending === undefined ? record.pending === true : patch.pending === true;
  if (record.actor || pending === (record.pending === true)) return null;
  const kept = pending ? undefined : record.admission;
  const admission = kept && replaces !== undefined ? { ...kept, replaces } : (kept ?? null);
  return { pending, deviceType: record.deviceType ?? 'unknown', admission };
}

/**
 * The record with the profile values set after it was written. A patch of email or roles must start from this record: the
 * patched record counts as newer than the whole profile, and would otherwise restore an old value of the other field.
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

/** Whether a patch sets a field that the user's profile also sets. */
export function setsProfile(patch: SessionPatch): boolean {
  return patch.email !== undefined || patch.roles !== undefined;
}

/**
 * The record as text.
 *
 * @throws {SessionTooLargeError} above `limit` bytes.
 * @throws {InvalidArgumentError} if JSON cannot represent the data.
 */
export function encodeRecord(record: SessionRecord, limit = DEFAULT_MAX_RECORD_BYTES): string {
  assertSessionData(record.data, limit);
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

/** A data key `__proto__` would set the prototype of an object that it is copied to by assignment. */
function withoutPrototypeKey(key: string, value: unknown): unknown {
  return key === '__proto__' ? undefined : value;
}

/** The defect of a stored record. */
export class DamagedRecord {
  constructor(readonly detail: string) {}
}

/** Reads a record, or describes its defect. Never throws. */
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
  if (fields['v'] > RECORD_VERSION) return new DamagedRecord(`the record has the newer version ${fields['v']}`);
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
  if (!isOptional(fields['rememberMe'], isBoolean)) return new DamagedRecord('rememberMe is not a boolean');
  if (!isOptional(fields['admission'], isAdmission)) return new DamagedRecord('admission holds no limit');
  if (!isOptional(fields['actor'], isActor)) return new DamagedRecord('actor does not name a user and a session');
  return value as SessionRecord;
}

/** Assembles a session from its parts. */
export function toSession(
  id: string,
  userId: string,
  parts: { record: SessionRecord; clock: SessionClock; profile: UserProfile; isBound?: boolean },
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
  // Field by field: this runs at every request, and a spread takes several times as long.
  for (const field of OPTIONAL_FIELDS) if (content[field] !== undefined) session[field] = content[field];
  if (parts.isBound === true) session['deviceBound'] = true;
  return session as unknown as Session;
}

/** The user's session on a device: a complete one first, otherwise a pending one. */
export function sessionOnDevice<T>(sessions: readonly Session<T>[], deviceId: string): Session<T> | null {
  const there = sessions.filter((session) => session.deviceId === deviceId);
  return there.find(({ pending }) => pending !== true) ?? there[0] ?? null;
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
  'rememberMe',
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
