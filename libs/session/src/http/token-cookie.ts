import { parseCookie, stringifySetCookie } from 'cookie';
import { SessionError } from '../model/errors.js';
import { MAX_COOKIE_BYTES, type ResolvedCookieOptions } from '../options/cookie-options.js';
import type { HttpExchange } from './http-exchange.js';

/** A cookie that carries a token: read, set and cleared, always with the same attributes, and never for scripts. */
export class TokenCookie {
  private readonly attributes: Readonly<Parameters<typeof stringifySetCookie>[2]>;
  private readonly name: string;

  constructor({ name, secure, sameSite, path, domain, partitioned }: ResolvedCookieOptions) {
    this.name = name;
    this.attributes = { httpOnly: true, secure, sameSite, path, partitioned, ...(domain !== undefined && { domain }) };
  }

  /**
   * The token a request brings, or null.
   *
   * @throws {SessionError} `invalid_request` when the cookie is there twice: one of them is not ours (RFC 6265, 8.6).
   */
  read(exchange: HttpExchange): string | null {
    const values = this.valuesOf(exchange);
    if (values.length > 1)
      throw new SessionError('invalid_request', `The cookie ${this.name} was sent more than once.`);
    return values[0] ?? null;
  }

  /** Whether the request brings the cookie, whatever is in it. */
  isSentBy(exchange: HttpExchange): boolean {
    return this.valuesOf(exchange).length > 0;
  }

  /** Has the browser forget the token. */
  clear(exchange: HttpExchange): void {
    this.send(exchange, stringifySetCookie(this.name, '', { ...this.attributes, maxAge: 0, expires: new Date(0) }));
  }

  /** Sets the token: until `expiresAt` (epoch ms), or for as long as the browser runs. */
  protected set(exchange: HttpExchange, token: string, lifetime: { expiresAt: number; now: number } | null): void {
    const lasting = lifetime && {
      maxAge: Math.max(1, Math.ceil((lifetime.expiresAt - lifetime.now) / 1000)),
      expires: new Date(lifetime.expiresAt),
    };
    this.send(exchange, stringifySetCookie(this.name, token, { ...this.attributes, ...lasting }));
  }

  private valuesOf(exchange: HttpExchange): string[] {
    const header = exchange.header('cookie');
    if (header === undefined) return [];
    return header.split(';').flatMap((pair) => parseCookie(pair, { decode: (value) => value })[this.name] ?? []);
  }

  private send(exchange: HttpExchange, line: string): void {
    if (Buffer.byteLength(line) > MAX_COOKIE_BYTES) {
      throw new SessionError(
        'invalid_configuration',
        `cookie: with its attributes it is longer than ${MAX_COOKIE_BYTES} bytes, and browsers would drop it.`,
      );
    }
    exchange.replaceSetCookie(`${this.name}=`, line);
    exchange.forbidCaching();
  }
}
