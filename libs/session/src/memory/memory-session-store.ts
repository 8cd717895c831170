// Over 300 lines because it holds every operation of the port, and nothing else.
import { durationMs, epochMs, expiryReason } from '../model/deadlines.js';
import { encodeDeviceKey } from '../model/device-binding.js';
import { endedError, outdatedSignIn, InvalidArgumentError, SessionConflictError } from '../model/errors.js';
import { isOfTenant, withTenant, type SessionEvent } from '../model/events.js';
import { deviceHashOf, isSessionId, newSessionId, sessionIdOf, sidOf, userKeyOf } from '../model/ids.js';
import type { Admission } from '../model/limit.js';
import {
  evaluate,
  familyAfter,
  inUse,
  newTokenFamily,
  redrawn,
  type CredentialKind,
  type TokenFamily,
} from '../model/token-family.js';
import { roleList, text } from '../model/record-fields.js';
import {
  absoluteEnd,
  encodeRecord,
  newRecord,
  patchOf,
  profileSeqOf,
  sessionOnDevice,
  type SessionClock,
} from '../model/record.js';
import { assertPatchData } from '../model/session-data.js';
import type { NewSession, Session, SessionChange, SessionData, UserPatch } from '../model/session.js';
import {
  assertLimit,
  resolveStoreOptions,
  type ResolvedStoreOptions,
  type SessionStoreOptions,
} from '../options/store-options.js';
import { Listeners, type ListenerErrorHandler } from '../ports/listeners.js';
import { TenantEventStream, type SessionEventStream } from '../ports/session-event-stream.js';
import type { HistoryLimits } from '../ports/session-history.js';
import {
  SessionStore,
  type AllTenants,
  type BindOutcome,
  type BindRequest,
  type CreateOptions,
  type DestroyAllOptions,
  type DestroyEverybodyOptions,
  type DestroyOptions,
  type LiveSession,
  type ProveOutcome,
  type ProveRequest,
  type ReadOptions,
  type RegenerateOutcome,
  type RegenerateRequest,
  type RotateOutcome,
  type RotateRequest,
  type SessionScan,
  type SessionSnapshot,
  type SweepOptions,
  type TouchOptions,
} from '../ports/session-store.js';
import { admitPending, type Entrant } from './memory-admission.js';
import { MemoryEventStream } from './memory-event-stream.js';
import { MemorySessionAliases } from './memory-session-aliases.js';
import { MemorySpentProofs } from './memory-spent-proofs.js';
import { MemorySessionHistory } from './memory-session-history.js';
import {
  copied,
  MemoryTenantSessions,
  MOST_REVOKED,
  newRevision,
  sorted,
  type SharedState,
} from './memory-tenant-sessions.js';
import { newUser, type StoredUser } from './stored-user.js';

export interface MemorySessionStoreOptions extends SessionStoreOptions {
  /** Epoch ms. Default: the system clock. Steps back are ignored. */
  clock?: () => number;
  /** Receives errors thrown by event listeners. Default: ignored. */
  onListenerError?: ListenerErrorHandler;
}

/** How long after the last session a sign-in may still arrive that was verified before all sessions were ended, ms. */
const SIGN_IN_WINDOW = 10 * 60_000;

/** Attempts of an update whose own function keeps changing the session. */
const UPDATE_ATTEMPTS = 10;

/**
 * Keeps sessions in this process: for development, tests, and single-process applications that may lose sessions at a
 * restart. Structured like the Redis adapter, by user; every method runs in one turn of the event loop and is therefore
 * atomic. Listeners are called after that turn, and before the caller of the method continues.
 */
export class MemorySessionStore extends SessionStore {
  override readonly tenant: string;
  private readonly options: ResolvedStoreOptions;
  private readonly users: Map<string, StoredUser>;
  private readonly clock: () => number;
  private readonly shared: SharedState;
  private readonly sessions: MemoryTenantSessions;
  private readonly ownStream: TenantEventStream | null;

