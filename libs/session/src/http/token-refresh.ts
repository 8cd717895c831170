import { Inject, Injectable } from '@nestjs/common';
import { AuthenticationError } from '../model/errors.js';
import type { LiveSession } from '../ports/session-store.js';
import { TokenService, type RefreshedTokens, type TokenPair } from '../services/token-service.js';
import { ClientRecognition } from './client-recognition.js';
import { CsrfPolicy } from './csrf-policy.js';
import type { HttpExchange } from './http-exchange.js';
import { RefreshCookie } from './refresh-cookie.js';
import { SecurityPolicy } from './security-policy.js';

/** Exchanges the refresh token of a request, wherever it is. */
@Injectable()
export class TokenRefresh {
  constructor(
    @Inject(TokenService) private readonly tokens: TokenService,
    @Inject(RefreshCookie) private readonly cookie: RefreshCookie,
    @Inject(CsrfPolicy) private readonly csrf: CsrfPolicy,
    @Inject(ClientRecognition) private readonly clients: ClientRecognition,
    @Inject(SecurityPolicy) private readonly policy: SecurityPolicy,
  ) {}

  /** See `RequestSession.refresh`. One read more where `security` looks at clients: a token must not rotate for a wrong one. */
  async refresh(
    exchange: HttpExchange,
    given: string | undefined,
  ): Promise<Omit<RefreshedTokens, 'refreshToken'> & Partial<TokenPair>> {
    const inCookie = given === undefined && this.cookie.enabled ? this.cookie.read(exchange) : null;
    if (inCookie !== null) {
      exchange.assertCanSetHeaders();
      this.csrf.check(exchange);
    }
    const token = given ?? inCookie;
    if (token === null) throw new AuthenticationError('session_required', 'Send a refresh token.');
    exchange.forbidCaching();
    const { refreshToken, ...rest } = await this.tokens.refresh(token, {
      client: this.clients.digestOf(exchange),
      inspect: this.policy.enabled ? (live) => this.inspect(exchange, live) : undefined,
    });
    if (inCookie === null) return { ...rest, refreshToken };
    return {
      ...rest,
      ...this.cookie.handOver(exchange, refreshToken, { session: rest.session, now: rest.session.lastAccess }),
    };
  }

  private async inspect(exchange: HttpExchange, live: LiveSession): Promise<void> {
    const suspicion = await this.policy.judge(exchange, live);
    if (suspicion) throw suspicion;
  }
}
