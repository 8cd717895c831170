import { Inject, Injectable } from '@nestjs/common';
import { SessionError } from '../model/errors.js';
import { resolveActorCookie } from '../options/cookie-options.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import { SESSION_OPTIONS } from '../options/tokens.js';
import { SessionService } from '../services/session-service.js';
import type { Authentication } from '../services/session-authenticator.js';
import { ClientRecognition } from './client-recognition.js';
import type { HttpExchange } from './http-exchange.js';
import { TokenCookie } from './token-cookie.js';

/**
 * The cookie that keeps an administrator's own session token while the session cookie holds that of somebody else. Its
 * holder gets back into their own session, so a stolen cookie of an impersonated session opens nothing but that one.
 */
@Injectable()
export class ActorCookie extends TokenCookie {
  constructor(
    @Inject(SESSION_OPTIONS) { cookie }: ResolvedSessionOptions,
    @Inject(SessionService) private readonly sessions: SessionService,
    @Inject(ClientRecognition) private readonly clients: ClientRecognition,
  ) {
    super(resolveActorCookie(cookie));
  }

  /** Keeps the token for as long as the browser runs. */
  write(exchange: HttpExchange, token: string): void {
    this.set(exchange, token, null);
  }

  /** The administrator's own session, where the cookie holds the token of one that lives; with the token itself. */
  async find(exchange: HttpExchange): Promise<{ authentication: Authentication; token: string } | null> {
    try {
      const token = this.read(exchange);
      if (token === null) return null;
      const authentication = await this.sessions.authenticate(token, { client: this.clients.digestOf(exchange) });
      return { authentication, token: authentication.cookieToken ?? token };
    } catch (error) {
      if (error instanceof SessionError && error.statusCode < 500) return null;
      throw error;
    }
  }

  /** Ends the administrator's own session, and forgets it: somebody signed in anew, or out. */
  async abandon(exchange: HttpExchange): Promise<void> {
    if (!this.isSentBy(exchange)) return;
    const found = await this.find(exchange);
    if (found) await this.sessions.end(found.authentication.live.session.id);
    this.clear(exchange);
  }
}
