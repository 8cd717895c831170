import type { Session } from '../../model/session.js';
import type { ResolvedSessionOptions } from '../../options/resolved-options.js';
import type { HttpExchange } from '../exchange/http-exchange.js';
import { TokenCookie } from './token-cookie.js';

/** The cookie with the session token. */
export class SessionCookie extends TokenCookie {
  constructor({ cookie }: ResolvedSessionOptions) {
    super(cookie);
  }

  /** Sets the token. The cookie of a remembered session survives closing the browser, others do not. */
  write(exchange: HttpExchange, token: string, { session, now }: { session: Session; now: number }): void {
    this.set(exchange, token, session.rememberMe === true ? { expiresAt: session.expiresAt, now } : null);
  }
}
