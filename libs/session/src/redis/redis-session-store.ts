import type { Cluster, Redis } from 'ioredis';
import { durationMs, epochMs } from '../model/deadlines.js';
import {
  InvalidArgumentError,
  SessionConflictError,
  SessionLimitError,
  StoreUnavailableError,
} from '../model/errors.js';
import type { SessionEvent } from '../model/events.js';
import { isSessionId, isWellFormed, newSessionId, sessionIdOf, sidOf, userKeyOfSession } from '../model/ids.js';
import { reachedLimit } from '../model/limit.js';
import { encodeRecord, newRecord, patchOf, roleList, text } from '../model/record.js';
import type { NewSession, Session, SessionChange, SessionData, UserPatch } from '../model/session.js';
import {
  assertLimit,
  resolveStoreOptions,
  type ResolvedStoreOptions,
  type SessionStoreOptions,
} from '../options/store-options.js';
import type { ListenerErrorHandler } from '../ports/listeners.js';
import type { HistoryLimits } from '../ports/session-history.js';
import {
  SessionStore,
  type CreateOptions,
  type DestroyAllOptions,
  type DestroyEverybodyOptions,
  type DestroyOptions,
  type ReadOptions,
  type RenewOutcome,
  type RenewRequest,
  type RotateOutcome,
  type RotateRequest,
  type SessionSnapshot,
  type SweepOptions,
  type TouchOptions,
} from '../ports/session-store.js';
import { AllUsers } from './all-users.js';
import { bucketOf, BUCKETS, RedisKeys, type UserKeys } from './keys.js';
import { RedisConnection } from './redis-connection.js';
import { RedisSessionAliases } from './redis-session-aliases.js';
import { RedisEventChannel } from './redis-event-channel.js';
import { RedisEventStream } from './redis-event-stream.js';
import { isFoundOut } from './redis-events.js';
import { RedisSessionHistory } from './redis-session-history.js';
import { RedisScripts } from './redis-scripts.js';
import { ScriptRunner, SENT_AT } from './script-runner.js';
import { SessionReader } from './session-reader.js';
import { UpdateQueue } from './update-queue.js';
import { rewritten, sessionsIn, snapshotOf, type FieldValue, type StoredSnapshot } from './user-record.js';

export interface RedisSessionStoreOptions extends SessionStoreOptions {
  /** Begins every key. Default `session:`. */
  keyPrefix?: string;
  /** Longest wait for an answer of Redis, ms. Default 500. */
  commandTimeout?: number;
  /** Longest wait of `ready` for a server to be there, ms. Default 10,000. */
  readyTimeout?: number;
  /** Takes what an event listener threw. Default: dropped. */
  onListenerError?: ListenerErrorHandler;
  /** Milliseconds added to Redis's time, so that tests can move it. @internal */
  timeShift?: () => number;
}

/** How often a write is tried against other processes that write the same session. */
const WRITE_ATTEMPTS = 64;

/**
 * Keeps sessions on Redis 6.2 or later, or Valkey; one server, Sentinel or Cluster.
 *
 * | key | type | what |
 * |---|---|---|
 * | `{prefix}{tag}:user:<user key>` | hash | all of one user: `u` user id, `e`/`o` email and roles for all sessions, `x` token cutoff, `t` tombstones, `p` operations that may still come again, `j<jti>` revoked tokens; per session `r<sid>` record (JSON), `c<sid>` clock and credentials (packed) |
 * | `{prefix}{tag}:expiries` | sorted set | session id by deadline, one a bucket |
 * | `{prefix}{tag}:history:<user key>` | sorted set | audit trail of one user, where it is asked for |
 * | `{prefix}stream` | stream | events for consumers, where they are asked for; see `RedisEventStream` |
 * | `{prefix}events` | channel | what changed or ended, and why; `@<number>` follows in a database other than 0 |
 *
 * Reads are one HMGET (a session) or one HGETALL (a user's list). Every write of one user is one script; the scripts and
 * why each must be atomic stand in `lua/`. Time is the server's.
 */
