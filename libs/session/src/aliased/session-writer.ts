import { anonymousUserId, nextSid } from '../model/alias.js';
import { AuthenticationError, SessionConflictError } from '../model/errors.js';
import { HARD_SESSION_LIMIT, type SessionLimit } from '../model/limit.js';
import type { NewSession, Session, SessionMetadata } from '../model/session.js';
import type {
  ForeignSession,
  ResolvedAliasedSessionOptions,
  SessionOwner,
} from '../options/aliased-session-options.js';
import type { LegacySessions } from '../ports/legacy-sessions.js';
import type { AliasState, SessionAliases } from '../ports/session-aliases.js';
import type { SessionStore } from '../ports/session-store.js';
import {
  changed,
  changeBetween,
  DamagedContent,
  isEmpty,
  type AliasedContent,
  type ContentChange,
  type ContentCodec,
} from './session-content.js';
import { ContentWriter } from './content-writer.js';
import { ownerOf } from './session-rules.js';

/** What a request had read of a session, or last saved: what it changed since is the difference. */
export interface Origin {
  readonly digest: string;
  /** Null while the session is still where another library left it. */
  readonly sessionId: string | null;
  readonly userId: string;
  readonly content: AliasedContent;
  readonly idleTimeout: number;
  /** When the last access was recorded, by this process's monotonic clock, ms. */
  readonly accessedAt: number;
  /** Whether this very request recorded it. */
  readonly isRecorded: boolean;
}

export interface WriteRequest {
  readonly foreignId: string;
  readonly digest: string;
  readonly session: ForeignSession;
  readonly mine: AliasedContent;
  /** ms. */
  readonly lifetime: number;
  readonly origin: Origin | null;
  readonly metadata: SessionMetadata | undefined;
}

export interface WriterTools {
  readonly store: SessionStore;
  readonly aliases: SessionAliases;
  readonly options: ResolvedAliasedSessionOptions;
  readonly codec: ContentCodec;
  readonly legacy: LegacySessions | null;
}

/** How often a session that others move meanwhile is followed. */
const ATTEMPTS = 16;

/** Nobody is signed out for moving in: at the next sign-in the limit counts again. */
const NO_LIMIT: SessionLimit = { max: HARD_SESSION_LIMIT, onLimit: 'evict-least-recent' };
const ONE: SessionLimit = { max: 1, onLimit: 'evict-least-recent' };

type Owner = SessionOwner & { readonly id: string };
type Kept = Pick<Session, 'id' | 'userId' | 'idleTimeout'>;

/**
 * Writes sessions of a framework where they belong. A session moves to its user's record once its user is known, and
 * back: it is made there first, then the alias is pointed at it, then the former one ends. Ids follow from one another, so
 * that every step may be repeated, here or by a parallel request, and none leaves a second session behind.
 */
export class AliasedSessionWriter {
  private readonly store: SessionStore;
  private readonly aliases: SessionAliases;
  private readonly contents: ContentWriter;

  constructor(private readonly tools: WriterTools) {
    this.store = tools.store;
    this.aliases = tools.aliases;
    this.contents = new ContentWriter(tools.store, tools.codec);
  }

