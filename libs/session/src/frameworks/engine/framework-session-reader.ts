import { aliasDigest } from '../../model/alias.js';
import type { ForeignSession, ResolvedFrameworkSessionOptions } from '../../options/framework-session-options.js';
import type { LegacySessions } from '../../ports/legacy-sessions.js';
import type { SessionAliases } from '../../ports/session-aliases.js';
import type { LiveSession, SessionStore } from '../../ports/session-store.js';
import { DamagedContent, remainingOf, type ContentCodec } from './session-content.js';
import type { Baseline } from './session-baseline.js';

export interface FoundSession {
  readonly session: ForeignSession;
  /** The state to compare a later `save` or `touch` with. */
  readonly baseline: Baseline;
}

export interface ListedSession {
  /** The public id; for a session that was not taken over yet, the one that the earlier library gave it. */
  readonly id: string;
  readonly session: ForeignSession;
}

/** Called for each record that cannot be read. */
export type DamageListener = (damage: { sessionId: string | null; detail: string }) => void;

export interface ReaderTools {
  readonly store: SessionStore;
  readonly aliases: SessionAliases;
  readonly options: ResolvedFrameworkSessionOptions;
  readonly codec: ContentCodec;
  readonly legacy: LegacySessions | null;
  readonly onDamage: DamageListener;
}

/** How often an alias that is being moved is followed. */
const HOPS = 4;
/** By how much a session's deadline may differ from the expiry that its cookie was saved with, ms. */
const CLOCK_TOLERANCE = 1_000;

/** Finds sessions by the framework's id, and lists them. Records no access. A record that cannot be read counts as no session. */
export class FrameworkSessionReader {
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
      // Ended, or moved to its user between the two reads: the alias shows which.
    }
    return null;
  }

  /** A session that another library stored, or null. */
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
      // The key's time to live is the session's: connect-redis does not rewrite the cookie when it touches.
      session: await codec.toSession(content, { remaining: left.lifetime, tolerance: CLOCK_TOLERANCE }),
      baseline: {
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

  /** All live sessions, in batches and in no order. Scans the whole database. */
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
    const { id, userId, idleTimeout, lastAccess, createdAt } = session;
    const accessedAt = performance.now() - Math.max(0, now - lastAccess);
    return {
      session: await codec.toSession(content, {
        remaining: remainingOf(session, now),
        // Until the first access the cookie is exactly as it was saved; then it follows the accesses.
        tolerance: lastAccess === createdAt ? CLOCK_TOLERANCE : 0,
      }),
      baseline: { digest, sessionId: id, userId, content, idleTimeout, accessedAt, isRecorded: false },
    };
  }
}
