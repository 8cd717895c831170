import { nextSid } from '../model/alias.js';
import { AuthenticationError } from '../model/errors.js';
import { sidOf } from '../model/ids.js';
import type { SessionLimit } from '../model/limit.js';
import type { NewSession, Session } from '../model/session.js';
import type { ResolvedAliasedSessionOptions } from '../options/aliased-session-options.js';
import type { AliasState, SessionAliases } from '../ports/session-aliases.js';
import type { SessionStore } from '../ports/session-store.js';
import type { ContentWriter } from './content-writer.js';
import {
  changeBetween,
  DamagedContent,
  isEmpty,
  type AliasedContent,
  type ContentChange,
  type ContentCodec,
} from './session-content.js';

export interface StepTools {
  readonly store: SessionStore;
  readonly aliases: SessionAliases;
  readonly options: ResolvedAliasedSessionOptions;
  readonly codec: ContentCodec;
  readonly contents: ContentWriter;
}

/** A step of an alias: from the session that it names, or none, to one that is made to follow it. */
export interface Step {
  readonly digest: string;
  /** As it was read when `content` was computed from it. */
  readonly from: Session | null;
  readonly input: Omit<NewSession, 'data'>;
  readonly content: AliasedContent;
  /** What of the content is new, where another request took the same step with something else; null for all. */
  readonly change: ContentChange | null;
  /** Of the session, ms. */
  readonly lifetime: number;
  readonly limit: SessionLimit | undefined;
}

/** How often an alias that is on the move is followed. */
const HOPS = 16;

/**
 * Takes steps: the session is made first, then the alias is pointed at it, then the former one ends. Its id follows from the
 * former's, so that parallel requests, and whoever repeats a step that got half way, come to the same session.
 */
export class SessionSteps {
  private readonly store: SessionStore;
  private readonly aliases: SessionAliases;

  constructor(private readonly tools: StepTools) {
    this.store = tools.store;
    this.aliases = tools.aliases;
  }

  /** The session that the alias names then, or null where the alias went elsewhere or was ended. */
  async take(step: Step): Promise<Session | null> {
    const { digest, from, content } = step;
    const made = await this.make(step);
    if (!made) return null;
    const isMine = await this.holds(made, content);
    const alias = await this.aliases.point(digest, {
      from: from?.id ?? null,
      to: made.id,
      lifetime: aliasLifetime(step.lifetime, this.tools.options),
    });
    if (isLost(alias, made, step)) {
      await this.store.destroy(made.id, { reason: 'replaced' });
      // Whoever ended the alias knew of the session it named then, and not of one that it was on its way from.
      if (alias.state !== 'session' && from) await this.store.destroy(from.id);
      return null;
    }
    // Whoever made it knows what it was copied from, and alone can tell what was written since.
    if (isMine && from) await this.leave(digest, from);
    if (isNaming(alias, made.id)) return isMine ? made : this.complete(made, step);
    if (isMine) await this.leave(digest, made);
    return null;
  }

  /** The session under its next id, or null where that one has ended. Points nothing at it. */
  private async make({ digest, from, input, content, lifetime, limit }: Step): Promise<Session | null> {
    try {
      return await this.store.create(
        { ...input, data: await this.tools.codec.toData(content) },
        {
          sid: nextSid(digest, from?.id ?? null),
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

  /** Whether the session has just this content. One that stood already, since a parallel request made it, has another. */
  private async holds(made: Session, content: AliasedContent): Promise<boolean> {
    const stands = await this.tools.codec.fromData(made.data);
    if (stands instanceof DamagedContent) return false;
    return isEmpty(changeBetween(stands, content)) && isEmpty(changeBetween(content, stands));
  }

  /** Writes this request's part to a session that somebody else made. Null where it has moved on meanwhile. */
  private async complete(made: Session, { digest, content, change }: Step): Promise<Session | null> {
    await this.tools.contents.write(made.id, change ?? content);
    return isNaming(await this.aliases.find(digest), made.id) ? made : null;
  }

  /** Ends a session that its alias has left, and brings what was written to it since it was known to where the alias leads. */
  private async leave(digest: string, known: Session): Promise<void> {
    const change = await this.changeSince(known);
    let written: string | null = null;
    for (let hop = 0; hop < HOPS && change && !isEmpty(change); hop += 1) {
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

/** A while longer than the session, so that a late request finds that it ended and does not take it for a new one. */
export function aliasLifetime(lifetime: number, { endedFor }: Pick<ResolvedAliasedSessionOptions, 'endedFor'>): number {
  return lifetime + endedFor;
}

export function isNaming(alias: AliasState, sessionId: string): boolean {
  return alias.state === 'session' && alias.sessionId === sessionId;
}

/**
 * Whether the alias did not take the step: it was ended, or a rival followed instead, such as the session of another user.
 * Otherwise it has taken it, and may have moved on since.
 */
function isLost(alias: AliasState, made: Session, { digest, from }: Step): boolean {
  if (alias.state !== 'session') return true;
  return alias.sessionId !== made.id && sidOf(alias.sessionId) === nextSid(digest, from?.id ?? null);
}
