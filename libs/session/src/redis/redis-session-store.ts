// Over 300 lines because it implements the whole port; the longer parts are in the files beside it.
import { durationMs, epochMs } from '../model/deadlines.js';
import { encodeDeviceKey } from '../model/device-binding.js';
import {
  InvalidArgumentError,
  SessionConflictError,
  SessionLimitError,
  StoreUnavailableError,
} from '../model/errors.js';
import { concernsAllTenants, isOfTenant, withTenant, type SessionEvent } from '../model/events.js';
import {
  isSessionId,
  isWellFormed,
  newSessionId,
  sessionIdOf,
  sidOf,
  userKeyOf,
  userKeyOfSession,
} from '../model/ids.js';
import { reachedLimit, type SessionLimit } from '../model/limit.js';
import { roleList, text } from '../model/record-fields.js';
import { encodeRecord, newRecord, patchOf, sessionOnDevice } from '../model/record.js';
import { assertPatchData } from '../model/session-data.js';
import type { NewSession, Session, SessionChange, SessionData, UserPatch } from '../model/session.js';
import { assertTenant } from '../model/tenant.js';
import { assertLimit, type ResolvedStoreOptions } from '../options/store-options.js';
import type { HearingWatch } from '../ports/hearing-watch.js';
import type { SessionAliases } from '../ports/session-aliases.js';
import { StoreWait } from '../ports/store-wait.js';
import { TenantEventStream, type SessionEventStream } from '../ports/session-event-stream.js';
import type { HistoryLimits, SessionHistory } from '../ports/session-history.js';
import type { SpentProofs } from '../ports/spent-proofs.js';
import {
  SessionStore,
  type AllTenants,
  type BindOutcome,
  type BindRequest,
  type CallOptions,
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
  type ScanOptions,
  type SessionScan,
  type SessionScanOptions,
  type SessionSnapshot,
  type SweepOptions,
  type StoreFinding,
  type SweepStep,
  type TouchOptions,
} from '../ports/session-store.js';
import { AllSessions } from './all-sessions.js';
import { AllUsers } from './all-users.js';
import { ANY_TENANT, RedisKeys, type UserKeys } from './keys.js';
import type { RedisConnection } from './connection/redis-connection.js';
import { LEAP } from './connection/redis-clock.js';
import type { ReplicatedWrites } from './connection/replicated-writes.js';
import type { RedisClient } from '../options/redis-option.js';
import type { OpenConnection, OpenStoreParts } from './connection/open-connection.js';
import { RedisSessionAliases } from './redis-session-aliases.js';
import { RedisSpentProofs } from './redis-spent-proofs.js';
import type { RedisEventChannel } from './events/redis-event-channel.js';
import { isFoundOut } from './events/wire-format.js';
import { RedisSessionHistory } from './redis-session-history.js';
import { sidOfUser, type CreateArguments, type ReachedLimit, type RedisScripts } from './redis-scripts.js';
import { SENT_AT } from './script-runner.js';
import { SessionReader } from './session-reader.js';
import type { RedisSessionStoreOptions } from './redis-session-store-options.js';
import { SharedStoreParts } from './shared-store-parts.js';
import { type UnrecordedAccesses } from './unrecorded-accesses.js';
import { rewritten, sessionsIn, snapshotOf, type StoredSnapshot } from './user-record.js';

export type { RedisSessionStoreOptions } from './redis-session-store-options.js';

/** Attempts of a write that competes with other processes for the same session. */
const WRITE_ATTEMPTS = 64;
/** How long a sign-in may take after its proof was verified, ms: the window of lua/include/ends.lua. */
const SIGN_IN_WINDOW = 600_000;

/**
 * Keeps sessions on Redis 6.2 or later, or Valkey; one server, Sentinel or Cluster.
 *
 * `docs/redis.md` lists the keys, and the fields of a user's hash.
 *
 * A read is one HMGET (a session) or one HGETALL (a user's list). A write to one user is one script; `lua/` holds the
 * scripts and says why each must be atomic. Time is the server's.
 */
