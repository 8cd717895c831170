import { Inject, Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { randomUUID } from 'node:crypto';
import passport from 'passport';
import { Strategy } from 'passport-jwt';
import type { SessionCore } from '../core/session-core.js';
import { SESSION_CORE } from '../core/tokens.js';
import { accessTokenOf } from '../http/authentication/bearer-token.js';
import { exchangeOfRequest } from '../http/exchange/http-exchange.js';
import type { HttpRequest } from '../http/exchange/request-view.js';
import { invalidToken } from '../tokens/authentication-errors.js';

/** The strategy of each application. The application's own provider takes precedence. */
const strategies = new WeakMap<SessionCore, JwtStrategy>();

/** The application's one strategy, created when a guard first needs it. */
export function strategyOf(core: SessionCore): JwtStrategy {
  return strategies.get(core) ?? new JwtStrategy(core);
}

/**
 * passport-jwt for access tokens of this module. Registered with passport under a name that is unique in the process
 * (`session-jwt:<unique>`), and removed at shutdown: passport is shared by the whole process, and two applications with
 * one name would answer each other's requests.
 *
 * `JwtAuthGuard` creates it, so it need not be listed as a provider. List a subclass to change its behaviour.
 *
 * The key is found by `kid` and is valid for its own algorithm only; passport-jwt verifies the signature; times are
 * then checked by the store's clock, which passport-jwt would not use.
 */
@Injectable()
export class JwtStrategy extends PassportStrategy(Strategy) {
  /** The name of this strategy in passport. */
  override readonly name: string;

  constructor(@Inject(SESSION_CORE) private readonly core: SessionCore) {
    const { tokens } = core;
    super({
      jwtFromRequest: (request: HttpRequest) =>
        accessTokenOf(exchangeOfRequest(request), core.requests.takesDpop)?.token ?? null,
      secretOrKeyProvider: (_request: unknown, token: string, done: (error: unknown, key?: never) => void) => {
        const key = tokens.enabled ? tokens.keyFor(token) : null;
        if (key) done(null, key.verifying as never);
        else done(invalidToken('forged'));
      },
      algorithms: tokens.algorithms,
      ignoreExpiration: true,
      jsonWebTokenOptions: { ignoreNotBefore: true },
      passReqToCallback: true,
    });
    this.name = `session-jwt:${randomUUID()}`;
    passport.use(this.name, this);
    strategies.set(core, this);
    core.onClose(() => passport.unuse(this.name));
  }

  /** Prevents the base class from registering under the shared name `jwt`. */
  getPassportInstance(): { use: () => void } {
    return { use: () => undefined };
  }

  /**
   * The user of the request. Called after the signature is verified; reads the store once per request.
   *
   * @throws {AuthenticationError} for invalid claims, or an ended session or revoked token.
   */
  async validate(request: HttpRequest, payload: unknown): Promise<unknown> {
    const { contexts, requests, tokens, users } = this.core;
    const context = contexts.of(exchangeOfRequest(request));
    const authentication = await requests.authenticateVerified(context, async (near, call) =>
      tokens.admit(tokens.requireClaims(payload), near, call),
    );
    if (authentication.state === 'refused') throw authentication.error;
    if (authentication.state === 'none') throw invalidToken();
    const user = await users.of(context, authentication.live.session);
    const isGone = user === null || user === undefined;
    return isGone && (await requests.askStore(context)) ? this.validate(request, payload) : user;
  }
}
