import { ConfigurationError } from '../model/errors.js';
import type { HearingWatch } from './hearing-watch.js';

export interface BlacklistEntry {
  jti: string;
  /** The token's `exp`: a Date or epoch milliseconds. */
  expiresAt: Date | number;
  issuer?: string;
}

/** What was refused: one token, or all of a subject so far. */
export interface BlacklistRefusal {
  readonly kind: 'token' | 'subject';
  /** As of `claimDigest`: of tenant, issuer, and `jti` or subject. */
  readonly digest: string;
}

export interface BlacklistScope {
  /** The token's `iss`. Two issuers may use the same jti. */
  issuer?: string;
}

/**
 * Remembers tokens that must no longer be accepted, by issuer and `jti`. Entries expire when the token does, plus the clock
 * tolerance. Independent of sessions: also for tokens of other issuers.
 */
export abstract class TokenBlacklist {
  /** The tenant of these tokens; '' without tenants. */
  readonly tenant: string = '';

  /**
   * The same blacklist for the tokens of another tenant. Cheap: it opens nothing.
   *
   * @throws {ConfigurationError} if the adapter does not separate tenants.
   */
  forTenant(tenant: string): TokenBlacklist {
    if (tenant === this.tenant) return this;
    throw new ConfigurationError(
      'tenant: your blacklist does not separate tenants. Add a method forTenant(tenant) to it, or omit the option.',
    );
  }

  /**
   * Refuses the token from now on. Safe to repeat. A token that is past `expiresAt` plus tolerance is not kept.
   *
   * @throws {InvalidArgumentError} for a jti that is not a non-empty string, or an instant that looks like seconds.
   * @throws {StoreUnavailableError} if it could not be written: the token is still accepted then.
   */
  abstract add(jti: string, expiresAt: Date | number, scope?: BlacklistScope): Promise<void>;

  /** Adds many, in one round trip per node. Rejects if any could not be written. */
  abstract addBulk(entries: readonly BlacklistEntry[]): Promise<void>;

  /** @throws {StoreUnavailableError} when the store does not answer; it never returns false instead. */
  abstract isBlacklisted(jti: string, scope?: BlacklistScope): Promise<boolean>;

  /** Refuses every token issued to the subject up to now. The cutoff never moves back. Returns it, epoch ms. */
  abstract revokeAllFor(subject: string, scope?: BlacklistScope & { until?: Date | number }): Promise<number>;

  /** Whether a token issued to the subject at `issuedAt` (epoch ms) falls before the subject's cutoff. */
  abstract isRevokedFor(subject: string, issuedAt: Date | number, scope?: BlacklistScope): Promise<boolean>;

  /**
   * Calls the listener when any instance refuses a token or a subject. Returns how to unsubscribe. Default, for a blacklist
   * that cannot tell: never.
   */
  onRefusal(_listener: (refusal: BlacklistRefusal) => void): () => void {
    return () => undefined;
  }

  /** As `SessionStore.watchHearing`, for the calls of `onRefusal`. */
  watchHearing({ onHeard }: HearingWatch): () => void {
    onHeard();
    return () => undefined;
  }
}