  /** @param of The store whose data this view shares, for another tenant. */
  constructor(
    options: MemorySessionStoreOptions = {},
    private readonly of: MemorySessionStore | null = null,
  ) {
    super();
    const { clock = Date.now, onListenerError, ...rest } = options;
    this.options = resolveStoreOptions(rest);
    this.tenant = this.options.tenant;
    this.clock = clock;
    this.shared = of?.shared ?? {
      users: new Map(),
      listeners: new Listeners(onListenerError),
      stream: this.options.eventStream && new MemoryEventStream(this.options.eventStream.maxLength),
      aliases: new Map(),
      histories: new Map(),
      spentProofs: null,
      latest: 0,
    };
    this.users = this.shared.users;
    const { maxRecordBytes, deviceBinding } = this.options;
    this.sessions = new MemoryTenantSessions(this.shared, this.tenant, maxRecordBytes, deviceBinding);
    this.ownStream = this.shared.stream && new TenantEventStream(this.shared.stream, this.tenant);
  }

  override forTenant(tenant: string): MemorySessionStore {
    if (tenant === this.tenant) return this;
    return new MemorySessionStore({ ...this.options, clock: this.clock, tenant }, this);
  }

  async createLive<T = SessionData>(input: NewSession<T>, options: CreateOptions = {}): Promise<LiveSession> {
    const now = this.now();
    const { userId } = input;
    const userKey = userKeyOf(userId, this.tenant);
    const limit = options.limit ?? this.options.limit;
    assertLimit(limit);
    const { replaces } = options;
    const admission: Admission = { limit, ...(isSessionId(replaces) && { replaces }) };
    const record = newRecord(input as NewSession, admission);
    const json = encodeRecord(record, this.options.maxRecordBytes);
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

    const user = this.users.get(userKey) ?? newUser(userId, this.tenant);
    if (user.userId !== userId || user.tenant !== this.tenant) throw new Error('two user ids share one 96-bit address');
    const verifiedAt = options.verifiedAt === undefined ? Infinity : epochMs('verifiedAt', options.verifiedAt);
    this.sessions.removeExpired(userKey, user, now);
    const id = options.sid === undefined ? newSessionId(userKey) : sessionIdOf(userKey, options.sid);
    const standing = this.sessions.look(id, now);
    if (standing.state === 'live') return standing;
    if (standing.state === 'ended') throw endedError(standing.reason);
    if (verifiedAt < user.verifiedFrom) throw outdatedSignIn();
    const deviceHash = record.deviceId === undefined ? null : deviceHashOf(record.deviceId);
    const entrant: Entrant = {
      id,
      deviceHash,
      deviceType: record.deviceType ?? 'unknown',
      client: options.client ?? null,
      actor: record.actor !== undefined,
    };
    const waits = record.pending === true && !record.actor;
    const admitted = waits
      ? admitPending([...user.sessions])
      : this.sessions.admit(userKey, user, entrant, admission, now);

    this.users.set(userKey, user);
    const { cookie, refresh } = options.credentials ?? {};
    user.sessions.set(sidOf(id), {
      record: json,
      clock: { ...clock, profileSeq: profileSeqOf(user.profile) },
      revision: newRevision(),
      deviceHash,
      cookie: cookie ? copied(newTokenFamily(cookie, now, options.client)) : null,
      refresh: refresh ? copied(newTokenFamily(refresh, now, options.client)) : null,
      binding: null,
      challengedAt: 0,
    });
    this.sessions.announce('created', { userKey, sid: sidOf(id), userId, at: now });
    this.sessions.carryOut(admitted, id, user, now);
    return this.sessions.look(id, now) as LiveSession;
  }

  async read(sessionId: string, options: ReadOptions = {}): Promise<SessionSnapshot> {
    return this.sessions.look(sessionId, this.now(), options);
  }

  async get<T = SessionData>(sessionId: string): Promise<Session<T> | null> {
    const snapshot = this.sessions.look(sessionId, this.now());
    return snapshot.state === 'live' ? (snapshot.session as Session<T>) : null;
  }

  async getActiveSessions<T = SessionData>(userId: string): Promise<Session<T>[]> {
    const found = this.sessions.findUser(userId);
    return found ? (sorted(this.sessions.liveSessions(found.userKey, found.user, this.now())) as Session<T>[]) : [];
  }

  async findByDevice<T = SessionData>(userId: string, deviceId: string): Promise<Session<T> | null> {
    const sessions = await this.getActiveSessions<T>(userId);
    return sessionOnDevice(sessions, deviceId);
  }

  async touch(sessionId: string, options: TouchOptions = {}): Promise<boolean> {
    const now = this.now();
    const live = this.sessions.findLive(sessionId, now);
    if (!live) return false;
    const { clock } = live.stored;
    const idleTimeout =
      options.idleTimeout === undefined ? clock.idleTimeout : durationMs('idleTimeout', options.idleTimeout);
    live.stored.clock = { ...clock, lastAccess: options.slide === false ? clock.lastAccess : now, idleTimeout };
    const { used } = options;
    const family = used && live.stored[used.kind];
    if (used && family?.branch === used.branch) live.stored[used.kind] = inUse(family);
    return true;
  }