export class RedisSessionStore extends SessionStore {
  private readonly options: ResolvedStoreOptions;
  private readonly keys: RedisKeys;
  private readonly connection: RedisConnection;
  private readonly scripts: RedisScripts;
  private readonly channel: RedisEventChannel;
  private readonly stream: RedisEventStream | null;
  private readonly timeShift: () => number;
  private readonly reader: SessionReader;
  private readonly allUsers: AllUsers;
  private readonly updates = new UpdateQueue();
  private ownAliases: RedisSessionAliases | null = null;

  /** Adopts a client (which stays open when the store closes), or takes a connection that was opened for it. */
  constructor(redis: Redis | Cluster | RedisConnection, options: RedisSessionStoreOptions = {}) {
    super();
    const {
      keyPrefix = 'session:',
      commandTimeout = 500,
      readyTimeout,
      onListenerError,
      timeShift = () => 0,
      ...rest
    } = options;
    this.options = resolveStoreOptions(rest);
    this.keys = new RedisKeys(keyPrefix, this.options.tenant);
    this.connection =
      redis instanceof RedisConnection ? redis : new RedisConnection(redis, { commandTimeout, readyTimeout });
    this.channel = new RedisEventChannel(this.connection, this.keys.events, onListenerError);
    this.stream = this.options.eventStream && new RedisEventStream(this.connection, this.keys, this.channel);
    this.timeShift = timeShift;
    this.scripts = new RedisScripts(
      new ScriptRunner(this.connection, {
        channel: this.channel.name,
        origin: this.channel.origin,
        tombstoneTtl: this.options.tombstoneTtl,
        timeShift,
        stream: this.streamSettings(),
        onAnnounced: (messages) => this.channel.announced(messages),
      }),
    );
    this.reader = new SessionReader(this.connection, this.keys, timeShift, (event) => this.channel.emit(event));
    this.allUsers = new AllUsers(this.connection, this.keys, this.scripts, timeShift);
  }

  /** How many messages on the channel were not ours. */
  get ignoredMessages(): number {
    return this.channel.ignored;
  }

  async create<T = SessionData>(input: NewSession<T>, options: CreateOptions = {}): Promise<Session<T>> {
    const { userId } = input;
    const keys = this.keys.ofUser(userId);
    const record = newRecord(input as NewSession);
    const json = encodeRecord(record, this.options.maxRecordBytes);
    const limit = options.limit ?? this.options.limit;
    assertLimit(limit);
    const id = options.sid === undefined ? newSessionId(keys.userKey) : sessionIdOf(keys.userKey, options.sid);
    const { replaces } = options;
    const reply = await this.scripts.createSession(keys, {
      userId,
      sid: sidOf(id),
      record: json,
      deviceId: record.deviceId,
      deviceType: record.deviceType,
      counts: record.actor === undefined,
      idleTimeout: durationMs('idleTimeout', options.idleTimeout ?? this.options.idleTimeout),
      absoluteTimeout: durationMs('absoluteTimeout', options.absoluteTimeout ?? this.options.absoluteTimeout),
      expiresAt: input.expiresAt === undefined ? null : epochMs('expiresAt', input.expiresAt),
      limit,
      replaces: isSessionId(replaces) && userKeyOfSession(replaces) === keys.userKey ? sidOf(replaces) : '',
      cookie: options.credentials?.cookie,
      refresh: options.credentials?.refresh,
      client: options.client,
    });
    if ('limit' in reply) {
      const sessions = sessionsIn(keys, reply.limit, reply.now);
      throw new SessionLimitError(reachedLimit(limit, sessions), sessions);
    }
    const [clock = null, email = null, roles = null, standing = null] = reply.created;
    const values: FieldValue[] = [
      Buffer.from(userId),
      email,
      roles,
      null,
      null,
      standing ?? Buffer.from(json),
      clock,
      null,
    ];
    const { snapshot } = snapshotOf(id, values, 0);
    if (snapshot.state !== 'live') {
      throw new StoreUnavailableError(undefined, {
        cause: new Error(`the session that stands there reads as ${snapshot.state}`),
      });
    }
    return snapshot.session as Session<T>;
  }

