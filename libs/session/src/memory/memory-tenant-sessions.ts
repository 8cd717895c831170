import { randomBytes } from 'node:crypto';
import { deadlineOf, expiryReason } from '../model/deadlines.js';
import { SessionLimitError } from '../model/errors.js';
import { withTenant, type SessionEvent, type SessionEventType } from '../model/events.js';
import { assertUserId, isSessionId, sidOf, userKeyOf, userKeyOfSession } from '../model/ids.js';
import { reachedLimit, type Admission } from '../model/limit.js';
import {
  DamagedRecord,
  decodeRecord,
  encodeRecord,
  patchRecord,
  profileSeqOf,
  setsProfile,
  standingChange,
  toSession,
  withProfile,
  type SessionRecord,
} from '../model/record.js';
import type { EndReason, Session, SessionPatch } from '../model/session.js';
import type { TokenFamily } from '../model/token-family.js';
import { TOMBSTONES_PER_USER } from '../model/tombstones.js';
import type { Listeners } from '../ports/listeners.js';
import type { ReadOptions, SessionSnapshot } from '../ports/session-store.js';
import { admit, type Admitted, type Entrant } from './memory-admission.js';
import type { MemoryEventStream } from './memory-event-stream.js';
import type { MemorySessionAliases } from './memory-session-aliases.js';
import type { MemorySessionHistory } from './memory-session-history.js';
import type { MemorySpentProofs } from './memory-spent-proofs.js';
import { newUser, recordOf, type StoredSession, type StoredUser } from './stored-user.js';

/** Maximum number of singly revoked tokens per user. */
export const MOST_REVOKED = 1000;

/** State that the views of one store share, each the view of another tenant. */
export interface SharedState {
  readonly users: Map<string, StoredUser>;
  readonly listeners: Listeners<SessionEvent>;
  readonly stream: MemoryEventStream | null;
  readonly aliases: Map<string, MemorySessionAliases>;
  readonly histories: Map<string, MemorySessionHistory>;
  spentProofs: MemorySpentProofs | null;
  latest: number;
}

/** A live session, where it is stored. */
export interface LiveEntry {
  readonly userKey: string;
  readonly user: StoredUser;
  readonly stored: StoredSession;
}

/** The users of one tenant and their sessions: finds, admits, writes and ends sessions, and announces each change. */
export class MemoryTenantSessions {
  constructor(
    private readonly shared: SharedState,
    private readonly tenant: string,
    private readonly maxRecordBytes: number,
    private readonly withBinding: boolean,
  ) {}

  private ownUser(userKey: string): StoredUser | undefined {
    const user = this.shared.users.get(userKey);
    return user?.tenant === this.tenant ? user : undefined;
  }

  look(sessionId: string, now: number, options: ReadOptions = {}): SessionSnapshot {
    if (!isSessionId(sessionId)) return { state: 'absent' };
    const user = this.ownUser(userKeyOfSession(sessionId));
    const sid = sidOf(sessionId);
    const stored = user?.sessions.get(sid);
    if (!user || !stored) {
      const stone = user?.tombstones.find((tombstone) => tombstone.sid === sid);
      if (!user || !stone) return { state: 'absent' };
      return { state: 'ended', reason: stone.reason, endedAt: stone.at, userId: user.userId };
    }
    const reason = expiryReason(stored.clock, now);
    if (reason) return { state: 'ended', reason, endedAt: deadlineOf(stored.clock), userId: user.userId };
    const record = decodeRecord(stored.record);
    if (record instanceof DamagedRecord) {
      this.say({ type: 'damaged', at: now, sessionId, userId: user.userId, remote: false, detail: record.detail });
      return { state: 'damaged', detail: record.detail };
    }
    const binding = this.withBinding ? stored.binding : null;
    const isBound = binding !== null;
    return {
      state: 'live',
      session: toSession(sessionId, user.userId, { record, clock: stored.clock, profile: user.profile, isBound }),
      binding: binding && { ...binding },
      families: { cookie: stored.cookie && copied(stored.cookie), refresh: stored.refresh && copied(stored.refresh) },
      revision: stored.revision,
      tokensFrom: Math.max(user.tokensFrom, stored.clock.tokensFrom),
      tokenRevoked: options.tokenId !== undefined && (user.revoked.get(options.tokenId) ?? 0) > now,
      now,
    };
  }

  findLive(sessionId: string, now: number): LiveEntry | null {
    if (!isSessionId(sessionId)) return null;
    const userKey = userKeyOfSession(sessionId);
    const user = this.ownUser(userKey);
    const stored = user?.sessions.get(sidOf(sessionId));
    return user && stored && expiryReason(stored.clock, now) === null ? { userKey, user, stored } : null;
  }

  findUser(userId: string): { userKey: string; user: StoredUser } | null {
    assertUserId(userId);
    const userKey = userKeyOf(userId, this.tenant);
    const user = this.ownUser(userKey);
    return user && user.userId === userId ? { userKey, user } : null;
  }

  /** Replaces singly revoked tokens by a cutoff of their session: the session with the most of the user's. */
  raiseCutoff(userKey: string, user: StoredUser, now: number): void {
    const bySid = new Map<string, string[]>();
    for (const [tokenId, until] of [...user.revoked]) {
      if (until <= now) user.revoked.delete(tokenId);
      else if (tokenId.startsWith(userKey)) {
        const sid = tokenId.slice(userKey.length, userKey.length + 16);
        bySid.set(sid, [...(bySid.get(sid) ?? []), tokenId]);
      }
    }
    const [most] = [...bySid].sort(([, a], [, b]) => b.length - a.length);
    if (user.revoked.size <= MOST_REVOKED || !most) return;
    const [sid, tokenIds] = most;
    const stored = user.sessions.get(sid);
    if (stored) {
      stored.clock = { ...stored.clock, tokensFrom: Math.max(stored.clock.tokensFrom, now + 1) };
      this.announceRevocation(userKey + sid, user, now);
    }
    for (const tokenId of tokenIds) user.revoked.delete(tokenId);
  }