  async update<T = SessionData>(sessionId: string, change: SessionChange<NoInfer<T>>): Promise<Session<T> | null> {
    assertPatchData(change, this.options.maxRecordBytes);
    for (let attempt = 0; attempt < UPDATE_ATTEMPTS; attempt += 1) {
      const snapshot = this.sessions.look(sessionId, this.now());
      if (snapshot.state !== 'live') return null;
      const patch = patchOf(change as SessionChange, snapshot.session);
      // The function may have called the store.
      const now = this.now();
      const live = this.sessions.findLive(sessionId, now);
      if (!live) return null;
      if (live.stored.revision !== snapshot.revision) continue;
      const admitted = this.sessions.readmit(sessionId, live, patch, undefined, now);
      this.sessions.write(live, patch);
      this.sessions.announceOf('changed', sessionId, live.user, now);
      this.sessions.carryOut(admitted, sessionId, live.user, now);
      return (this.sessions.look(sessionId, now) as LiveSession).session as Session<T>;
    }
    throw new SessionConflictError();
  }

  async updateUser(userId: string, patch: UserPatch): Promise<number> {
    const now = this.now();
    const found = this.sessions.findUser(userId);
    const email = patch.email === undefined ? null : text('email', patch.email);
    const roles = patch.roles === undefined ? null : roleList(patch.roles);
    if (!found) return 0;
    this.sessions.removeExpired(found.userKey, found.user, now);
    const seq = profileSeqOf(found.user.profile) + 1;
    if (email !== null) found.user.profile.email = { value: email, seq };
    if (roles !== null) found.user.profile.roles = { value: roles, seq };
    for (const sid of found.user.sessions.keys()) {
      this.sessions.announce('changed', { userKey: found.userKey, sid, userId, at: now });
    }
    return found.user.sessions.size;
  }

  async rotate(sessionId: string, request: RotateRequest): Promise<RotateOutcome> {
    const now = this.now();
    const snapshot = this.sessions.look(sessionId, now);
    if (snapshot.state !== 'live') return snapshot;
    const live = this.sessions.findLive(sessionId, now);
    const family = live?.stored[request.kind];
    const verdict = evaluate(family ?? null, request.presented, now, request);
    if (verdict === 'unknown' || !live || !family) return { state: 'unknown' };
    const { stored, user, userKey } = live;
    if (verdict === 'reuse') {
      this.sessions.announceOf('reuse-detected', sessionId, user, now);
      this.sessions.end(userKey, user, sidOf(sessionId), 'reuse', now);
      return { state: 'reuse' };
    }
    const next = copied(familyAfter(family, verdict, request.presented, now));
    stored[request.kind] = next;
    if (verdict === 'advance') this.sessions.announceOf('rotation-lost', sessionId, user, now);
    if (request.touch) stored.clock = { ...stored.clock, lastAccess: now };
    if (request.kind === 'refresh') this.sessions.announceOf('refreshed', sessionId, user, now);
    const after = this.sessions.look(sessionId, now) as LiveSession;
    return { state: STATE[verdict], generation: next.generation, branch: next.branch, live: after };
  }

  async regenerate(sessionId: string, request: RegenerateRequest): Promise<RegenerateOutcome> {
    const now = this.now();
    const snapshot = this.sessions.look(sessionId, now);
    if (snapshot.state !== 'live') return snapshot;
    const live = this.sessions.findLive(sessionId, now);
    if (!live) return { state: 'absent' };
    const { stored } = live;
    if (request.presented && !mayRegenerate(stored[request.presented.kind], request.presented.hash, now)) {
      return { state: 'unknown' };
    }
    const admitted = this.sessions.readmit(sessionId, live, request.patch ?? {}, request.replaces, now);
    if (request.patch) this.sessions.write(live, request.patch);
    for (const kind of ['cookie', 'refresh'] as const satisfies CredentialKind[]) {
      const hash = request.credentials[kind];
      const family = stored[kind];
      if (hash && family) stored[kind] = copied(redrawn(family, hash, now, request.repeatableFor));
    }
    stored.revision = newRevision();
    stored.clock = {
      ...stored.clock,
      lastAccess: now,
      tokensFrom: now + 1,
      authenticatedAt: request.freshen ? now : stored.clock.authenticatedAt,
    };
    this.sessions.announceOf('regenerated', sessionId, live.user, now);
    this.sessions.carryOut(admitted, sessionId, live.user, now);
    return this.sessions.look(sessionId, now);
  }