export class RedisSessionStore extends SessionStore {
  override readonly tenant: string;
  private readonly options: ResolvedStoreOptions;
  private readonly keys: RedisKeys;
  private readonly connection: RedisConnection;
  private readonly scripts: RedisScripts;
  private readonly channel: RedisEventChannel;
  private readonly stream: TenantEventStream | null;
  private readonly timeShift: () => number;
  /** Null: the servers are not checked. */
  private readonly strict: boolean | null;
  private readonly replicated: ReplicatedWrites | null;
  private readonly reader: SessionReader;
  private readonly allUsers: AllUsers;
  private readonly allSessions: AllSessions;
  private readonly unrecorded: UnrecordedAccesses;
  private readonly shared: SharedStoreParts;
  /** Closing a view of another tenant closes nothing. */
  private readonly isView: boolean;
  private ownAliases: RedisSessionAliases | null = null;
  private ownSpentProofs: RedisSpentProofs | null = null;

  /**
   * Adopts a client (which stays open when the store closes), takes an open connection, or shares the parts of another
   * tenant's view.
   */
  constructor(redis: RedisClient | OpenConnection | OpenStoreParts, options: RedisSessionStoreOptions = {}) {
    super();
    this.isView = redis instanceof SharedStoreParts;
    this.shared =
      redis instanceof SharedStoreParts ? redis : new SharedStoreParts(redis as RedisClient | OpenConnection, options);
    const { connection, channel, scripts, timeShift, stream, strict, replicated } = this.shared;
    this.options = { ...this.shared.options, tenant: options.tenant ?? '' };
    assertTenant(this.options.tenant);
    this.tenant = this.options.tenant;
    this.connection = connection;
    this.channel = channel;
    this.scripts = scripts;
    this.timeShift = timeShift;
    this.strict = strict;
    this.replicated = replicated;
    this.unrecorded = this.shared.unrecorded;
    this.keys = new RedisKeys(this.shared.keyPrefix, this.tenant);
    this.stream = stream && new TenantEventStream(stream, this.tenant);
    this.reader = new SessionReader(
      connection,
      this.keys,
      timeShift,
      (event) => channel.emit(event),
      (sessionId) => this.unrecorded.of(sessionId),
      this.options.deviceBinding,
    );
    this.allUsers = new AllUsers(connection, this.keys, scripts, timeShift, this.shared.buckets);
    this.allSessions = new AllSessions(connection, this.shared.buckets, this.reader);
  }

  override forTenant(tenant: string): RedisSessionStore {
    return tenant === this.tenant ? this : new RedisSessionStore(this.shared, { tenant });
  }

  /** Prefix of every key. */
  get keyPrefix(): string {
    return this.shared.keyPrefix;
  }

  /** Number of messages on the channel that this library did not publish. */
  get ignoredMessages(): number {
    return this.channel.ignored;
  }

