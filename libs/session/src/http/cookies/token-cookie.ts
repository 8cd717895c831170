import { stringifySetCookie } from 'cookie';
import { SessionError } from '../../model/errors.js';
import { LONGEST_COOKIE_AGE } from '../../options/cookie-attributes.js';
import { MAX_COOKIE_BYTES, type CookiePlace, type ResolvedCookieOptions } from '../../options/cookie-options.js';
import type { HttpExchange } from '../exchange/http-exchange.js';

/** A cookie with a token: read, set and cleared with the same attributes, never readable by scripts. */
export class TokenCookie {
  protected readonly attributes: Readonly<Parameters<typeof stringifySetCookie>[2]>;
  protected readonly name: string;

  private readonly former: readonly CookiePlace[];

  constructor({ name, secure, sameSite, path, domain, partitioned, former }: ResolvedCookieOptions) {
    this.former = former;
    this.name = name;
    this.attributes = { httpOnly: true, secure, sameSite, path, partitioned, ...(domain !== undefined && { domain }) };
  }

  /**
   * The token in a request, or null.
   *
   * @throws {SessionError} `invalid_request` if the cookie appears twice with different values (RFC 6265, 8.6).
   */
  read(exchange: HttpExchange): string | null {
    const values = this.readAll(exchange);
    if (values.length > 1)
      throw new SessionError('invalid_request', `The cookie ${this.name} was sent more than once.`);
    return values[0] ?? null;
  }

  /** Every distinct value of the cookie: after a change of path or domain a browser also sends the old one. */
  readAll(exchange: HttpExchange): string[] {
    const values = this.valuesOf(exchange);
    return values.length < 2 ? values : [...new Set(values)];
  }

  /** Whether the request has the cookie, with any value. */
  isSentBy(exchange: HttpExchange): boolean {
    return this.valuesOf(exchange).length > 0;
  }

  /** Removes the token from the browser. */
  clear(exchange: HttpExchange): void {
    this.send(exchange, this.clearing());
  }

  /** Sets the token: until `expiresAt` (epoch ms) but for at most 400 days, or until the browser closes. */
  protected set(exchange: HttpExchange, token: string, lifetime: { expiresAt: number; now: number } | null): void {
    this.send(
      exchange,
      stringifySetCookie(this.name, token, { ...this.attributes, ...(lifetime && lasting(lifetime)) }),
    );
  }

  /** The line that clears the cookie at its current or a former place. */
  private clearing(place: Partial<CookiePlace> = {}): string {
    const { path = this.attributes?.path, domain = 'path' in place ? undefined : this.attributes?.domain } = place;
    const attributes = { ...this.attributes, path, domain, maxAge: 0, expires: new Date(0) };
    return stringifySetCookie(this.name, '', attributes as typeof this.attributes);
  }

  private valuesOf(exchange: HttpExchange): string[] {
    const header = exchange.header('cookie');
    if (header === undefined) return [];
    const { name } = this;
    const values: string[] = [];
    for (let start = 0; start < header.length;) {
      const semicolon = header.indexOf(';', start);
      const end = semicolon === -1 ? header.length : semicolon;
      let at = start;
      while (at < end && isBlank(header.charCodeAt(at))) at += 1;
      // Most cookies are somebody else's.
      if (header.startsWith(name, at)) {
        const value = valueIn(header, at + name.length, end);
        if (value !== null) values.push(value);
      }
      start = end + 1;
    }
    return values;
  }

  private send(exchange: HttpExchange, line: string): void {
    if (Buffer.byteLength(line) > MAX_COOKIE_BYTES) {
      throw new SessionError(
        'invalid_configuration',
        `cookie: with its attributes it is longer than ${MAX_COOKIE_BYTES} bytes, and browsers would drop it.`,
      );
    }
    exchange.replaceSetCookie(`${this.name}=`, [line, ...this.former.map((place) => this.clearing(place))]);
    exchange.forbidCaching();
  }
}

/** A space or a tab. */
function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

/** What follows a name in a pair of name and value, as it was sent; null if the name goes on, or has no value. */
function valueIn(header: string, start: number, end: number): string | null {
  let from = start;
  while (from < end && isBlank(header.charCodeAt(from))) from += 1;
  if (from === end || header.charCodeAt(from) !== EQUALS) return null;
  from += 1;
  let to = end;
  while (from < to && isBlank(header.charCodeAt(from))) from += 1;
  while (to > from && isBlank(header.charCodeAt(to - 1))) to -= 1;
  return header.slice(from, to);
}

const EQUALS = 0x3d;

function lasting({ expiresAt, now }: { expiresAt: number; now: number }): { maxAge: number; expires: Date } {
  const age = Math.min(expiresAt - now, LONGEST_COOKIE_AGE);
  return { maxAge: Math.max(1, Math.ceil(age / 1000)), expires: new Date(now + age) };
}
