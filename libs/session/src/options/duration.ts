import ms from 'ms';

type DurationUnit =
  | 'ms'
  | 'msec'
  | 'msecs'
  | 'millisecond'
  | 'milliseconds'
  | 's'
  | 'sec'
  | 'secs'
  | 'second'
  | 'seconds'
  | 'm'
  | 'min'
  | 'mins'
  | 'minute'
  | 'minutes'
  | 'h'
  | 'hr'
  | 'hrs'
  | 'hour'
  | 'hours'
  | 'd'
  | 'day'
  | 'days'
  | 'w'
  | 'week'
  | 'weeks'
  | 'y'
  | 'yr'
  | 'yrs'
  | 'year'
  | 'years';

/**
 * Milliseconds, or text such as `'30m'`, `'24 hours'` or `'14d'`. Pass text that is known only at run time, such as an
 * environment variable, with `as Duration`; the boot checks it.
 */
export type Duration = number | `${number}` | `${number}${DurationUnit}` | `${number} ${DurationUnit}`;

/** The longest duration accepted anywhere: ten years. */
export const LONGEST_DURATION = 10 * 365 * 24 * 60 * 60_000;

/** The duration in whole milliseconds, or null if the value is invalid or not above zero. */
export function parseDuration(value: unknown): number | null {
  let duration: unknown = value;
  if (typeof value === 'string') {
    if (value.length === 0 || value.length > 100) return null;
    // The types of `ms` allow only known spellings; it returns undefined for others.
    duration = ms(value.trim() as '1s');
  }
  if (typeof duration !== 'number' || !Number.isFinite(duration)) return null;
  const rounded = Math.round(duration);
  return rounded >= 1 && rounded <= LONGEST_DURATION ? rounded : null;
}

/** The error text for a value that is not a duration. */
export function notADuration(value: unknown): string {
  return `${JSON.stringify(value) ?? String(value)} is not a duration; write, for example, "30m", or milliseconds above 0`;
}
