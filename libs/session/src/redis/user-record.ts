import { decodeDeviceBinding } from '../model/device-binding.js';
import { deadlineOf, expiryReason } from '../model/deadlines.js';
import { isUserKeyOf, sidOf } from '../model/ids.js';
import {
  DamagedRecord,
  decodeRecord,
  encodeRecord,
  patchRecord,
  setsProfile,
  standingChange,
  toSession,
  withProfile,
  type SessionRecord,
  type StandingChange,
  type UserProfile,
} from '../model/record.js';
import type { Session, SessionPatch } from '../model/session.js';
import type { LiveSession, SessionSnapshot } from '../ports/session-store.js';
import type { UserKeys } from './keys.js';
import { unpackClock, unpackFamilies, unpackTombstones } from './packed.js';

/**
 * The fields of a user's hash that a reader needs for one session, in the order in which `snapshotOf` takes the values. The last,
 * the key to which the session is bound, only if it is needed.
 */
export function snapshotFields(sid: string, tokenId?: string, withBinding = true): string[] {
  const fields = ['u', 'e', 'o', 'x', 't', `r${sid}`, `c${sid}`, `j${tokenId ?? ''}`];
  if (withBinding) fields.push(`k${sid}`);
  return fields;
}

export type FieldValue = Buffer | null;

/** The data for a rewrite of a record. */
export interface StoredRecord {
  readonly record: SessionRecord;
  /** The record with the values of the user's profile: the basis for a change of email or roles. */
  readonly effective: SessionRecord;
  /** Number of the profile. */
  readonly profileSeq: number;
}

/** A snapshot with its record, which is null unless the session is live. */
export interface StoredSnapshot {
  readonly snapshot: SessionSnapshot;
  readonly stored: StoredRecord | null;
  readonly userId: string;
}

/**
 * Makes a snapshot of the values of `snapshotFields`, as of `now`. Absent if the address of the record does not follow
 * from the tenant and the user id in it. Never throws for damaged values.
 */
export function snapshotOf(
  sessionId: string,
  values: readonly FieldValue[],
  { now, tenant }: { now: number; tenant: string },
): StoredSnapshot {
  const userId = values[0]?.toString('utf8') ?? '';
  if (userId !== '' && !isUserKeyOf(sessionId, userId, tenant)) {
    return { snapshot: { state: 'absent' }, stored: null, userId: '' };
  }
  return readSnapshot(sessionId, values, now);
}

function readSnapshot(sessionId: string, values: readonly FieldValue[], now: number): StoredSnapshot {
  const [
    user = null,
    email = null,
    roles = null,
    cutoff = null,
    stones = null,
    record = null,
    clock = null,
    token = null,
    bound = null,
  ] = values;
  const sid = sidOf(sessionId);
  const userId = user?.toString('utf8') ?? '';
  const owner = userId === '' ? {} : { userId };
  const without = (snapshot: SessionSnapshot): StoredSnapshot => ({ snapshot, stored: null, userId });

  if (!clock && !record) {
    const stone = stones && unpackTombstones(stones).find((tombstone) => tombstone.sid === sid);
    return without(stone ? { state: 'ended', reason: stone.reason, endedAt: stone.at, ...owner } : { state: 'absent' });
  }
  const damaged = (detail: string): StoredSnapshot => without({ state: 'damaged', detail });
  if (userId === '') return damaged('the record has no user id');
  const times = clock && unpackClock(clock);
  if (!times) return damaged('the clock cannot be read');
  const at = Math.max(now, times.lastAccess);
  const reason = expiryReason(times, at);
  if (reason) return without({ state: 'ended', reason, endedAt: deadlineOf(times), ...owner });
  const content = record ? decodeRecord(record.toString('utf8')) : new DamagedRecord('the record is missing');
  if (content instanceof DamagedRecord) return damaged(content.detail);
  const families = unpackFamilies(times.credentials);
  if (!families) return damaged('the credentials cannot be read');
  const binding = bound && decodeDeviceBinding(bound.toString('latin1'));
  if (bound && !binding) return damaged('the key of the device cannot be read');
  const profile: UserProfile = { email: emailOf(email), roles: rolesOf(roles) };
  const live: LiveSession = {
    state: 'live',
    session: toSession(sessionId, userId, { record: content, clock: times, profile, isBound: binding !== null }),
    families,
    binding,
    revision: times.revision,
    tokensFrom: Math.max(times.tokensFrom, instantOf(cutoff)),
    tokenRevoked: instantOf(token) > at,
    now: at,
  };
  const effective = withProfile(content, times, profile);
  return {
    snapshot: live,
    stored: { record: content, effective, profileSeq: Math.max(seqOf(email), seqOf(roles)) },
    userId,
  };
}

