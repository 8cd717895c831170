export interface BlacklistEntry {
  jti: string;
  /** The token's `exp`: a Date or epoch milliseconds. */
  expiresAt: Date | number;
  issuer?: string;
}

export interface BlacklistScope {
  /** The token's `iss`. Two issuers may use the same jti. */
  issuer?: string;
}

/**
 * Remembers tokens that must no longer be accepted, by issuer and `jti`. Entries outlive the token by the clock
 * tolerance and then vanish. Independent of sessions: it serves tokens that others issued as well.
 */
export abstract class TokenBlacklist {
  /**
   * Refuses the token from now on. Safe to repeat. A token that is past `expiresAt` plus tolerance is not kept.
   *
   * @throws {InvalidArgumentError} for a jti that is no non-empty string, or an instant that looks like seconds.
   * @throws {StoreUnavailableError} when it could not be written: the token is then still good.
   */
  abstract add(jti: string, expiresAt: Date | number, scope?: BlacklistScope): Promise<void>;

  /** Adds many, in one round trip a node. Rejects if any could not be written. */
  abstract addBulk(entries: readonly BlacklistEntry[]): Promise<void>;

  /** @throws {StoreUnavailableError} when it cannot be known; never answers false instead. */
  abstract isBlacklisted(jti: string, scope?: BlacklistScope): Promise<boolean>;

  /** Refuses every token issued to the subject up to now. Monotone. Returns the cutoff, epoch ms. */
  abstract revokeAllFor(subject: string, scope?: BlacklistScope & { until?: Date | number }): Promise<number>;

  /** Whether a token issued to the subject at `issuedAt` (epoch ms) falls before the subject's cutoff. */
  abstract isRevokedFor(subject: string, issuedAt: Date | number, scope?: BlacklistScope): Promise<boolean>;
}