  async createLive<T = SessionData>(input: NewSession<T>, options: CreateOptions = {}): Promise<LiveSession> {
    const { userId } = input;
    const keys = this.keys.ofUser(userId);
    const limit = options.limit ?? this.options.limit;
    assertLimit(limit);
    const { replaces } = options;
    const record = newRecord(input as NewSession, { limit, ...(isSessionId(replaces) && { replaces }) });
    const json = encodeRecord(record, this.options.maxRecordBytes);
    const id = options.sid === undefined ? newSessionId(keys.userKey) : sessionIdOf(keys.userKey, options.sid);
    const args: CreateArguments = {
      userId,
      sid: sidOf(id),
      record: json,
      deviceId: record.deviceId,
      deviceType: record.deviceType,
      uncounted: record.actor ? 'actor' : record.pending === true ? 'pending' : null,
      idleTimeout: durationMs('idleTimeout', options.idleTimeout ?? this.options.idleTimeout),
      absoluteTimeout: durationMs('absoluteTimeout', options.absoluteTimeout ?? this.options.absoluteTimeout),
      expiresAt: input.expiresAt === undefined ? null : epochMs('expiresAt', input.expiresAt),
      limit,
      replaces: sidOfUser(keys, replaces),
      cookie: options.credentials?.cookie,
      refresh: options.credentials?.refresh,
      client: options.client,
      verifiedAt: options.verifiedAt === undefined ? null : epochMs('verifiedAt', options.verifiedAt),
    };
    const { wait = new StoreWait() } = options;
    const reply = await wait.during(async () => {
      if (this.tenant !== '') await this.shared.noteTenants(wait);
      return this.scripts.createSession(keys, args, wait);
    });
    if (reply.state === 'limit') throw limitError(keys, reply, limit);
    const { snapshot } = snapshotOf(id, reply.values, this.asOf(reply));
    if (snapshot.state !== 'live') {
      throw new StoreUnavailableError(undefined, {
        cause: new Error(`the session that stands there reads as ${snapshot.state}`),
      });
    }
    return snapshot;
  }

  read(sessionId: string, options: ReadOptions = {}): Promise<SessionSnapshot> {
    return this.reader.read(sessionId, options);
  }

  async get<T = SessionData>(sessionId: string): Promise<Session<T> | null> {
    const snapshot = await this.reader.read(sessionId);
    return snapshot.state === 'live' ? (snapshot.session as Session<T>) : null;
  }

  async getActiveSessions<T = SessionData>(userId: string): Promise<Session<T>[]> {
    return (await this.reader.list(userId)) as Session<T>[];
  }

  async findByDevice<T = SessionData>(userId: string, deviceId: string): Promise<Session<T> | null> {
    const sessions = await this.getActiveSessions<T>(userId);
    return sessionOnDevice(sessions, deviceId);
  }

  async touch(sessionId: string, options: TouchOptions = {}): Promise<boolean> {
    if (!isSessionId(sessionId)) return false;
    const idleTimeout = options.idleTimeout === undefined ? undefined : durationMs('idleTimeout', options.idleTimeout);
    const keys = this.keys.ofSession(sessionId);
    const wait = new StoreWait();
    const at = (await wait.during(() => this.connection.clockFor(keys.slot, wait))).now() + this.timeShift();
    try {
      const touched = await wait.during(async () => {
        await this.unrecorded.settle(sessionId, wait);
        return this.scripts.touchSession(keys, sidOf(sessionId), { ...options, idleTimeout }, wait);
      });
      this.unrecorded.recorded(sessionId);
      return touched;
    } catch (error) {
      if (options.slide !== false) this.unrecorded.failed(sessionId, at, error);
      throw error;
    }
  }

  async update<T = SessionData>(
    sessionId: string,
    change: SessionChange<NoInfer<T>>,
    { wait = new StoreWait() }: CallOptions = {},
  ): Promise<Session<T> | null> {
    assertPatchData(change, this.options.maxRecordBytes);
    if (!isSessionId(sessionId)) return null;
    const work = async (): Promise<Session<T> | null> => {
      await this.unrecorded.settle(sessionId, wait);
      let seen = await this.reader.look(sessionId, { wait });
      const keys = this.keys.ofSession(sessionId);
      for (let attempt = 0; attempt < WRITE_ATTEMPTS; attempt += 1) {
        const { snapshot } = seen;
        if (snapshot.state !== 'live') return null;
        // A copy, because the function may change its argument.
        const patch = patchOf(change as SessionChange, structuredClone(snapshot.session));
        const write = rewritten(seen, patch, this.options);
        const reply = await this.scripts.updateSession(keys, { sid: sidOf(sessionId), ...write }, wait);
        if (reply.state === 'absent') return null;
        if (reply.state === 'limit') throw limitError(keys, reply, write.standing?.admission?.limit);
        seen = snapshotOf(sessionId, reply.values, this.asOf(reply));
        if (reply.state === 'updated')
          return seen.snapshot.state === 'live' ? (seen.snapshot.session as Session<T>) : null;
        await jitter(attempt);
      }
      throw new SessionConflictError();
    };
    return wait.during(() => this.shared.updates.run(sessionId, work));
  }

