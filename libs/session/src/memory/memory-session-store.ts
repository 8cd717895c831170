import { randomBytes } from 'node:crypto';
import { deadlineOf, durationMs, epochMs, expiryReason } from '../model/deadlines.js';
import { endedError, InvalidArgumentError, SessionConflictError, SessionLimitError } from '../model/errors.js';
import type { SessionEvent, SessionEventType } from '../model/events.js';
import {
  assertUserId,
  deviceHashOf,
  isSessionId,
  newSessionId,
  sessionIdOf,
  sidOf,
  userKeyOf,
  userKeyOfSession,
} from '../model/ids.js';
import { makeRoom, reachedLimit } from '../model/limit.js';
import { judge, newLineage, redrawn, rotated, type CredentialKind, type Lineage } from '../model/lineage.js';
import {
  absoluteEnd,
  decodeRecord,
  DamagedRecord,
  encodeRecord,
  newRecord,
  patchOf,
  patchRecord,
  profileSeqOf,
  roleList,
  setsProfile,
  text,
  toSession,
  withProfile,
  type SessionClock,
  type SessionRecord,
  type UserProfile,
} from '../model/record.js';
import type {
  EndReason,
  NewSession,
  Session,
  SessionChange,
  SessionData,
  SessionPatch,
  UserPatch,
} from '../model/session.js';
import { TOMBSTONES_PER_USER, type Tombstone } from '../model/tombstones.js';
import {
  assertLimit,
  resolveStoreOptions,
  type ResolvedStoreOptions,
  type SessionStoreOptions,
} from '../options/store-options.js';
import { Listeners, type ListenerErrorHandler } from '../ports/listeners.js';
import type { HistoryLimits } from '../ports/session-history.js';
import {
  SessionStore,
  type CreateOptions,
  type DestroyAllOptions,
  type DestroyEverybodyOptions,
  type DestroyOptions,
  type LiveSession,
  type ReadOptions,
  type RenewOutcome,
  type RenewRequest,
  type RotateOutcome,
  type RotateRequest,
  type SessionSnapshot,
  type SweepOptions,
  type TouchOptions,
} from '../ports/session-store.js';
import { MemoryEventStream } from './memory-event-stream.js';
import { MemorySessionAliases } from './memory-session-aliases.js';
import { MemorySessionHistory } from './memory-session-history.js';

export interface MemorySessionStoreOptions extends SessionStoreOptions {
  /** Epoch ms. Default: the system clock, held from running backwards. */
  clock?: () => number;
  /** Takes what an event listener threw. Default: dropped. */
  onListenerError?: ListenerErrorHandler;
}

interface StoredSession {
  /** Serialised, so that nobody holds a reference into the store and what JSON cannot keep is lost here as well. */
  record: string;
  clock: SessionClock;
  revision: string;
  deviceHash: Buffer | null;
  cookie: Lineage | null;
  refresh: Lineage | null;
}

interface StoredUser {
  readonly userId: string;
  readonly sessions: Map<string, StoredSession>;
  profile: { email: UserProfile['email']; roles: UserProfile['roles'] };
  tokensFrom: number;
  /** Singly revoked token ids and when they may be forgotten. */
  readonly revoked: Map<string, number>;
  tombstones: Tombstone[];
}

/** How often a change is computed anew when its own function keeps changing the session. */
const UPDATE_ATTEMPTS = 10;

/**
 * Keeps sessions in this process: for development, tests, and applications of one process that may forget. Same shape
 * as the Redis adapter, users of sessions; every method runs in one turn of the event loop and so is atomic. Listeners
 * are called after that turn, and before whoever awaits the method goes on.
 */
export class MemorySessionStore extends SessionStore {
  private readonly options: ResolvedStoreOptions;
  private readonly users = new Map<string, StoredUser>();
  private readonly listeners: Listeners<SessionEvent>;
  private readonly clock: () => number;
  private readonly stream: MemoryEventStream | null;
  private readonly ownAliases = new MemorySessionAliases({ clock: () => this.now() });
  private latest = 0;

