import type { Credential, CredentialCodec } from '../../model/credential.js';
import type { Session } from '../../model/session.js';
import { resolveAccountsCookie } from '../../options/cookie-options.js';
import type { ResolvedSessionOptions } from '../../options/resolved-options.js';
import type { SessionService } from '../../sessions/session-service.js';
import type { RequestContext } from '../authentication/request-context.js';
import type { HttpExchange } from '../exchange/http-exchange.js';
import { TokenCookie } from './token-cookie.js';

/** Between the tokens: no token contains it, and cookies may. */
const SEPARATOR = '!';

/** The token of an account that the browser is signed in to, and does not use at the moment. */
export interface ParkedToken {
  readonly token: string;
  readonly credential: Credential;
}

/**
 * The cookie with the session tokens of a browser's other accounts, if the option `accounts` asks for one. Each token is as good as in
 * the session cookie, and no better.
 */
export class AccountsCookie extends TokenCookie {
  /** How many accounts a browser may have, with the one in the session cookie; 0 if the option is off. */
  readonly max: number;

  constructor(
    { cookie, accounts }: Pick<ResolvedSessionOptions, 'cookie' | 'accounts'>,
    private readonly codec: CredentialCodec,
    private readonly sessions: SessionService,
  ) {
    super(accounts ? resolveAccountsCookie(cookie) : cookie);
    this.max = accounts?.max ?? 0;
  }

  /** The tokens in a request that this server signed, the newest of each session, in the order of the cookie. */
  tokensIn(exchange: HttpExchange): ParkedToken[] {
    if (this.max === 0) return [];
    const newest = new Map<string, ParkedToken>();
    const tokens = this.readAll(exchange).flatMap((value) => value.split(SEPARATOR, this.max));
    for (const token of tokens) {
      const credential = this.codec.parse(token, 'cookie');
      if (!credential) continue;
      const known = newest.get(credential.sessionId)?.credential;
      if (!known || isNewer(credential, known)) newest.set(credential.sessionId, { token, credential });
    }
    return [...newest.values()];
  }

  /**
   * Sets the tokens, or removes the cookie if there are none. It survives closing the browser only if all of its sessions are
   * remembered.
   */
  write(exchange: HttpExchange, accounts: readonly { token: string; session: Session }[], now: number): void {
    if (accounts.length === 0) {
      if (this.isSentBy(exchange)) this.clear(exchange);
      return;
    }
    const isRemembered = accounts.every(({ session }) => session.rememberMe === true);
    const expiresAt = Math.max(...accounts.map(({ session }) => session.expiresAt));
    const value = accounts.map(({ token }) => token).join(SEPARATOR);
    this.set(exchange, value, isRemembered ? { expiresAt, now } : null);
  }

  /** Ends the sessions and clears the cookie, after a sign-in that is not to be one of several. */
  async abandon({ exchange, wait }: RequestContext): Promise<void> {
    if (this.max === 0) return;
    for (const { credential } of this.tokensIn(exchange)) {
      await this.sessions.end(credential.sessionId, { reason: 'replaced', wait });
    }
    if (this.isSentBy(exchange)) this.clear(exchange);
  }
}

function isNewer(one: Credential, other: Credential): boolean {
  return (one.generation - other.generation || (one.branch ?? 0) - (other.branch ?? 0)) > 0;
}
