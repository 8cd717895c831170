import { anonymousUserId, nextSid } from '../model/alias.js';
import { AuthenticationError, SessionConflictError } from '../model/errors.js';
import { sidOf } from '../model/ids.js';
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
import type { Origin } from './session-origins.js';
import { ownerOf } from './session-rules.js';

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
export class SessionWriter {
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
    const { foreignId, mine, digest } = request;
    const limit = request.origin ? NO_LIMIT : undefined;
    const made = await this.make(request, { owner: this.ownerOf(request), content: mine, from: null, limit });
    if (!made) return null;
    const step = { made: made.id, from: null };
    const isMine = await this.holds(made, mine);
    const alias = await this.take(step, request);
    if (isLost(alias, digest, step)) return this.giveUp(alias, step);
    // Not earlier: until here what another library left is all there is.
    await this.tools.legacy?.remove(foreignId);
    if (!isNaming(alias, made.id)) return null;
    return isMine ? made : this.complete(made, request);
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
    const step = { made: target, from: null };
    const named = alias.state === 'absent' ? await this.take(step, request) : alias;
    if (!isTouched || !isNaming(named, target)) return null;
    return { id: target, userId: current.userId, idleTimeout: isUnchanged ? origin.idleTimeout : lifetime };
  }

  private async move(target: string, owner: Owner | null, request: WriteRequest): Promise<Kept | null> {
    const before = await this.store.read(target);
    if (before.state !== 'live') return null;
    const stored = await this.tools.codec.fromData(before.session.data);
    const change = this.changeOf(request);
    const content = change && !(stored instanceof DamagedContent) ? changed(stored, change) : request.mine;
    const made = await this.make(request, { owner, content, from: target });
    if (!made) return null;
    const step = { made: made.id, from: target };
    const isMine = await this.holds(made, content);
    const alias = await this.take(step, request);
    if (isLost(alias, request.digest, step)) return this.giveUp(alias, step);
    // Whoever made it knows what it was copied from, and alone can tell what was written since.
    if (isMine) {
      await this.catchUp(request.digest, before.session, made.id);
      await this.store.destroy(target, { reason: 'replaced' });
    }
    if (!isNaming(alias, made.id)) return null;
    return isMine ? made : this.complete(made, request);
  }

  /** Brings over what parallel requests wrote to the former session after it was copied, to wherever the alias leads now. */
  private async catchUp(digest: string, copied: Session, to: string): Promise<void> {
    const after = await this.store.read(copied.id);
    if (after.state !== 'live') return;
    const [base, late] = await Promise.all([
      this.tools.codec.fromData(copied.data),
      this.tools.codec.fromData(after.session.data),
    ]);
    if (base instanceof DamagedContent || late instanceof DamagedContent) return;
    const change = changeBetween(base, late);
    let target = to;
    for (let attempt = 0; attempt < ATTEMPTS && !isEmpty(change); attempt += 1) {
      await this.contents.write(target, change);
      const alias = await this.aliases.find(digest);
      if (alias.state !== 'session' || alias.sessionId === target) return;
      target = alias.sessionId;
    }
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

  /** Has the alias take a step, where it has not moved on. Returns what stands afterwards. */
  private async take({ made, from }: AliasStep, request: WriteRequest): Promise<AliasState> {
    return this.aliases.point(request.digest, { from, to: made, lifetime: this.aliasLifetime(request) });
  }

  /** Leaves nothing behind of a session that was made in vain, nor of one whose id was ended. */
  private async giveUp(alias: AliasState, { made, from }: AliasStep): Promise<null> {
    await this.store.destroy(made, { reason: 'replaced' });
    if (alias.state !== 'session' && from !== null) await this.store.destroy(from);
    return null;
  }

  /** Whether the session has just this content. One that stood already, since a parallel request made it, has another. */
  private async holds(made: Session, content: AliasedContent): Promise<boolean> {
    const stands = await this.tools.codec.fromData(made.data);
    if (stands instanceof DamagedContent) return false;
    return isEmpty(changeBetween(stands, content)) && isEmpty(changeBetween(content, stands));
  }

  /** Writes the request's part to a session that somebody else made. Null where it has moved on meanwhile. */
  private async complete(made: Session, request: WriteRequest): Promise<Kept | null> {
    await this.contents.write(made.id, this.changeOf(request) ?? request.mine);
    return isNaming(await this.aliases.find(request.digest), made.id) ? made : null;
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

/** A step of an alias from one session to the one that was made to follow it. */
interface AliasStep {
  readonly made: string;
  readonly from: string | null;
}

function isNaming(alias: AliasState, sessionId: string): boolean {
  return alias.state === 'session' && alias.sessionId === sessionId;
}

/**
 * Whether the alias did not take the step: it was ended, or a rival followed on `from`, such as the session of another user.
 * Otherwise it has taken it, and may have moved on since.
 */
function isLost(alias: AliasState, digest: string, { made, from }: AliasStep): boolean {
  return alias.state !== 'session' || (alias.sessionId !== made && sidOf(alias.sessionId) === nextSid(digest, from));
}
