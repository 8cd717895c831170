import { deadlineOf, expiryReason } from '../model/deadlines.js';
import { sidOf } from '../model/ids.js';
import {
  DamagedRecord,
  decodeRecord,
  encodeRecord,
  patchRecord,
  setsProfile,
  toSession,
  withProfile,
  type SessionRecord,
  type UserProfile,
} from '../model/record.js';
import type { Session, SessionPatch } from '../model/session.js';
import type { LiveSession, SessionSnapshot } from '../ports/session-store.js';
import type { UserKeys } from './keys.js';
import { unpackClock, unpackLineages, unpackTombstones } from './packed.js';

/** What a reader asks of a user's hash for one session, in the order in which `snapshotOf` takes the values. */
export function snapshotFields(sid: string, tokenId?: string): string[] {
  return ['u', 'e', 'o', 'x', 't', `r${sid}`, `c${sid}`, `j${tokenId ?? ''}`];
}

export type FieldValue = Buffer | null;

/** What those need who write a record anew. */
export interface StoredRecord {
  readonly record: SessionRecord;
  /** The record with what the user's profile sets: what a change of email or roles builds on. */
  readonly effective: SessionRecord;
  /** Number of the profile. */
  readonly profileSeq: number;
}

/** A snapshot with the record behind it, null where no session lives. */
export interface StoredSnapshot {
  readonly snapshot: SessionSnapshot;
  readonly stored: StoredRecord | null;
  readonly userId: string;
}

/** Makes a snapshot of the values of `snapshotFields`, as of `now`. Never throws on what it reads. */
export function snapshotOf(sessionId: string, values: readonly FieldValue[], now: number): StoredSnapshot {
  const [
    user = null,
    email = null,
    roles = null,
    cutoff = null,
    stones = null,
    record = null,
    clock = null,
    token = null,
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
  const lineages = unpackLineages(times.credentials);
  if (!lineages) return damaged('the credentials cannot be read');
  const profile: UserProfile = { email: emailOf(email), roles: rolesOf(roles) };
  const live: LiveSession = {
    state: 'live',
    session: toSession(sessionId, userId, { record: content, clock: times, profile }),
    lineages,
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

/** The live sessions in a whole hash, latest access first. Damaged ones are left out. */
export function sessionsIn({ userKey }: UserKeys, fields: ReadonlyMap<string, Buffer>, now: number): Session[] {
  const sids = [...fields.keys()].filter((field) => field.length === 17 && field.startsWith('c'));
  return sids
    .map((field) => field.slice(1))
    .map(
      (sid) =>
        snapshotOf(
          userKey + sid,
          snapshotFields(sid).map((name) => fields.get(name) ?? null),
          now,
        ).snapshot,
    )
    .flatMap((snapshot) => (snapshot.state === 'live' ? [snapshot.session] : []))
    .sort((a, b) => b.lastAccess - a.lastAccess || b.createdAt - a.createdAt || (a.id < b.id ? -1 : 1));
}

/** What a writer hands over: the changed record, and what it was computed from. */
export function rewritten(
  seen: StoredSnapshot,
  patch: SessionPatch,
  maxBytes: number,
): { record: string; from: string; profileSeq: number | null } {
  const { snapshot, stored } = seen;
  if (snapshot.state !== 'live' || !stored) throw new Error('only a live session is written anew');
  const profile = setsProfile(patch);
  return {
    record: encodeRecord(patchRecord(profile ? stored.effective : stored.record, patch), maxBytes),
    from: snapshot.revision,
    profileSeq: profile ? stored.profileSeq : null,
  };
}

/** 0 where there is none. What cannot be read counts as the end of time: a revocation must not be undone by damage. */
function instantOf(value: FieldValue): number {
  if (!value) return 0;
  const text = value.toString('latin1');
  return /^\d{1,15}$/.test(text) ? Number(text) : Number.MAX_SAFE_INTEGER;
}

/** The number of a profile value, read as the scripts read it: they compare it with theirs. */
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

function rolesOf(value: FieldValue): UserProfile['roles'] {
  const roles = numbered(value);
  if (!roles) return null;
  try {
    const list: unknown = JSON.parse(roles.text);
    if (Array.isArray(list) && list.every((role) => typeof role === 'string')) return { value: list, seq: roles.seq };
  } catch {
    // Falls through: a profile that cannot be read must not give anyone the roles it replaced.
  }
  return { value: [], seq: Number.MAX_SAFE_INTEGER };
}
