import { InvalidArgumentError } from './errors.js';
import type { EndReason } from './session.js';

/** The instants and the duration that decide whether a session lives. */
export interface Deadlines {
  readonly lastAccess: number;
  readonly idleTimeout: number;
  readonly expiresAt: number;
}

/** When the session ends if nothing happens: idle or absolute, whichever comes first. */
export function deadlineOf(session: Deadlines): number {
  return Math.min(session.lastAccess + session.idleTimeout, session.expiresAt);
}

/**
 * Why the session is over at this instant, or null while it lives. A session is over at its deadline, not after it. The
 * reason is the deadline that came first, so that it does not depend on when somebody looks.
 */
export function expiryReason(session: Deadlines, now: number): Extract<EndReason, 'idle' | 'absolute'> | null {
  if (now < deadlineOf(session)) return null;
  return session.expiresAt <= session.lastAccess + session.idleTimeout ? 'absolute' : 'idle';
}

/**
 * An instant as epoch milliseconds. Numbers that can only be seconds are refused: taken for milliseconds they would lie
 * in 1970, and whatever was to hold until then would silently not hold at all.
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
 * A duration that is one: `NaN` would make a session that never ends.
 *
 * @throws {InvalidArgumentError}
 */
export function durationMs(name: string, duration: unknown): number {
  if (!Number.isSafeInteger(duration) || (duration as number) <= 0) {
    throw new InvalidArgumentError(name, 'must be a whole number of milliseconds above 0');
  }
  return duration as number;
}