  /**
   * What the session is to be judged by from now on, or null where it had ended and nothing was written.
   *
   * @throws {SessionConflictError} when others kept moving it.
   */
  async write(request: WriteRequest): Promise<Origin | null> {
    const { digest, mine } = request;
    let target = request.origin?.sessionId ?? (await this.named(request));
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      if (target === undefined) return null;
      const kept = target === null ? await this.begin(request) : await this.goOn(target, request);
      if (kept) {
        const { id, userId, idleTimeout } = kept;
        return {
          digest,
          sessionId: id,
          userId,
          content: mine,
          idleTimeout,
          accessedAt: performance.now(),
          isRecorded: true,
        };
      }
      const named = await this.named(request);
      // The alias still names what is gone: it has ended.
      if (named === target) return null;
      target = named;
    }
    throw new SessionConflictError();
  }

  /** The session that the alias names, null where there is none yet, undefined where there is none any more. */
  private async named({ digest, origin }: WriteRequest): Promise<string | null | undefined> {
    const alias = await this.aliases.find(digest);
    if (alias.state === 'session') return alias.sessionId;
    // One that was there when the request began has ended since: to make it anew would revive it.
    return alias.state === 'ended' || (origin && origin.sessionId !== null) ? undefined : null;
  }

  /** The first write of a session. Null where somebody else was there before, or it ended. */
  private async begin(request: WriteRequest): Promise<Kept | null> {
    const { foreignId, mine } = request;
    const owner = this.ownerOf(request);
    const limit = request.origin ? NO_LIMIT : undefined;
    const [made] = await Promise.all([
      this.make(request, { owner, content: mine, from: null, limit }),
      this.tools.legacy?.remove(foreignId),
    ]);
    if (!made || !(await this.repoint(request, null, made))) return null;
    return this.settled(made, request, mine);
  }

  /** A write to a session that is there. Null where it is not any more. */
  private async goOn(target: string, request: WriteRequest): Promise<Kept | null> {
    const { origin, lifetime, digest, mine } = request;
    const current = origin?.sessionId === target ? origin : await this.store.get(target);
    if (!current) return null;
    const change = this.changeOf(request);
    const owner = this.ownerOf(request);
    const userId = userIdOf(owner, digest);
    // A request that left the user as it found it does not undo a sign-in that another one made meanwhile.
    const isFollowing = change !== null && origin?.userId === userId;
    if (userId !== current.userId && !isFollowing) return this.move(target, owner, request);

    if (!(await this.contents.write(target, change ?? mine))) return null;
    // After the write, and not beside it: whoever moves the session meanwhile has either copied this write, or moved the
    // alias before it is looked at here.
    const isUnchanged = origin !== null && Math.abs(lifetime - origin.idleTimeout) <= 1_000;
    const [isTouched, alias] = await Promise.all([
      this.store.touch(target, isUnchanged ? {} : { idleTimeout: lifetime }),
      this.aliases.keep(digest, target, this.aliasLifetime(request)),
    ]);
    const isNamed =
      alias.state === 'absent' ? await this.repoint(request, null, { id: target }) : isNaming(alias, target);
    return isTouched && isNamed
      ? { id: target, userId: current.userId, idleTimeout: isUnchanged ? origin.idleTimeout : lifetime }
      : null;
  }

  private async move(target: string, owner: Owner | null, request: WriteRequest): Promise<Kept | null> {
    const before = await this.store.read(target);
    if (before.state !== 'live') return null;
    const stored = await this.tools.codec.fromData(before.session.data);
    const change = this.changeOf(request);
    const content = change && !(stored instanceof DamagedContent) ? changed(stored, change) : request.mine;
    const made = await this.make(request, { owner, content, from: target });
    if (!made || !(await this.repoint(request, target, made))) return null;
    await this.catchUp(before.session, made.id);
    await this.store.destroy(target, { reason: 'replaced' });
    return this.settled(made, request, content);
  }

  /** Brings over what parallel requests wrote to the former session after it was copied. */
  private async catchUp(copied: Session, to: string): Promise<void> {
    const after = await this.store.read(copied.id);
    if (after.state !== 'live') return;
    const [base, late] = await Promise.all([
      this.tools.codec.fromData(copied.data),
      this.tools.codec.fromData(after.session.data),
    ]);
    if (base instanceof DamagedContent || late instanceof DamagedContent) return;
    const change = changeBetween(base, late);
    if (!isEmpty(change)) await this.contents.write(to, change);
  }

  /** The session under its next id, or null where that one has ended. Points nothing at it. */
  private async make(
    { digest, lifetime, metadata }: WriteRequest,
    {
      owner,
      content,
      from,
      limit,
    }: { owner: Owner | null; content: AliasedContent; from: string | null; limit?: SessionLimit | undefined },
  ): Promise<Session | null> {
    const input: NewSession = {
      userId: userIdOf(owner, digest),
      data: await this.tools.codec.toData(content),
      ...(owner?.email !== undefined && { email: owner.email }),
      ...(owner?.roles !== undefined && { roles: owner.roles }),
      ...(metadata && { metadata }),
    };
    const allowed = owner ? (limit ?? (await this.limitFor(input))) : ONE;
    try {
      return await this.store.create(input, {
        sid: nextSid(digest, from),
        idleTimeout: lifetime,
        absoluteTimeout: this.tools.options.absoluteTimeout,
        ...(allowed && { limit: allowed }),
      });
    } catch (error) {
      if (error instanceof AuthenticationError) return null;
      throw error;
    }
  }

  /** Whether the alias names the session now. Where somebody else was faster, the session that was made for it ends. */
  private async repoint(request: WriteRequest, from: string | null, { id }: { id: string }): Promise<boolean> {
    const alias = await this.aliases.point(request.digest, { from, to: id, lifetime: this.aliasLifetime(request) });
    if (isNaming(alias, id)) return true;
    await this.store.destroy(id, { reason: 'replaced' });
    return false;
  }

  /** A session that stood already, since a step is repeated, has other content than it was to be made with. */
  private async settled(made: Session, request: WriteRequest, content: AliasedContent): Promise<Kept | null> {
    const stands = await this.tools.codec.fromData(made.data);
    const isAsMade =
      !(stands instanceof DamagedContent) &&
      isEmpty(changeBetween(stands, content)) &&
      isEmpty(changeBetween(content, stands));
    if (isAsMade || (await this.contents.write(made.id, this.changeOf(request) ?? content))) return made;
    return null;
  }

  /** What the request changed, or null where all that it has is to count. */
  private changeOf({ origin, mine }: WriteRequest): ContentChange | null {
    return origin && this.tools.options.mergeConcurrentWrites ? changeBetween(origin.content, mine) : null;
  }

  private ownerOf({ session }: WriteRequest): Owner | null {
    return ownerOf(session, this.tools.options.userOf);
  }

  private async limitFor(input: NewSession): Promise<SessionLimit | undefined> {
    const { limit } = this.tools.options;
    return typeof limit === 'function' ? limit(input) : limit;
  }

  /** A while longer than the session, so that a late request finds that it ended and does not take it for a new one. */
  private aliasLifetime({ lifetime }: WriteRequest): number {
    return lifetime + this.tools.options.endedFor;
  }
}

function userIdOf(owner: Owner | null, digest: string): string {
  return owner?.id ?? anonymousUserId(digest);
}

function isNaming(alias: AliasState, sessionId: string): boolean {
  return alias.state === 'session' && alias.sessionId === sessionId;
}
