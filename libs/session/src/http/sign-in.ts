import { Inject, Injectable } from '@nestjs/common';
import { isAnonymousSession } from '../model/alias.js';
import { SessionError } from '../model/errors.js';
import type { SessionLimit } from '../model/limit.js';
import type { NewSession, Session, SessionData } from '../model/session.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import { SESSION_OPTIONS } from '../options/tokens.js';
import type { LiveSession } from '../ports/session-store.js';
import { SessionService, type StartedSession } from '../services/session-service.js';
import { TokenService } from '../services/token-service.js';
import { ActorCookie } from './actor-cookie.js';
import { ClientRecognition } from './client-recognition.js';
import { CsrfPolicy } from './csrf-policy.js';
import { DeviceCookie } from './device-cookie.js';
import type { HttpExchange } from './http-exchange.js';
import { authenticatedNow, RequestAuthenticator } from './request-authenticator.js';
import type { Transport } from './route-rules.js';
import { SessionCookie } from './session-cookie.js';
import { SessionLocator } from './session-locator.js';

export interface SignInOptions {
  /** Keeps the session for `session.rememberMe`, and the cookie beyond the browser's end. Default false. */
  rememberMe?: boolean;
  /**
   * What the client gets: `cookie` sets the session cookie; `bearer` returns an access and a refresh token and sets none;
   * `both` does both. Default `cookie`.
   */
  transport?: Transport | 'both';
  /** Overrides `session.maxSessionsPerUser`, `session.maxSessionsPerDeviceType` and `session.onLimit`. */
  limit?: SessionLimit;
  /** A session of the same user that ends in the same step: the one chosen where the limit was reached. */
  replaces?: string;
}

/** A session that has just started, as later looks in the same request want it. */
export interface Started<T> extends StartedSession<T> {
  readonly live: LiveSession;
}

/** Starts the session of a request: with what the request tells of its client, and in place of the one it had. */
@Injectable()
export class SignIn {
  constructor(
    @Inject(SessionService) private readonly sessions: SessionService,
    @Inject(TokenService) private readonly tokens: TokenService,
    @Inject(RequestAuthenticator) private readonly authenticator: RequestAuthenticator,
    @Inject(CsrfPolicy) private readonly csrf: CsrfPolicy,
    @Inject(SessionCookie) private readonly cookie: SessionCookie,
    @Inject(DeviceCookie) private readonly devices: DeviceCookie,
    @Inject(ActorCookie) private readonly actors: ActorCookie,
    @Inject(ClientRecognition) private readonly clients: ClientRecognition,
    @Inject(SessionLocator) private readonly locator: SessionLocator,
    @Inject(SESSION_OPTIONS) private readonly options: ResolvedSessionOptions,
  ) {}

  /** See `RequestSession.start`. */
  async start<T = SessionData>(
    exchange: HttpExchange,
    input: NewSession<T>,
    options: SignInOptions,
  ): Promise<Started<T>> {
    exchange.assertCanSetHeaders();
    this.csrf.check(exchange);
    const { transport = 'cookie', replaces, ...startOptions } = options;
    if (transport !== 'cookie') this.tokens.assertEnabled();
    const previous = await this.findPrevious(exchange);
    const isOwn = previous?.session.userId === input.userId;
    const device = input.deviceId === undefined ? this.devices.deviceOf(exchange, input.userId) : null;
    const ending = replaces ?? (isOwn ? previous?.session.id : undefined);
    const started = await this.sessions.start<T>(
      {
        ...(await this.described(exchange, input)),
        ...(device && { deviceId: device.deviceId }),
        ...(await this.mergedData(previous, input)),
      },
      {
        ...startOptions,
        client: this.clients.digestOf(exchange),
        credentials: transport === 'both' ? ['cookie', 'refresh'] : [transport === 'cookie' ? 'cookie' : 'refresh'],
        ...(ending !== undefined && { replaces: ending }),
      },
    );
    if (previous && !(isOwn && ending === previous.session.id)) await this.replace(previous.session, started.session);
    await this.actors.abandon(exchange);
    const live = liveOf(started.session as Session);
    if (started.cookieToken === undefined && previous) this.cookie.clear(exchange);
    this.remembered(exchange, { ...started, live }, transport === 'bearer' ? 'bearer' : 'cookie');
    if (device) this.devices.write(exchange, device, live.now);
    return { ...started, live };
  }

  /** See `RequestSession.startAnonymous`. */
  async startAnonymous<T = SessionData>(exchange: HttpExchange, data: T | undefined): Promise<Session<T>> {
    exchange.assertCanSetHeaders();
    this.csrf.check(exchange);
    const input = await this.described<Omit<NewSession<T>, 'userId'>>(exchange, data === undefined ? {} : { data });
    const started = await this.sessions.startAnonymous<T>(input, { client: this.clients.digestOf(exchange) });
    return this.remembered(exchange, { ...started, live: liveOf(started.session as Session) }, 'cookie').session;
  }

  /** Sets the cookie of a session that has just started, and has the request go on under it. */
  remembered<T>(exchange: HttpExchange, started: Started<T>, transport: Transport): Started<T> {
    if (started.cookieToken !== undefined) this.cookie.write(exchange, started.cookieToken, started.live);
    this.authenticator.remember(exchange, authenticatedNow(started.live, transport));
    return started;
  }

  /** The input with what the request tells of its client. */
  async described<I extends Omit<NewSession<unknown>, 'userId'>>(exchange: HttpExchange, input: I): Promise<I> {
    const { ip } = this.clients.factsOf(exchange);
    const lastLocation = input.lastLocation ?? (await this.locator.locate(ip));
    return { ...input, ...this.clients.describe(exchange, input), ...(lastLocation && { lastLocation }) };
  }

  private async mergedData<T>(previous: LiveSession | null, { data }: NewSession<T>): Promise<{ data?: T }> {
    const { mergeAnonymous } = this.options;
    if (!previous || !mergeAnonymous || !isAnonymousSession(previous.session)) return {};
    return { data: (await mergeAnonymous(previous.session.data, data ?? {})) as T };
  }

  /** The new session is there first, so that nothing is lost when the old one cannot be ended. */
  private async replace(old: Session, by: { id: string }): Promise<void> {
    try {
      await this.sessions.end(old.id, { reason: 'replaced' });
    } catch (error) {
      await this.sessions.end(by.id).catch(() => undefined);
      throw error;
    }
  }

  private async findPrevious(exchange: HttpExchange): Promise<LiveSession | null> {
    try {
      const authentication = await this.authenticator.authenticateCookie(exchange);
      return authentication && !authentication.superseded ? authentication.live : null;
    } catch (error) {
      if (error instanceof SessionError && error.statusCode < 500) return null;
      throw error;
    }
  }
}

/** A session just created, as a later look in the same request will want it. */
export function liveOf(session: Session): LiveSession {
  return {
    state: 'live',
    session,
    lineages: { cookie: null, refresh: null },
    revision: '',
    tokensFrom: 0,
    tokenRevoked: false,
    now: session.createdAt,
  };
}
