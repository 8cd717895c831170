import ms from 'ms';

/** Milliseconds, or text that the package `ms` reads: `"30m"`, `"24 hours"`, `"14d"`. */
export type Duration = number | string;

/** The longest duration accepted anywhere: ten years. */
export const LONGEST_DURATION = 10 * 365 * 24 * 60 * 60_000;

/** The duration in whole milliseconds, or null when the value is none (or is not above zero). */
export function parseDuration(value: unknown): number | null {
  let duration: unknown = value;
  if (typeof value === 'string') {
    if (value.length === 0 || value.length > 100) return null;
    // The types of `ms` list the spellings it knows; what it does not know comes back as undefined.
    duration = ms(value.trim() as '1s');
  }
  if (typeof duration !== 'number' || !Number.isFinite(duration)) return null;
  const rounded = Math.round(duration);
  return rounded >= 1 && rounded <= LONGEST_DURATION ? rounded : null;
}

/** What is wrong with a value that should have been a duration. */
export function notADuration(value: unknown): string {
  return `${JSON.stringify(value) ?? String(value)} is no duration; write something like "30m" or milliseconds above 0`;
}