  constructor(options: MemorySessionStoreOptions = {}) {
    super();
    const { clock = Date.now, onListenerError, ...rest } = options;
    this.options = resolveStoreOptions(rest);
    this.clock = clock;
    this.listeners = new Listeners(onListenerError);
    this.stream = this.options.eventStream && new MemoryEventStream(this.options.eventStream.maxLength);
  }

  async create<T = SessionData>(input: NewSession<T>, options: CreateOptions = {}): Promise<Session<T>> {
    const now = this.now();
    const { userId } = input;
    const userKey = userKeyOf(userId, this.options.tenant);
    const record = newRecord(input as NewSession);
    const json = encodeRecord(record, this.options.maxRecordBytes);
    const limit = options.limit ?? this.options.limit;
    assertLimit(limit);
    const clock: SessionClock = {
      createdAt: now,
      lastAccess: now,
      idleTimeout: durationMs('idleTimeout', options.idleTimeout ?? this.options.idleTimeout),
      expiresAt: absoluteEnd(
        now,
        durationMs('absoluteTimeout', options.absoluteTimeout ?? this.options.absoluteTimeout),
        input.expiresAt,
      ),
      authenticatedAt: now,
      tokensFrom: 0,
      profileSeq: 0,
    };
    if (clock.expiresAt <= now) throw new InvalidArgumentError('expiresAt', 'must lie in the future');

    const user = this.users.get(userKey) ?? newUser(userId);
    if (user.userId !== userId) throw new Error('two user ids share one 96-bit address');
    this.removeExpired(userKey, user, now);
    const id = options.sid === undefined ? newSessionId(userKey) : sessionIdOf(userKey, options.sid);
    const standing = this.look(id, now);
    if (standing.state === 'live') return standing.session as Session<T>;
    if (standing.state === 'ended') throw endedError(standing.reason);
    const deviceHash = record.deviceId === undefined ? null : deviceHashOf(record.deviceId);
    const isReplaced = ([sid, stored]: [string, StoredSession]): boolean =>
      userKey + sid === options.replaces || (deviceHash !== null && stored.deviceHash?.equals(deviceHash) === true);
    const replaced = [...user.sessions].filter(isReplaced);
    // Sessions in which an administrator acts as the user neither count nor make way.
    const staying = [...user.sessions].filter((entry) => !isReplaced(entry) && !isImpersonated(entry[1]));
    const deviceType = record.deviceType ?? 'unknown';
    const candidates = staying.map(([sid, stored]) => ({
      sid,
      createdAt: stored.clock.createdAt,
      lastAccess: stored.clock.lastAccess,
      deviceType: decoded(stored)?.deviceType ?? 'unknown',
    }));
    const evicted = record.actor ? [] : makeRoom(candidates, deviceType, limit);
    if (evicted === 'reject') {
      this.announce('limit-reached', { userKey, sid: sidOf(id), userId, at: now });
      const sessions = sorted(this.liveSessions(userKey, user, now));
      throw new SessionLimitError(reachedLimit(limit, sessions), sessions);
    }
    const elsewhere = replaced.length > 0 || record.actor ? [] : staying.map(([, stored]) => stored);
    const isNew = isNewDevice(elsewhere, deviceHash, options.client ?? null);

    this.users.set(userKey, user);
    const { cookie, refresh } = options.credentials ?? {};
    user.sessions.set(sidOf(id), {
      record: json,
      clock: { ...clock, profileSeq: profileSeqOf(user.profile) },
      revision: newRevision(),
      deviceHash,
      cookie: cookie ? copied(newLineage(cookie, now, options.client)) : null,
      refresh: refresh ? copied(newLineage(refresh, now, options.client)) : null,
    });
    this.announce('created', { userKey, sid: sidOf(id), userId, at: now });
    if (isNew) this.announce('new-device', { userKey, sid: sidOf(id), userId, at: now });
    for (const [sid] of replaced) this.end(userKey, user, sid, 'replaced', now);
    for (const sid of evicted) this.end(userKey, user, sid, 'evicted', now);
    return (this.look(id, now) as LiveSession).session as Session<T>;
  }

