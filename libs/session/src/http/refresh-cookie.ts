import { Inject, Injectable } from '@nestjs/common';
import type { Session } from '../model/session.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import { SESSION_OPTIONS } from '../options/tokens.js';
import type { HttpExchange } from './http-exchange.js';
import { TokenCookie } from './token-cookie.js';

/**
 * The cookie that carries the refresh token, where the option `jwt.refreshCookie` asks for one: bound to the path of the
 * refresh route, so that no other request shows it.
 */
@Injectable()
export class RefreshCookie extends TokenCookie {
  readonly enabled: boolean;

  constructor(@Inject(SESSION_OPTIONS) { cookie, jwt }: ResolvedSessionOptions) {
    super(jwt?.refreshCookie ?? cookie);
    this.enabled = jwt?.refreshCookie !== undefined;
  }

  /** The refresh token for the body, unless a cookie takes it. */
  handOver(exchange: HttpExchange, token: string, live: { session: Session; now: number }): { refreshToken?: string } {
    if (!this.enabled) return { refreshToken: token };
    this.write(exchange, token, live);
    return {};
  }

  /** Sets the token until the session's absolute end. */
  write(exchange: HttpExchange, token: string, { session, now }: { session: Session; now: number }): void {
    this.set(exchange, token, { expiresAt: session.expiresAt, now });
  }
}
