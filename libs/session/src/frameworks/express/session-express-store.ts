/* eslint-disable @typescript-eslint/no-misused-promises -- express-session ignores what the methods of its store return */
import session, { type SessionData } from 'express-session';
import { InvalidArgumentError } from '../../model/errors.js';
import { resolveFrameworkSessionOptions, type ForeignSession } from '../../options/framework-session-options.js';
import type { SessionStore } from '../../ports/session-store.js';
import { FrameworkSessions } from '../engine/framework-sessions.js';
import { callbackOrPromise, type Callback } from '../engine/callback-or-promise.js';
import { SessionBaselines } from '../engine/session-baseline.js';
import { expiryOf, hasExpiry } from '../engine/session-lifetime.js';
import { openStores, type FrameworkStoreOptions } from '../engine/framework-store-options.js';

type ExpressRequest = Parameters<session.Store['createSession']>[0];
type ExpressSession = ReturnType<session.Store['createSession']>;

/** A session in a list: its content, and the id that `SessionService` and `destroy` accept. */
export type ListedExpressSession = SessionData & { id: string };

/** A record that cannot be read: the payload of the event `damaged` of a `SessionExpressStore`. */
export interface DamagedExpressSession {
  readonly sessionId: string | null;
  readonly detail: string;
}

/**
 * A complete store for express-session, on ioredis like connect-redis 8 or on any `SessionStore`.
 *
 * The session itself is in its user's record, where it is listed, counted and ended like any other; the hash of the id
 * that express-session draws leads to it. A read is two commands. While nobody has signed in, the session is in a
 * record of its own; it moves once `userOf` finds a user in it.
 *
 * Deliberate differences from other stores: an ended session stays ended, even if a slow request saves it late
 * (expressjs/session#361, #632, #830); parallel requests keep each other's changes; ids are hashed at rest, so that
 * `ids` and `all` return public ones; a store that does not answer is an error and never "no session"; the event
 * `disconnect`, after which express-session would continue without sessions, is never emitted.
 *
 * Every method takes a callback or returns a promise. Errors are `SessionError`s and have a `statusCode`: 503 if the
 * store is unavailable, 413 for a session above the size limit, 409 at the session limit under `reject`.
 *
 * ```ts
 * app.use(session({ store: new SessionExpressStore({ client: new Redis() }), secret, resave: false, saveUninitialized: false }));
 * ```
 */
export class SessionExpressStore extends session.Store {
  /** The store that keeps the sessions; for lists, ends and events. */
  readonly sessions: SessionStore;
  private readonly kept: FrameworkSessions;
  private readonly stop: () => Promise<void>;
  private readonly baselines = new SessionBaselines();

  /** @throws {ConfigurationError} for a wrong or unknown option. */
  constructor(options: FrameworkStoreOptions) {
    super();
    const { store, aliases, rest, close } = openStores(options);
    this.sessions = store;
    this.stop = close;
    this.kept = new FrameworkSessions({
      store,
      aliases,
      options: resolveFrameworkSessionOptions(rest),
      onDamage: (damage) => this.emit('damaged', damage satisfies DamagedExpressSession),
    });
  }

  /** The session, or undefined. Records no access. */
  override get(sid: string): Promise<SessionData | undefined>;
  override get(sid: string, callback: Callback<SessionData | undefined>): void;
  override get(sid: string, callback?: Callback<SessionData | undefined>): Promise<SessionData | undefined> {
    return callbackOrPromise(this.find(sid), callback);
  }

  /**
   * Saves a session; ends it if its cookie has expired or its `maxAge` is negative. Does nothing, and reports no error,
   * if it was ended since the request began.
   */
  override set(sid: string, session: SessionData): Promise<void>;
  override set(sid: string, session: SessionData, callback?: Callback): void;
  override set(sid: string, session: SessionData, callback?: Callback): Promise<void> {
    return callbackOrPromise(this.save(sid, session), callback);
  }

  /** Records an access: moves the session's deadline to that of its cookie. */
  override touch(sid: string, session: SessionData): Promise<void>;
  override touch(sid: string, session: SessionData, callback?: Callback): void;
  override touch(sid: string, session: SessionData, callback?: Callback): Promise<void> {
    return callbackOrPromise(this.recordAccess(sid, session), callback);
  }

  /** Ends a session for good. Accepts express-session's id, or the public one from a list. */
  override destroy(sid: string): Promise<void>;
  override destroy(sid: string, callback?: Callback): void;
  override destroy(sid: string, callback?: Callback): Promise<void> {
    return callbackOrPromise(this.kept.end(sid), callback);
  }

