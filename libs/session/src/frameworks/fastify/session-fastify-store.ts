import { EventEmitter } from 'node:events';
import { fastifyOwner } from '../engine/session-owner.js';
import { openStores, type FrameworkStoreOptions } from '../engine/framework-store-options.js';
import { FrameworkSessions } from '../engine/framework-sessions.js';
import { callbackOrPromise, type Callback } from '../engine/callback-or-promise.js';
import { InvalidArgumentError } from '../../model/errors.js';
import { resolveFrameworkSessionOptions, type ForeignSession } from '../../options/framework-session-options.js';
import type { SessionStore } from '../../ports/session-store.js';
import { replacedSession, requestOf } from './fastify-session.js';
import { BASELINE, BaselineTag } from './baseline-tag.js';

/** A record that cannot be read: the payload of the event `damaged` of a `SessionFastifyStore`. */
export interface DamagedFastifySession {
  readonly sessionId: string | null;
  readonly detail: string;
}

/**
 * A store for @fastify/session, on ioredis or on any `SessionStore`. Sessions are kept in their user's record like
 * those of `SessionExpressStore`, and both stores can read them.
 *
 * The default of `userOf` also knows where @fastify/passport stores its user: in `session.passport` itself.
 *
 * `regenerate` of @fastify/session leaves the former session in its store, where it stays valid; this store ends it.
 *
 * Every method takes a callback or returns a promise. Errors are `SessionError`s, whose `statusCode` Fastify answers
 * with: 503 if the store is unavailable, 413 for a session above the size limit.
 *
 * ```ts
 * await app.register(fastifySession, { store: new SessionFastifyStore({ client: new Redis() }), secret });
 * ```
 */
export class SessionFastifyStore extends EventEmitter {
  /** The store that keeps the sessions; for lists, ends and events. */
  readonly sessions: SessionStore;
  private readonly kept: FrameworkSessions;
  private readonly stop: () => Promise<void>;

  /** @throws {ConfigurationError} for a wrong or unknown option. */
  constructor(options: FrameworkStoreOptions) {
    super();
    const { store, aliases, rest, close } = openStores(options);
    this.sessions = store;
    this.stop = close;
    this.kept = new FrameworkSessions({
      store,
      aliases,
      options: resolveFrameworkSessionOptions({ userOf: fastifyOwner, ...rest }),
      onDamage: (damage) => this.emit('damaged', damage satisfies DamagedFastifySession),
    });
  }

  /** The session, or undefined. Records no access. */
  get(sessionId: string): Promise<ForeignSession | undefined>;
  get<T>(sessionId: string, callback: Callback<T>): void;
  get<T>(sessionId: string, callback?: Callback<T>): Promise<ForeignSession | undefined> {
    return callbackOrPromise(this.find(sessionId), callback as Callback<ForeignSession | undefined>);
  }

  /**
   * Saves a session; ends it if its cookie has expired. Does nothing, and reports no error, if it was ended since the
   * request began.
   */
  set(sessionId: string, session: object, callback?: Callback): Promise<void> {
    return callbackOrPromise(this.save(sessionId, session), callback);
  }

  /** Ends a session for good. Accepts the id of @fastify/session, or the public one from a list. */
  destroy(sessionId: string, callback?: Callback): Promise<void> {
    return callbackOrPromise(this.kept.end(sessionId), callback);
  }

  /** Stops the sweep that the store started. A client or store that was passed in stays open. */
  async close(): Promise<void> {
    await this.stop();
  }

  private async find(sessionId: string): Promise<ForeignSession | undefined> {
    const found = await this.kept.find(sessionId);
    return found ? { ...found.session, [BASELINE]: new BaselineTag(found.baseline) } : undefined;
  }

  private async save(sessionId: string, session: object): Promise<void> {
    if (typeof session !== 'object' || session === null) throw new InvalidArgumentError('session', 'must be an object');
    const replaced = replacedSession(session, sessionId);
    const request = requestOf(session);
    this.kept.beginRequest(request, BaselineTag.baselineOf(replaced?.session ?? session));
    const { [BASELINE]: _tag, ...content } = session as ForeignSession;
    const baseline = await this.kept.save(sessionId, content, BaselineTag.baselineOf(session), request);
    if (baseline) Object.assign(session, { [BASELINE]: new BaselineTag(baseline) });
    if (replaced) await this.kept.end(replaced.id);
  }
}
