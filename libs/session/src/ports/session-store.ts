// Over 300 lines because the port and the types of its arguments and results are read together.
import type { DeviceBinding, DeviceKey } from '../model/device-binding.js';
import { ConfigurationError } from '../model/errors.js';
import type { SessionEvent } from '../model/events.js';
import type { SessionLimit } from '../model/limit.js';
import type { CredentialKind, TokenFamilies, Presented, RotationRule, UsedCredential } from '../model/token-family.js';
import type {
  EndReason,
  NewSession,
  Session,
  SessionChange,
  SessionData,
  SessionPatch,
  UserPatch,
} from '../model/session.js';
import type { HearingWatch } from './hearing-watch.js';
import type { SessionAliases } from './session-aliases.js';
import type { SessionEventStream } from './session-event-stream.js';
import type { HistoryLimits, SessionHistory } from './session-history.js';
import type { SpentProofs } from './spent-proofs.js';
import type { StoreWait } from './store-wait.js';

/** Options of a call that may be one of several. */
export interface CallOptions {
  /** What earlier calls for the same request have waited: together they wait for `commandTimeout`. Default: nothing yet. */
  readonly wait?: StoreWait;
}

/** Options of `create` apart from the content of the session. */
export interface CreateOptions extends CallOptions {
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
  /**
   * An instant of the store's `now`, taken before the user's proof was verified. Refused if `destroyAll` with
   * `refuseEarlierSignIns` was called since. Default: no check.
   */
  verifiedAt?: number;
  /** A session of the same user that ends in the same step with the reason `replaced`. Ids of other users are ignored. */
  replaces?: string;
  /**
   * The session's own part of the id, 16 characters of base64url, for callers that must be able to repeat the call: a live
   * session with this id is returned unchanged, and after its end the call is refused. Default: random.
   */
  sid?: string;
}

export interface ReadOptions extends CallOptions {
  /** A `jti`: the snapshot then says whether this token was revoked. */
  tokenId?: string;
}

/** A live session with what is needed to evaluate a credential, as of one instant. */
export interface LiveSession {
  readonly state: 'live';
  readonly session: Session;
  readonly families: TokenFamilies;
  /** The key of the device to which the session is bound; null or absent where it is bound to none. */
  readonly binding?: DeviceBinding | null;
  /** Identifies this state of the record. A write based on an older state is refused. */
  readonly revision: string;
  /** Access tokens issued before this instant are refused: the later of the user's and the session's cutoff. */
  readonly tokensFrom: number;
  /** Whether the given `tokenId` was revoked. */
  readonly tokenRevoked: boolean;
  /** The store's time at which all this was true. */
  readonly now: number;
  /**
   * Set where a near cache answered: all this was true at most its `maxStale` ago, and `now` is the time of the look-up. Good
   * enough to let a request in, not to refuse one.
   */
  readonly cached?: true;
}

/** An ended session and its end reason, while the store remembers them. */
export interface EndedSession {
  readonly state: 'ended';
  readonly reason: EndReason;
  readonly endedAt: number;
  /** The session's user, if the store still knows. */
  readonly userId?: string;
}

export interface AbsentSession {
  readonly state: 'absent';
}

/** The session has a record, but it cannot be read. */
export interface DamagedSession {
  readonly state: 'damaged';
  readonly detail: string;
}

export type GoneSession = EndedSession | AbsentSession | DamagedSession;
export type SessionSnapshot = LiveSession | GoneSession;

export interface RotateRequest extends RotationRule, CallOptions {
  readonly kind: CredentialKind;
  readonly presented: Presented;
  /** Whether the rotation counts as an access. */
  readonly touch: boolean;
}

/** What the store did. `unknown` and the gone states changed nothing. */
export type RotateOutcome =
  | {
      /** `branched`: another token of the current generation was issued. */
      readonly state: 'rotated' | 'kept' | 'repeated' | 'branched' | 'advanced';
      /** Generation of the token that is current now. */
      readonly generation: number;
      readonly branch: number;
      readonly live: LiveSession;
    }
  | { readonly state: 'unknown' }
  | { readonly state: 'reuse' }
  | GoneSession;

