import { InvalidArgumentError } from './errors.js';
import type { EndReason } from './session.js';

/** What decides whether a session is live. */
export interface Deadlines {
  readonly lastAccess: number;
  readonly idleTimeout: number;
  readonly expiresAt: number;
}

/** When the session ends without a further access: the idle or the absolute deadline, whichever comes first. */
export function deadlineOf(session: Deadlines): number {
  return Math.min(session.lastAccess + session.idleTimeout, session.expiresAt);
}

/**
 * Why the session is over at this instant, or null while it is live. It is over at its deadline, not after it. The reason is
 * the deadline that came first, so it does not depend on when the caller asks.
 */
export function expiryReason(session: Deadlines, now: number): Extract<EndReason, 'idle' | 'absolute'> | null {
  if (now < deadlineOf(session)) return null;
  return session.expiresAt <= session.lastAccess + session.idleTimeout ? 'absolute' : 'idle';
}

/**
 * An instant as epoch milliseconds. Numbers that can only be seconds are refused: read as milliseconds they are in 1970, so
 * that a deadline would already have passed.
 *
 * @throws {InvalidArgumentError}
 */
export function epochMs(name: string, instant: unknown): number {
  const at = instant instanceof Date ? instant.getTime() : instant;
  if (typeof at !== 'number' || !Number.isFinite(at)) {
    throw new InvalidArgumentError(name, 'must be a Date or epoch milliseconds');
  }
  if (at > 0 && at < 100_000_000_000) {
    throw new InvalidArgumentError(name, 'looks like seconds; give milliseconds or a Date');
  }
  return Math.floor(at);
}

/**
 * A checked duration: with `NaN` a session would never end.
 *
 * @throws {InvalidArgumentError}
 */
export function durationMs(name: string, duration: unknown): number {
  if (!Number.isSafeInteger(duration) || (duration as number) <= 0) {
    throw new InvalidArgumentError(name, 'must be a whole number of milliseconds above 0');
  }
  return duration as number;
}