  /** All live sessions created through express-session, each with its public `id`. Scans the whole database. */
  override all(): Promise<ListedExpressSession[]>;
  override all(callback: Callback<ListedExpressSession[]>): void;
  override all(callback?: Callback<ListedExpressSession[]>): Promise<ListedExpressSession[]> {
    return callbackOrPromise(this.list(), callback);
  }

  /**
   * The public ids of all live sessions created through express-session; they are no use as cookies. Costs as much as
   * `all`.
   */
  ids(callback?: Callback<string[]>): Promise<string[]> {
    return callbackOrPromise(
      this.list().then((sessions) => sessions.map(({ id }) => id)),
      callback,
    );
  }

  /** The number of live sessions created through express-session. Costs as much as `all`. */
  override length(): Promise<number>;
  override length(callback: Callback<number>): void;
  override length(callback?: Callback<number>): Promise<number> {
    return callbackOrPromise(
      this.list().then((sessions) => sessions.length),
      callback,
    );
  }

  /** Ends all sessions created through express-session, and no others in the same store. */
  override clear(): Promise<void>;
  override clear(callback?: Callback): void;
  override clear(callback?: Callback): Promise<void> {
    return callbackOrPromise(this.kept.endAll(), callback);
  }

  /** Ends the request's session and gives it a new one with a new id. */
  override regenerate(request: ExpressRequest): Promise<void>;
  override regenerate(request: ExpressRequest, callback: (error?: unknown) => unknown): void;
  override regenerate(request: ExpressRequest, callback?: (error?: unknown) => unknown): Promise<void> {
    return callbackOrPromise(
      new Promise<void>((resolve, reject) => {
        super.regenerate(request, (error?: Error | null) => (error ? reject(error) : resolve()));
      }),
      callback,
    );
  }

  /** Creates the request's session from the result of `get`. */
  override createSession(request: ExpressRequest, stored: SessionData): ExpressSession {
    // A record of another program may lack what express-session reads unconditionally.
    const { cookie = { originalMaxAge: null } } = stored as Partial<SessionData>;
    stored.cookie = cookie;
    const made = super.createSession(request, stored);
    this.baselines.copy(stored, made);
    this.kept.beginRequest(request, this.baselines.of(made));
    return made;
  }

  /** Stops the sweep that the store started. A client or store that was passed in stays open. */
  async close(): Promise<void> {
    await this.stop();
  }

  /**
   * Whether a session has changes that its request has not saved yet. Sends no command.
   *
   * @throws {InvalidArgumentError} for a session that cannot be saved, such as one with an invalid `cookie.expires`.
   */
  async hasUnsavedChanges(session: object): Promise<boolean> {
    return this.kept.hasChanges(session as ForeignSession, this.baselines.of(session));
  }

  private async find(sid: string): Promise<SessionData | undefined> {
    const found = await this.kept.find(sid);
    if (!found) return undefined;
    this.baselines.set(found.session, found.baseline);
    return found.session as unknown as SessionData;
  }

  private async save(sid: string, session: SessionData): Promise<void> {
    assertSession(session);
    const saved = await this.kept.save(sid, contentOf(session), this.baselines.of(session), requestOf(session));
    this.baselines.set(session, saved);
  }

  private async recordAccess(sid: string, session: SessionData): Promise<void> {
    assertSession(session);
    const touched = await this.kept.touch(sid, contentOf(session), this.baselines.of(session), requestOf(session));
    this.baselines.set(session, touched);
  }

  private async list(): Promise<ListedExpressSession[]> {
    const sessions: ListedExpressSession[] = [];
    for await (const portion of this.kept.list()) {
      sessions.push(...portion.map(({ id, session }) => ({ ...session, id }) as unknown as ListedExpressSession));
    }
    return sessions;
  }
}

function assertSession(session: unknown): void {
  if (typeof session !== 'object' || session === null) throw new InvalidArgumentError('session', 'must be an object');
}

/**
 * The session's content. An invalid `cookie.expires` of a request's session counts as none: express-session reports the
 * invalid date when it sets the cookie.
 */
function contentOf(session: object): ForeignSession {
  const content = session as ForeignSession;
  const { cookie } = content;
  if (requestOf(session) === undefined || !hasExpiry(cookie) || Number.isFinite(expiryOf(cookie))) return content;
  return { ...content, cookie: { ...(JSON.parse(JSON.stringify(cookie)) as object), expires: null } };
}

function requestOf(session: object): unknown {
  return (session as { req?: unknown }).req;
}
