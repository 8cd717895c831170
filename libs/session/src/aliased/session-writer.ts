import { anonymousUserId } from '../model/alias.js';
import { SessionConflictError } from '../model/errors.js';
import { HARD_SESSION_LIMIT, type SessionLimit } from '../model/limit.js';
import type { NewSession, Session, SessionMetadata } from '../model/session.js';
import type {
  ForeignSession,
  ResolvedAliasedSessionOptions,
  SessionOwner,
} from '../options/aliased-session-options.js';
import type { LegacySessions } from '../ports/legacy-sessions.js';
import type { SessionAliases } from '../ports/session-aliases.js';
import type { SessionStore } from '../ports/session-store.js';
import { ContentWriter } from './content-writer.js';
import {
  changed,
  changeBetween,
  DamagedContent,
  type AliasedContent,
  type ContentChange,
  type ContentCodec,
} from './session-content.js';
import type { Origin } from './session-origins.js';
import { ownerOf } from './session-rules.js';
import { aliasLifetime, isNaming, SessionSteps } from './session-steps.js';

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

type Owner = SessionOwner & { readonly id: string };
type Kept = Pick<Session, 'id' | 'userId' | 'idleTimeout'>;

/** A request with what it changed, or null where all that it has is to count, and whose session it is to be. */
type Write = WriteRequest & {
  readonly change: ContentChange | null;
  readonly owner: Owner | null;
  readonly userId: string;
};

/**
 * Writes sessions of a framework where they belong: into the session that the alias names, or, where the user has become
 * another one, into one that follows it in that user's record.
 */
export class SessionWriter {
  private readonly store: SessionStore;
  private readonly aliases: SessionAliases;
  private readonly contents: ContentWriter;
  private readonly steps: SessionSteps;

  constructor(private readonly tools: WriterTools) {
    this.store = tools.store;
    this.aliases = tools.aliases;
    this.contents = new ContentWriter(tools.store, tools.codec);
    this.steps = new SessionSteps({ ...tools, contents: this.contents });
  }

  /**
   * What the session is to be judged by from now on, or null where it had ended and nothing was written.
   *
   * @throws {SessionConflictError} when others kept moving it.
   */
  async write(request: WriteRequest): Promise<Origin | null> {
    const { digest, mine, origin, session } = request;
    const { mergeConcurrentWrites, userOf } = this.tools.options;
    const owner = ownerOf(session, userOf);
    const change = origin && mergeConcurrentWrites ? changeBetween(origin.content, mine) : null;
    const write: Write = { ...request, owner, change, userId: owner?.id ?? anonymousUserId(digest) };
    let target = origin?.sessionId ?? (await this.named(request));
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      if (target === undefined) return null;
      const kept = target === null ? await this.begin(write) : await this.goOn(target, write);
      if (kept) return originOf(request, kept);
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
  private async begin(write: Write): Promise<Kept | null> {
    const made = await this.follow(write, { from: null, content: write.mine });
    // Not earlier: until here what another library left is all there is.
    if (made) await this.tools.legacy?.remove(write.foreignId);
    return made;
  }

  /** A write to a session that is there. Null where it is not any more. */
  private async goOn(target: string, write: Write): Promise<Kept | null> {
    const { origin, lifetime, digest, mine, change, userId } = write;
    const current = origin?.sessionId === target ? origin : await this.store.get(target);
    if (!current) return null;
    // A request that left the user as it found it does not undo a sign-in that another one made meanwhile.
    const isFollowing = change !== null && origin?.userId === userId;
    if (userId !== current.userId && !isFollowing) return this.move(target, write);

    if (!(await this.contents.write(target, change ?? mine))) return null;
    // After the write, and not beside it: whoever moves the session meanwhile has either copied this write, or moved the
    // alias before it is looked at here.
    const isUnchanged = origin !== null && Math.abs(lifetime - origin.idleTimeout) <= 1_000;
    const aliasFor = aliasLifetime(lifetime, this.tools.options);
    const [isTouched, kept] = await Promise.all([
      this.store.touch(target, isUnchanged ? {} : { idleTimeout: lifetime }),
      this.aliases.keep(digest, target, aliasFor),
    ]);
    // Lost before its time, as caches lose things.
    const alias =
      kept.state === 'absent' ? await this.aliases.point(digest, { from: null, to: target, lifetime: aliasFor }) : kept;
    if (!isTouched || !isNaming(alias, target)) return null;
    return { id: target, userId: current.userId, idleTimeout: isUnchanged ? origin.idleTimeout : lifetime };
  }

  private async move(target: string, write: Write): Promise<Kept | null> {
    const from = await this.store.get(target);
    if (!from) return null;
    const stored = await this.tools.codec.fromData(from.data);
    const isMerged = write.change !== null && !(stored instanceof DamagedContent);
    return this.follow(write, { from, content: isMerged ? changed(stored, write.change) : write.mine });
  }

  private async follow(
    { digest, userId, owner, metadata, lifetime, change, origin }: Write,
    { from, content }: { from: Session | null; content: AliasedContent },
  ): Promise<Session | null> {
    const client = metadata ?? from?.metadata;
    const input: Omit<NewSession, 'data'> = {
      userId,
      ...(owner?.email !== undefined && { email: owner.email }),
      ...(owner?.roles !== undefined && { roles: owner.roles }),
      ...(client && { metadata: client }),
    };
    // While the user is not known, all in the record is one session on its way: what is older ends where it is left.
    const isFree = owner === null || origin?.sessionId === null;
    return this.steps.take({
      digest,
      from,
      input,
      content,
      change,
      lifetime,
      limit: isFree ? NO_LIMIT : await this.limitFor(input),
    });
  }

  private async limitFor(input: NewSession): Promise<SessionLimit | undefined> {
    const { limit } = this.tools.options;
    return typeof limit === 'function' ? limit(input) : limit;
  }
}

function originOf({ digest, mine }: WriteRequest, { id, userId, idleTimeout }: Kept): Origin {
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