  async read(sessionId: string, options: ReadOptions = {}): Promise<SessionSnapshot> {
    return this.look(sessionId, this.now(), options);
  }

  async get<T = SessionData>(sessionId: string): Promise<Session<T> | null> {
    const snapshot = this.look(sessionId, this.now());
    return snapshot.state === 'live' ? (snapshot.session as Session<T>) : null;
  }

  async getActiveSessions<T = SessionData>(userId: string): Promise<Session<T>[]> {
    const found = this.findUser(userId);
    return found ? (sorted(this.liveSessions(found.userKey, found.user, this.now())) as Session<T>[]) : [];
  }

  async findByDevice<T = SessionData>(userId: string, deviceId: string): Promise<Session<T> | null> {
    const sessions = await this.getActiveSessions<T>(userId);
    return sessions.find((session) => session.deviceId === deviceId) ?? null;
  }

  async touch(sessionId: string, options: TouchOptions = {}): Promise<boolean> {
    const now = this.now();
    const live = this.findLive(sessionId, now);
    if (!live) return false;
    const { clock } = live.stored;
    const idleTimeout =
      options.idleTimeout === undefined ? clock.idleTimeout : durationMs('idleTimeout', options.idleTimeout);
    live.stored.clock = { ...clock, lastAccess: now, idleTimeout };
    return true;
  }

  async update<T = SessionData>(sessionId: string, change: SessionChange<T>): Promise<Session<T> | null> {
    for (let attempt = 0; attempt < UPDATE_ATTEMPTS; attempt += 1) {
      const snapshot = this.look(sessionId, this.now());
      if (snapshot.state !== 'live') return null;
      const patch = patchOf(change as SessionChange, snapshot.session);
      // The function may itself have called the store.
      const now = this.now();
      const live = this.findLive(sessionId, now);
      if (!live) return null;
      if (live.stored.revision !== snapshot.revision) continue;
      this.write(live, patch);
      this.announceOf('changed', sessionId, live.user, now);
      return (this.look(sessionId, now) as LiveSession).session as Session<T>;
    }
    throw new SessionConflictError();
  }

  async updateUser(userId: string, patch: UserPatch): Promise<number> {
    const now = this.now();
    const found = this.findUser(userId);
    const email = patch.email === undefined ? null : text('email', patch.email);
    const roles = patch.roles === undefined ? null : roleList(patch.roles);
    if (!found) return 0;
    this.removeExpired(found.userKey, found.user, now);
    const seq = profileSeqOf(found.user.profile) + 1;
    if (email !== null) found.user.profile.email = { value: email, seq };
    if (roles !== null) found.user.profile.roles = { value: roles, seq };
    for (const sid of found.user.sessions.keys()) {
      this.announce('changed', { userKey: found.userKey, sid, userId, at: now });
    }
    return found.user.sessions.size;
  }

  async rotate(sessionId: string, request: RotateRequest): Promise<RotateOutcome> {
    const now = this.now();
    const snapshot = this.look(sessionId, now);
    if (snapshot.state !== 'live') return snapshot;
    const live = this.findLive(sessionId, now);
    const lineage = live?.stored[request.kind];
    const verdict = judge(lineage ?? null, request.presented, now, request);
    if (verdict === 'unknown' || !live || !lineage) return { state: 'unknown' };
    const { stored, user, userKey } = live;
    if (verdict === 'theft') {
      this.announceOf('reuse-detected', sessionId, user, now);
      this.end(userKey, user, sidOf(sessionId), 'reuse', now);
      return { state: 'theft' };
    }
    const client = request.presented.client ?? lineage.client;
    if (verdict === 'rotate') stored[request.kind] = copied(rotated(lineage, lineage.n + 1, now, client));
    if (verdict === 'advance') {
      stored[request.kind] = copied(rotated(lineage, request.presented.n, now, client));
      this.announceOf('rotation-lost', sessionId, user, now);
    }
    if (request.touch) stored.clock = { ...stored.clock, lastAccess: now };
    if (request.kind === 'refresh') this.announceOf('refreshed', sessionId, user, now);
    const state = ({ rotate: 'rotated', keep: 'kept', repeat: 'repeated', advance: 'advanced' } as const)[verdict];
    const after = this.look(sessionId, now) as LiveSession;
    return { state, n: stored[request.kind]?.n ?? 0, live: after };
  }

