import { aliasDigest } from '../model/alias.js';
import { isSessionId } from '../model/ids.js';
import type { SessionMetadata } from '../model/session.js';
import type { ForeignSession, ResolvedAliasedSessionOptions } from '../options/aliased-session-options.js';
import type { LegacySessions } from '../ports/legacy-sessions.js';
import type { SessionAliases } from '../ports/session-aliases.js';
import type { LiveSession, SessionStore } from '../ports/session-store.js';
import {
  changeBetween,
  ContentCodec,
  DamagedContent,
  isEmpty,
  remainingOf,
  type AliasedContent,
} from './session-content.js';
import { AliasedSessionWriter, type Origin } from './session-writer.js';
import { lifetimeOf } from './session-rules.js';

export interface FoundSession {
  readonly session: ForeignSession;
  /** What a later `save` or `touch` of this session is to be judged by. */
  readonly origin: Origin;
}

export interface ListedSession {
  /** The public id; of a session that was not taken over yet, its own. */
  readonly id: string;
  readonly session: ForeignSession;
}

export interface AliasedSessionTools {
  readonly store: SessionStore;
  readonly aliases: SessionAliases;
  readonly options: ResolvedAliasedSessionOptions;
  /** Hears of records that cannot be read. */
  readonly onDamage: (damage: { sessionId: string | null; detail: string }) => void;
}

/** A session that was recorded this lately by the same request is not touched again, ms. */
const JUST_RECORDED = 1_000;
/** How often an alias that is on the move is followed. */
const HOPS = 4;

/**
 * Sessions whose id a framework draws before it knows the user. The digest of that id is an alias; the session itself is
 * in its user's record, or in one of its own while the user is not known. Reading is two reads, alias and record.
 *
 * Every method rejects with `StoreUnavailableError` when the store cannot be asked.
 */
export class AliasedSessions {
  private readonly store: SessionStore;
  private readonly aliases: SessionAliases;
  private readonly options: ResolvedAliasedSessionOptions;
  private readonly codec: ContentCodec;
  private readonly legacy: LegacySessions | null;
  private readonly writer: AliasedSessionWriter;

  constructor(private readonly tools: AliasedSessionTools) {
    const { store, aliases, options } = tools;
    this.store = store;
    this.aliases = aliases;
    this.options = options;
    this.codec = new ContentCodec(options.serializer);
    this.legacy = options.prefix === false ? null : aliases.legacySessions(options.prefix);
    this.writer = new AliasedSessionWriter({ store, aliases, options, codec: this.codec, legacy: this.legacy });
  }

  /** The live session, or null. Records no access. A record that cannot be read counts as none. */
  async find(foreignId: string): Promise<FoundSession | null> {
    const digest = aliasDigest(foreignId);
    let before: string | null = null;
    for (let hop = 0; hop < HOPS; hop += 1) {
      const alias = await this.aliases.find(digest);
      if (alias.state === 'ended') return null;
      if (alias.state === 'absent') return this.findLegacy(foreignId, digest);
      if (alias.sessionId === before) return null;
      before = alias.sessionId;
      const snapshot = await this.store.read(alias.sessionId);
      if (snapshot.state === 'live') return this.found(digest, snapshot);
      if (snapshot.state === 'damaged') {
        this.tools.onDamage({ sessionId: alias.sessionId, detail: snapshot.detail });
        return null;
      }
      // Ended, or moved to its user between the two reads: the alias tells.
    }
    return null;
  }