  async read(sessionId: string, options: ReadOptions = {}): Promise<SessionSnapshot> {
    return (await this.reader.look(sessionId, options)).snapshot;
  }

  async get<T = SessionData>(sessionId: string): Promise<Session<T> | null> {
    const { snapshot } = await this.reader.look(sessionId);
    return snapshot.state === 'live' ? (snapshot.session as Session<T>) : null;
  }

  async getActiveSessions<T = SessionData>(userId: string): Promise<Session<T>[]> {
    return (await this.reader.list(userId)) as Session<T>[];
  }

  async findByDevice<T = SessionData>(userId: string, deviceId: string): Promise<Session<T> | null> {
    const sessions = await this.getActiveSessions<T>(userId);
    return sessions.find((session) => session.deviceId === deviceId) ?? null;
  }

  async touch(sessionId: string, options: TouchOptions = {}): Promise<boolean> {
    if (!isSessionId(sessionId)) return false;
    const idleTimeout = options.idleTimeout === undefined ? undefined : durationMs('idleTimeout', options.idleTimeout);
    return this.scripts.touchSession(this.keys.ofSession(sessionId), sidOf(sessionId), idleTimeout);
  }

  async update<T = SessionData>(sessionId: string, change: SessionChange<T>): Promise<Session<T> | null> {
    if (!isSessionId(sessionId)) return null;
    return this.updates.run(sessionId, async () => {
      let seen = await this.reader.look(sessionId);
      const keys = this.keys.ofSession(sessionId);
      for (let attempt = 0; attempt < WRITE_ATTEMPTS; attempt += 1) {
        const { snapshot } = seen;
        if (snapshot.state !== 'live') return null;
        // A copy, as a function may change what it is shown.
        const patch = patchOf(change as SessionChange, structuredClone(snapshot.session));
        const reply = await this.scripts.updateSession(keys, {
          sid: sidOf(sessionId),
          ...rewritten(seen, patch, this.options.maxRecordBytes),
        });
        if (reply.state === 'absent') return null;
        seen = snapshotOf(sessionId, reply.values, reply.now);
        if (reply.state === 'updated')
          return seen.snapshot.state === 'live' ? (seen.snapshot.session as Session<T>) : null;
        await jitter(attempt);
      }
      throw new SessionConflictError();
    });
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
    const reply = await this.scripts.rotateCredential(this.keys.ofSession(sessionId), sidOf(sessionId), request);
    if (reply.state === 'unknown' || reply.state === 'theft') return { state: reply.state };
    const { snapshot } = this.reader.noticed(sessionId, snapshotOf(sessionId, reply.values, reply.now));
    if (snapshot.state !== 'live') return snapshot;
    return reply.state === 'absent' ? { state: 'absent' } : { state: reply.state, n: reply.n, live: snapshot };
  }

  async renew(sessionId: string, request: RenewRequest): Promise<RenewOutcome> {
    if (!isSessionId(sessionId)) return { state: 'absent' };
    const { patch } = request;
    const keys = this.keys.ofSession(sessionId);
    let seen: StoredSnapshot | null = patch ? await this.reader.look(sessionId) : null;
    for (let attempt = 0; attempt < WRITE_ATTEMPTS; attempt += 1) {
      if (seen && seen.snapshot.state !== 'live') return seen.snapshot;
      const write =
        patch && seen
          ? rewritten(seen, patch, this.options.maxRecordBytes)
          : { record: null, from: '', profileSeq: null };
      const reply = await this.scripts.renewSession(keys, { sid: sidOf(sessionId), ...write }, request);
      if (reply.state === 'unknown') return { state: 'unknown' };
      seen = this.reader.noticed(sessionId, snapshotOf(sessionId, reply.values, reply.now));
      if (reply.state !== 'conflict') return seen.snapshot;
      await jitter(attempt);
    }
    throw new SessionConflictError();
  }