  async renew(sessionId: string, request: RenewRequest): Promise<RenewOutcome> {
    const now = this.now();
    const snapshot = this.look(sessionId, now);
    if (snapshot.state !== 'live') return snapshot;
    const live = this.findLive(sessionId, now);
    if (!live) return { state: 'absent' };
    const { stored } = live;
    if (request.presented && !mayRenew(stored[request.presented.kind], request.presented.hash, now)) {
      return { state: 'unknown' };
    }
    if (request.patch) this.write(live, request.patch);
    for (const kind of ['cookie', 'refresh'] as const satisfies CredentialKind[]) {
      const hash = request.credentials[kind];
      const lineage = stored[kind];
      if (hash && lineage) stored[kind] = copied(redrawn(lineage, hash, now, request.repeatableFor));
    }
    stored.revision = newRevision();
    stored.clock = {
      ...stored.clock,
      lastAccess: now,
      tokensFrom: now + 1,
      authenticatedAt: request.freshen ? now : stored.clock.authenticatedAt,
    };
    this.announceOf('renewed', sessionId, live.user, now);
    return this.look(sessionId, now);
  }

  async destroy(sessionId: string, options: DestroyOptions = {}): Promise<boolean> {
    const now = this.now();
    const live = this.findLive(sessionId, now);
    if (!live || (options.userId !== undefined && options.userId !== live.user.userId)) return false;
    this.end(live.userKey, live.user, sidOf(sessionId), options.reason ?? 'logout', now);
    return true;
  }

  async destroyAll(userId: string, options: DestroyAllOptions = {}): Promise<number> {
    const now = this.now();
    const found = this.findUser(userId);
    if (!found) return 0;
    const { user, userKey } = found;
    this.removeExpired(userKey, user, now);
    const deviceHash = options.deviceId === undefined ? null : deviceHashOf(options.deviceId);
    let ended = 0;
    for (const [sid, stored] of [...user.sessions]) {
      if (userKey + sid === options.except) continue;
      if (deviceHash && stored.deviceHash?.equals(deviceHash) !== true) continue;
      this.end(userKey, user, sid, options.reason ?? 'logout', now);
      ended += 1;
    }
    return ended;
  }

  async destroyEverybody(options: DestroyEverybodyOptions = {}): Promise<{ ended: number; cursor: number | null }> {
    const now = this.now();
    const createdBefore = options.createdBefore ?? now;
    let ended = 0;
    for (const [userKey, user] of [...this.users]) {
      this.removeExpired(userKey, user, now);
      for (const [sid, stored] of [...user.sessions]) {
        if (stored.clock.createdAt > createdBefore) continue;
        this.end(userKey, user, sid, options.reason ?? 'admin', now);
        ended += 1;
      }
    }
    return { ended, cursor: null };
  }

  async revokeToken(sessionId: string, tokenId: string, expiresAt: number): Promise<boolean> {
    const now = this.now();
    const until = epochMs('expiresAt', expiresAt);
    const live = this.findLive(sessionId, now);
    if (!live) return false;
    if (until > now) live.user.revoked.set(tokenId, Math.max(until, live.user.revoked.get(tokenId) ?? 0));
    this.announceRevocation(sessionId, live.user, now);
    return true;
  }

