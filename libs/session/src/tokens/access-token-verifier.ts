import type { CallOptions, LiveSession } from '../ports/session-store.js';

/** A valid access token and its session. */
export interface VerifiedAccessToken {
  readonly live: LiveSession;
  readonly tokenId: string;
  readonly expiresAt: number;
  /** Thumbprint of the key that the token is bound to and the request has proved; absent for a bearer token. */
  readonly jkt?: string;
}

/**
 * Decides whether a token counts in a request, by the thumbprint of the key that it is bound to; undefined for a bearer token. What
 * the request itself lacks is thrown at once, before any command; the promise says whether its proof is used for the first time.
 */
export type ConfirmKey = (jkt: string | undefined) => Promise<void>;

export interface VerifyOptions extends CallOptions {
  /** Default: a token that is bound to a key is refused. */
  readonly confirm?: ConfirmKey | undefined;
}

/**
 * Verifies access tokens. A port, because tokens are optional: without a verifier every bearer token is refused.
 */
export abstract class AccessTokenVerifier {
  /**
   * Sends no command to the store before the signature is verified, and then at most one read. Records no access.
   *
   * @param near Whether a near cache may answer: see `LiveSession.cached`. Default true.
   * @throws {AuthenticationError} for an invalid token, or one whose session ended.
   * @throws {StoreUnavailableError}
   */
  abstract verify(token: string, near?: boolean, call?: VerifyOptions): Promise<VerifiedAccessToken>;

  /**
   * Like `verify`, without waiting, if a near cache knows that the token is good. Null decides nothing: always for a token that is
   * bound to a key.
   *
   * @throws {AuthenticationError} for a token that is invalid by itself.
   */
  abstract peek(token: string): VerifiedAccessToken | null;

  /** The session named by a token that this server signed, expired or not; null for other tokens. Sends no command. */
  abstract sessionOf(token: string): string | null;
}