  async updateUser(userId: string, patch: UserPatch): Promise<number> {
    const keys = this.keys.ofUser(userId);
    return this.scripts.updateUser(keys, userId, {
      email: patch.email === undefined ? null : text('email', patch.email),
      roles: patch.roles === undefined ? null : roleList(patch.roles),
    });
  }

  async rotate(sessionId: string, request: RotateRequest): Promise<RotateOutcome> {
    if (!isSessionId(sessionId)) return { state: 'absent' };
    const { wait = new StoreWait() } = request;
    const reply = await wait.during(async () => {
      await this.unrecorded.settle(sessionId, wait);
      return this.scripts.rotateCredential(this.keys.ofSession(sessionId), sidOf(sessionId), request, wait);
    });
    if (reply.state === 'unknown' || reply.state === 'reuse') return { state: reply.state };
    const { snapshot } = this.reader.noticed(sessionId, snapshotOf(sessionId, reply.values, this.asOf(reply)));
    if (snapshot.state !== 'live') return snapshot;
    const family = snapshot.families[request.kind];
    if (reply.state === 'absent' || !family) return { state: 'absent' };
    return { state: reply.state, generation: family.generation, branch: family.branch, live: snapshot };
  }

  async regenerate(sessionId: string, request: RegenerateRequest): Promise<RegenerateOutcome> {
    if (!isSessionId(sessionId)) return { state: 'absent' };
    const { wait = new StoreWait() } = request;
    return wait.during(() => this.regenerateWithin(wait, sessionId, request));
  }

  private async regenerateWithin(
    wait: StoreWait,
    sessionId: string,
    request: RegenerateRequest,
  ): Promise<RegenerateOutcome> {
    await this.unrecorded.settle(sessionId, wait);
    const { patch } = request;
    const keys = this.keys.ofSession(sessionId);
    let seen: StoredSnapshot | null = patch ? await this.reader.look(sessionId, { wait }) : null;
    for (let attempt = 0; attempt < WRITE_ATTEMPTS; attempt += 1) {
      if (seen && seen.snapshot.state !== 'live') return seen.snapshot;
      const write =
        patch && seen
          ? rewritten(seen, patch, { ...this.options, replaces: request.replaces })
          : { record: null, from: '', profileSeq: null, standing: null };
      const reply = await this.scripts.regenerateSession(keys, { sid: sidOf(sessionId), ...write }, request, wait);
      if (reply.state === 'unknown') return { state: 'unknown' };
      if (reply.state === 'limit') throw limitError(keys, reply, write.standing?.admission?.limit);
      seen = this.reader.noticed(sessionId, snapshotOf(sessionId, reply.values, this.asOf(reply)));
      if (reply.state !== 'conflict') return seen.snapshot;
      await jitter(attempt);
    }
    throw new SessionConflictError();
  }

  override async bindDevice(sessionId: string, { key, challengedAt, wait }: BindRequest): Promise<BindOutcome> {
    const text = encodeDeviceKey(key);
    if (!isSessionId(sessionId)) return { state: 'absent' };
    const keys = this.keys.ofSession(sessionId);
    const reply = await this.scripts.bindDevice(keys, sidOf(sessionId), { key: text, challengedAt }, wait);
    if (reply.state === 'refused') return { state: 'refused' };
    return this.reader.noticed(sessionId, snapshotOf(sessionId, reply.values, this.asOf(reply))).snapshot;
  }

