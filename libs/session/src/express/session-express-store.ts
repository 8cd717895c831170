/* eslint-disable @typescript-eslint/no-misused-promises -- express-session ignores what the methods of its store return */
import session, { type SessionData } from 'express-session';
import { InvalidArgumentError } from '../model/errors.js';
import { resolveAliasedSessionOptions, type ForeignSession } from '../options/aliased-session-options.js';
import type { SessionStore } from '../ports/session-store.js';
import { AliasedSessions } from '../aliased/aliased-sessions.js';
import { answer, type Callback } from '../aliased/answer.js';
import { SessionOrigins } from '../aliased/session-origins.js';
import { adaptersOf, type AliasedStoreOptions } from '../aliased/adapters.js';

type ExpressRequest = Parameters<session.Store['createSession']>[0];
type ExpressSession = ReturnType<session.Store['createSession']>;

/** A session in a list: what is in it, with the id by which `SessionService` and `destroy` know it. */
export type ListedExpressSession = SessionData & { id: string };

/** A record that cannot be read, as the event `damaged` of a `SessionExpressStore` tells it. */
export interface DamagedExpressSession {
  readonly sessionId: string | null;
  readonly detail: string;
}

/**
 * A complete store for express-session, on ioredis as connect-redis 8 was or on any `SessionStore`.
 *
 * The truth of a session stands in its user's record, where it is listed, counted and ended like any other: the id that
 * express-session draws is hashed and leads there. Reading is two reads. While nobody has signed in, the session is kept
 * in a record of its own; it moves once `userOf` finds a user in it.
 *
 * Differences to other stores, all on purpose: an ended session stays ended, also when a slow request saves it late
 * (expressjs/session#361, #632, #830); parallel requests keep each other's changes; ids are hashed at rest, so that `ids` and
 * `all` give public ones; what the store cannot answer is an error and never "no session"; the event `disconnect`, upon
 * which express-session would go on without sessions, is never emitted.
 *
 * Every method takes a callback or returns a promise. Errors are `SessionError`s and have a `statusCode`: 503 when the
 * store cannot be asked, 413 for a session above the size limit, 409 at the session limit under `reject`.
 *
 * ```ts
 * app.use(session({ store: new SessionExpressStore({ client: new Redis() }), secret, resave: false, saveUninitialized: false }));
 * ```
 */
export class SessionExpressStore extends session.Store {
  /** Where the sessions are kept; for lists, ends and events. */
  readonly sessions: SessionStore;
  private readonly kept: AliasedSessions;
  private readonly stop: () => Promise<void>;
  private readonly origins = new SessionOrigins();

  /** @throws {ConfigurationError} for an option that is wrong or unknown. */
  constructor(options: AliasedStoreOptions) {
    super();
    const { store, aliases, rest, close } = adaptersOf(options);
    this.sessions = store;
    this.stop = close;
    this.kept = new AliasedSessions({
      store,
      aliases,
      options: resolveAliasedSessionOptions(rest),
      onDamage: (damage) => this.emit('damaged', damage satisfies DamagedExpressSession),
    });
  }

  /** The session, or undefined. Records no access. */
  override get(sid: string): Promise<SessionData | undefined>;
  override get(sid: string, callback: Callback<SessionData | undefined>): void;
  override get(sid: string, callback?: Callback<SessionData | undefined>): Promise<SessionData | undefined> {
    return answer(this.find(sid), callback);
  }

  /**
   * Keeps a session; ends it where its cookie has expired or its `maxAge` is negative. Does nothing, and reports no error,
   * where it was ended since the request began.
   */
  override set(sid: string, session: SessionData): Promise<void>;
  override set(sid: string, session: SessionData, callback?: Callback): void;
  override set(sid: string, session: SessionData, callback?: Callback): Promise<void> {
    return answer(this.save(sid, session), callback);
  }

