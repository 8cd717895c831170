import type { LegacySessions } from './legacy-sessions.js';

/** The content of an alias: a session id, the mark of an ended one (with the id that it had, if any), or nothing. */
export type AliasState =
  | { readonly state: 'session'; readonly sessionId: string }
  | { readonly state: 'ended'; readonly sessionId: string | null }
  | { readonly state: 'absent' };

export interface PointRequest {
  /** Expected content: a session id, or null for none. */
  readonly from: string | null;
  readonly to: string;
  /** How long the alias is kept from now on, ms. */
  readonly lifetime: number;
}

/**
 * The port that finds sessions by the digest of a foreign id: express-session draws its own id before it knows the
 * user. An alias holds a session id and nothing else; the session is in the `SessionStore`.
 *
 * Rules for every adapter: each operation is atomic, safe to repeat, and rejects with `StoreUnavailableError` if the
 * store does not answer. An ended alias never names a session again while its mark is kept.
 */
export abstract class SessionAliases {
  /** The content under the digest. */
  abstract find(digest: string): Promise<AliasState>;

  /** Points the alias at another session if its content is still `from`. Returns the content afterwards. */
  abstract point(digest: string, request: PointRequest): Promise<AliasState>;

  /** Keeps the alias for `lifetime` ms from now if it names this session. Returns its content. */
  abstract keep(digest: string, sessionId: string, lifetime: number): Promise<AliasState>;

  /** Replaces the content by a mark that is kept for `lifetime` ms. Returns the old content. Works when Redis is out of memory. */
  abstract end(digest: string, lifetime: number): Promise<AliasState>;

  /** All aliases that name a session, in batches and in no order. Aliases that change meanwhile may be missed. */
  abstract list(options?: { batch?: number }): AsyncIterable<readonly { digest: string; sessionId: string }[]>;

  /** Reads the sessions of an earlier library under a key prefix; null if the adapter has no such data. */
  legacySessions(_prefix: string): LegacySessions | null {
    return null;
  }
}