  /**
   * Keeps a session, or ends it where its lifetime is over. Does nothing where it was ended meanwhile.
   *
   * @returns what a later save is to be judged by, or null where there is no session any more.
   * @throws {SessionTooLargeError}
   * @throws {SessionLimitError} at the limit under `reject`, for a session whose user has just become known.
   */
  async save(
    foreignId: string,
    session: ForeignSession,
    origin: Origin | null,
    metadata?: SessionMetadata,
  ): Promise<Origin | null> {
    const digest = aliasDigest(foreignId);
    const lifetime = lifetimeOf(session, this.options);
    if (lifetime <= 0) {
      await this.end(foreignId);
      return null;
    }
    const mine = await this.codec.of(session);
    // What was known of another id tells nothing of this one: a session that is regenerated may bring it along.
    const known = origin?.digest === digest ? origin : null;
    return this.writer.write({ foreignId, digest, session, mine, lifetime, origin: known, metadata });
  }

  /** Records an access. Takes over a session that another library left. @returns as `save`. */
  async touch(
    foreignId: string,
    session: ForeignSession,
    origin: Origin | null,
    metadata?: SessionMetadata,
  ): Promise<Origin | null> {
    const { disableTouch, disableTTL, touchInterval } = this.options;
    if (disableTouch || disableTTL) return origin;
    const lifetime = lifetimeOf(session, this.options);
    if (lifetime <= 0) {
      await this.end(foreignId);
      return null;
    }
    const digest = aliasDigest(foreignId);
    if (!origin || origin.sessionId === null || (await this.hasNewSettings(session, origin.content))) {
      return this.touchUnknown(foreignId, session, origin, metadata);
    }
    const since = performance.now() - origin.accessedAt;
    const isUnchanged = Math.abs(lifetime - origin.idleTimeout) <= 1_000;
    if (isUnchanged && since < Math.max(origin.isRecorded ? JUST_RECORDED : 0, Math.min(touchInterval, lifetime / 10)))
      return origin;
    const isTouched = await this.record(digest, origin.sessionId, lifetime, isUnchanged ? undefined : lifetime);
    return isTouched
      ? {
          ...origin,
          idleTimeout: isUnchanged ? origin.idleTimeout : lifetime,
          accessedAt: performance.now(),
          isRecorded: true,
        }
      : null;
  }

  /** Whether a session has anything but its cookie's end that `origin` has not. Asks nobody. */
  async hasChanges(session: ForeignSession, origin: Origin | null): Promise<boolean> {
    const mine = await this.codec.of(session);
    if (origin) return !isEmpty(changeBetween(origin.content, mine));
    return Object.keys(mine.fields).some((key) => key !== 'cookie');
  }

  /** Ends a session for good, by its framework's id or its public one. Safe to repeat. */
  async end(foreignId: string, reason: 'logout' | 'admin' = 'logout'): Promise<void> {
    const [stood] = await Promise.all([
      this.aliases.end(aliasDigest(foreignId), this.options.endedFor),
      this.legacy?.remove(foreignId),
    ]);
    // A mark tells as well: an end that got half way is completed by the next.
    const named = stood.state === 'absent' ? null : stood.sessionId;
    const sessionId = named ?? (isSessionId(foreignId) ? foreignId : null);
    if (sessionId !== null) await this.store.destroy(sessionId, { reason });
  }

  /** All live sessions, in portions and in no order. Looks through the whole database. */
  async *list(): AsyncGenerator<ListedSession[]> {
    const batch = this.options.scanCount;
    const seen = new Set<string>();
    for await (const portion of this.aliases.list({ batch })) {
      const fresh = portion.filter(({ digest }) => !seen.has(digest) && seen.add(digest));
      const sessions = await Promise.all(fresh.map(async ({ sessionId }) => this.listed(sessionId)));
      yield sessions.flatMap((session) => session ?? []);
    }
    for await (const foreignIds of this.legacy?.list({ batch }) ?? []) {
      const fresh = foreignIds.filter((id) => !seen.has(aliasDigest(id)) && seen.add(aliasDigest(id)));
      const sessions = await Promise.all(
        fresh.map(async (id) => {
          const found = await this.find(id);
          return found && { id, session: found.session };
        }),
      );
      yield sessions.flatMap((session) => session ?? []);
    }
  }