  override async proveDevice(sessionId: string, request: ProveRequest): Promise<ProveOutcome> {
    if (!isSessionId(sessionId)) return { state: 'absent' };
    const reply = await this.scripts.proveDevice(this.keys.ofSession(sessionId), sidOf(sessionId), request);
    if (reply.state !== 'absent') return { state: reply.state };
    const { snapshot } = snapshotOf(sessionId, reply.values, this.asOf(reply));
    return snapshot.state === 'live' ? { state: 'absent' } : snapshot;
  }

  async destroy(sessionId: string, options: DestroyOptions = {}): Promise<boolean> {
    if (!isSessionId(sessionId)) return false;
    if (options.userId !== undefined && (typeof options.userId !== 'string' || options.userId === '')) return false;
    const args = { userId: options.userId, reason: options.reason ?? 'logout', sids: [sidOf(sessionId)] } as const;
    const { ended } = await this.scripts.endSessions(this.keys.ofSession(sessionId), args, options.wait);
    return ended > 0;
  }

  async destroyAll(userId: string, options: DestroyAllOptions = {}): Promise<number> {
    const keys = this.keys.ofUser(userId);
    const args = {
      userId,
      // One ms later than now: a proof of this very millisecond was verified before.
      verifiedFrom: options.refuseEarlierSignIns === true ? this.now() + 1 : undefined,
      reason: options.reason ?? 'logout',
      createdBefore: SENT_AT,
      exceptSid: sidOfUser(keys, options.except),
      deviceId: options.deviceId === undefined ? undefined : text('deviceId', options.deviceId),
    } as const;
    const { ended, verifiedFrom } = await this.scripts.endSessions(keys, args, options.wait);
    this.shared.latest = Math.max(this.shared.latest, verifiedFrom);
    if (verifiedFrom > 0) {
      const again = { ...args, verifiedFrom, createdBefore: verifiedFrom };
      this.remember(`sign-ins of ${keys.userKey}`, async () =>
        this.now() - verifiedFrom < SIGN_IN_WINDOW ? (await this.scripts.endSessions(keys, again)).ended : 0,
      );
    }
    return ended;
  }

  async destroyEverybody(options: DestroyEverybodyOptions = {}): Promise<{ ended: number; cursor: number | null }> {
    return this.allUsers.end(options);
  }

  async revokeToken(sessionId: string, tokenId: string, expiresAt: number): Promise<boolean> {
    if (!isSessionId(sessionId)) return false;
    const until = epochMs('expiresAt', expiresAt);
    if (text('tokenId', tokenId) === '' || !isWellFormed(tokenId)) {
      throw new InvalidArgumentError('tokenId', 'must be a non-empty, well-formed string');
    }
    const revoke = async (): Promise<boolean> =>
      this.scripts.revokeToken(this.keys.ofSession(sessionId), sidOf(sessionId), tokenId, until);
    const revoked = await revoke();
    if (revoked)
      this.remember(`token ${tokenId} of ${sessionId}`, async () => {
        await revoke();
        return 0;
      });
    return revoked;
  }

  async revokeTokens(userId: string): Promise<number> {
    const keys = this.keys.ofUser(userId);
    const cutoff = await this.scripts.revokeTokens(keys, userId);
    this.remember(`tokens of ${keys.userKey}`, async () => {
      await this.scripts.revokeTokens(keys, userId, cutoff);
      return 0;
    });
    return cutoff;
  }

  async count(): Promise<number> {
    return this.allUsers.count();
  }

  override async countPart(options: ScanOptions = {}): Promise<{ count: number; cursor: number | null }> {
    return this.allUsers.countPart(options);
  }

  override async scanSessions(options: SessionScanOptions = {}): Promise<SessionScan> {
    return this.allSessions.scan(options);
  }

  async sweep(options: SweepOptions = {}): Promise<number> {
    return this.allUsers.sweep(options);
  }

  override async sweepStep(step: SweepStep): Promise<number> {
    return this.shared.sweep.step(step);
  }

