import type { SessionEvent } from '../model/events.js';
import type { SessionLimit } from '../model/limit.js';
import type { CredentialKind, Lineages, Presented, RotationRule } from '../model/lineage.js';
import type {
  EndReason,
  NewSession,
  Session,
  SessionChange,
  SessionData,
  SessionPatch,
  UserPatch,
} from '../model/session.js';
import type { SessionAliases } from './session-aliases.js';
import type { SessionEventStream } from './session-event-stream.js';
import type { HistoryLimits, SessionHistory } from './session-history.js';

/** The parts of `create` that are the caller's decision rather than the session's content. */
export interface CreateOptions {
  /** ms; default: the store's. */
  idleTimeout?: number;
  /** ms; default: the store's. */
  absoluteTimeout?: number;
  /** Default: the store's. */
  limit?: SessionLimit;
  /** SHA-256 of each secret the session starts with. */
  credentials?: { cookie?: Buffer; refresh?: Buffer };
  /** 64-bit digest of the client, compared when a token is repeated within the grace window. */
  client?: Buffer | null;
  /** A session of the same user that ends in the same step with the reason `replaced`. Ids of other users are ignored. */
  replaces?: string;
  /**
   * The session's own part of the id, 16 characters of base64url, for callers that must be able to repeat the call: where
   * the session is there already it is answered as it stands, and where it ended the call is refused. Default: drawn.
   */
  sid?: string;
}

export interface ReadOptions {
  /** A `jti`: the snapshot then says whether it was singly revoked. */
  tokenId?: string;
}

/** A live session with what is needed to judge a credential, as of one instant. */
export interface LiveSession {
  readonly state: 'live';
  readonly session: Session;
  readonly lineages: Lineages;
  /** Names this state of the record; writers are refused once it is no longer the latest. */
  readonly revision: string;
  /** Access tokens issued before this instant are dead: the later of the user's and the session's cutoff. */
  readonly tokensFrom: number;
  /** Whether the asked `tokenId` was revoked. */
  readonly tokenRevoked: boolean;
  /** The store's time at which all this was true. */
  readonly now: number;
}

/** A session that is no more, and why, for as long as the store remembers. */
export interface EndedSession {
  readonly state: 'ended';
  readonly reason: EndReason;
  readonly endedAt: number;
  /** Whose it was, where the store still knows. */
  readonly userId?: string;
}

export interface AbsentSession {
  readonly state: 'absent';
}

/** Something stands where the session should and cannot be read. */
export interface DamagedSession {
  readonly state: 'damaged';
  readonly detail: string;
}

export type GoneSession = EndedSession | AbsentSession | DamagedSession;
export type SessionSnapshot = LiveSession | GoneSession;

export interface RotateRequest extends RotationRule {
  readonly kind: CredentialKind;
  readonly presented: Presented;
  /** Whether the rotation counts as an access. */
  readonly touch: boolean;
}

/** The verdict that took effect; `unknown` and the gone states changed nothing. */
export type RotateOutcome =
  | { readonly state: 'rotated' | 'kept' | 'repeated' | 'advanced'; readonly n: number; readonly live: LiveSession }
  | { readonly state: 'unknown' }
  | { readonly state: 'theft' }
  | GoneSession;

export interface RenewRequest {
  /** SHA-256 of each newly drawn secret. A kind that is left out keeps its secret; one that the session has not is not added. */
  readonly credentials: { readonly cookie?: Buffer; readonly refresh?: Buffer };
  /** Whether the user has just proved who they are: sets `authenticatedAt`. */
  readonly freshen: boolean;
  /** Changes to the record in the same step. */
  readonly patch?: SessionPatch;
  /** Only if this credential is still the session's current one, or the one a step-up just replaced. */
  readonly presented?: { readonly kind: CredentialKind; readonly hash: Buffer };
  /** How long the replaced secret may repeat this very call, ms. */
  readonly repeatableFor: number;
}

export type RenewOutcome = LiveSession | { readonly state: 'unknown' } | GoneSession;

export interface TouchOptions {
  /** Sets how long the session lives without an access from now on, ms. Default: as before. */
  idleTimeout?: number;
}

export interface DestroyOptions {
  /** Default `logout`. */
  reason?: EndReason;
  /** Only if the session is this user's. */
  userId?: string;
}

export interface DestroyAllOptions {
  /** Default `logout`. */
  reason?: EndReason;
  /** Session id to spare. */
  except?: string;
  /** Only the sessions on this device. */
  deviceId?: string;
}

export interface DestroyEverybodyOptions {
  /** Default `admin`. */
  reason?: EndReason;
  /** Sessions created later live on. Default: the store's now. */
  createdBefore?: number;
  /** Where an earlier call stopped. */
  cursor?: number;
  /** Milliseconds after which to stop and return a cursor. Default: no bound. */
  budget?: number;
}

export interface SweepOptions {
  /** Sweep only the `part`-th (from 0) of `of` equal parts. Default: all. */
  part?: number;
  of?: number;
}

