import { nextSid } from '../../model/alias.js';
import { AuthenticationError } from '../../model/errors.js';
import { sidOf } from '../../model/ids.js';
import type { SessionLimit } from '../../model/limit.js';
import type { NewSession, Session } from '../../model/session.js';
import { TOMBSTONES_PER_USER } from '../../model/tombstones.js';
import type { ResolvedFrameworkSessionOptions } from '../../options/framework-session-options.js';
import type { AliasState, SessionAliases } from '../../ports/session-aliases.js';
import type { SessionStore } from '../../ports/session-store.js';
import {
  changeBetween,
  DamagedContent,
  isEmptyChange,
  type SessionContent,
  type ContentChange,
  type ContentCodec,
} from './session-content.js';
import type { SessionContentWriter } from './session-content-writer.js';

export interface MoverTools {
  readonly store: SessionStore;
  readonly aliases: SessionAliases;
  readonly options: ResolvedFrameworkSessionOptions;
  readonly codec: ContentCodec;
  readonly contents: SessionContentWriter;
}

/** A move of an alias from the session that it names, or from none, to one that is created for it. */
export interface Move {
  readonly digest: string;
  /** As read when `content` was computed from it. */
  readonly from: Session | null;
  readonly input: Omit<NewSession, 'data'>;
  readonly content: SessionContent;
  /** The new part of the content, in case a parallel request makes the same move with another content; null for all. */
  readonly change: ContentChange | null;
  /** Lifetime of the session, ms. */
  readonly lifetime: number;
  readonly limit: SessionLimit | undefined;
}

interface Created {
  readonly session: Session;
  readonly sid: string;
}

/** How often an alias that is being moved is followed. */
const HOPS = 16;

/**
 * Moves an alias: creates the new session, points the alias at it, and ends the former session. The new id is derived from
 * the former one, so that parallel requests and repeated attempts arrive at the same session.
 */
export class SessionMover {
  private readonly store: SessionStore;
  private readonly aliases: SessionAliases;

  constructor(private readonly tools: MoverTools) {
    this.store = tools.store;
    this.aliases = tools.aliases;
  }

  /** The session that the alias now names, or null if the alias was ended or moved elsewhere. */
  async move(move: Move): Promise<Session | null> {
    const { digest, from, content } = move;
    const created = await this.create(move);
    if (!created) return null;
    const { session } = created;
    const isMine = await this.holds(session, content);
    const alias = await this.aliases.point(digest, {
      from: from?.id ?? null,
      to: session.id,
      lifetime: aliasLifetime(move.lifetime, this.tools.options),
    });
    if (isLost(alias, created)) {
      await this.store.destroy(session.id, { reason: 'replaced' });
      // The request that ended the alias also ended the session that it named then. `from` may be an earlier one.
      if (alias.state !== 'session' && from) await this.store.destroy(from.id);
      return null;
    }
    // Only the request that created the session knows which state of `from` it copied, and so what was written since.
    if (isMine && from) await this.leave(digest, from);
    if (isNaming(alias, session.id)) return isMine ? session : this.complete(session, move);
    if (isMine) await this.leave(digest, session);
    return null;
  }

  /** Creates the session that follows `from`; nothing names it yet. Null if that session has already ended. */
  private async create(move: Move): Promise<Created | null> {
    const { digest, from } = move;
    let sid = nextSid(digest, from?.id ?? null);
    for (let ended = 0; ended <= TOMBSTONES_PER_USER; ended += 1) {
      const session = await this.createAs(sid, move);
      if (session) return { session, sid };
      // The store may remember an ended session for longer than `endedFor`. Only the alias decides whether the framework's
      // id may be used again.
      if (from || (await this.aliases.find(digest)).state !== 'absent') return null;
      sid = nextSid(digest, sid);
    }
    return null;
  }

  private async createAs(sid: string, { input, content, lifetime, limit }: Move): Promise<Session | null> {
    try {
      return await this.store.create(
        { ...input, data: await this.tools.codec.toData(content) },
        {
          sid,
          idleTimeout: lifetime,
          absoluteTimeout: this.tools.options.absoluteTimeout,
          ...(limit && { limit }),
        },
      );
    } catch (error) {
      if (error instanceof AuthenticationError) return null;
      throw error;
    }
  }

  /** Whether the session has exactly this content. If a parallel request created it, it has another. */
  private async holds(session: Session, content: SessionContent): Promise<boolean> {
    const stored = await this.tools.codec.fromData(session.data);
    if (stored instanceof DamagedContent) return false;
    return isEmptyChange(changeBetween(stored, content)) && isEmptyChange(changeBetween(content, stored));
  }

  /** Writes this request's part to a session that a parallel request created. Null if that has moved on. */
  private async complete(session: Session, { digest, content, change }: Move): Promise<Session | null> {
    await this.tools.contents.write(session.id, change ?? content);
    return isNaming(await this.aliases.find(digest), session.id) ? session : null;
  }

  /** Ends a session that its alias has left, and carries what was written to it since `known` to the alias's session. */
  private async leave(digest: string, known: Session): Promise<void> {
    const change = await this.changeSince(known);
    let written: string | null = null;
    for (let hop = 0; hop < HOPS && change && !isEmptyChange(change); hop += 1) {
      const alias = await this.aliases.find(digest);
      if (alias.state !== 'session' || alias.sessionId === written) break;
      written = alias.sessionId;
      await this.tools.contents.write(written, change);
    }
    await this.store.destroy(known.id, { reason: 'replaced' });
  }

  private async changeSince(known: Session): Promise<ContentChange | null> {
    const { codec } = this.tools;
    const now = await this.store.get(known.id);
    if (!now) return null;
    const [base, late] = await Promise.all([codec.fromData(known.data), codec.fromData(now.data)]);
    return base instanceof DamagedContent || late instanceof DamagedContent ? null : changeBetween(base, late);
  }
}

/** Longer than the session, so that a late request finds that the session ended and does not create it again. */
export function aliasLifetime(
  lifetime: number,
  { endedFor }: Pick<ResolvedFrameworkSessionOptions, 'endedFor'>,
): number {
  return lifetime + endedFor;
}

export function isNaming(alias: AliasState, sessionId: string): boolean {
  return alias.state === 'session' && alias.sessionId === sessionId;
}

/**
 * Whether the alias did not make this move: it was ended, or made a rival one, such as to the session of another user.
 * Otherwise it made the move, and may have made further ones since.
 */
function isLost(alias: AliasState, { session, sid }: Created): boolean {
  if (alias.state !== 'session') return true;
  return alias.sessionId !== session.id && sidOf(alias.sessionId) === sid;
}
