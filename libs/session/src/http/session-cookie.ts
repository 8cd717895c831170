import { Inject, Injectable } from '@nestjs/common';
import { parseCookie, stringifySetCookie } from 'cookie';
import { SessionError } from '../model/errors.js';
import type { Session } from '../model/session.js';
import { MAX_COOKIE_BYTES } from '../options/cookie-options.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import { SESSION_OPTIONS } from '../options/tokens.js';
import type { HttpExchange } from './http-exchange.js';

/** The cookie that carries the session token: read, set and cleared, always with the same attributes. */
@Injectable()
export class SessionCookie {
  private readonly name: string;
  private readonly attributes: Readonly<Parameters<typeof stringifySetCookie>[2]>;

  constructor(@Inject(SESSION_OPTIONS) private readonly options: ResolvedSessionOptions) {
    const { name, secure, sameSite, path, domain, partitioned } = options.cookie;
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
    if (values.length > 1) throw new SessionError('invalid_request', `The cookie ${this.name} was sent more than once.`);
    return values[0] ?? null;
  }

  /** Whether the request brings the cookie, whatever is in it. */
  isSentBy(exchange: HttpExchange): boolean {
    return this.valuesOf(exchange).length > 0;
  }

  /** Sets the token. Remembered sessions outlive the browser, others go with it. */
  write(exchange: HttpExchange, token: string, { session, now }: { session: Session; now: number }): void {
    const lasting = this.isRemembered(session)
      ? { maxAge: Math.max(1, Math.ceil((session.expiresAt - now) / 1000)), expires: new Date(session.expiresAt) }
      : {};
    this.send(exchange, stringifySetCookie(this.name, token, { ...this.attributes, ...lasting }));
  }

  /** Has the browser forget the token. */
  clear(exchange: HttpExchange): void {
    this.send(exchange, stringifySetCookie(this.name, '', { ...this.attributes, maxAge: 0, expires: new Date(0) }));
  }

  private valuesOf(exchange: HttpExchange): string[] {
    const header = exchange.header('cookie');
    if (header === undefined) return [];
    return header.split(';').flatMap((pair) => parseCookie(pair, { decode: (value) => value })[this.name] ?? []);
  }

  /** Told by its idle timeout, which no access and no update changes. */
  private isRemembered(session: Session): boolean {
    const { idleTimeout, rememberMe } = this.options.session;
    return session.idleTimeout === rememberMe.idleTimeout && session.idleTimeout !== idleTimeout;
  }

  private send(exchange: HttpExchange, line: string): void {
    if (Buffer.byteLength(line) > MAX_COOKIE_BYTES) {
      throw new SessionError(
        'invalid_configuration',
        `cookie: with its attributes it is longer than ${MAX_COOKIE_BYTES} bytes, and browsers would drop it.`,
      );
    }
    exchange.replaceSetCookie(`${this.name}=`, line);
    exchange.setHeader('cache-control', 'no-store');
  }
}
