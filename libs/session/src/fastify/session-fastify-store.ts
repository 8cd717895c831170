import { EventEmitter } from 'node:events';
import { fastifyOwner } from '../aliased/session-rules.js';
import { adaptersOf, type AliasedStoreOptions } from '../aliased/adapters.js';
import { AliasedSessions } from '../aliased/aliased-sessions.js';
import { answer, type Callback } from '../aliased/answer.js';
import { InvalidArgumentError } from '../model/errors.js';
import { resolveAliasedSessionOptions, type ForeignSession } from '../options/aliased-session-options.js';
import type { SessionStore } from '../ports/session-store.js';
import { replacedBy, requestOf } from './fastify-session.js';
import { ORIGIN, OriginTag } from './origin-tag.js';

/** A record that cannot be read, as the event `damaged` of a `SessionFastifyStore` tells it. */
export interface DamagedFastifySession {
  readonly sessionId: string | null;
  readonly detail: string;
}

/**
 * A store for @fastify/session, on ioredis or on any `SessionStore`. Sessions stand in their user's record as those of
 * `SessionExpressStore` do, and may be read by both.
 *
 * The default of `userOf` also knows where @fastify/passport keeps its user: in `session.passport` itself.
 *
 * `regenerate` of @fastify/session leaves the former session in its store, where it goes on to let its bearer in; this
 * store ends it.
 *
 * Every method takes a callback or returns a promise. Errors are `SessionError`s, whose `statusCode` Fastify answers with:
 * 503 when the store cannot be asked, 413 for a session above the size limit.
 *
 * ```ts
 * await app.register(fastifySession, { store: new SessionFastifyStore({ client: new Redis() }), secret });
 * ```
 */
export class SessionFastifyStore extends EventEmitter {
  /** Where the sessions are kept; for lists, ends and events. */
  readonly sessions: SessionStore;
  private readonly kept: AliasedSessions;
  private readonly stop: () => Promise<void>;

  /** @throws {ConfigurationError} for an option that is wrong or unknown. */
  constructor(options: AliasedStoreOptions) {
    super();
    const { store, aliases, rest, close } = adaptersOf(options);
    this.sessions = store;
    this.stop = close;
    this.kept = new AliasedSessions({
      store,
      aliases,
      options: resolveAliasedSessionOptions({ userOf: fastifyOwner, ...rest }),
      onDamage: (damage) => this.emit('damaged', damage satisfies DamagedFastifySession),
    });
  }

  /** The session, or undefined. Records no access. */
  get(sessionId: string): Promise<ForeignSession | undefined>;
  get<T>(sessionId: string, callback: Callback<T>): void;
  get<T>(sessionId: string, callback?: Callback<T>): Promise<ForeignSession | undefined> {
    return answer(this.find(sessionId), callback as Callback<ForeignSession | undefined>);
  }

  /**
   * Keeps a session; ends it where its cookie has expired. Does nothing, and reports no error, where it was ended since
   * the request began.
   */
  set(sessionId: string, session: object, callback?: Callback): Promise<void> {
    return answer(this.save(sessionId, session), callback);
  }

  /** Ends a session for good. Takes the id of @fastify/session, or the public one from a list. */
  destroy(sessionId: string, callback?: Callback): Promise<void> {
    return answer(this.kept.end(sessionId), callback);
  }

  /** Stops what the store began itself: removing what is past its deadline. A client or store that was given stays open. */
  async close(): Promise<void> {
    await this.stop();
  }

  private async find(sessionId: string): Promise<ForeignSession | undefined> {
    const found = await this.kept.find(sessionId);
    return found ? { ...found.session, [ORIGIN]: new OriginTag(found.origin) } : undefined;
  }

  private async save(sessionId: string, session: object): Promise<void> {
    if (typeof session !== 'object' || session === null) throw new InvalidArgumentError('session', 'must be an object');
    const replaced = replacedBy(session, sessionId);
    const { [ORIGIN]: _tag, ...content } = session as ForeignSession;
    const origin = await this.kept.save(sessionId, content, OriginTag.originOf(session), requestOf(session));
    if (origin) Object.assign(session, { [ORIGIN]: new OriginTag(origin) });
    if (replaced !== null) await this.kept.end(replaced);
  }
}
