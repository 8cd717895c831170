import { Inject, Injectable } from '@nestjs/common';
import type { Session } from '../model/session.js';
import type { ResolvedLifetimeOptions, ResolvedSessionOptions } from '../options/resolved-options.js';
import { SESSION_OPTIONS } from '../options/tokens.js';
import type { HttpExchange } from './http-exchange.js';
import { TokenCookie } from './token-cookie.js';

/** The cookie that carries the session token. */
@Injectable()
export class SessionCookie extends TokenCookie {
  private readonly lifetimes: ResolvedLifetimeOptions;

  constructor(@Inject(SESSION_OPTIONS) { cookie, session }: ResolvedSessionOptions) {
    super(cookie);
    this.lifetimes = session;
  }

  /** Sets the token. Remembered sessions outlive the browser, others go with it. */
  write(exchange: HttpExchange, token: string, { session, now }: { session: Session; now: number }): void {
    this.set(exchange, token, this.isRemembered(session) ? { expiresAt: session.expiresAt, now } : null);
  }

  /** Told by its idle timeout, which no access and no update changes. */
  private isRemembered(session: Session): boolean {
    const { idleTimeout, rememberMe } = this.lifetimes;
    return session.idleTimeout === rememberMe.idleTimeout && session.idleTimeout !== idleTimeout;
  }
}
