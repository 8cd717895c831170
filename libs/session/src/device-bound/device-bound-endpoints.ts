import type { RequestReports } from '../http/authentication/request-reports.js';
import type { CsrfPolicy } from '../http/authentication/csrf-policy.js';
import type { RequestAuthenticator } from '../http/authentication/request-authenticator.js';
import type { RequestContext } from '../http/authentication/request-context.js';
import type { ActorCookie } from '../http/cookies/actor-cookie.js';
import type { HttpExchange } from '../http/exchange/http-exchange.js';
import { notSignedIn } from '../http/authentication/route-refusals.js';
import { publicKeyOf, type DeviceBinding } from '../model/device-binding.js';
import { SessionError } from '../model/errors.js';
import type { ResolvedDeviceBoundOptions } from '../options/resolved-options.js';
import type { LiveSession, SessionStore } from '../ports/session-store.js';
import { goneError, invalidToken } from '../tokens/authentication-errors.js';
import { AttemptLimit } from './attempt-limit.js';
import type { BindingTags } from './binding-tags.js';
import type { BoundCookie } from './bound-cookie.js';
import type { DeviceBoundSessions } from './device-bound-sessions.js';
import { readRegistration, readRenewal } from './device-proof.js';
import type { PublicPaths } from './public-paths.js';
import { readStructuredString, structuredString } from './structured-string.js';

/** How long a challenge to register is good for, ms. */
const REGISTRATION_WINDOW = 5 * 60_000;
/** How much longer a challenge to renew is good for than the cookie that is renewed by it, ms. */
const REFRESH_WINDOW = 5 * 60_000;
/** How far ahead of the store's time a challenge may be, ms: instances disagree about it by a little. */
const LEEWAY = 5_000;
/** Longest field read: a proof of 4,096 characters, its quotes, and a few parameters. */
const MAX_FIELD_LENGTH = 4_200;

/** Chromium sends the proof bare, although the draft asks for a string. */
const BARE = /^[A-Za-z0-9._-]+$/;

/** What an endpoint answers. Cookies and challenges are on the response already. */
export interface BindingAnswer {
  readonly status: number;
  readonly body: unknown;
}

/** The two endpoints of Device Bound Session Credentials. */
export class DeviceBoundEndpoints {
  private readonly limit = new AttemptLimit();

  constructor(
    private readonly options: ResolvedDeviceBoundOptions,
    private readonly store: SessionStore,
    private readonly authenticator: RequestAuthenticator,
    private readonly csrf: CsrfPolicy,
    private readonly actors: ActorCookie,
    private readonly tags: BindingTags,
    private readonly cookie: BoundCookie,
    private readonly sessions: DeviceBoundSessions,
    private readonly paths: PublicPaths,
    private readonly reports: RequestReports,
  ) {}

  /**
   * Binds the session of the cookie to the key that signed. Two commands: a read of the session and the script.
   *
   * @throws {SessionError} 4xx when nothing was bound; 503 when the store cannot be asked.
   */
  async register(context: RequestContext): Promise<BindingAnswer> {
    const { exchange } = context;
    const token = this.proofIn(exchange);
    if (token === null) throw malformed('Secure-Session-Response');
    this.csrf.check(context);
    const presented = this.authenticator.cookieOf(context);
    if (!presented) throw notSignedIn();
    if (!presented.credential) throw invalidToken('forged');
    this.assertWithinLimit(presented.credential.sessionId);
    const authentication = await this.authenticator.authenticateCookie(context);
    if (!authentication || authentication.superseded) throw invalidToken('replaced');
    const { live } = authentication;
    const { id } = live.session;
    const proof = readRegistration(token);
    if (!proof) throw this.failed(context, live, 'proof');
    const challengedAt = this.tags.instantOf('registration', [id], proof.challenge);
    if (challengedAt === null || !isWithin(challengedAt, live.now, REGISTRATION_WINDOW))
      throw this.failed(context, live, 'challenge');
    const bound = await this.store.bindDevice(id, { key: proof.key, challengedAt, wait: context.wait });
    if (bound.state === 'refused') throw this.failed(context, live, 'bound');
    if (bound.state !== 'live') throw goneError(bound);
    if (!bound.binding) throw new Error('the store bound a session and shows no key');
    this.cookie.write(exchange, id, bound.binding, bound.now);
    return { status: 200, body: this.instructions(exchange, id) };
  }

