import { stringifySetCookie } from 'cookie';
import { MAX_CREDENTIAL_LENGTH } from '../model/credential.js';
import { refuse } from './option-complaint.js';
import type { ParsedOptions } from './options-schema.js';
import type { SameSite } from './session-module-options.js';

export interface ResolvedCookieOptions {
  readonly name: string;
  readonly secure: boolean;
  readonly sameSite: SameSite;
  readonly path: string;
  readonly domain: string | undefined;
  readonly partitioned: boolean;
}

/** Browsers drop a cookie whose name, value and attributes are longer together (RFC 6265bis, 5.6). */
export const MAX_COOKIE_BYTES = 4096;

/** RFC 6265, 4.1.1: a cookie's name is a token. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/**
 * Fills in the name and refuses combinations with which browsers would drop the cookie without a word (RFC 6265bis,
 * 4.1.3 and 5.7; ASVS 5.0, 3.3.1 to 3.3.5).
 *
 * @throws {ConfigurationError}
 */
export function resolveCookieOptions(options: ParsedOptions['cookie']): ResolvedCookieOptions {
  const { secure, sameSite, path, domain, partitioned } = options;
  const name = options.name ?? (domain === undefined ? '__Host-session' : '__Secure-session');
  const mend = 'for plain http during development use cookie: { name: "session", secure: false }';
  if (!TOKEN.test(name))
    refuse(
      'cookie.name',
      `${JSON.stringify(name)} cannot name a cookie (RFC 6265: letters, digits and !#$%&'*+-.^_\`|~)`,
    );
  // Browsers compare the prefixes without regard to case.
  const prefix = /^__(host|secure)-/i.exec(name)?.[1]?.toLowerCase();
  if (prefix === 'host') {
    if (domain !== undefined)
      refuse('cookie.domain', `a cookie named ${name} cannot have a domain; name it "__Secure-${name.slice(7)}"`);
    if (path !== '/')
      refuse('cookie.path', `a cookie named ${name} needs the path "/"; name it "__Secure-${name.slice(7)}"`);
  }
  if (prefix !== undefined && !secure) refuse('cookie.secure', `a cookie named ${name} must be secure; ${mend}`);
  if (sameSite === 'none' && !secure)
    refuse('cookie.sameSite', '"none" needs secure: true, or browsers drop the cookie');
  if (partitioned && !secure) refuse('cookie.partitioned', 'needs secure: true, or browsers drop the cookie');
  if (!path.startsWith('/')) refuse('cookie.path', 'must begin with "/"');
  const resolved = Object.freeze({ name, secure, sameSite, path, domain, partitioned });
  assertSize(resolved);
  return resolved;
}

/**
 * The cookie of the refresh token: as the session's, but bound to a path.
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
  return resolveCookieOptions({ ...session, httpOnly: true, name, path: refresh.path });
}

/**
 * The cookie that tells a browser again: as the session's, but Lax, so that it is there when somebody follows a link.
 *
 * @throws {ConfigurationError}
 */
export function resolveDeviceCookie(session: ResolvedCookieOptions): ResolvedCookieOptions {
  const { secure, domain, path } = session;
  const name = !secure ? 'device' : domain === undefined && path === '/' ? '__Host-device' : '__Secure-device';
  if (name === session.name)
    refuse('cookie.name', `${name} is the name of the cookie for device.cookie; choose another`);
  return resolveCookieOptions({ ...session, httpOnly: true, name, sameSite: 'lax' });
}

/**
 * The cookie that keeps an administrator's own session while they act as somebody else: as the session's, under a name of
 * its own.
 */
export function resolveActorCookie(session: ResolvedCookieOptions): ResolvedCookieOptions {
  return Object.freeze({ ...session, name: `${session.name}-actor` });
}

function assertSize(options: ResolvedCookieOptions): void {
  let text: string;
  try {
    text = stringifySetCookie({
      ...options,
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
