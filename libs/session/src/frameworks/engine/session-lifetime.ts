import { InvalidArgumentError } from '../../model/errors.js';
import { LONGEST_DURATION } from '../../options/duration.js';
import type {
  ForeignCookie,
  ForeignSession,
  ResolvedFrameworkSessionOptions,
} from '../../options/framework-session-options.js';

/**
 * How long a session lives from now on, ms; 0 or less if it has expired. Follows `cookie.expires` where the cookie has
 * one, else `ttl`. Uses this process's clock, because the framework set `expires` by it; the store's clock may differ.
 *
 * @throws {InvalidArgumentError}
 */
export function lifetimeOf(
  session: ForeignSession,
  options: Pick<ResolvedFrameworkSessionOptions, 'ttl' | 'disableTTL'>,
): number {
  const { ttl } = options;
  let lifetime: number;
  if (typeof ttl === 'function') {
    lifetime = ttl(session) * 1000;
    if (!Number.isFinite(lifetime)) throw new InvalidArgumentError('ttl', 'must return a number of seconds');
  } else if (!hasExpiry(session.cookie)) {
    lifetime = ttl * 1000;
  } else {
    lifetime = expiryOf(session.cookie) - Date.now();
    if (!Number.isFinite(lifetime)) throw new InvalidArgumentError('cookie.expires', 'must be a date');
  }
  if (lifetime > 0 && options.disableTTL) return LONGEST_DURATION;
  return Math.min(Math.ceil(lifetime), LONGEST_DURATION);
}

type CookieWithExpiry = ForeignCookie & { expires: Date | string | number };

/** Whether a cookie has an expiry date, valid or not. */
export function hasExpiry(cookie: unknown): cookie is CookieWithExpiry {
  if (typeof cookie !== 'object' || cookie === null) return false;
  const { expires } = cookie as ForeignCookie;
  return expires !== undefined && expires !== null && typeof expires !== 'boolean';
}

/** Epoch ms; NaN if the date is invalid. */
export function expiryOf({ expires }: CookieWithExpiry): number {
  return new Date(expires).getTime();
}