  async revokeTokens(userId: string): Promise<number> {
    const now = this.now();
    const found = this.findUser(userId);
    if (!found) return now + 1;
    this.removeExpired(found.userKey, found.user, now);
    found.user.tokensFrom = Math.max(found.user.tokensFrom, now + 1);
    for (const sid of found.user.sessions.keys()) this.announceRevocation(found.userKey + sid, found.user, now);
    return found.user.tokensFrom;
  }

  async count(): Promise<number> {
    const now = this.now();
    let live = 0;
    for (const user of this.users.values()) {
      for (const { clock } of user.sessions.values()) if (expiryReason(clock, now) === null) live += 1;
    }
    return live;
  }

  async sweep(options: SweepOptions = {}): Promise<number> {
    if ((options.part ?? 0) !== 0) return 0;
    const now = this.now();
    let removed = 0;
    for (const [userKey, user] of [...this.users]) {
      removed += this.removeExpired(userKey, user, now);
      user.tombstones = user.tombstones.filter(({ at }) => now - at < this.options.tombstoneTtl);
      for (const [tokenId, until] of [...user.revoked]) if (until <= now) user.revoked.delete(tokenId);
      if (user.sessions.size === 0 && user.tombstones.length === 0) this.users.delete(userKey);
    }
    return removed;
  }

  now(): number {
    this.latest = Math.max(this.latest, Math.floor(this.clock()));
    return this.latest;
  }

  subscribe(listener: (event: SessionEvent) => void): () => void {
    return this.listeners.add(listener);
  }

  override publish(event: SessionEvent): boolean {
    this.tell(event);
    return true;
  }

  override eventStream(): MemoryEventStream | null {
    return this.stream;
  }

  override history(limits: HistoryLimits): MemorySessionHistory {
    return new MemorySessionHistory(limits, () => this.now());
  }

  override aliases(): MemorySessionAliases {
    return this.ownAliases;
  }

  async ready(): Promise<void> {}

  async close(): Promise<void> {
    this.listeners.clear();
    await this.stream?.close();
  }

  private look(sessionId: string, now: number, options: ReadOptions = {}): SessionSnapshot {
    if (!isSessionId(sessionId)) return { state: 'absent' };
    const user = this.users.get(userKeyOfSession(sessionId));
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
    return {
      state: 'live',
      session: toSession(sessionId, user.userId, { record, clock: stored.clock, profile: user.profile }),
      lineages: { cookie: stored.cookie && copied(stored.cookie), refresh: stored.refresh && copied(stored.refresh) },
      revision: stored.revision,
      tokensFrom: Math.max(user.tokensFrom, stored.clock.tokensFrom),
      tokenRevoked: options.tokenId !== undefined && (user.revoked.get(options.tokenId) ?? 0) > now,
      now,
    };
  }

  private findLive(
    sessionId: string,
    now: number,
  ): { userKey: string; user: StoredUser; stored: StoredSession } | null {
    if (!isSessionId(sessionId)) return null;
    const userKey = userKeyOfSession(sessionId);
    const user = this.users.get(userKey);
    const stored = user?.sessions.get(sidOf(sessionId));
    return user && stored && expiryReason(stored.clock, now) === null ? { userKey, user, stored } : null;
  }

  private findUser(userId: string): { userKey: string; user: StoredUser } | null {
    assertUserId(userId);
    const userKey = userKeyOf(userId, this.options.tenant);
    const user = this.users.get(userKey);
    return user && user.userId === userId ? { userKey, user } : null;
  }

  private liveSessions(userKey: string, user: StoredUser, now: number): Session[] {
    const snapshots = [...user.sessions.keys()].map((sid) => this.look(userKey + sid, now));
    return snapshots.flatMap((snapshot) => (snapshot.state === 'live' ? [snapshot.session] : []));
  }

  private write({ stored, user }: { stored: StoredSession; user: StoredUser }, patch: SessionPatch): void {
    const written = decodeRecord(stored.record) as SessionRecord;
    const record = setsProfile(patch) ? withProfile(written, stored.clock, user.profile) : written;
    stored.record = encodeRecord(patchRecord(record, patch), this.options.maxRecordBytes);
    stored.revision = newRevision();
    if (setsProfile(patch)) stored.clock = { ...stored.clock, profileSeq: profileSeqOf(user.profile) };
  }