  /** Ends all sessions of this kind, and none of others. Not atomic; safe to repeat. */
  async endAll(): Promise<void> {
    const batch = this.options.scanCount;
    for await (const portion of this.aliases.list({ batch })) {
      await Promise.all(
        portion.map(async ({ digest, sessionId }) => {
          await this.aliases.end(digest, this.options.endedFor);
          await this.store.destroy(sessionId, { reason: 'admin' });
        }),
      );
    }
    for await (const foreignIds of this.legacy?.list({ batch }) ?? []) {
      await Promise.all(foreignIds.map(async (id) => this.end(id, 'admin')));
    }
  }

  private async found(digest: string, { session, now }: LiveSession): Promise<FoundSession | null> {
    const content = await this.codec.fromData(session.data);
    if (content instanceof DamagedContent) {
      this.tools.onDamage({ sessionId: session.id, detail: content.detail });
      return null;
    }
    const { id, userId, idleTimeout, lastAccess } = session;
    const accessedAt = performance.now() - Math.max(0, now - lastAccess);
    return {
      session: await this.codec.toSession(content, remainingOf(session, now)),
      origin: { digest, sessionId: id, userId, content, idleTimeout, accessedAt, isRecorded: false },
    };
  }

  private async findLegacy(foreignId: string, digest: string): Promise<FoundSession | null> {
    const left = await this.legacy?.find(foreignId);
    if (!left) return null;
    const content = await this.codec.fromText(left.text);
    if (content instanceof DamagedContent) {
      this.tools.onDamage({ sessionId: null, detail: content.detail });
      return null;
    }
    return {
      // Its own end is the key's: connect-redis does not write the cookie's when it touches.
      session: await this.codec.toSession(content, left.lifetime ?? Number.NaN),
      origin: {
        digest,
        sessionId: null,
        userId: '',
        content,
        idleTimeout: 0,
        accessedAt: performance.now(),
        isRecorded: false,
      },
    };
  }

  /** A touch that is more than one: of a session that was not read, that moves in here, or whose cookie was set anew. */
  private async touchUnknown(
    foreignId: string,
    session: ForeignSession,
    origin: Origin | null,
    metadata?: SessionMetadata,
  ): Promise<Origin | null> {
    if (origin) return this.save(foreignId, session, origin, metadata);
    const digest = aliasDigest(foreignId);
    const alias = await this.aliases.find(digest);
    if (alias.state === 'ended') return null;
    if (alias.state === 'absent') {
      const left = await this.findLegacy(foreignId, digest);
      return left ? this.save(foreignId, session, left.origin, metadata) : null;
    }
    const lifetime = lifetimeOf(session, this.options);
    await this.record(digest, alias.sessionId, lifetime, lifetime);
    return null;
  }

  /** Moves the deadline of the session, wherever it is by now, and of its alias. */
  private async record(
    digest: string,
    sessionId: string,
    lifetime: number,
    idleTimeout: number | undefined,
  ): Promise<boolean> {
    let target = sessionId;
    for (let hop = 0; hop < HOPS; hop += 1) {
      const [isTouched, alias] = await Promise.all([
        this.store.touch(target, idleTimeout === undefined ? {} : { idleTimeout }),
        this.aliases.keep(digest, target, lifetime + this.options.endedFor),
      ]);
      if (alias.state !== 'session') return false;
      if (alias.sessionId === target) return isTouched;
      target = alias.sessionId;
    }
    return false;
  }

  private async listed(sessionId: string): Promise<ListedSession | null> {
    const snapshot = await this.store.read(sessionId);
    if (snapshot.state !== 'live') return null;
    const found = await this.found('', snapshot);
    return found && { id: sessionId, session: found.session };
  }

  private async hasNewSettings(session: ForeignSession, base: AliasedContent): Promise<boolean> {
    const mine = await this.codec.of({ cookie: session.cookie });
    const before = { fields: { cookie: base.fields['cookie'] }, text: null };
    return !isEmpty(changeBetween(before, mine));
  }
}