  async destroy(sessionId: string, options: DestroyOptions = {}): Promise<boolean> {
    if (!isSessionId(sessionId)) return false;
    if (options.userId !== undefined && (typeof options.userId !== 'string' || options.userId === '')) return false;
    const ended = await this.scripts.endSessions(this.keys.ofSession(sessionId), {
      userId: options.userId,
      reason: options.reason ?? 'logout',
      sids: [sidOf(sessionId)],
    });
    return ended > 0;
  }

  async destroyAll(userId: string, options: DestroyAllOptions = {}): Promise<number> {
    const keys = this.keys.ofUser(userId);
    return this.scripts.endSessions(keys, {
      userId,
      reason: options.reason ?? 'logout',
      createdBefore: SENT_AT,
      exceptSid:
        isSessionId(options.except) && userKeyOfSession(options.except) === keys.userKey
          ? sidOf(options.except)
          : undefined,
      deviceId: options.deviceId === undefined ? undefined : text('deviceId', options.deviceId),
    });
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
    return this.scripts.revokeToken(this.keys.ofSession(sessionId), sidOf(sessionId), tokenId, until);
  }

  async revokeTokens(userId: string): Promise<number> {
    return this.scripts.revokeTokens(this.keys.ofUser(userId), userId);
  }

  async count(): Promise<number> {
    return this.allUsers.count();
  }

  async sweep(options: SweepOptions = {}): Promise<number> {
    return this.allUsers.sweep(options);
  }

  override aliases(): RedisSessionAliases {
    this.ownAliases ??= new RedisSessionAliases(this.connection, this.keys);
    return this.ownAliases;
  }

  now(): number {
    return this.connection.now() + this.timeShift();
  }

  subscribe(listener: (event: SessionEvent) => void): () => void {
    return this.channel.subscribe(listener);
  }

  override onGap(listener: () => void): () => void {
    return this.channel.onGap(listener);
  }

  override flushEvents(): void {
    this.channel.flush();
  }

  override publish(event: SessionEvent): boolean {
    this.channel.emit(event);
    if (isFoundOut(event)) {
      // Whoever is told here must not wait for Redis, and a request not fail for it. The connection says what was wrong.
      this.scripts.announceEvent(this.keys.ofSession(event.sessionId), event).catch(() => undefined);
    }
    return true;
  }

  override eventStream(): RedisEventStream | null {
    return this.stream;
  }

  override history(limits: HistoryLimits): RedisSessionHistory {
    return new RedisSessionHistory(this.connection, this.keys, limits, this.timeShift);
  }

  async ready(): Promise<void> {
    await this.connection.ready();
    if (this.channel.isHeard) await this.connection.untilDone(this.channel.listen());
  }

  async close(): Promise<void> {
    await this.stream?.close();
    this.channel.close();
    await this.connection.close();
  }

  private streamSettings(): { keyOf: (keys: UserKeys) => string; maxLength: number; retention: number } | null {
    const { eventStream } = this.options;
    if (!eventStream) return null;
    const { isCluster } = this.connection.client;
    const { maxLength, retention } = eventStream;
    return {
      keyOf: ({ userKey }) => this.keys.stream(bucketOf(userKey), isCluster),
      maxLength: isCluster ? Math.max(100, Math.ceil(maxLength / BUCKETS)) : maxLength,
      retention,
    };
  }
}

/** Writers that lost try again at different moments: those who wait alike lose alike. */
async function jitter(attempt: number): Promise<void> {
  const most = Math.min(2 ** attempt, 32);
  await new Promise((resolve) => setTimeout(resolve, Math.random() * most));
}
