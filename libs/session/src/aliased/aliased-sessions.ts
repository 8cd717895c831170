import { aliasDigest } from '../model/alias.js';
import { isSessionId } from '../model/ids.js';
import type { ForeignSession, ResolvedAliasedSessionOptions } from '../options/aliased-session-options.js';
import type { LegacySessions } from '../ports/legacy-sessions.js';
import type { SessionAliases } from '../ports/session-aliases.js';
import type { SessionStore } from '../ports/session-store.js';
import { clientOf } from './client-of-request.js';
import { changeBetween, ContentCodec, isEmpty, type AliasedContent } from './session-content.js';
import { SessionReader, type DamageListener, type FoundSession, type ListedSession } from './session-reader.js';
import { lifetimeOf } from './session-rules.js';
import type { Origin } from './session-origins.js';
import { SessionWriter } from './session-writer.js';

export interface AliasedSessionTools {
  readonly store: SessionStore;
  readonly aliases: SessionAliases;
  readonly options: ResolvedAliasedSessionOptions;
  readonly onDamage: DamageListener;
}

/** A session that was recorded this lately by the same request is not touched again, ms. */
const JUST_RECORDED = 1_000;
/** How often an alias that is on the move is followed. */
const HOPS = 4;

/**
 * Sessions whose id a framework draws before it knows the user. The digest of that id is an alias; the session itself is
 * in its user's record, or in one of its own while the user is not known.
 *
 * Every method rejects with `StoreUnavailableError` when the store cannot be asked.
 */
export class AliasedSessions {
  private readonly store: SessionStore;
  private readonly aliases: SessionAliases;
  private readonly options: ResolvedAliasedSessionOptions;
  private readonly codec: ContentCodec;
  private readonly legacy: LegacySessions | null;
  private readonly reader: SessionReader;
  private readonly writer: SessionWriter;

  constructor({ store, aliases, options, onDamage }: AliasedSessionTools) {
    this.store = store;
    this.aliases = aliases;
    this.options = options;
    this.codec = new ContentCodec(options.serializer);
    this.legacy = options.prefix === false ? null : aliases.legacySessions(options.prefix);
    const tools = { store, aliases, options, codec: this.codec, legacy: this.legacy };
    this.reader = new SessionReader({ ...tools, onDamage });
    this.writer = new SessionWriter(tools);
  }

  /** The live session, or null. Records no access. */
  async find(foreignId: string): Promise<FoundSession | null> {
    return this.reader.find(foreignId);
  }

  /** All live sessions, in portions and in no order. Looks through the whole database. */
  list(): AsyncIterable<ListedSession[]> {
    return this.reader.list();
  }

  /**
   * Keeps a session, or ends it where its lifetime is over. Does nothing where it was ended meanwhile.
   *
   * @param request The framework's, for what it tells of its client.
   * @returns what a later save is to be judged by, or null where there is no session any more.
   * @throws {SessionTooLargeError}
   * @throws {SessionLimitError} at the limit under `reject`, for a session whose user has just become known.
   */
  async save(
    foreignId: string,
    session: ForeignSession,
    origin: Origin | null,
    request?: unknown,
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
    const metadata = clientOf(request, this.options.ipPrivacy);
    return this.writer.write({ foreignId, digest, session, mine, lifetime, origin: known, metadata });
  }

  /** Records an access. Takes over a session that another library left. @returns as `save`. */
  async touch(
    foreignId: string,
    session: ForeignSession,
    origin: Origin | null,
    request?: unknown,
  ): Promise<Origin | null> {
    const { disableTouch, disableTTL, touchInterval } = this.options;
    if (disableTouch || disableTTL) return origin;
    const digest = aliasDigest(foreignId);
    const lifetime = lifetimeOf(session, this.options);
    if (lifetime <= 0) {
      await this.end(foreignId);
      return null;
    }
    if (!origin) return this.touchUnread(foreignId, digest, session, request);
    const isElsewhere = origin.digest !== digest || origin.sessionId === null;
    if (isElsewhere || (await this.hasNewSettings(session, origin.content))) {
      return this.save(foreignId, session, origin, request);
    }
    const isUnchanged = Math.abs(lifetime - origin.idleTimeout) <= 1_000;
    const interval = Math.max(origin.isRecorded ? JUST_RECORDED : 0, Math.min(touchInterval, lifetime / 10));
    if (isUnchanged && performance.now() - origin.accessedAt < interval) return origin;
    const idleTimeout = isUnchanged ? undefined : lifetime;
    if (!(await this.record(digest, origin.sessionId, { lifetime, idleTimeout }))) return null;
    return {
      ...origin,
      idleTimeout: idleTimeout ?? origin.idleTimeout,
      accessedAt: performance.now(),
      isRecorded: true,
    };
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

  private async touchUnread(
    foreignId: string,
    digest: string,
    session: ForeignSession,
    request?: unknown,
  ): Promise<Origin | null> {
    const alias = await this.aliases.find(digest);
    if (alias.state === 'absent') {
      const left = await this.reader.findLegacy(foreignId, digest);
      return left && this.save(foreignId, session, left.origin, request);
    }
    const lifetime = lifetimeOf(session, this.options);
    if (alias.state === 'session') await this.record(digest, alias.sessionId, { lifetime, idleTimeout: lifetime });
    return null;
  }

  /** Moves the deadline of the session, wherever it is by now, and of its alias. */
  private async record(
    digest: string,
    sessionId: string,
    { lifetime, idleTimeout }: { lifetime: number; idleTimeout: number | undefined },
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

  private async hasNewSettings(session: ForeignSession, base: AliasedContent): Promise<boolean> {
    const mine = await this.codec.of({ cookie: session.cookie });
    const before = { fields: { cookie: base.fields['cookie'] }, text: null };
    return !isEmpty(changeBetween(before, mine));
  }
}
