import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { randomUUID } from 'node:crypto';
import passport from 'passport';
import { Strategy } from 'passport-jwt';
import { invalidToken } from '../services/authentication-errors.js';
import { TokenService } from '../services/token-service.js';
import { bearerTokenOf } from './bearer-token.js';
import { exchangeOfRequest, type HttpRequest } from './http-exchange.js';
import { RequestAuthenticator } from './request-authenticator.js';
import { SessionUsers } from './session-users.js';

/**
 * passport-jwt for access tokens of this module. Registered with passport under a name that no other application in the
 * process has (`session-jwt:<unique>`), and removed at shutdown: passport is one for the whole process, and two
 * applications that share a name answer each other's requests.
 *
 * The key is found by `kid` and good for its own algorithm alone; passport-jwt verifies the signature; times are then
 * checked by the store's clock, which the library's own checks would not do.
 */
@Injectable()
export class JwtStrategy extends PassportStrategy(Strategy) implements OnApplicationShutdown {
  /** The name under which passport knows this strategy. */
  override readonly name: string;

  constructor(
    @Inject(TokenService) private readonly tokens: TokenService,
    @Inject(RequestAuthenticator) private readonly authenticator: RequestAuthenticator,
    @Inject(SessionUsers) private readonly users: SessionUsers,
  ) {
    super({
      jwtFromRequest: (request: HttpRequest) => bearerTokenOf(exchangeOfRequest(request)),
      secretOrKeyProvider: (_request: unknown, token: string, done: (error: unknown, key?: never) => void) => {
        const key = tokens.enabled ? tokens.keyFor(token) : null;
        if (key) done(null, key.verifying as never);
        else done(invalidToken());
      },
      algorithms: tokens.algorithms,
      ignoreExpiration: true,
      jsonWebTokenOptions: { ignoreNotBefore: true },
      passReqToCallback: true,
    });
    this.name = `session-jwt:${randomUUID()}`;
    passport.use(this.name, this);
  }

  /** Keeps the base class from registering under the shared name `jwt`. */
  getPassportInstance(): { use: () => void } {
    return { use: () => undefined };
  }

  /**
   * What the request's user is. Called once the signature holds; asks the store, once a request.
   *
   * @throws {AuthenticationError} for claims that do not hold, or a session or token that ended.
   */
  async validate(request: HttpRequest, payload: unknown): Promise<unknown> {
    const claims = this.tokens.requireClaims(payload);
    const authentication = await this.authenticator.authenticateVerified(exchangeOfRequest(request), () =>
      this.tokens.admit(claims),
    );
    if (authentication.state === 'refused') throw authentication.error;
    if (authentication.state === 'none') throw invalidToken();
    return this.users.of(authentication.live.session);
  }

  onApplicationShutdown(): void {
    passport.unuse(this.name);
  }
}
