import { type CredentialCodec } from '../../model/credential.js';
import type { Session } from '../../model/session.js';
import type { ResolvedSessionOptions } from '../../options/resolved-options.js';
import type { HttpExchange } from '../exchange/http-exchange.js';
import { TokenCookie } from './token-cookie.js';

/**
 * The cookie for the refresh token, if the option `jwt.refreshCookie` asks for one. Limited to the path of the refresh
 * route, so that no other request contains it.
 */
export class RefreshCookie extends TokenCookie {
  readonly enabled: boolean;

  constructor(
    { cookie, jwt }: ResolvedSessionOptions,
    private readonly codec: CredentialCodec,
  ) {
    super(jwt?.refreshCookie ?? cookie);
    this.enabled = jwt?.refreshCookie !== undefined;
  }

  /**
   * The token in a request, or null. Of several, only those that this server signed count, and of one session only the
   * newest.
   *
   * @throws {SessionError} `invalid_request` for tokens of different sessions.
   */
  override read(exchange: HttpExchange): string | null {
    const own = this.readAll(exchange).flatMap((token) => {
      const credential = this.codec.parse(token, 'refresh');
      return credential ? [{ token, ...credential }] : [];
    });
    if (own.length === 0 || own.some(({ sessionId }) => sessionId !== own[0]?.sessionId)) return super.read(exchange);
    const newestFirst = own.sort((a, b) => b.generation - a.generation || (b.branch ?? 0) - (a.branch ?? 0));
    return newestFirst[0]?.token ?? null;
  }

  /** The sessions named by cookies that this server signed, live or not. */
  sessionsIn(exchange: HttpExchange): string[] {
    if (!this.enabled) return [];
    return this.readAll(exchange).flatMap((token) => this.codec.parse(token, 'refresh')?.sessionId ?? []);
  }

  /** The refresh token for the response body; empty if a cookie carries it. */
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
