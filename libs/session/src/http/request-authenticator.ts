import { Inject, Injectable, Optional } from '@nestjs/common';
import { CredentialCodec } from '../model/credential.js';
import { AuthenticationError, SessionError } from '../model/errors.js';
import { userKeyOfSession } from '../model/ids.js';
import type { LiveSession, RenewRequest } from '../ports/session-store.js';
import { AccessTokenVerifier, type VerifiedAccessToken } from '../services/access-token-verifier.js';
import { SessionAuthenticator, type Authentication } from '../services/session-authenticator.js';
import { SessionTelemetry } from '../services/session-telemetry.js';
import { bearerTokenOf } from './bearer-token.js';
import { ClientRecognition } from './client-recognition.js';
import { CsrfPolicy } from './csrf-policy.js';
import type { HttpExchange } from './http-exchange.js';
import type { Transport } from './route-rules.js';
import { SecurityPolicy } from './security-policy.js';
import { SessionCookie } from './session-cookie.js';

export interface AuthenticatedRequest {
  readonly state: 'authenticated';
  readonly transport: Transport;
  readonly live: LiveSession;
  /** See `Authentication.superseded`. */
  readonly superseded: boolean;
  /** The secret that was presented; null for an access token, which has none, and once it was replaced. */
  readonly presented: NonNullable<RenewRequest['presented']> | null;
  /** The error for every route on which users do not prove who they are: the session's client is not the one it was. */
  readonly suspicion: SessionError | null;
}

/** What became of the credentials of a request: there were none, they hold, or why they do not. */
export type RequestAuthentication =
  AuthenticatedRequest | { readonly state: 'none' } | { readonly state: 'refused'; readonly error: SessionError };

/** Authenticates each request once, however many guards, pipes and handlers ask. Records no access. */
@Injectable()
export class RequestAuthenticator {
  private readonly ofRequest = new WeakMap<object, Promise<RequestAuthentication>>();
  private readonly ofCookie = new WeakMap<object, Promise<Authentication | null>>();

  constructor(
    @Inject(SessionAuthenticator) private readonly sessions: SessionAuthenticator,
    @Inject(SessionCookie) private readonly cookie: SessionCookie,
    @Inject(CsrfPolicy) private readonly csrf: CsrfPolicy,
    @Inject(CredentialCodec) private readonly codec: CredentialCodec,
    @Inject(ClientRecognition) private readonly clients: ClientRecognition,
    @Inject(SecurityPolicy) private readonly policy: SecurityPolicy,
    @Optional() @Inject(AccessTokenVerifier) private readonly tokens?: AccessTokenVerifier,
    @Optional() @Inject(SessionTelemetry) private readonly telemetry?: SessionTelemetry,
  ) {}

  /** @throws {StoreUnavailableError} */
  authenticate(exchange: HttpExchange): Promise<RequestAuthentication> {
    return this.once(exchange, () => this.judge(exchange));
  }

  /**
   * As `authenticate`, for a bearer token whose signature somebody else verified.
   *
   * @throws {StoreUnavailableError}
   */
  authenticateVerified(
    exchange: HttpExchange,
    admit: () => Promise<VerifiedAccessToken>,
  ): Promise<RequestAuthentication> {
    return this.once(exchange, () => this.byBearer(exchange, admit));
  }

  /**
   * The cookie alone, whatever else the request brings, and without a question for its origin or its client.
   *
   * @throws {SessionError} when it does not hold.
   */
  authenticateCookie(exchange: HttpExchange): Promise<Authentication | null> {
    const known = this.ofCookie.get(exchange.key);
    if (known) return known;
    const asked = this.judgeCookie(exchange);
    this.ofCookie.set(exchange.key, asked);
    return asked;
  }