/** Field names and values in turn, as HGETALL answers. */
export function fieldsOf(flat: readonly FieldValue[]): ReadonlyMap<string, Buffer> {
  const fields = new Map<string, Buffer>();
  for (let index = 0; index + 1 < flat.length; index += 2) {
    const [name, value] = [flat[index], flat[index + 1]];
    if (name && value) fields.set(name.toString('utf8'), value);
  }
  return fields;
}

/** The live sessions in a user's whole hash, latest access first. Damaged ones are left out. */
export function sessionsIn(
  { userKey }: UserKeys,
  fields: ReadonlyMap<string, Buffer>,
  now: number,
  withBinding = true,
): Session[] {
  const sids = [...fields.keys()].filter((field) => field.length === 17 && field.startsWith('c'));
  return sids
    .map((field) => field.slice(1))
    .map(
      (sid) =>
        readSnapshot(
          userKey + sid,
          snapshotFields(sid, undefined, withBinding).map((name) => fields.get(name) ?? null),
          now,
        ).snapshot,
    )
    .flatMap((snapshot) => (snapshot.state === 'live' ? [snapshot.session] : []))
    .sort((a, b) => b.lastAccess - a.lastAccess || b.createdAt - a.createdAt || (a.id < b.id ? -1 : 1));
}

/** The arguments of a write: the changed record, and what it was computed from. */
export function rewritten(
  seen: StoredSnapshot,
  patch: SessionPatch,
  { maxRecordBytes, replaces }: { maxRecordBytes: number; replaces?: string | undefined },
): { record: string; from: string; profileSeq: number | null; standing: StandingChange | null } {
  const { snapshot, stored } = seen;
  if (snapshot.state !== 'live' || !stored) throw new Error('only a live session can be rewritten');
  const profile = setsProfile(patch);
  return {
    record: encodeRecord(patchRecord(profile ? stored.effective : stored.record, patch), maxRecordBytes),
    from: snapshot.revision,
    profileSeq: profile ? stored.profileSeq : null,
    standing: standingChange(stored.record, patch, replaces),
  };
}

/** 0 if there is none. An unreadable value counts as the end of time: damage must not undo a revocation. */
function instantOf(value: FieldValue): number {
  if (!value) return 0;
  const text = value.toString('latin1');
  return /^\d{1,15}$/.test(text) ? Number(text) : Number.MAX_SAFE_INTEGER;
}

/** The number of a profile value, read as the scripts read it: they compare it with their own. */
function seqOf(value: FieldValue): number {
  return Number(/^(\d+):/.exec(value?.toString('latin1') ?? '')?.[1] ?? 0);
}

function numbered(value: FieldValue): { seq: number; text: string } | null {
  const match = value ? /^(\d{1,15}):([^]*)$/.exec(value.toString('utf8')) : null;
  return match?.[1] !== undefined && match[2] !== undefined ? { seq: Number(match[1]), text: match[2] } : null;
}

function emailOf(value: FieldValue): UserProfile['email'] {
  const email = numbered(value);
  return email && { value: email.text, seq: email.seq };
}

/** What cannot be read gives nobody a role: falling back to the session's own roles would undo a demotion. */
function rolesOf(value: FieldValue): UserProfile['roles'] {
  if (!value) return null;
  const roles = numbered(value);
  const list = roles && parsedList(roles.text);
  return roles && list ? { value: list, seq: roles.seq } : { value: [], seq: Number.MAX_SAFE_INTEGER };
}

function parsedList(text: string): string[] | null {
  try {
    const list: unknown = JSON.parse(text);
    return Array.isArray(list) && list.every((role) => typeof role === 'string') ? list : null;
  } catch {
    return null;
  }
}