  private removeExpired(userKey: string, user: StoredUser, now: number): number {
    let removed = 0;
    for (const [sid, stored] of [...user.sessions]) {
      const reason = expiryReason(stored.clock, now);
      if (!reason) continue;
      this.end(userKey, user, sid, reason, now);
      removed += 1;
    }
    return removed;
  }

  private end(userKey: string, user: StoredUser, sid: string, reason: EndReason, now: number): void {
    user.sessions.delete(sid);
    user.tombstones = [...user.tombstones, { sid, reason, at: now }].slice(-TOMBSTONES_PER_USER);
    this.say({ type: 'ended', at: now, sessionId: userKey + sid, userId: user.userId, remote: false, reason });
  }

  /** A listener may call the store, and must not find an operation half done. */
  private say(event: SessionEvent): void {
    void Promise.resolve().then(() => this.tell(event));
  }

  private tell(event: SessionEvent): void {
    this.stream?.add(event);
    this.listeners.emit(event);
  }

  private announceRevocation(sessionId: string, { userId }: StoredUser, at: number): void {
    this.say({ type: 'changed', at, sessionId, userId, remote: false, cause: 'tokens-revoked' });
  }

  private announceOf(type: PlainEventType, sessionId: string, user: StoredUser, at: number): void {
    this.announce(type, { userKey: userKeyOfSession(sessionId), sid: sidOf(sessionId), userId: user.userId, at });
  }

  private announce(type: PlainEventType, of: { userKey: string; sid: string; userId: string; at: number }): void {
    this.say({ type, at: of.at, sessionId: of.userKey + of.sid, userId: of.userId, remote: false });
  }
}

type PlainEventType = Extract<
  SessionEventType,
  'created' | 'changed' | 'renewed' | 'refreshed' | 'reuse-detected' | 'rotation-lost' | 'limit-reached' | 'new-device'
>;

function newUser(userId: string): StoredUser {
  return {
    userId,
    sessions: new Map(),
    profile: { email: null, roles: null },
    tokensFrom: 0,
    revoked: new Map(),
    tombstones: [],
  };
}

function newRevision(): string {
  return randomBytes(8).toString('base64url');
}

function decoded(stored: StoredSession): SessionRecord | null {
  const record = decodeRecord(stored.record);
  return record instanceof DamagedRecord ? null : record;
}

function isImpersonated(stored: StoredSession): boolean {
  return decoded(stored)?.actor !== undefined;
}

/** Whether a sign-in is on none of the devices of the user's other sessions: told by the device, or else by the client. */
function isNewDevice(others: readonly StoredSession[], deviceHash: Buffer | null, client: Buffer | null): boolean {
  // Sessions on the same device are not among the others: they are replaced.
  if (deviceHash !== null) return others.length > 0;
  const clients = others.flatMap(({ cookie, refresh }) => [cookie?.client, refresh?.client]).filter((known) => known);
  return client !== null && clients.length > 0 && !clients.some((known) => known?.equals(client));
}

function sorted(sessions: Session[]): Session[] {
  return sessions.sort((a, b) => b.lastAccess - a.lastAccess || b.createdAt - a.createdAt || (a.id < b.id ? -1 : 1));
}

function copied(lineage: Lineage): Lineage {
  return {
    ...lineage,
    hash: Buffer.from(lineage.hash),
    client: lineage.client && Buffer.from(lineage.client),
    previous: lineage.previous && { ...lineage.previous, hash: Buffer.from(lineage.previous.hash) },
  };
}

function mayRenew(lineage: Lineage | null, hash: Buffer, now: number): boolean {
  if (!lineage) return false;
  return (
    lineage.hash.equals(hash) ||
    (lineage.previous !== null && lineage.previous.until > now && lineage.previous.hash.equals(hash))
  );
}