  /** Records an access: moves the session's end to that of its cookie. */
  override touch(sid: string, session: SessionData): Promise<void>;
  override touch(sid: string, session: SessionData, callback?: Callback): void;
  override touch(sid: string, session: SessionData, callback?: Callback): Promise<void> {
    return answer(this.recordAccess(sid, session), callback);
  }

  /** Ends a session for good. Takes express-session's id, or the public one from a list. */
  override destroy(sid: string): Promise<void>;
  override destroy(sid: string, callback?: Callback): void;
  override destroy(sid: string, callback?: Callback): Promise<void> {
    return answer(this.kept.end(sid), callback);
  }

  /** All live sessions that express-session made, each with its public `id`. Looks through the whole database. */
  override all(): Promise<ListedExpressSession[]>;
  override all(callback: Callback<ListedExpressSession[]>): void;
  override all(callback?: Callback<ListedExpressSession[]>): Promise<ListedExpressSession[]> {
    return answer(this.list(), callback);
  }

  /** The public ids of all live sessions that express-session made; no cookie can be made of them. Costs what `all` does. */
  ids(callback?: Callback<string[]>): Promise<string[]> {
    return answer(
      this.list().then((sessions) => sessions.map(({ id }) => id)),
      callback,
    );
  }

  /** How many sessions that express-session made are live. Costs what `all` does. */
  override length(): Promise<number>;
  override length(callback: Callback<number>): void;
  override length(callback?: Callback<number>): Promise<number> {
    return answer(
      this.list().then((sessions) => sessions.length),
      callback,
    );
  }

  /** Ends all sessions that express-session made, and no others in the same store. */
  override clear(): Promise<void>;
  override clear(callback?: Callback): void;
  override clear(callback?: Callback): Promise<void> {
    return answer(this.kept.endAll(), callback);
  }

  /** Ends the request's session and gives it a new one with a new id. */
  override regenerate(request: ExpressRequest): Promise<void>;
  override regenerate(request: ExpressRequest, callback: (error?: unknown) => unknown): void;
  override regenerate(request: ExpressRequest, callback?: (error?: unknown) => unknown): Promise<void> {
    return answer(
      new Promise<void>((resolve, reject) => {
        super.regenerate(request, (error?: Error | null) => (error ? reject(error) : resolve()));
      }),
      callback,
    );
  }

  /** Makes the request's session of what `get` gave. */
  override createSession(request: ExpressRequest, stored: SessionData): ExpressSession {
    // A record that another program wrote may lack what express-session reads unasked.
    const { cookie = { originalMaxAge: null } } = stored as Partial<SessionData>;
    stored.cookie = cookie;
    const made = super.createSession(request, stored);
    this.origins.copy(stored, made);
    return made;
  }

  /** Stops what the store began itself: removing what is past its deadline. A client or store that was given stays open. */
  async close(): Promise<void> {
    await this.stop();
  }

  /** Whether a session has anything that its request has not saved yet. Asks nobody. */
  async hasUnsavedChanges(session: object): Promise<boolean> {
    return this.kept.hasChanges(contentOf(session), this.origins.of(session));
  }

  private async find(sid: string): Promise<SessionData | undefined> {
    const found = await this.kept.find(sid);
    if (!found) return undefined;
    this.origins.set(found.session, found.origin);
    return found.session as unknown as SessionData;
  }

  private async save(sid: string, session: SessionData): Promise<void> {
    assertSession(session);
    const saved = await this.kept.save(sid, contentOf(session), this.origins.of(session), requestOf(session));
    this.origins.set(session, saved);
  }

  private async recordAccess(sid: string, session: SessionData): Promise<void> {
    assertSession(session);
    const touched = await this.kept.touch(sid, contentOf(session), this.origins.of(session), requestOf(session));
    this.origins.set(session, touched);
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

function contentOf(session: object): ForeignSession {
  return session as ForeignSession;
}

function requestOf(session: object): unknown {
  return (session as { req?: unknown }).req;
}
