import type { LiveSession } from '../ports/session-store.js';

/** An access token that holds, with the session it is bound to. */
export interface VerifiedAccessToken {
  readonly live: LiveSession;
  readonly tokenId: string;
  readonly expiresAt: number;
}

/**
 * Verifies access tokens. A port, so that requests with a bearer token can be told apart before tokens are switched on:
 * while nobody provides it, every bearer token is refused.
 */
export abstract class AccessTokenVerifier {
  /**
   * Sends no command to the store before the signature holds, and then exactly one read. Records no access.
   *
   * @throws {AuthenticationError} for a token that does not hold, or whose session ended.
   * @throws {StoreUnavailableError}
   */
  abstract verify(token: string): Promise<VerifiedAccessToken>;

  /** Whether the token was signed here, expired or not. Asks nobody. */
  abstract isOwn(token: string): boolean;
}
