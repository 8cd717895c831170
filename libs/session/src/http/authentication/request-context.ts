import type { Credential } from '../../model/credential.js';
import type { BindingState } from '../../model/device-binding.js';
import type { DpopProof } from '../../model/dpop-proof.js';
import type { SessionError } from '../../model/errors.js';
import type { HijackSignal, SignalAction } from '../../model/events.js';
import { clientDigestOf } from '../../model/fingerprint.js';
import type { Session } from '../../model/session.js';
import type { LiveSession, RegenerateRequest, SessionSnapshot } from '../../ports/session-store.js';
import { StoreWait } from '../../ports/store-wait.js';
import type { Authentication } from '../../sessions/session-authenticator.js';
import type { RouteRules, Transport } from '../authorization/route-rules.js';
import { noteChallenges, type ChallengeSettings } from '../exchange/challenges.js';
import type { HttpExchange } from '../exchange/http-exchange.js';
import { requestSlot } from '../exchange/request-slot.js';
import { clientFactsOf, type ClientFacts } from './client-recognition.js';

export interface AuthenticatedRequest {
  readonly state: 'authenticated';
  readonly transport: Transport;
  readonly live: LiveSession;
  /** See `Authentication.superseded`. */
  readonly superseded: boolean;
  /** The presented secret; null for an access token, which has none, and after a replacement. */
  readonly presented: NonNullable<RegenerateRequest['presented']> | null;
  /** When the access token expires, epoch ms; absent for a cookie. */
  readonly expiresAt?: number;
  /** Thumbprint of the key that the access token is bound to and the request has proved; absent otherwise. */
  readonly jkt?: string | undefined;
  /** The error for every route except those with `@StepUp()`: client or device are not proven to be the session's. */
  readonly mismatch: SessionError | null;
  /** Absent for a bearer token, and without the option `deviceBound`. */
  readonly binding?: BindingState | undefined;
}

/** The result for the credentials of a request: none, valid, or the reason why they are not. */
export type RequestAuthentication =
  AuthenticatedRequest | { readonly state: 'none' } | { readonly state: 'refused'; readonly error: SessionError };

/** The differences between a request's client and its session's, and the strictest action that `security` demands. */
export interface ClientMismatch {
  readonly signals: readonly HijackSignal[];
  readonly action: Exclude<SignalAction, 'off'>;
}

/** The session cookie of a request; `credential` is null if this server did not sign it. */
export interface PresentedCookie {
  readonly token: string;
  readonly credential: Credential | null;
}

/** A valid cookie with the result of the client policy; `undefined` if the policy was not applied. */
export interface CookieAuthentication {
  readonly authentication: Authentication;
  readonly mismatch: ClientMismatch | null | undefined;
  /** `undefined` where it was not asked. */
  readonly binding?: BindingState | undefined;
}

/** A result that is known. */
export interface KnownRequest {
  readonly request: AuthenticatedRequest;
  /** Null if it is not that of the cookie. */
  readonly cookie: CookieAuthentication | null;
}

/** A proof of possession that fits its request (option `jwt.dpop`). */
export interface CheckedProof extends DpopProof {
  /** Settles once it is known that the proof is used for the first time; null until it counts for something. */
  spent: Promise<void> | null;
  /** Until when it would be accepted, epoch ms. */
  readonly until: number;
}

