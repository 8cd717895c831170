import { aliasDigest } from '../../model/alias.js';
import { isSessionId } from '../../model/ids.js';
import type { ForeignSession, ResolvedFrameworkSessionOptions } from '../../options/framework-session-options.js';
import type { LegacySessions } from '../../ports/legacy-sessions.js';
import type { SessionAliases } from '../../ports/session-aliases.js';
import type { SessionStore } from '../../ports/session-store.js';
import { clientMetadata } from './client-metadata.js';
import {
  FrameworkSessionReader,
  type DamageListener,
  type FoundSession,
  type ListedSession,
} from './framework-session-reader.js';
import { FrameworkSessionWriter } from './framework-session-writer.js';
import type { Baseline } from './session-baseline.js';
import { changeBetween, ContentCodec, isEmptyChange, type SessionContent } from './session-content.js';
import { lifetimeOf } from './session-lifetime.js';
import { ownerOf } from './session-owner.js';
import { SessionSuccession } from './session-succession.js';

export interface FrameworkSessionTools {
  readonly store: SessionStore;
  readonly aliases: SessionAliases;
  readonly options: ResolvedFrameworkSessionOptions;
  readonly onDamage: DamageListener;
}

/** A save and a touch of one request this close together record one access, ms. */
const SAME_ACCESS = 100;
/** How often an alias that is being moved is followed. */
const HOPS = 4;

/**
 * Sessions whose id a framework draws before it knows the user. The digest of that id is an alias; the session itself
 * is in its user's record, or in a record of its own while no user has signed in.
 *
 * Every method rejects with `StoreUnavailableError` if the store does not answer.
 */
export class FrameworkSessions {
  private readonly store: SessionStore;
  private readonly aliases: SessionAliases;
  private readonly options: ResolvedFrameworkSessionOptions;
  private readonly codec: ContentCodec;
  private readonly legacy: LegacySessions | null;
  private readonly reader: FrameworkSessionReader;
  private readonly writer: FrameworkSessionWriter;
  private readonly succession: SessionSuccession;

  constructor({ store, aliases, options, onDamage }: FrameworkSessionTools) {
    this.store = store;
    this.aliases = aliases;
    this.options = options;
    this.codec = new ContentCodec(options.serializer);
    this.legacy = options.prefix === false ? null : aliases.legacySessions(options.prefix);
    this.succession = new SessionSuccession(store, aliases);
    const tools = { store, aliases, options, codec: this.codec, legacy: this.legacy };
    this.reader = new FrameworkSessionReader({ ...tools, onDamage });
    this.writer = new FrameworkSessionWriter(tools);
  }

  /** The live session, or null. Records no access. */
  async find(foreignId: string): Promise<FoundSession | null> {
    return this.reader.find(foreignId);
  }

  /** All live sessions, in batches and in no order. Scans the whole database. */
  list(): AsyncIterable<ListedSession[]> {
    return this.reader.list();
  }

  /**
   * Records the session that a request began with: signing it out must also stop the session that replaces it during
   * the request.
   */
  beginRequest(request: unknown, baseline: Baseline | null): void {
    if (isObject(request) && baseline) this.succession.begin(request, baseline);
  }

  /**
   * Saves a session, or ends it if its lifetime is over. Does nothing if it was ended since it was read.
   *
   * @param request The framework's request, for its client and for the session that it began with.
   * @returns the state to compare a later save with, or null if there is no session any more.
   * @throws {AuthenticationError} for a user's session that replaces one that was signed out during the request.
   * @throws {SessionTooLargeError}
   * @throws {SessionLimitError} at the limit under `reject`, if a user has just signed in.
   */
  async save(
    foreignId: string,
    session: ForeignSession,
    baseline: Baseline | null,
    request?: unknown,
  ): Promise<Baseline | null> {
    const digest = aliasDigest(foreignId);
    const lifetime = lifetimeOf(session, this.options);
    if (lifetime <= 0) {
      await this.end(foreignId);
      return null;
    }
    // The state of another id is irrelevant here: an object may be saved under a second id.
    const known = baseline?.digest === digest ? baseline : null;
    const owner = ownerOf(session, this.options.userOf);
    if (owner && owner.id !== known?.userId && isObject(request)) {
      await this.succession.assertMayContinue(request, digest);
    }
    const mine = await this.codec.of(session);
    const metadata = clientMetadata(request, this.options.ipPrivacy);
    return this.writer.write({ foreignId, digest, owner, mine, lifetime, baseline: known, metadata });
  }