/**
 * The port that keeps sessions. Abstract class, so that it is type and injection token at once.
 *
 * Rules for every adapter (the contract suite of `nestjs-sessions/testing` holds them to it):
 * - Operations on one user are atomic with respect to each other, in every process that shares the store.
 * - Every write may be carried out twice, or late: a repeat changes nothing more, a late one changes nothing.
 * - A session past its deadline is refused by every method, whether or not it was swept.
 * - Ends are final. Nothing revives an ended session; each end is announced by exactly one `ended` event.
 * - What is handed in or out is a copy.
 * - A store that cannot be asked rejects with `StoreUnavailableError`; it never answers "no session".
 */
export abstract class SessionStore {
  /**
   * Starts a session: atomic with replacement on the same device, the limit, and eviction. A session with an `actor` counts
   * towards no limit and makes way for none. Announces `new-device` as that event says.
   *
   * @throws {SessionLimitError} at the limit under the policy `reject`.
   * @throws {SessionTooLargeError} when the record exceeds the cap.
   */
  abstract create<T = SessionData>(input: NewSession<T>, options?: CreateOptions): Promise<Session<T>>;

  /** The session with its credentials, in one read. Records no access. */
  abstract read(sessionId: string, options?: ReadOptions): Promise<SessionSnapshot>;

  /** The live session, or null. Records no access: looking at a session does not keep it alive. */
  abstract get<T = SessionData>(sessionId: string): Promise<Session<T> | null>;

  /** All live sessions of the user, latest access first. Records no access; damaged ones are left out. */
  abstract getActiveSessions<T = SessionData>(userId: string): Promise<Session<T>[]>;

  /** The user's live session on the device, or null. */
  abstract findByDevice<T = SessionData>(userId: string, deviceId: string): Promise<Session<T> | null>;

  /** Records an access: moves the idle deadline, never the absolute one. False when there is no live session. */
  abstract touch(sessionId: string, options?: TouchOptions): Promise<boolean>;

  /**
   * Merges a change into the session and returns it, or null when there is no live one. Loses no parallel change: a
   * function may be called again on what another writer left. Revives nothing.
   *
   * @throws {SessionConflictError} when other writers won every time.
   */
  abstract update<T = SessionData>(sessionId: string, change: SessionChange<T>): Promise<Session<T> | null>;

  /** Sets email or roles for all live sessions of the user at once. Returns how many there are. */
  abstract updateUser(userId: string, patch: UserPatch): Promise<number>;

  /** Judges a credential and rotates, repeats, or ends the session for theft, in one step. */
  abstract rotate(sessionId: string, request: RotateRequest): Promise<RotateOutcome>;

  /** Replaces secrets with no grace (ASVS 5.0, 7.2.4). Access tokens issued before are dead from then on. */
  abstract renew(sessionId: string, request: RenewRequest): Promise<RenewOutcome>;

  /** Ends a session. False when there was no live one (or not this user's). */
  abstract destroy(sessionId: string, options?: DestroyOptions): Promise<boolean>;

  /** Ends all sessions of a user, or some of them, in one step. Returns how many. Sign-ins that follow live. */
  abstract destroyAll(userId: string, options?: DestroyAllOptions): Promise<number>;

  /** Ends everybody's sessions, user by user; not atomic as a whole, resumable, repeatable. */
  abstract destroyEverybody(options?: DestroyEverybodyOptions): Promise<{ ended: number; cursor: number | null }>;

  /** Kills one access token of a live session until `expiresAt` (epoch ms). False when the session is gone, and the token with it. */
  abstract revokeToken(sessionId: string, tokenId: string, expiresAt: number): Promise<boolean>;

  /** Kills all access tokens issued to the user so far; the sessions live on. Returns the cutoff, epoch ms. */
  abstract revokeTokens(userId: string): Promise<number>;

  /** How many sessions live. Exact. */
  abstract count(): Promise<number>;

  /** Removes what is past its deadline and announces each. Returns how many. */
  abstract sweep(options?: SweepOptions): Promise<number>;

  /** The store's time, epoch ms. Never runs backwards. */
  abstract now(): number;

  /** Hears everything the store announces, of this instance and others. Returns how to stop. */
  abstract subscribe(listener: (event: SessionEvent) => void): () => void;

  /** Resolves once the store answers. @throws {StoreUnavailableError} */
  abstract ready(): Promise<void>;

  /** Frees what the store opened itself, in bounded time. */
  abstract close(): Promise<void>;

  /**
   * Tells the listeners of every instance of something that no operation of the store does. Returns at once; other instances
   * may miss it. False where the adapter has no way to do so, and nobody was told.
   */
  publish(_event: SessionEvent): boolean {
    return false;
  }

  /** Calls the listener when events may have been missed, and arrive again. Returns how to stop. */
  onGap(_listener: () => void): () => void {
    return () => undefined;
  }

  /** Tells listeners at once what this instance did and they have not heard yet: before they stop listening. */
  flushEvents(): void {}

  /** Where events wait for consumers, the same at every call; null where the adapter has no such place or it is off. */
  eventStream(): SessionEventStream | null {
    return null;
  }

  /** Where the audit trail of this store's users is kept; null where the adapter has no such place. */
  history(_limits: HistoryLimits): SessionHistory | null {
    return null;
  }

  /** Where aliases for this store's sessions are kept, the same at every call; null where the adapter has no such place. */
  aliases(): SessionAliases | null {
    return null;
  }
}