  /**
   * Renews the bound cookie of the session that the browser names: by a proof with its key, else a challenge to sign. The cookie of
   * the session is not needed, as the key proves more. One read, and one script where a proof holds.
   *
   * @throws {SessionError} 4xx when nothing was renewed; 503 when the store cannot be asked.
   */
  async refresh(context: RequestContext): Promise<BindingAnswer> {
    const { exchange } = context;
    const identifier = this.fieldIn(exchange, 'sec-secure-session-id');
    if (identifier === null) throw malformed('Sec-Secure-Session-Id');
    const hasProof = exchange.header('secure-session-response') !== undefined;
    const token = this.proofIn(exchange);
    if (hasProof && token === null) throw malformed('Secure-Session-Response');
    const id = this.tags.sessionOf(identifier);
    if (id === null) return over(identifier);
    this.assertWithinLimit(id);
    if (this.isOfAnother(context, id)) return over(identifier);
    const live = await this.store.read(id, { wait: context.wait });
    if (live.state !== 'live' || !live.binding) return over(identifier);
    if (token === null) return this.challenge(exchange, live);
    const { binding } = live;
    const key = publicKeyOf(binding);
    const proof = key && readRenewal(token, key, binding);
    if (!proof) {
      this.failed(context, live, 'proof', 'refresh');
      return over(identifier, 'device_binding_failed');
    }
    const challengedAt = this.tags.instantOf('refresh', [id], proof.challenge);
    const window = this.options.refresh + REFRESH_WINDOW;
    if (challengedAt === null || !isWithin(challengedAt, live.now, window)) return this.challenge(exchange, live);
    const { thumbprint } = binding;
    const { state } = await this.store.proveDevice(id, { thumbprint, challengedAt, wait: context.wait });
    if (state === 'spent') return this.challenge(exchange, live);
    if (state !== 'proven') return over(identifier);
    return this.renewed(exchange, live, binding);
  }

  /** A new cookie, and the challenge for the next one: it then needs no answer of 403 before. */
  private renewed(exchange: HttpExchange, live: LiveSession, binding: DeviceBinding): BindingAnswer {
    this.cookie.write(exchange, live.session.id, binding, live.now);
    // One later than the one just answered, which may be of this very millisecond.
    this.sendChallenge(exchange, live.session.id, live.now + 1);
    return { status: 200, body: this.instructions(exchange, live.session.id) };
  }

  private challenge(exchange: HttpExchange, { session, now }: LiveSession): BindingAnswer {
    this.sendChallenge(exchange, session.id, now);
    const message = 'Sign the challenge with the key of the session.';
    return { status: 403, body: { statusCode: 403, error: 'Forbidden', code: 'device_binding_failed', message } };
  }

  private sendChallenge(exchange: HttpExchange, id: string, at: number): void {
    const challenge = structuredString(this.tags.stamp('refresh', [id], at));
    exchange.setHeader('secure-session-challenge', `${challenge};id=${structuredString(this.tags.identifierOf(id))}`);
  }

  /** What the browser is to renew, where, and for which requests (DBSC, "JSON Session Instruction Format"). */
  private instructions(exchange: HttpExchange, id: string): unknown {
    const origin = originOf(exchange);
    return {
      session_identifier: this.tags.identifierOf(id),
      refresh_url: this.paths.refresh,
      scope: { ...(origin !== null && { origin }), include_site: false, scope_specification: [] },
      credentials: [this.cookie.describe()],
      // Else a link on another site would reach us without the cookie, once it has run out.
      allowed_refresh_initiators: ['*'],
    };
  }

  /** Whether the cookies of the request name other sessions alone: a browser has one session at a time, and one bound cookie. */
  private isOfAnother(context: RequestContext, id: string): boolean {
    const named = [...this.authenticator.sessionsInCookies(context), ...this.actors.sessionsIn(context)];
    return named.length > 0 && !named.includes(id);
  }

  private assertWithinLimit(id: string): void {
    if (!this.limit.allows(id, this.store.now()))
      throw new SessionError('too_many_requests', 'Too many attempts to prove the device. Try again in a minute.');
  }

  private failed(
    context: RequestContext,
    live: LiveSession,
    reason: 'proof' | 'challenge' | 'bound',
    step: 'registration' | 'refresh' = 'registration',
  ): SessionError {
    const error = new SessionError('device_binding_failed', FAILURES[reason]);
    this.sessions.report(live, { type: 'binding-failed', step, reason });
    this.reports.refused(error, context, live.session);
    return error;
  }

  private proofIn(exchange: HttpExchange): string | null {
    return this.fieldIn(exchange, 'secure-session-response');
  }

  /** The string in a header that may stand once, or null. */
  private fieldIn(exchange: HttpExchange, name: string): string | null {
    const field = exchange.header(name);
    if (field === undefined || field.length > MAX_FIELD_LENGTH || exchange.countHeader(name) > 1) return null;
    return readStructuredString(field) ?? (BARE.test(field) ? field : null);
  }
}

const FAILURES = {
  proof: 'The proof is not signed by a key with an algorithm that was offered.',
  challenge: 'The challenge of the proof is not one of this session, or is out of date.',
  bound: 'The session is bound already.',
} as const;

/** Ends what the browser keeps of a session: any such status does, and the body says so. */
function over(identifier: string, code = 'session_ended'): BindingAnswer {
  return { status: 404, body: { session_identifier: identifier, continue: false, code } };
}

function malformed(name: string): SessionError {
  return new SessionError(
    'invalid_request',
    `The header ${name} is missing, stands twice, or holds no string (RFC 9651).`,
  );
}

function isWithin(at: number, now: number, window: number): boolean {
  return now - at < window && at <= now + LEEWAY;
}

/** The origin that the browser knows us by. Of a request that another site began, `Origin` names that one. */
function originOf(exchange: HttpExchange): string | null {
  const origin = exchange.header('origin');
  if (origin?.startsWith('https://') === true && exchange.header('sec-fetch-site') === 'same-origin') return origin;
  const { host } = exchange.request;
  return host !== undefined && URL.canParse(`https://${host}`) ? new URL(`https://${host}`).origin : null;
}