/** The state of one request: its exchange, its client, and the result for its credentials. */
export class RequestContext {
  /** Every session cookie of the request, the one to use first; undefined until they are read. */
  presentedCookies: readonly PresentedCookie[] | undefined = undefined;
  /** Whether the bearer token is ignored: the route wants the cookie, or the result is final. */
  ignoresBearer = false;
  /** How the credentials were evaluated; null until they are. */
  evaluate: (() => Promise<RequestAuthentication>) | null = null;
  /** Whether no near cache may answer: it would have refused the request, or the answer is settled. */
  asksStore = false;
  /** Origins of other sites that the route accepts; see `@AllowCrossSite()`. */
  allowedOrigins: readonly string[] = [];
  /** Controller and handler, if known. */
  route: string | undefined = undefined;
  /** The proof of possession that came with the request; null until it was checked and found good. */
  proof: CheckedProof | null = null;
  /** The read of the session in the request's only cookie, while it is under way: nobody sends another one. */
  reading: Promise<SessionSnapshot> | null = null;
  /** The result of the option `resolveUser` for a session of the request. */
  user: { readonly session: Session; readonly found: Promise<unknown> } | null = null;
  private waited: StoreWait | null = null;
  private asked: Promise<RequestAuthentication> | null = null;
  private askedCookie: Promise<CookieAuthentication | null> | null = null;
  /** What is known. Its promises are made for those who ask for them. */
  private known: KnownRequest | null = null;
  private facts: ClientFacts | null = null;
  private digest: Buffer | null = null;

  constructor(private current: HttpExchange) {}

  get exchange(): HttpExchange {
    return this.current;
  }

  /** The result for all credentials of the request; null until requested. */
  get authentication(): Promise<RequestAuthentication> | null {
    if (this.asked === null && this.known !== null) this.asked = Promise.resolve(this.known.request);
    return this.asked;
  }

  set authentication(asked: Promise<RequestAuthentication> | null) {
    // The result for the cookie stays until it is replaced.
    this.askedCookie = this.cookie;
    this.asked = asked;
    this.known = null;
  }

  /** The result for the cookie alone; null until requested. */
  get cookie(): Promise<CookieAuthentication | null> | null {
    if (this.askedCookie === null && this.known?.cookie) this.askedCookie = Promise.resolve(this.known.cookie);
    return this.askedCookie;
  }

  set cookie(asked: Promise<CookieAuthentication | null> | null) {
    this.askedCookie = asked;
  }

  /** Whether there is a result, or somebody has asked for it. */
  get isAsked(): boolean {
    return this.asked !== null || this.known !== null;
  }

  settle(known: KnownRequest): void {
    this.known = known;
  }

  get client(): ClientFacts {
    return (this.facts ??= clientFactsOf(this.current));
  }

  /** What the request has waited for the store: for its authentication and the first operation of its handler together. */
  get wait(): StoreWait {
    return (this.waited ??= new StoreWait());
  }

  /** Runs an operation of the handler. Later ones have a wait of their own: a handler may run for hours. */
  async counted<T>(operation: () => Promise<T>): Promise<T> {
    try {
      return await operation();
    } finally {
      this.waited = null;
    }
  }

  /** Stored beside a token, so that the client is recognised if it sends the token again. */
  get clientDigest(): Buffer {
    return (this.digest ??= clientDigestOf(this.client.traits));
  }

  /**
   * Takes the better of two exchanges: on Fastify, handlers see a reply whose headers overwrite those of Node's
   * response.
   */
  offer(exchange: HttpExchange): this {
    if (exchange.outranks(this.current)) this.current = exchange;
    return this;
  }
}

/** Finds the one context of a request, for middleware, guards, parameters and handlers. */
export class RequestContexts {
  /** Where a request keeps its context. */
  private readonly slot = requestSlot<RequestContext>();

  /** @param challenges What refusals say of tokens that are bound to keys; absent without the option `jwt.dpop`. */
  constructor(private readonly challenges?: ChallengeSettings) {}

  /** The existing context of a request, or null. `key` is Node's own request. */
  find(key: object): RequestContext | null {
    return this.slot.find(key) ?? null;
  }

  /** @param rules The rules of the route, if known. @param route Its name. */
  of(exchange: HttpExchange, rules?: Pick<RouteRules, 'allowCrossSite'>, route?: string): RequestContext {
    const context = this.find(exchange.key)?.offer(exchange) ?? this.created(exchange);
    if (rules) context.allowedOrigins = rules.allowCrossSite;
    if (route !== undefined) context.route = route;
    return context;
  }

  private created(exchange: HttpExchange): RequestContext {
    const context = new RequestContext(exchange);
    this.slot.put(exchange.key, context);
    if (this.challenges) noteChallenges(exchange, this.challenges);
    return context;
  }
}