export interface RegenerateRequest extends CallOptions {
  /** SHA-256 of each new secret. An omitted kind keeps its secret; a kind that the session lacks is not added. */
  readonly credentials: { readonly cookie?: Buffer; readonly refresh?: Buffer };
  /** Whether the user has just proved their identity: sets `authenticatedAt`. */
  readonly freshen: boolean;
  /** Changes to the record in the same step. */
  readonly patch?: SessionPatch;
  /** Only if this credential is still the current one, or the one that a regeneration just replaced. */
  readonly presented?: { readonly kind: CredentialKind; readonly hash: Buffer };
  /** How long the replaced secret may repeat this call, ms. */
  readonly repeatableFor: number;
  /** If the patch ends `pending`: a session of the same user that ends in the same step. Default: that of `create`. */
  readonly replaces?: string;
}

export type RegenerateOutcome = LiveSession | { readonly state: 'unknown' } | GoneSession;

export interface BindRequest extends CallOptions {
  readonly key: DeviceKey;
  /** When the challenge was issued that the key's holder answered, epoch ms. */
  readonly challengedAt: number;
}

/** `refused`: the session is bound already, or the user has proved their identity again since the challenge was issued. */
export type BindOutcome = LiveSession | { readonly state: 'refused' } | GoneSession;

export interface ProveRequest extends CallOptions {
  /** Of the key that signed. */
  readonly thumbprint: string;
  /** When the challenge was issued that was answered, epoch ms. */
  readonly challengedAt: number;
}

/** `spent`: that challenge, or a later one, was answered before. `refused`: the session is bound to no or another key. */
export type ProveOutcome = { readonly state: 'proven' | 'spent' | 'refused' } | GoneSession;

export interface TouchOptions {
  /** Sets how long the session lives without an access from now on, ms. Default: unchanged. */
  idleTimeout?: number;
  /** Whether this counts as an access, which moves the idle deadline. Default true. */
  slide?: boolean;
  /** Also records that this token is in use, if it is still the current one. Publishes nothing. */
  used?: UsedCredential;
}

export interface DestroyOptions extends CallOptions {
  /** Default `logout`. */
  reason?: EndReason;
  /** Only if the session is this user's. */
  userId?: string;
}

export interface DestroyAllOptions extends CallOptions {
  /** Default `logout`. */
  reason?: EndReason;
  /** Session id to spare. */
  except?: string;
  /** Only the sessions on this device. */
  deviceId?: string;
  /**
   * Stores this instant with the user, for ten minutes after the last session: a `create` whose `verifiedAt` is earlier
   * is refused. Default false.
   */
  refuseEarlierSignIns?: boolean;
}

/** How to process everything in batches. */
export interface ScanOptions {
  /** Where an earlier call stopped. */
  cursor?: number;
  /** Milliseconds after which to stop and return a cursor. Default: no limit. */
  budget?: number;
}

/** Options of `scanSessions`. */
export interface SessionScanOptions extends ScanOptions {
  /** Stops after the batch with which this many sessions have been read. Default 1,000. */
  atLeast?: number;
}

/** Some of the sessions of all users. */
export interface SessionScan {
  readonly sessions: Session[];
  /** Where to continue; null at the end. */
  readonly cursor: number | null;
  /** The share of all sessions that lies behind the cursor: an estimate from 0 to 1. */
  readonly progress: number;
}

export interface DestroyEverybodyOptions extends ScanOptions {
  /** Default `admin`. */
  reason?: EndReason;
  /** Sessions created later stay live. Default: now, by the store's clock. */
  createdBefore?: number;
}

export interface SweepOptions {
  /** Sweep only the `part`-th (from 0) of `of` equal parts. Default: all. */
  part?: number;
  of?: number;
}