  /** Whether we signed what the request brought, whatever became of it since. Asks nobody. */
  isOwn(exchange: HttpExchange): boolean {
    try {
      const token = bearerTokenOf(exchange);
      if (token !== null) return this.tokens?.isOwn(token) ?? false;
      return this.codec.parse(this.cookie.read(exchange), 'cookie') !== null;
    } catch (error) {
      if (error instanceof SessionError && error.statusCode < 500) return false;
      throw error;
    }
  }

  /** What later questions about this request are answered, after it signed in, out, or up. */
  remember(exchange: HttpExchange, authentication: RequestAuthentication): void {
    const cookie =
      authentication.state === 'authenticated' && authentication.transport === 'cookie'
        ? { ...authentication, cookieToken: null }
        : null;
    this.ofRequest.set(exchange.key, Promise.resolve(authentication));
    this.ofCookie.set(exchange.key, Promise.resolve(cookie));
  }

  /** What the request was judged to be before, else what it is judged to be now. */
  private once(exchange: HttpExchange, judge: () => Promise<RequestAuthentication>): Promise<RequestAuthentication> {
    const known = this.ofRequest.get(exchange.key);
    if (known) return known;
    const asked = answered(judge);
    this.telemetry?.countRequest(asked);
    this.ofRequest.set(exchange.key, asked);
    return asked;
  }

  private async judge(exchange: HttpExchange): Promise<RequestAuthentication> {
    const token = bearerTokenOf(exchange);
    if (token !== null) return this.byBearer(exchange, () => this.verify(token));
    if (this.cookie.read(exchange) === null) return { state: 'none' };
    this.csrf.check(exchange);
    const authentication = await this.authenticateCookie(exchange);
    if (!authentication) return { state: 'none' };
    const suspicion = await this.policy.judge(exchange, authentication.live);
    return { state: 'authenticated', transport: 'cookie', suspicion, ...authentication };
  }

  private async verify(token: string): Promise<VerifiedAccessToken> {
    if (!this.tokens) {
      throw new AuthenticationError(
        'invalid_token',
        'Access tokens are not accepted here: the option "jwt" is not set.',
      );
    }
    return this.tokens.verify(token);
  }

  private async byBearer(
    exchange: HttpExchange,
    admit: () => Promise<VerifiedAccessToken>,
  ): Promise<RequestAuthentication> {
    const { live } = await admit();
    const text = this.cookie.read(exchange);
    const cookie = text === null ? null : this.codec.parse(text, 'cookie');
    // Session ids name their user's record, so that the two can be compared without a second read.
    if (cookie && userKeyOfSession(cookie.sessionId) !== userKeyOfSession(live.session.id)) {
      throw new SessionError(
        'invalid_request',
        'The cookie and the bearer token are of different users. Send one of them.',
      );
    }
    const suspicion = await this.policy.judge(exchange, live);
    return { state: 'authenticated', transport: 'bearer', live, superseded: false, presented: null, suspicion };
  }

  private async judgeCookie(exchange: HttpExchange): Promise<Authentication | null> {
    const token = this.cookie.read(exchange);
    if (token === null) return null;
    const authentication = await this.sessions.authenticate(token, {
      client: this.clients.digestOf(exchange),
      withhold: (live) => this.policy.withholds(exchange, live),
    });
    if (authentication.cookieToken !== null && exchange.canSetHeaders) {
      this.cookie.write(exchange, authentication.cookieToken, authentication.live);
    }
    return authentication;
  }
}

/** What a request is once it has just signed in. */
export function authenticatedNow(live: LiveSession, transport: Transport): AuthenticatedRequest {
  return { state: 'authenticated', transport, live, superseded: false, presented: null, suspicion: null };
}

/** A refusal is an answer about the request; only what is no fault of the request is thrown. */
async function answered(judge: () => Promise<RequestAuthentication>): Promise<RequestAuthentication> {
  try {
    return await judge();
  } catch (error) {
    if (error instanceof SessionError && error.statusCode < 500) return { state: 'refused', error };
    throw error;
  }
}