  /**
   * Records an access. Takes over a session of another library.
   *
   * @returns as `save`.
   */
  async touch(
    foreignId: string,
    session: ForeignSession,
    baseline: Baseline | null,
    request?: unknown,
  ): Promise<Baseline | null> {
    const { disableTouch, disableTTL, touchInterval } = this.options;
    const digest = aliasDigest(foreignId);
    const lifetime = lifetimeOf(session, this.options);
    if (lifetime <= 0) {
      await this.end(foreignId);
      return null;
    }
    if (disableTouch || disableTTL) return baseline;
    if (!baseline) return this.touchUnread(foreignId, digest, session, request);
    const isElsewhere = baseline.digest !== digest || baseline.sessionId === null;
    if (isElsewhere || (await this.hasNewSettings(session, baseline.content))) {
      return this.save(foreignId, session, baseline, request);
    }
    const isSimilar = Math.abs(lifetime - baseline.idleTimeout) <= 1_000;
    const interval = Math.max(baseline.isRecorded ? SAME_ACCESS : 0, Math.min(touchInterval, lifetime / 10));
    if (isSimilar && performance.now() - baseline.accessedAt < interval) return baseline;
    if (!(await this.recordAccess(digest, baseline.sessionId, lifetime))) return null;
    return { ...baseline, idleTimeout: lifetime, accessedAt: performance.now(), isRecorded: true };
  }

  /**
   * Whether a session differs from `baseline` in anything but its cookie's expiry. Sends no command.
   *
   * @throws {InvalidArgumentError} for a session that could not be saved or touched.
   */
  async hasChanges(session: ForeignSession, baseline: Baseline | null): Promise<boolean> {
    const mine = await this.codec.of(session);
    const isChanged = baseline
      ? !isEmptyChange(changeBetween(baseline.content, mine))
      : Object.keys(mine.fields).some((key) => key !== 'cookie');
    if (isChanged || baseline) lifetimeOf(session, this.options);
    return isChanged;
  }

  /** Ends a session for good, by its framework's id or its public one. Safe to repeat. */
  async end(foreignId: string, reason: 'logout' | 'admin' = 'logout'): Promise<void> {
    const digest = aliasDigest(foreignId);
    const [stood] = await Promise.all([
      this.aliases.end(digest, this.options.endedFor),
      this.legacy?.remove(foreignId),
    ]);
    // An ended alias still names its session, so this call can complete an end that failed half way.
    const named = stood.state === 'absent' ? null : stood.sessionId;
    const sessionId = named ?? (isSessionId(foreignId) ? foreignId : null);
    const wasLive = sessionId !== null && (await this.store.destroy(sessionId, { reason }));
    this.succession.recordEnd(digest, wasLive);
  }

  /** Ends all sessions of this framework, and no others. Not atomic; safe to repeat. */
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
  ): Promise<Baseline | null> {
    const alias = await this.aliases.find(digest);
    if (alias.state === 'absent') {
      const left = await this.reader.findLegacy(foreignId, digest);
      return left && this.save(foreignId, session, left.baseline, request);
    }
    const lifetime = lifetimeOf(session, this.options);
    if (alias.state === 'session') await this.recordAccess(digest, alias.sessionId, lifetime);
    return null;
  }

  /** Moves the deadlines of the alias, and of the session that it names now. */
  private async recordAccess(digest: string, sessionId: string, lifetime: number): Promise<boolean> {
    let target = sessionId;
    for (let hop = 0; hop < HOPS; hop += 1) {
      const [isTouched, alias] = await Promise.all([
        this.store.touch(target, { idleTimeout: lifetime }),
        this.aliases.keep(digest, target, lifetime + this.options.endedFor),
      ]);
      if (alias.state !== 'session') return false;
      if (alias.sessionId === target) return isTouched;
      target = alias.sessionId;
    }
    return false;
  }

  private async hasNewSettings(session: ForeignSession, base: SessionContent): Promise<boolean> {
    const mine = await this.codec.of({ cookie: session.cookie });
    const before = { fields: { cookie: base.fields['cookie'] }, text: null };
    return !isEmptyChange(changeBetween(before, mine));
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