/** What concerns the sessions of all tenants at once. */
export interface AllTenants {
  /** Calls the listener for the events of all tenants, and those without one. Returns how to unsubscribe. */
  subscribe(listener: (event: SessionEvent) => void): () => void;

  /** The durable event stream of all tenants; null if the adapter has none or it is off. */
  eventStream(): SessionEventStream | null;

  /** Number of live sessions of all tenants. */
  count(): Promise<number>;
}

/** What an operator should know of a server behind a store. */
export interface StoreFinding {
  /** `error`: sessions do not work, or ended ones can come back. `warning`: that may happen later. */
  readonly level: 'error' | 'warning';
  /** The problem and its fix. May name hosts and users. */
  readonly text: string;
}

/** One step of the sweeper, which runs `of` steps per interval. */
export interface SweepStep extends Required<SweepOptions> {
  /** Maximum delay after its deadline until a session is removed and announced, ms. */
  readonly interval: number;
}

/**
 * The port that stores sessions. An abstract class, so that it is both type and injection token.
 *
 * Rules for every adapter, checked by the contract suite of `nestjs-sessions/store-contract`:
 * - Operations on one user are atomic with respect to each other, in every process that shares the store.
 * - Every write may arrive twice or late: a repeat changes nothing more, and a late write changes nothing.
 * - A session past its deadline is refused by every method, whether or not it was swept.
 * - Ends are final. Nothing revives an ended session; each end publishes exactly one `ended` event.
 * - Arguments and results are copies.
 * - A store that does not answer rejects with `StoreUnavailableError`; it never returns "no session".
 */
export abstract class SessionStore {
  /** The tenant of these sessions; '' without tenants. */
  readonly tenant: string = '';

  /**
   * The same store for another tenant. Its operations see only that tenant's users, sessions and events, whatever id
   * they get. Cheap: it opens nothing, and closing it closes nothing. `sweep` and `now` concern all tenants.
   *
   * @throws {ConfigurationError} if the adapter does not separate tenants.
   */
  forTenant(tenant: string): SessionStore {
    if (tenant === this.tenant) return this;
    throw new ConfigurationError(
      'tenant: your store does not separate tenants. Add a method forTenant(tenant) to it, or omit the option.',
    );
  }

  /**
   * What concerns all tenants, whatever the tenant of this store: for applications that serve many.
   *
   * @throws {ConfigurationError} if the adapter does not separate tenants.
   */
  allTenants(): AllTenants {
    throw new ConfigurationError(
      'tenant: your store cannot serve many tenants. Add the methods forTenant(tenant) and allTenants() to it, or name one tenant.',
    );
  }

  /**
   * Starts a session: atomic with replacement on the same device, the limit, and eviction. A session with an `actor`
   * counts towards no limit and evicts no other. A `pending` one ends no session, except for the oldest of more than
   * three pending ones; it counts and replaces once `update` or `regenerate` sets `pending` to false. Publishes
   * `new-device` if that event applies. Calls `createLive`.
   *
   * @throws {SessionLimitError} at the limit under the policy `reject`.
   * @throws {AuthenticationError} `session_revoked` for a `verifiedAt` that is too old.
   * @throws {SessionTooLargeError} if the record exceeds the maximum.
   */
  async create<T = SessionData>(input: NewSession<NoInfer<T>>, options?: CreateOptions): Promise<Session<T>> {
    return (await this.createLive<T>(input, options)).session as Session<T>;
  }

  /**
   * Like `create`, but returns what `read` would return in the same step: the session with its credentials and
   * revision.
   */
  abstract createLive<T = SessionData>(input: NewSession<T>, options?: CreateOptions): Promise<LiveSession>;

  /** The session with its credentials, in one read. Records no access. */
  abstract read(sessionId: string, options?: ReadOptions): Promise<SessionSnapshot>;

  /**
   * A live session that is known without asking, or null where the store must be asked; see `LiveSession.cached`. With a
   * `tokenId`, only where this token is known not to be revoked. Default: null.
   */
  peek(_sessionId: string, _options?: ReadOptions): LiveSession | null {
    return null;
  }

