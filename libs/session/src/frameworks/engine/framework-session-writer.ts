import { anonymousUserId } from '../../model/alias.js';
import { SessionConflictError } from '../../model/errors.js';
import { HARD_SESSION_LIMIT, type SessionLimit } from '../../model/limit.js';
import type { NewSession, Session, SessionMetadata } from '../../model/session.js';
import type { ResolvedFrameworkSessionOptions, SessionOwner } from '../../options/framework-session-options.js';
import type { LegacySessions } from '../../ports/legacy-sessions.js';
import type { SessionAliases } from '../../ports/session-aliases.js';
import type { SessionStore } from '../../ports/session-store.js';
import { SessionContentWriter } from './session-content-writer.js';
import {
  applyChange,
  changeBetween,
  DamagedContent,
  type SessionContent,
  type ContentChange,
  type ContentCodec,
} from './session-content.js';
import type { Baseline } from './session-baseline.js';
import { aliasLifetime, isNaming, SessionMover } from './session-mover.js';

export interface WriteRequest {
  readonly foreignId: string;
  readonly digest: string;
  readonly mine: SessionContent;
  /** Milliseconds. */
  readonly lifetime: number;
  readonly baseline: Baseline | null;
  /** Null while no user has signed in. */
  readonly owner: (SessionOwner & { readonly id: string }) | null;
  readonly metadata: SessionMetadata | undefined;
}

export interface WriterTools {
  readonly store: SessionStore;
  readonly aliases: SessionAliases;
  readonly options: ResolvedFrameworkSessionOptions;
  readonly codec: ContentCodec;
  readonly legacy: LegacySessions | null;
}

/** How often a session that others keep moving is followed. */
const ATTEMPTS = 16;

/** A session that is taken over evicts no other; the limit applies again at the next sign-in. */
const NO_LIMIT: SessionLimit = { max: HARD_SESSION_LIMIT, onLimit: 'evict-least-recent' };

type Written = Pick<Session, 'id' | 'userId' | 'idleTimeout'>;

type Write = WriteRequest & {
  /** What the request changed; null if its whole content counts. */
  readonly change: ContentChange | null;
  /** The user's id, or the one that stands for a user who is not known yet. */
  readonly userId: string;
};

/**
 * Writes a framework's session to the session that its alias names. If the user has changed, moves it to that user's record.
 */
export class FrameworkSessionWriter {
  private readonly store: SessionStore;
  private readonly aliases: SessionAliases;
  private readonly contents: SessionContentWriter;
  private readonly mover: SessionMover;

  constructor(private readonly tools: WriterTools) {
    this.store = tools.store;
    this.aliases = tools.aliases;
    this.contents = new SessionContentWriter(tools.store, tools.codec);
    this.mover = new SessionMover({ ...tools, contents: this.contents });
  }

  /**
   * The state to compare the next save with, or null if the session had ended and nothing was written.
   *
   * @throws {SessionConflictError} if others kept moving it.
   */
  async write(request: WriteRequest): Promise<Baseline | null> {
    const { digest, mine, baseline, owner } = request;
    const change = baseline && this.tools.options.mergeConcurrentWrites ? changeBetween(baseline.content, mine) : null;
    const write: Write = { ...request, change, userId: owner?.id ?? anonymousUserId(digest) };
    let target = baseline?.sessionId ?? (await this.findTarget(request));
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      if (target === undefined) return null;
      const written = target === null ? await this.createFirst(write) : await this.writeTo(target, write);
      if (written) return baselineOf(request, written);
      const next = await this.findTarget(request);
      // The alias still names the session that is gone: it has ended.
      if (next === target) return null;
      target = next;
    }
    throw new SessionConflictError();
  }

  /** The session that the alias names; null if there is none yet, undefined if it has ended. */
  private async findTarget({ digest, baseline }: WriteRequest): Promise<string | null | undefined> {
    const alias = await this.aliases.find(digest);
    if (alias.state === 'session') return alias.sessionId;
    // A session that existed when the request read it has ended since: creating it again would undo that.
    return alias.state === 'ended' || (baseline && baseline.sessionId !== null) ? undefined : null;
  }

  /** The first write of a session. Null if a parallel request created it, or it has ended. */
  private async createFirst(write: Write): Promise<Written | null> {
    const created = await this.move(write, { from: null, content: write.mine });
    // Not earlier: until here, the session of the other library is the only copy.
    if (created) await this.tools.legacy?.remove(write.foreignId);
    return created;
  }

  /** A write to an existing session. Null if it is gone. */
  private async writeTo(target: string, write: Write): Promise<Written | null> {
    const { baseline, lifetime, digest, mine, change, userId } = write;
    const current = baseline?.sessionId === target ? baseline : await this.store.get(target);
    if (!current) return null;
    // A request that did not change the user must not undo a sign-in by a parallel request.
    const isSameUser = change !== null && baseline?.userId === userId;
    if (userId !== current.userId && !isSameUser) return this.moveFrom(target, write);

    if (!(await this.contents.write(target, change ?? mine))) return null;
    // After the write, not beside it: a request that moves the session has either copied this write, or moved the alias
    // before it is checked here.
    const aliasFor = aliasLifetime(lifetime, this.tools.options);
    const [isTouched, kept] = await Promise.all([
      this.store.touch(target, { idleTimeout: lifetime }),
      this.aliases.keep(digest, target, aliasFor),
    ]);
    // The alias was lost early, such as by eviction.
    const alias =
      kept.state === 'absent' ? await this.aliases.point(digest, { from: null, to: target, lifetime: aliasFor }) : kept;
    if (!isTouched || !isNaming(alias, target)) return null;
    return { id: target, userId: current.userId, idleTimeout: lifetime };
  }

  private async moveFrom(target: string, write: Write): Promise<Written | null> {
    const from = await this.store.get(target);
    if (!from) return null;
    const stored = await this.tools.codec.fromData(from.data);
    const isMerged = write.change !== null && !(stored instanceof DamagedContent);
    return this.move(write, { from, content: isMerged ? applyChange(stored, write.change) : write.mine });
  }

  private async move(
    { digest, userId, owner, metadata, lifetime, change, baseline }: Write,
    { from, content }: { from: Session | null; content: SessionContent },
  ): Promise<Session | null> {
    const client = metadata ?? from?.metadata;
    const input: Omit<NewSession, 'data'> = {
      userId,
      ...(owner?.email !== undefined && { email: owner.email }),
      ...(owner?.roles !== undefined && { roles: owner.roles }),
      ...(client && { metadata: client }),
    };
    // A record without a user holds the states of one session, and a session that is taken over signed in long ago.
    const isExempt = owner === null || baseline?.sessionId === null;
    return this.mover.move({
      digest,
      from,
      input,
      content,
      change,
      lifetime,
      limit: isExempt ? NO_LIMIT : await this.limitFor(input),
    });
  }

  private async limitFor(input: NewSession): Promise<SessionLimit | undefined> {
    const { limit } = this.tools.options;
    return typeof limit === 'function' ? limit(input) : limit;
  }
}

function baselineOf({ digest, mine }: WriteRequest, { id, userId, idleTimeout }: Written): Baseline {
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
