import { refuse } from './option-error.js';

export type SameSite = 'lax' | 'strict' | 'none';

/** 400 days, ms: browsers keep no cookie for longer (RFC 6265bis, 5.5). */
export const LONGEST_COOKIE_AGE = 400 * 24 * 60 * 60_000;

/** RFC 6265, 4.1.1: a cookie's name is a token. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

interface CookieCombination {
  readonly name: string;
  readonly secure: boolean;
  readonly sameSite: SameSite | undefined;
  readonly path: string;
  readonly domain?: string | undefined;
  readonly partitioned: boolean;
  /** What to do about a cookie that must be secure. */
  readonly fix: string;
}

/**
 * Refuses combinations with which browsers silently drop the cookie.
 *
 * @param prefix Beginning of the option's path, such as `expressSession.`.
 * @throws {ConfigurationError}
 */
export function assertCookieCombination(prefix: string, cookie: CookieCombination): void {
  const { name, secure, sameSite, path, domain, partitioned, fix } = cookie;
  const of = `${prefix}cookie`;
  if (!TOKEN.test(name))
    refuse(
      prefix === '' ? 'cookie.name' : `${prefix}name`,
      `${JSON.stringify(name)} cannot name a cookie (RFC 6265: letters, digits and !#$%&'*+-.^_\`|~)`,
    );
  // Browsers compare the prefixes without regard to case.
  const required = /^__(host|secure)-/i.exec(name)?.[1]?.toLowerCase();
  if (required === 'host') {
    if (domain !== undefined)
      refuse(`${of}.domain`, `a cookie named ${name} cannot have a domain; name it "__Secure-${name.slice(7)}"`);
    if (path !== '/')
      refuse(`${of}.path`, `a cookie named ${name} needs the path "/"; name it "__Secure-${name.slice(7)}"`);
  }
  if (required !== undefined && !secure) refuse(`${of}.secure`, `a cookie named ${name} must be secure; ${fix}`);
  if (sameSite === 'none' && !secure)
    refuse(`${of}.sameSite`, `"none" needs secure: true, or browsers drop the cookie`);
  if (partitioned && !secure) refuse(`${of}.partitioned`, `needs secure: true, or browsers drop the cookie`);
  if (!path.startsWith('/')) refuse(`${of}.path`, 'must begin with "/"');
}