  /** The live session, or null. Records no access: looking at a session does not keep it alive. */
  abstract get<T = SessionData>(sessionId: string): Promise<Session<T> | null>;

  /** All live sessions of the user, latest access first. Records no access; damaged ones are left out. */
  abstract getActiveSessions<T = SessionData>(userId: string): Promise<Session<T>[]>;

  /** The user's live session on the device, or null. */
  abstract findByDevice<T = SessionData>(userId: string, deviceId: string): Promise<Session<T> | null>;

  /**
   * Records an access: moves the idle deadline, never the absolute one. With `used` also records that the family's
   * current token is in use, in the same step. False if there is no live session.
   */
  abstract touch(sessionId: string, options?: TouchOptions): Promise<boolean>;

  /**
   * Merges a change into the session and returns it, or null if there is no live one. Loses no parallel change: a
   * function may be called again with what another writer wrote. Revives nothing.
   *
   * @throws {SessionConflictError} if other writers won every time.
   * @throws {SessionLimitError} if it ends `pending` at the limit under the policy `reject`; nothing has changed then.
   */
  abstract update<T = SessionData>(
    sessionId: string,
    change: SessionChange<NoInfer<T>>,
    options?: CallOptions,
  ): Promise<Session<T> | null>;

  /** Sets email or roles for all live sessions of the user at once. Returns their number. */
  abstract updateUser(userId: string, patch: UserPatch): Promise<number>;

  /** Evaluates a credential and rotates, repeats, branches, or ends the session for reuse, in one step. */
  abstract rotate(sessionId: string, request: RotateRequest): Promise<RotateOutcome>;

  /**
   * Replaces secrets without grace (ASVS 5.0, 7.2.4). Access tokens issued before are refused from then on.
   *
   * @throws {SessionLimitError} like `update`.
   */
  abstract regenerate(sessionId: string, request: RegenerateRequest): Promise<RegenerateOutcome>;

  /**
   * Binds a session to a key of a device: once, and once more after each later proof of identity. The key is kept beside the
   * record, so that no other write changes it; it goes with the session. Publishes `bound`. Default: not supported.
   *
   * @throws {ConfigurationError} where the adapter keeps no keys.
   */
  async bindDevice(_sessionId: string, _request: BindRequest): Promise<BindOutcome> {
    throw new ConfigurationError(
      'deviceBound: your store binds no sessions. Give it the methods bindDevice and proveDevice.',
    );
  }

  /**
   * Records that the device of a bound session answered a challenge. Each challenge counts once: the answer to it, or to one
   * issued earlier, is `spent` from then on. Publishes nothing.
   *
   * @throws {ConfigurationError} where the adapter keeps no keys.
   */
  async proveDevice(_sessionId: string, _request: ProveRequest): Promise<ProveOutcome> {
    throw new ConfigurationError(
      'deviceBound: your store binds no sessions. Give it the methods bindDevice and proveDevice.',
    );
  }

  /** Ends a session. False if there was no live one (or not this user's). */
  abstract destroy(sessionId: string, options?: DestroyOptions): Promise<boolean>;

  /** Ends all sessions of a user, or some of them, in one step. Returns how many. Later sign-ins are not affected. */
  abstract destroyAll(userId: string, options?: DestroyAllOptions): Promise<number>;

  /** Ends the sessions of all users, one user after the other: not atomic as a whole, resumable, safe to repeat. */
  abstract destroyEverybody(options?: DestroyEverybodyOptions): Promise<{ ended: number; cursor: number | null }>;

  /**
   * Revokes one access token of a live session until `expiresAt` (epoch ms). False if the session is gone, and its
   * tokens with it. Beyond a thousand revoked tokens of a user, all access tokens issued so far to the session with the
   * most of them are revoked instead.
   */
  abstract revokeToken(sessionId: string, tokenId: string, expiresAt: number): Promise<boolean>;

