import type { LegacySessions } from './legacy-sessions.js';

/** What stands under an alias: a session id, the mark of one that was ended (and what it named, if anything), or nothing. */
export type AliasState =
  | { readonly state: 'session'; readonly sessionId: string }
  | { readonly state: 'ended'; readonly sessionId: string | null }
  | { readonly state: 'absent' };

export interface PointRequest {
  /** What must stand there now: a session id, or null for nothing. */
  readonly from: string | null;
  readonly to: string;
  /** For how long the alias is kept from now on, ms. */
  readonly lifetime: number;
}

/**
 * The port that finds sessions by the digest of an id that somebody else drew, such as express-session, which draws its
 * own before it knows the user. An alias holds a session id and nothing else; the truth stays in the `SessionStore`.
 *
 * Rules for every adapter: each operation is atomic, may be carried out twice, and rejects with `StoreUnavailableError`
 * when it cannot be carried out. An ended alias never names a session again while its mark is kept.
 */
export abstract class SessionAliases {
  /** What stands under the digest. */
  abstract find(digest: string): Promise<AliasState>;

  /** Points the alias at another session where `from` still stands. Returns what stands afterwards. */
  abstract point(digest: string, request: PointRequest): Promise<AliasState>;

  /** Keeps the alias for `lifetime` ms from now where it names this session. Returns what stands. */
  abstract keep(digest: string, sessionId: string, lifetime: number): Promise<AliasState>;

  /** Replaces whatever stands by a mark that is kept for `lifetime` ms. Returns what stood; works out of memory. */
  abstract end(digest: string, lifetime: number): Promise<AliasState>;

  /** All aliases that name a session, in portions and in no order. One that comes or goes meanwhile may be missed. */
  abstract list(options?: { batch?: number }): AsyncIterable<readonly { digest: string; sessionId: string }[]>;

  /** Reads what an earlier session library kept beside these sessions under a prefix, or null where there is no such place. */
  legacySessions(_prefix: string): LegacySessions | null {
    return null;
  }
}
