import { type CredentialCodec } from '../../model/credential.js';
import { SessionError } from '../../model/errors.js';
import { resolveActorCookie } from '../../options/cookie-options.js';
import type { ResolvedSessionOptions } from '../../options/resolved-options.js';
import type { SessionService } from '../../sessions/session-service.js';
import type { Authentication } from '../../sessions/session-authenticator.js';
import type { RequestContext } from '../authentication/request-context.js';
import type { HttpExchange } from '../exchange/http-exchange.js';
import { TokenCookie } from './token-cookie.js';

/**
 * The cookie with an administrator's own session token while the session cookie holds the impersonated session. Only
 * the browser that holds it can return to the administrator's session: a stolen cookie of an impersonated session opens
 * nothing else.
 */
export class ActorCookie extends TokenCookie {
  constructor(
    { cookie }: ResolvedSessionOptions,
    private readonly sessions: SessionService,
    private readonly codec: CredentialCodec,
  ) {
    super(resolveActorCookie(cookie));
  }

  /** Keeps the token until the browser closes. */
  write(exchange: HttpExchange, token: string): void {
    this.set(exchange, token, null);
  }

  /** The administrator's own session and its token, if the cookie holds the token of a live session. */
  async find({
    exchange,
    clientDigest: client,
    wait,
  }: RequestContext): Promise<{ authentication: Authentication; token: string } | null> {
    try {
      const token = this.read(exchange);
      if (token === null) return null;
      const authentication = await this.sessions.authenticate(token, {
        client,
        canSetCookie: exchange.canSetHeaders,
        wait,
      });
      return { authentication, token: authentication.cookieToken ?? token };
    } catch (error) {
      if (error instanceof SessionError && error.expose) return null;
      throw error;
    }
  }

  /** The sessions named by cookies that this server signed, live or not. */
  sessionsIn({ exchange }: RequestContext): string[] {
    return this.readAll(exchange).flatMap((token) => this.codec.parse(token, 'cookie')?.sessionId ?? []);
  }

  /** Ends the administrator's own session and clears the cookie, after a new sign-in or a sign-out. */
  async abandon(context: RequestContext): Promise<void> {
    for (const id of this.sessionsIn(context)) await this.sessions.end(id, { wait: context.wait });
    if (this.isSentBy(context.exchange)) this.clear(context.exchange);
  }
}