  /** Revokes all access tokens issued to the user so far; the sessions stay live. Returns the cutoff, epoch ms. */
  abstract revokeTokens(userId: string): Promise<number>;

  /** Number of live sessions. Exact. For one of several tenants it reads the sessions of all. */
  abstract count(): Promise<number>;

  /**
   * Like `count`, in batches: stops after `budget` milliseconds and returns a cursor to continue. A session that starts
   * or ends meanwhile may be missed. Default: all at once.
   */
  async countPart(_options: ScanOptions = {}): Promise<{ count: number; cursor: number | null }> {
    return { count: await this.count(), cursor: null };
  }

  /**
   * The live sessions of all users, in batches that can be continued: never all at once from a store of its own process.
   * Batches follow each other in the order of the bytes of the session ids; within a batch the order is any. A session
   * that starts or ends meanwhile may be missed, every other one is returned exactly once. Records no access.
   *
   * @throws {ConfigurationError} if the adapter cannot do this.
   */
  async scanSessions(_options: SessionScanOptions = {}): Promise<SessionScan> {
    throw new ConfigurationError(
      'Your store cannot search the sessions of all users. Add a method scanSessions() to it.',
    );
  }

  /** Removes sessions past their deadline and publishes `ended` for each. Returns how many. */
  abstract sweep(options?: SweepOptions): Promise<number>;

  /**
   * One step of a continuous sweep: called `of` times per interval, for one part after another. In a store that many
   * instances share, one of them may sweep for all. Returns how many sessions it removed. Default: sweeps the part.
   */
  async sweepStep({ part, of }: SweepStep): Promise<number> {
    return this.sweep({ part, of });
  }

  /** This instance calls `sweepStep` no more, so another may take over at once. Default: nothing. */
  async stopSweeping(): Promise<void> {}

  /** The store's time, epoch ms. Runs backwards only if a server's clock was set back by more than a second. */
  abstract now(): number;

  /** Calls the listener for every event, of this instance and others. Returns how to unsubscribe. */
  abstract subscribe(listener: (event: SessionEvent) => void): () => void;

  /**
   * Resolves once the store answers.
   *
   * @throws {StoreUnavailableError}
   */
  abstract ready(): Promise<void>;

  /** Releases what the store opened, in bounded time. */
  abstract close(): Promise<void>;

  /**
   * Publishes an event that no operation of the store causes to the listeners of all instances. Does not wait; other
   * instances may miss it. False if the adapter cannot publish, in which case nothing has happened.
   */
  publish(_event: SessionEvent): boolean {
    return false;
  }

  /** Calls the listener when events arrive again after some may have been missed. Returns how to unsubscribe. */
  onGap(_listener: () => void): () => void {
    return () => undefined;
  }

  /**
   * Reports when events of other instances start to arrive, and when that is no longer certain. Calls back at once if it is
   * known. Returns how to stop. Default, for a store that cannot tell: they always arrive.
   */
  watchHearing({ onHeard }: HearingWatch): () => void {
    onHeard();
    return () => undefined;
  }

  /** Delivers this instance's own pending events to the listeners at once: called before they unsubscribe. */
  flushEvents(): void {}

  /** The durable event stream, the same at every call; null if the adapter has none or it is off. */
  eventStream(): SessionEventStream | null {
    return null;
  }

  /** The audit trail of this store's users; null if the adapter has none. */
  history(_limits: HistoryLimits): SessionHistory | null {
    return null;
  }

  /** The aliases of this store's sessions, the same at every call; null if the adapter has none. */
  aliases(): SessionAliases | null {
    return null;
  }

  /** What an operator should know of the servers behind the store, in words; empty if there is nothing, or the adapter cannot tell. */
  async diagnose(): Promise<readonly StoreFinding[]> {
    return [];
  }

  /** Where proofs of possession are remembered (`jwt.dpop`), the same at every call; null if the adapter remembers none. */
  spentProofs(): SpentProofs | null {
    return null;
  }
}