  override async bindDevice(sessionId: string, { key, challengedAt }: BindRequest): Promise<BindOutcome> {
    encodeDeviceKey(key);
    const now = this.now();
    const snapshot = this.sessions.look(sessionId, now);
    const live = this.sessions.findLive(sessionId, now);
    if (snapshot.state !== 'live' || !live) return snapshot.state === 'live' ? { state: 'absent' } : snapshot;
    const { authenticatedAt } = live.stored.clock;
    const isTaken = live.stored.binding !== null && live.stored.binding.boundAt >= authenticatedAt;
    if (isTaken || challengedAt < authenticatedAt) return { state: 'refused' };
    const { algorithm, thumbprint, publicKey } = key;
    live.stored.binding = { algorithm, thumbprint, publicKey, boundAt: now };
    live.stored.challengedAt = 0;
    this.sessions.announceOf('bound', sessionId, live.user, now);
    return this.sessions.look(sessionId, now);
  }

  override async proveDevice(sessionId: string, request: ProveRequest): Promise<ProveOutcome> {
    const now = this.now();
    const snapshot = this.sessions.look(sessionId, now);
    const stored = this.sessions.findLive(sessionId, now)?.stored;
    if (snapshot.state !== 'live' || !stored) return snapshot.state === 'live' ? { state: 'absent' } : snapshot;
    if (stored.binding?.thumbprint !== request.thumbprint) return { state: 'refused' };
    if (request.challengedAt <= stored.challengedAt) return { state: 'spent' };
    stored.challengedAt = request.challengedAt;
    return { state: 'proven' };
  }

  async destroy(sessionId: string, options: DestroyOptions = {}): Promise<boolean> {
    const now = this.now();
    const live = this.sessions.findLive(sessionId, now);
    if (!live || (options.userId !== undefined && options.userId !== live.user.userId)) return false;
    this.sessions.end(live.userKey, live.user, sidOf(sessionId), options.reason ?? 'logout', now);
    return true;
  }

  async destroyAll(userId: string, options: DestroyAllOptions = {}): Promise<number> {
    const now = this.now();
    const found =
      this.sessions.findUser(userId) ?? (options.refuseEarlierSignIns === true ? this.sessions.addUser(userId) : null);
    if (!found) return 0;
    const { user, userKey } = found;
    this.sessions.removeExpired(userKey, user, now);
    const deviceHash = options.deviceId === undefined ? null : deviceHashOf(options.deviceId);
    let ended = 0;
    for (const [sid, stored] of [...user.sessions]) {
      if (userKey + sid === options.except) continue;
      if (deviceHash && stored.deviceHash?.equals(deviceHash) !== true) continue;
      this.sessions.end(userKey, user, sid, options.reason ?? 'logout', now);
      ended += 1;
    }
    if (options.refuseEarlierSignIns === true) {
      // A proof of this very millisecond was verified before; the next one gets the next millisecond.
      this.shared.latest = now + 1;
      user.verifiedFrom = this.shared.latest;
      user.leftAt = now;
    }
    return ended;
  }

  async destroyEverybody(options: DestroyEverybodyOptions = {}): Promise<{ ended: number; cursor: number | null }> {
    const now = this.now();
    const createdBefore = options.createdBefore ?? now;
    let ended = 0;
    for (const [userKey, user] of [...this.users]) {
      if (user.tenant !== this.tenant) continue;
      this.sessions.removeExpired(userKey, user, now);
      for (const [sid, stored] of [...user.sessions]) {
        if (stored.clock.createdAt > createdBefore) continue;
        this.sessions.end(userKey, user, sid, options.reason ?? 'admin', now);
        ended += 1;
      }
    }
    return { ended, cursor: null };
  }

  async revokeToken(sessionId: string, tokenId: string, expiresAt: number): Promise<boolean> {
    const now = this.now();
    const until = epochMs('expiresAt', expiresAt);
    const live = this.sessions.findLive(sessionId, now);
    if (!live) return false;
    if (until > now) live.user.revoked.set(tokenId, Math.max(until, live.user.revoked.get(tokenId) ?? 0));
    if (live.user.revoked.size > MOST_REVOKED) this.sessions.raiseCutoff(live.userKey, live.user, now);
    this.sessions.announceRevocation(sessionId, live.user, now);
    return true;
  }