  override async stopSweeping(): Promise<void> {
    await this.shared.sweep.stop();
  }

  override aliases(): SessionAliases {
    this.ownAliases ??= new RedisSessionAliases(this.connection, this.keys);
    return this.ownAliases;
  }

  override spentProofs(): SpentProofs {
    this.ownSpentProofs ??= new RedisSpentProofs(this.connection, this.keys);
    return this.ownSpentProofs;
  }

  now(): number {
    const estimate = this.connection.now() + this.timeShift();
    // A proof verified after all sessions were ended must not appear to be earlier.
    const { latest } = this.shared;
    return latest > estimate && latest - estimate <= LEAP ? latest : estimate;
  }

  subscribe(listener: (event: SessionEvent) => void): () => void {
    const concerns = (event: SessionEvent): boolean => concernsAllTenants(event) || isOfTenant(event, this.tenant);
    return this.channel.subscribe((event) => (concerns(event) ? listener(event) : undefined));
  }

  override async diagnose(): Promise<readonly StoreFinding[]> {
    const { findings } = await this.connection.diagnose(this.keys.probe, this.channel.name);
    return findings.map(({ level, text }) => ({ level, text }));
  }

  override onGap(listener: () => void): () => void {
    return this.channel.onGap(listener);
  }

  override watchHearing(watch: HearingWatch): () => void {
    return this.channel.watchHearing(watch);
  }

  override flushEvents(): void {
    this.channel.flush();
  }

  override allTenants(): AllTenants {
    return {
      subscribe: (listener) => this.channel.subscribe(listener),
      eventStream: () => this.shared.stream,
      count: () => this.allUsers.countAllTenants(),
    };
  }

  override publish(found: SessionEvent): boolean {
    const event = withTenant(found, this.tenant);
    this.channel.emit(event);
    if (isFoundOut(event)) {
      // The caller must not wait for Redis, and its request must not fail. The connection has logged the error.
      this.scripts.announceEvent(this.keys.ofUserKey(userKeyOfEvent(event), ANY_TENANT), event).catch(() => undefined);
    }
    return true;
  }

  override eventStream(): SessionEventStream | null {
    return this.stream;
  }

  override history(limits: HistoryLimits): SessionHistory {
    return new RedisSessionHistory(this.connection, this.keys, limits, this.timeShift);
  }

  async ready(): Promise<void> {
    await this.connection.ready();
    if (this.strict !== null) await this.connection.checkServers(this.keys.probe, this.channel.name, this.strict);
    if (this.channel.isHeard) await this.connection.untilDone(this.channel.listen());
    await this.shared.lostWrites.start();
  }

  async close(): Promise<void> {
    if (!this.isView) await this.shared.close();
  }

  /** Remembers an end that no event announces, in case Redis loses it. */
  private remember(name: string, repeat: () => Promise<number>): void {
    this.shared.recentEnds.remember(name, { at: this.now(), repeat });
  }

  /** Time and tenant for a script's answer. */
  private asOf({ now }: { now: number }): { now: number; tenant: string } {
    return { now, tenant: this.tenant };
  }
}

/** An action on several users concerns no record: any bucket announces it. */
function userKeyOfEvent({ sessionId, userId, type }: SessionEvent): string {
  return isSessionId(sessionId) ? userKeyOfSession(sessionId) : userKeyOf(userId === '' ? type : userId);
}

function limitError(keys: UserKeys, { fields, now }: ReachedLimit, limit?: SessionLimit): SessionLimitError {
  const sessions = sessionsIn(keys, fields, now);
  return new SessionLimitError(limit ? reachedLimit(limit, sessions) : sessions.length, sessions);
}

/** Spreads competing writers: equal waits would collide again. */
async function jitter(attempt: number): Promise<void> {
  const most = Math.min(2 ** attempt, 32);
  await new Promise((resolve) => setTimeout(resolve, Math.random() * most));
}
