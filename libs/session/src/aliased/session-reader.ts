import { aliasDigest } from '../model/alias.js';
import type { ForeignSession, ResolvedAliasedSessionOptions } from '../options/aliased-session-options.js';
import type { LegacySessions } from '../ports/legacy-sessions.js';
import type { SessionAliases } from '../ports/session-aliases.js';
import type { LiveSession, SessionStore } from '../ports/session-store.js';
import { DamagedContent, remainingOf, type ContentCodec } from './session-content.js';
import type { Origin } from './session-origins.js';

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

/** Hears of records that cannot be read. */
export type DamageListener = (damage: { sessionId: string | null; detail: string }) => void;

export interface ReaderTools {
  readonly store: SessionStore;
  readonly aliases: SessionAliases;
  readonly options: ResolvedAliasedSessionOptions;
  readonly codec: ContentCodec;
  readonly legacy: LegacySessions | null;
  readonly onDamage: DamageListener;
}

/** How often an alias that is on the move is followed. */
const HOPS = 4;

/** Finds sessions of a framework by its id, and lists them. Records no access. What cannot be read counts as none. */
export class SessionReader {
  constructor(private readonly tools: ReaderTools) {}

  /** The live session, or null. Two reads: alias and record. */
  async find(foreignId: string): Promise<FoundSession | null> {
    const { store, aliases, onDamage } = this.tools;
    const digest = aliasDigest(foreignId);
    let before: string | null = null;
    for (let hop = 0; hop < HOPS; hop += 1) {
      const alias = await aliases.find(digest);
      if (alias.state === 'ended') return null;
      if (alias.state === 'absent') return this.findLegacy(foreignId, digest);
      if (alias.sessionId === before) return null;
      before = alias.sessionId;
      const snapshot = await store.read(alias.sessionId);
      if (snapshot.state === 'live') return this.found(digest, snapshot);
      if (snapshot.state === 'damaged') {
        onDamage({ sessionId: alias.sessionId, detail: snapshot.detail });
        return null;
      }
      // Ended, or moved to its user between the two reads: the alias tells.
    }
    return null;
  }

  /** What another library left, or null. */
  async findLegacy(foreignId: string, digest: string): Promise<FoundSession | null> {
    const { legacy, codec, onDamage } = this.tools;
    const left = await legacy?.find(foreignId);
    if (!left) return null;
    const content = await codec.fromText(left.text);
    if (content instanceof DamagedContent) {
      onDamage({ sessionId: null, detail: content.detail });
      return null;
    }
    return {
      // Its own end is the key's: connect-redis does not write the cookie's when it touches.
      session: await codec.toSession(content, left.lifetime),
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

  /** All live sessions, in portions and in no order. Looks through the whole database. */
  async *list(): AsyncGenerator<ListedSession[]> {
    const { aliases, legacy, options } = this.tools;
    const batch = options.scanCount;
    const seen = new Set<string>();
    for await (const portion of aliases.list({ batch })) {
      const fresh = portion.filter(({ digest }) => !seen.has(digest) && seen.add(digest));
      const sessions = await Promise.all(fresh.map(async ({ digest, sessionId }) => this.listed(digest, sessionId)));
      yield sessions.flatMap((session) => session ?? []);
    }
    for await (const foreignIds of legacy?.list({ batch }) ?? []) {
      const fresh = foreignIds.filter((id) => !seen.has(aliasDigest(id)) && seen.add(aliasDigest(id)));
      const found = await Promise.all(fresh.map(async (id) => ({ id, found: await this.find(id) })));
      yield found.flatMap(({ id, found: one }) => (one ? [{ id, session: one.session }] : []));
    }
  }

  private async listed(digest: string, sessionId: string): Promise<ListedSession | null> {
    const snapshot = await this.tools.store.read(sessionId);
    const found = snapshot.state === 'live' ? await this.found(digest, snapshot) : null;
    return found && { id: sessionId, session: found.session };
  }

  private async found(digest: string, { session, now }: LiveSession): Promise<FoundSession | null> {
    const { codec, onDamage } = this.tools;
    const content = await codec.fromData(session.data);
    if (content instanceof DamagedContent) {
      onDamage({ sessionId: session.id, detail: content.detail });
      return null;
    }
    const { id, userId, idleTimeout, lastAccess } = session;
    const accessedAt = performance.now() - Math.max(0, now - lastAccess);
    return {
      session: await codec.toSession(content, remainingOf(session, now)),
      origin: { digest, sessionId: id, userId, content, idleTimeout, accessedAt, isRecorded: false },
    };
  }
}