  async revokeTokens(userId: string): Promise<number> {
    const now = this.now();
    const found = this.sessions.findUser(userId);
    if (!found) return now + 1;
    this.sessions.removeExpired(found.userKey, found.user, now);
    found.user.tokensFrom = Math.max(found.user.tokensFrom, now + 1);
    for (const sid of found.user.sessions.keys())
      this.sessions.announceRevocation(found.userKey + sid, found.user, now);
    return found.user.tokensFrom;
  }

  async count(): Promise<number> {
    return this.countOf(({ tenant }) => tenant === this.tenant);
  }

  private countOf(isCounted: (user: StoredUser) => boolean): number {
    const now = this.now();
    let live = 0;
    for (const user of this.users.values()) {
      if (!isCounted(user)) continue;
      for (const { clock } of user.sessions.values()) if (expiryReason(clock, now) === null) live += 1;
    }
    return live;
  }

  /** All at once: they are in this process already. */
  override async scanSessions(): Promise<SessionScan> {
    const now = this.now();
    const sessions: Session[] = [];
    for (const [userKey, user] of this.users) {
      if (user.tenant === this.tenant) sessions.push(...this.sessions.liveSessions(userKey, user, now));
    }
    return { sessions, cursor: null, progress: 1 };
  }

  async sweep(options: SweepOptions = {}): Promise<number> {
    if ((options.part ?? 0) !== 0) return 0;
    const now = this.now();
    let removed = 0;
    for (const [userKey, user] of [...this.users]) {
      removed += this.sessions.removeExpired(userKey, user, now);
      user.tombstones = user.tombstones.filter(({ at }) => now - at < this.options.tombstoneTtl);
      for (const [tokenId, until] of [...user.revoked]) if (until <= now) user.revoked.delete(tokenId);
      const isRefusing = user.verifiedFrom > 0 && now - user.leftAt < SIGN_IN_WINDOW;
      if (user.sessions.size === 0 && user.tombstones.length === 0 && !isRefusing) this.users.delete(userKey);
    }
    return removed;
  }

  now(): number {
    this.shared.latest = Math.max(this.shared.latest, Math.floor(this.clock()));
    return this.shared.latest;
  }

  subscribe(listener: (event: SessionEvent) => void): () => void {
    return this.shared.listeners.add((event) => (isOfTenant(event, this.tenant) ? listener(event) : undefined));
  }

  override allTenants(): AllTenants {
    const { listeners, stream } = this.shared;
    return {
      subscribe: (listener) => listeners.add(listener),
      eventStream: () => stream,
      count: async () => this.countOf(() => true),
    };
  }

  override publish(event: SessionEvent): boolean {
    this.sessions.tell(withTenant(event, this.tenant));
    return true;
  }

  override eventStream(): SessionEventStream | null {
    return this.ownStream;
  }

  override history(limits: HistoryLimits): MemorySessionHistory {
    const { histories } = this.shared;
    const own = histories.get(this.tenant) ?? new MemorySessionHistory(limits, () => this.now());
    histories.set(this.tenant, own);
    return own;
  }

  override aliases(): MemorySessionAliases {
    const { aliases } = this.shared;
    const own = aliases.get(this.tenant) ?? new MemorySessionAliases({ clock: () => this.now() });
    aliases.set(this.tenant, own);
    return own;
  }

  /** One for all tenants, whose names are part of what is digested. */
  override spentProofs(): MemorySpentProofs {
    this.shared.spentProofs ??= new MemorySpentProofs({ clock: () => this.now() });
    return this.shared.spentProofs;
  }

  async ready(): Promise<void> {}

  async close(): Promise<void> {
    if (this.of) return;
    this.shared.listeners.clear();
    await this.shared.stream?.close();
  }
}

/** The outcome of each verdict that takes effect. */
const STATE = {
  rotate: 'rotated',
  keep: 'kept',
  repeat: 'repeated',
  branch: 'branched',
  advance: 'advanced',
} as const;

function mayRegenerate(family: TokenFamily | null, hash: Buffer, now: number): boolean {
  if (!family) return false;
  return (
    family.hash.equals(hash) ||
    (family.previous !== null && family.previous.until > now && family.previous.hash.equals(hash))
  );
}
