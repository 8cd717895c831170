import { stringifySetCookie } from 'cookie';
import { MAX_CREDENTIAL_LENGTH } from '../model/credential.js';
import { assertCookieCombination } from './cookie-attributes.js';
import { refuse } from './option-error.js';
import type { ParsedOptions } from './options-schema.js';
import type { SameSite } from './cookie-attributes.js';

export interface ResolvedCookieOptions {
  readonly name: string;
  readonly secure: boolean;
  readonly sameSite: SameSite;
  readonly path: string;
  readonly domain: string | undefined;
  readonly partitioned: boolean;
  /** Former places of the cookie: it is cleared there whenever it is set or cleared. */
  readonly former: readonly CookiePlace[];
}

export interface CookiePlace {
  readonly path: string;
  readonly domain?: string | undefined;
}

/** Browsers drop a cookie whose name, value and attributes are longer together (RFC 6265bis, 5.6). */
export const MAX_COOKIE_BYTES = 4096;

/**
 * Fills in the name and refuses combinations with which browsers silently drop the cookie (RFC 6265bis,
 * 4.1.3 and 5.7; ASVS 5.0, 3.3.1 to 3.3.5).
 *
 * @throws {ConfigurationError}
 */
export function resolveCookieOptions(options: ParsedOptions['cookie']): ResolvedCookieOptions {
  const { secure, sameSite, path, domain, partitioned } = options;
  const name = options.name ?? (domain === undefined ? '__Host-session' : '__Secure-session');
  const fix = 'for plain http during development use cookie: { name: "session", secure: false }';
  assertCookieCombination('', { name, secure, sameSite, path, domain, partitioned, fix });
  const resolved = Object.freeze({
    name,
    secure,
    sameSite,
    path,
    domain,
    partitioned,
    former: formerOf(options, name),
  });
  assertSize(resolved);
  return resolved;
}

/** @throws {ConfigurationError} for places where browsers would ignore or confuse the cookie. */
function formerOf({ former, path, domain }: ParsedOptions['cookie'], name: string): readonly CookiePlace[] {
  former.forEach((place, index) => {
    const option = `cookie.former[${index}]`;
    if (/^__host-/i.test(name))
      refuse(
        option,
        `a cookie named ${name} has only ever stood at the path "/" without a domain; leave cookie.former out`,
      );
    if (!place.path.startsWith('/')) refuse(`${option}.path`, 'must begin with "/"');
    if (place.path === path && place.domain === domain)
      refuse(option, 'is where the cookie stands now, and would clear it; list only other places');
  });
  return Object.freeze(former.map((place) => Object.freeze({ ...place })));
}

/**
 * The cookie of the refresh token: like the session cookie, but with its own path.
 *
 * @throws {ConfigurationError}
 */
export function resolveRefreshCookie(
  refresh: NonNullable<ParsedOptions['jwt']>['refreshCookie'],
  session: ResolvedCookieOptions,
): ResolvedCookieOptions | undefined {
  if (!refresh) return undefined;
  const name = refresh.name ?? (session.secure ? '__Secure-refresh' : 'refresh');
  if (name === session.name) refuse('jwt.refreshCookie.name', `${name} is the session cookie's name; choose another`);
  return resolveCookieOptions({ ...session, httpOnly: true, name, path: refresh.path, former: [] });
}

/**
 * The cookie that recognises a browser: like the session cookie, but Lax, so that it is sent when a user follows a
 * link.
 *
 * @param realm '' for the application's own.
 * @throws {ConfigurationError}
 */
export function resolveDeviceCookie(session: ResolvedCookieOptions, realm = ''): ResolvedCookieOptions {
  const { secure, domain, path } = session;
  const prefix = !secure ? '' : domain === undefined && path === '/' ? '__Host-' : '__Secure-';
  const name = `${prefix}device${realm === '' ? '' : `-${realm}`}`;
  if (name === session.name)
    refuse('cookie.name', `${name} is the name of the cookie for device.cookie; choose another`);
  return resolveCookieOptions({ ...session, httpOnly: true, name, sameSite: 'lax', former: [] });
}

/**
 * The cookie with an administrator's own session during an impersonation: like the session cookie, with its own name.
 */
export function resolveActorCookie(session: ResolvedCookieOptions): ResolvedCookieOptions {
  return Object.freeze({ ...session, name: `${session.name}-actor` });
}

/** The cookie with the tokens of a browser's other accounts: like the session cookie, with its own name. */
export function resolveAccountsCookie(session: ResolvedCookieOptions): ResolvedCookieOptions {
  return Object.freeze({ ...session, name: `${session.name}-accounts` });
}

/** The cookie that proves the device of a bound session: as the session cookie, with its own name. */
export function resolveBoundCookie(session: ResolvedCookieOptions): ResolvedCookieOptions {
  return Object.freeze({ ...session, name: `${session.name}-bound` });
}

function assertSize(options: ResolvedCookieOptions): void {
  let text: string;
  try {
    const { name, secure, sameSite, path, domain, partitioned } = options;
    text = stringifySetCookie({
      ...{ name, secure, sameSite, path, domain, partitioned },
      value: 'x'.repeat(MAX_CREDENTIAL_LENGTH),
      httpOnly: true,
      maxAge: 1e9,
      expires: new Date(0),
    });
  } catch (error) {
    return refuse('cookie', `${error instanceof Error ? error.message : 'it cannot be written'} (RFC 6265)`);
  }
  if (Buffer.byteLength(text) > MAX_COOKIE_BYTES) {
    refuse(
      'cookie',
      `name, path and domain make it longer than ${MAX_COOKIE_BYTES} bytes, and browsers would drop it; shorten them`,
    );
  }
}
