import { IP_PRIVACY, type IpPrivacy } from '../model/ip.js';
import type { SessionLimit } from '../model/limit.js';
import type { NewSession } from '../model/session.js';
import { LONGEST_DURATION, notADuration, parseDuration, type Duration } from './duration.js';
import { nearestName, refuse } from './option-error.js';
import { assertLimit } from './store-options.js';

/** A session as express-session and @fastify/session pass it. */
export interface ForeignSession {
  cookie?: ForeignCookie;
  [key: string]: unknown;
}

export interface ForeignCookie {
  originalMaxAge?: number | null | undefined;
  expires?: Date | string | number | boolean | null | undefined;
}

/** The user of a session; email and roles are shown where sessions are listed. */
export interface SessionOwner {
  readonly id: string | number;
  readonly email?: string;
  readonly roles?: readonly string[];
}

/** Turns sessions into text and back, as connect-redis takes it. */
export interface SessionSerializer {
  stringify(session: object): string;
  parse(text: string): object | Promise<object>;
}

/**
 * How sessions with a framework's own id are stored. Names and units are those of connect-redis where it has them.
 */
export interface FrameworkSessionOptions {
  /** Key prefix of connect-redis, whose sessions are read and migrated; false reads none. Default `sess:`. */
  prefix?: string | false;
  /**
   * Lifetime of a session without `cookie.expires`, seconds. A function is called for every session and overrides its cookie.
   * Default 86,400.
   */
  ttl?: number | ((session: ForeignSession) => number);
  /** Accesses do not extend a session; saving it does. Default false. */
  disableTouch?: boolean;
  /** Sessions have no end of their own. Default false. */
  disableTTL?: boolean;
  /** Default JSON, with which the data is readable in lists of sessions. */
  serializer?: SessionSerializer;
  /** How many keys `all`, `ids`, `length` and `clear` scan in one step. Default 100. */
  scanCount?: number;
  /**
   * The user of a session, or nothing while there is none. Default: `session.passport.user`, `session.userId`,
   * `session.user.id`, the first that is a string or a number (or, of passport's, an object with an `id`).
   */
  userOf?: (session: ForeignSession) => SessionOwner | string | number | null | undefined;
  /** Keeps both changes when parallel requests change different keys of a session; otherwise the last save wins. Default true. */
  mergeConcurrentWrites?: boolean;
  /** Accesses are recorded at most this often, and at least ten times in a session's lifetime. Default: each one. */
  touchInterval?: Duration;
  /** Absolute lifetime of a session, however often it is used. Default: unlimited (ASVS 5.0, 7.3.2 requires a limit). */
  absoluteTimeout?: Duration;
  /** How long an ended id is remembered, so that no late request brings it back. Default 5 minutes. */
  endedFor?: Duration;
  /** How much of a client's address is shown in lists. Default `full`. */
  ipPrivacy?: IpPrivacy;
  /** Maximum number of sessions per user, or a function of the user who signs in. Default: the store's. */
  limit?: SessionLimit | ((user: NewSession) => SessionLimit | Promise<SessionLimit>);
}

export interface ResolvedFrameworkSessionOptions {
  readonly prefix: string | false;
  readonly ttl: number | ((session: ForeignSession) => number);
  readonly disableTouch: boolean;
  readonly disableTTL: boolean;
  readonly serializer: SessionSerializer | null;
  readonly scanCount: number;
  readonly userOf: FrameworkSessionOptions['userOf'];
  readonly mergeConcurrentWrites: boolean;
  readonly touchInterval: number;
  readonly absoluteTimeout: number;
  readonly endedFor: number;
  readonly ipPrivacy: IpPrivacy;
  readonly limit: FrameworkSessionOptions['limit'];
}

const NAMES: readonly string[] = [
  'prefix',
  'ttl',
  'disableTouch',
  'disableTTL',
  'serializer',
  'scanCount',
  'userOf',
  'mergeConcurrentWrites',
  'touchInterval',
  'absoluteTimeout',
  'endedFor',
  'ipPrivacy',
  'limit',
] satisfies (keyof FrameworkSessionOptions)[];

/** @throws {ConfigurationError} for a wrong or unknown option, with the fix. */
export function resolveFrameworkSessionOptions(
  options: FrameworkSessionOptions,
  of = '',
): ResolvedFrameworkSessionOptions {
  const unknown = Object.keys(options).find((name) => !NAMES.includes(name));
  if (unknown !== undefined) {
    const nearest = nearestName(unknown, NAMES);
    refuse(of + unknown, nearest ? `there is no such option; did you mean "${nearest}"?` : 'there is no such option');
  }
  const { prefix = 'sess:', ttl = 86_400, serializer, scanCount = 100, userOf, limit, ipPrivacy = 'full' } = options;
  if (prefix !== false && typeof prefix !== 'string') refuse(`${of}prefix`, 'must be text, or false');
  if (typeof ttl !== 'function' && !(Number.isFinite(ttl) && ttl > 0)) {
    refuse(`${of}ttl`, 'must be a number of seconds above 0, or a function that returns one');
  }
  if (
    serializer !== undefined &&
    (typeof serializer?.parse !== 'function' || typeof serializer.stringify !== 'function')
  ) {
    refuse(`${of}serializer`, 'must be an object with stringify and parse');
  }
  if (!Number.isSafeInteger(scanCount) || scanCount < 1) refuse(`${of}scanCount`, 'must be a whole number above 0');
  if (userOf !== undefined && typeof userOf !== 'function') refuse(`${of}userOf`, 'must be a function');
  if (typeof limit === 'object') assertLimit(limit);
  if (!IP_PRIVACY.includes(ipPrivacy)) refuse(`${of}ipPrivacy`, `must be one of ${IP_PRIVACY.join(', ')}`);
  for (const name of ['disableTouch', 'disableTTL', 'mergeConcurrentWrites'] as const) {
    if (options[name] !== undefined && typeof options[name] !== 'boolean') refuse(of + name, 'must be true or false');
  }
  return Object.freeze({
    prefix,
    ttl,
    disableTouch: options.disableTouch ?? false,
    disableTTL: options.disableTTL ?? false,
    serializer: serializer ?? null,
    scanCount,
    userOf,
    mergeConcurrentWrites: options.mergeConcurrentWrites ?? true,
    touchInterval: duration(`${of}touchInterval`, options.touchInterval, 0),
    absoluteTimeout: duration(`${of}absoluteTimeout`, options.absoluteTimeout, LONGEST_DURATION),
    endedFor: duration(`${of}endedFor`, options.endedFor, 5 * 60_000),
    ipPrivacy,
    limit,
  });
}

function duration(name: string, value: unknown, fallback: number): number {
  if (value === undefined || (value === 0 && fallback === 0)) return fallback;
  return parseDuration(value) ?? refuse(name, notADuration(value));
}