  addUser(userId: string): { userKey: string; user: StoredUser } {
    const userKey = userKeyOf(userId, this.tenant);
    const user = newUser(userId, this.tenant);
    this.shared.users.set(userKey, user);
    return { userKey, user };
  }

  liveSessions(userKey: string, user: StoredUser, now: number): Session[] {
    const snapshots = [...user.sessions.keys()].map((sid) => this.look(userKey + sid, now));
    return snapshots.flatMap((snapshot) => (snapshot.state === 'live' ? [snapshot.session] : []));
  }

  /** @throws {SessionLimitError} */
  admit(userKey: string, user: StoredUser, entrant: Entrant, rule: Admission, now: number): Admitted {
    this.removeExpired(userKey, user, now);
    const admitted = admit(userKey, [...user.sessions], entrant, rule);
    if (admitted !== 'reject') return admitted;
    this.announceOf('limit-reached', entrant.id, user, now);
    const sessions = sorted(this.liveSessions(userKey, user, now));
    throw new SessionLimitError(reachedLimit(rule.limit, sessions), sessions);
  }

  /** Admits a session that waited for a further factor, if the patch ends the wait. */
  readmit(
    sessionId: string,
    { userKey, user, stored }: LiveEntry,
    patch: SessionPatch,
    replaces: string | undefined,
    now: number,
  ): Admitted | null {
    const record = recordOf(stored);
    const standing = record && standingChange(record, patch, replaces);
    if (!standing?.admission) return null;
    const { deviceHash, cookie, refresh } = stored;
    const client = refresh?.client ?? cookie?.client ?? null;
    const entrant = { id: sessionId, deviceHash, deviceType: standing.deviceType, client, actor: false };
    return this.admit(userKey, user, entrant, standing.admission, now);
  }

  carryOut(admitted: Admitted | null, sessionId: string, user: StoredUser, now: number): void {
    if (admitted?.isNew) this.announceOf('new-device', sessionId, user, now);
    for (const [sid, reason] of admitted?.ends ?? []) this.end(userKeyOfSession(sessionId), user, sid, reason, now);
  }

  write({ stored, user }: LiveEntry, patch: SessionPatch): void {
    const written = decodeRecord(stored.record) as SessionRecord;
    const record = setsProfile(patch) ? withProfile(written, stored.clock, user.profile) : written;
    stored.record = encodeRecord(patchRecord(record, patch), this.maxRecordBytes);
    stored.revision = newRevision();
    if (setsProfile(patch)) stored.clock = { ...stored.clock, profileSeq: profileSeqOf(user.profile) };
  }

  removeExpired(userKey: string, user: StoredUser, now: number): number {
    let removed = 0;
    for (const [sid, stored] of [...user.sessions]) {
      const reason = expiryReason(stored.clock, now);
      if (!reason) continue;
      this.end(userKey, user, sid, reason, now);
      removed += 1;
    }
    return removed;
  }

  end(userKey: string, user: StoredUser, sid: string, reason: EndReason, now: number): void {
    user.sessions.delete(sid);
    user.leftAt = now;
    user.tombstones = [...user.tombstones, { sid, reason, at: now }].slice(-TOMBSTONES_PER_USER);
    this.say(
      { type: 'ended', at: now, sessionId: userKey + sid, userId: user.userId, remote: false, reason },
      user.tenant,
    );
  }

  /** A listener may call the store, and must not see an unfinished operation. */
  private say(event: SessionEvent, tenant = this.tenant): void {
    void Promise.resolve().then(() => this.tell(withTenant(event, tenant)));
  }

  tell(event: SessionEvent): void {
    this.shared.stream?.add(event);
    this.shared.listeners.emit(event);
  }

  announceRevocation(sessionId: string, { userId }: StoredUser, at: number): void {
    this.say({ type: 'changed', at, sessionId, userId, remote: false, cause: 'tokens-revoked' });
  }

  announceOf(type: PlainEventType, sessionId: string, user: StoredUser, at: number): void {
    this.announce(type, { userKey: userKeyOfSession(sessionId), sid: sidOf(sessionId), userId: user.userId, at });
  }

  announce(type: PlainEventType, of: { userKey: string; sid: string; userId: string; at: number }): void {
    this.say({ type, at: of.at, sessionId: of.userKey + of.sid, userId: of.userId, remote: false });
  }
}

/** Events that carry nothing but the session. */
export type PlainEventType = Extract<
  SessionEventType,
  | 'created'
  | 'changed'
  | 'regenerated'
  | 'refreshed'
  | 'reuse-detected'
  | 'rotation-lost'
  | 'limit-reached'
  | 'new-device'
  | 'bound'
>;

/** Marks a write, for those who read before it. */
export function newRevision(): string {
  return randomBytes(8).toString('base64url');
}

/** Latest access first. */
export function sorted(sessions: Session[]): Session[] {
  return sessions.sort((a, b) => b.lastAccess - a.lastAccess || b.createdAt - a.createdAt || (a.id < b.id ? -1 : 1));
}

/** A copy that shares no bytes. */
export function copied(family: TokenFamily): TokenFamily {
  return {
    ...family,
    hash: Buffer.from(family.hash),
    client: family.client && Buffer.from(family.client),
    previous: family.previous && { ...family.previous, hash: Buffer.from(family.previous.hash) },
  };
}
