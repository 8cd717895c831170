import { AuthenticationError, SessionError } from '../../model/errors.js';
import type { LiveSession } from '../../ports/session-store.js';
import type { TokenService, RefreshedTokens, TokenPair } from '../../tokens/token-service.js';
import { isSpent } from '../cookies/spent-token.js';
import type { CsrfPolicy } from '../authentication/csrf-policy.js';
import type { RequestReports } from '../authentication/request-reports.js';
import type { RequestContext } from '../authentication/request-context.js';
import type { RefreshCookie } from '../cookies/refresh-cookie.js';
import type { SecurityPolicy } from '../authentication/security-policy.js';
import type { DpopProofs } from '../authentication/dpop-proofs.js';

/** Exchanges the refresh token of a request, from body or cookie. */
export class TokenRefresh {
  constructor(
    private readonly tokens: TokenService,
    private readonly cookie: RefreshCookie,
    private readonly csrf: CsrfPolicy,
    private readonly policy: SecurityPolicy,
    private readonly reports?: RequestReports,
    private readonly dpop?: DpopProofs,
  ) {}

  /**
   * See `RequestSession.refresh`. If `security` compares clients this takes a second read, because a token must not
   * rotate for another client.
   */
  async refresh(
    context: RequestContext,
    given: string | undefined,
  ): Promise<Omit<RefreshedTokens, 'refreshToken'> & Partial<TokenPair>> {
    const { exchange } = context;
    const inCookie = given === undefined && this.cookie.enabled ? this.cookie.read(exchange) : null;
    if (inCookie !== null) {
      exchange.assertCanSetHeaders();
      this.csrf.check(context);
    }
    const token = given ?? inCookie;
    if (token === null) throw new AuthenticationError('session_required', 'Send a refresh token.');
    exchange.forbidCaching();
    const { refreshToken, ...rest } = await this.exchange(context, token).catch((error: unknown) => {
      if (inCookie !== null && isSpent(error)) this.cookie.clear(exchange);
      throw error;
    });
    if (inCookie === null) return { ...rest, refreshToken };
    return {
      ...rest,
      ...this.cookie.handOver(exchange, refreshToken, { session: rest.session, now: rest.session.lastAccess }),
    };
  }

  private async exchange(context: RequestContext, token: string): Promise<RefreshedTokens> {
    const { dpop } = this;
    try {
      return await this.tokens.refresh(token, {
        client: context.clientDigest,
        wait: context.wait,
        keyFor: dpop && ((bound) => dpop.keyFor(context, bound)),
        inspect: this.policy.enabled ? (live) => this.inspect(context, live) : undefined,
      });
    } catch (error) {
      if (error instanceof SessionError) this.reports?.refused(error, context);
      throw error;
    }
  }

  private async inspect(context: RequestContext, live: LiveSession): Promise<void> {
    const mismatch = await this.policy.apply(live, this.policy.assess(context, live, 'bearer'), context);
    if (mismatch) throw mismatch;
  }
}
