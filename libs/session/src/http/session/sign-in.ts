import { isAnonymousSession } from '../../model/alias.js';
import { SessionError } from '../../model/errors.js';
import type { SessionLimit } from '../../model/limit.js';
import type { NewSession, Session, SessionData } from '../../model/session.js';
import type { ResolvedSessionOptions } from '../../options/resolved-options.js';
import type { LiveSession } from '../../ports/session-store.js';
import type { SessionService, StartedSession } from '../../sessions/session-service.js';
import type { TokenService } from '../../tokens/token-service.js';
import type { AccountsCookie } from '../cookies/accounts-cookie.js';
import type { ActorCookie } from '../cookies/actor-cookie.js';
import type { ClientRecognition } from '../authentication/client-recognition.js';
import type { CsrfPolicy } from '../authentication/csrf-policy.js';
import type { DeviceBindingHooks } from '../authentication/device-binding-hooks.js';
import type { DpopProofs } from '../authentication/dpop-proofs.js';
import type { DeviceCookie } from '../cookies/device-cookie.js';
import type { RequestContext } from '../authentication/request-context.js';
import { authenticatedNow, type RequestAuthenticator } from '../authentication/request-authenticator.js';
import type { Transport } from '../authorization/route-rules.js';
import type { SessionCookie } from '../cookies/session-cookie.js';
import type { IpLocator } from '../../location/ip-locator.js';

export interface SignInOptions {
  /** Keeps the session for `session.rememberMe`, and the cookie after the browser closes. Default false. */
  rememberMe?: boolean;
  /**
   * What the client gets: `cookie` sets the session cookie; `bearer` returns an access and a refresh token and sets no
   * cookie; `both` does both. Default `cookie`.
   */
  transport?: Transport | 'both';
  /** Overrides `session.maxSessionsPerUser`, `session.maxSessionsPerDeviceType` and `session.onLimit`. */
  limit?: SessionLimit;
  /**
   * Start of the password check: an instant of `SessionService.now()`. The sign-in is refused if since then all
   * sessions of the user were ended, or the password was changed. Default: no check.
   */
  verifiedAt?: number;
  /** A session of the same user that ends in the same step: the one that the user chose at the limit. */
  replaces?: string;
}

/**
 * Starts the session of a request: adds what the request reveals about its client, and replaces the previous session.
 */
export class SignIn {
  constructor(
    private readonly sessions: SessionService,
    private readonly tokens: TokenService,
    private readonly authenticator: RequestAuthenticator,
    private readonly csrf: CsrfPolicy,
    private readonly cookie: SessionCookie,
    private readonly devices: DeviceCookie,
    private readonly actors: ActorCookie,
    private readonly clients: ClientRecognition,
    private readonly locator: IpLocator,
    private readonly options: ResolvedSessionOptions,
    private readonly accounts: AccountsCookie,
    private readonly binding?: DeviceBindingHooks,
    private readonly dpop?: DpopProofs,
  ) {}

  /**
   * See `RequestSession.start`.
   *
   * @param account For one of several accounts of the browser: the others stay signed in, and so does the session `keeps`.
   */
  async start<T = SessionData>(
    context: RequestContext,
    input: NewSession<T>,
    options: SignInOptions,
    account: { readonly keeps: string | null } | null = null,
  ): Promise<StartedSession<T>> {
    const { exchange } = context;
    exchange.assertCanSetHeaders();
    const { transport = 'cookie', replaces, ...startOptions } = options;
    // A sign-in without a cookie does not concern the browser, so its cookies stay.
    const usesCookies =
      transport !== 'bearer' || this.options.jwt?.refreshCookie !== undefined || this.csrf.allows(context);
    if (usesCookies) this.csrf.check(context);
    if (transport !== 'cookie') this.tokens.assertEnabled();
    const jkt = transport === 'cookie' ? undefined : await this.dpop?.keyFor(context);
    const previous = usesCookies ? await this.findPrevious(context) : null;
    const isOwn = previous?.session.userId === input.userId;
    const device = usesCookies && input.deviceId === undefined ? this.devices.deviceOf(exchange, input.userId) : null;
    const ending = replaces ?? (isOwn ? previous?.session.id : undefined);
    const started = await this.sessions.start<T>(
      {
        ...(await this.described(context, input)),
        ...(device && { deviceId: device.deviceId }),
        ...(await this.mergedData(previous, input)),
      },
      {
        ...startOptions,
        client: context.clientDigest,
        wait: context.wait,
        credentials: transport === 'both' ? ['cookie', 'refresh'] : [transport === 'cookie' ? 'cookie' : 'refresh'],
        ...(ending !== undefined && { replaces: ending }),
        ...(jkt !== undefined && { jkt }),
      },
    );
    // An incomplete sign-in ends none of the user's sessions: the store ends them once it is complete.
    const isLeft = isOwn && (ending === previous.session.id || started.session.pending === true);
    const isKept = previous !== null && account?.keeps === previous.session.id;
    if (previous && !isLeft && !isKept) await this.replace(context, previous.session, started.session);
    if (usesCookies) {
      if (started.session.pending !== true) await this.endTwins(context, [previous?.session.id, started.session.id]);
      await this.actors.abandon(context);
      if (!account) await this.accounts.abandon(context);
    }
    const { live } = started;
    if (started.cookieToken === undefined && previous) this.cookie.clear(exchange);
    this.remembered(context, started, transport === 'bearer' ? 'bearer' : 'cookie', jkt);
    if (started.cookieToken !== undefined) this.binding?.offer(context, live);
    if (device) this.devices.write(exchange, device, live.now);
    return started;
  }

  /** See `RequestSession.startAnonymous`. */
  async startAnonymous<T = SessionData>(context: RequestContext, data: T | undefined): Promise<Session<T>> {
    const { exchange } = context;
    exchange.assertCanSetHeaders();
    this.csrf.check(context);
    const input = await this.described<Omit<NewSession<T>, 'userId'>>(context, data === undefined ? {} : { data });
    const started = await this.sessions.startAnonymous<T>(input, {
      client: context.clientDigest,
      wait: context.wait,
    });
    return this.remembered(context, started, 'cookie').session;
  }

  /** Sets the cookie of a session that has just started, and makes it the session of the request. */
  remembered<T>(
    context: RequestContext,
    started: StartedSession<T>,
    transport: Transport,
    jkt?: string,
  ): StartedSession<T> {
    if (started.cookieToken !== undefined) this.cookie.write(context.exchange, started.cookieToken, started.live);
    this.authenticator.remember(
      context,
      authenticatedNow(started.live, transport, transport === 'bearer' ? jkt : undefined),
    );
    return started;
  }

  /** The input with what the request reveals about its client. */
  async described<I extends Omit<NewSession<unknown>, 'userId'>>({ client }: RequestContext, input: I): Promise<I> {
    const lastLocation = input.lastLocation ?? (await this.locator.locate(client.ip));
    return { ...input, ...this.clients.describe(client, input), ...(lastLocation && { lastLocation }) };
  }

  private async mergedData<T>(previous: LiveSession | null, { data }: NewSession<T>): Promise<{ data?: T }> {
    const { mergeAnonymous } = this.options;
    if (!previous || !mergeAnonymous || !isAnonymousSession(previous.session)) return {};
    return { data: (await mergeAnonymous(previous.session.data, data ?? {})) as T };
  }

  /** The new session exists first, so that nothing is lost if the old one cannot be ended. */
  private async replace({ wait }: RequestContext, old: Session, by: { id: string }): Promise<void> {
    try {
      await this.sessions.end(old.id, { reason: 'replaced', wait });
    } catch (error) {
      // Not waited for: the request may have waited as long as it may.
      void this.sessions.end(by.id).catch(() => undefined);
      throw error;
    }
  }

  /**
   * A browser may hold a second cookie from before a change of path or domain, whose session would compete with this
   * one. A single cookie is no such twin: one that a step-up replaced must not end the session.
   */
  private async endTwins(context: RequestContext, spared: readonly (string | undefined)[]): Promise<void> {
    const named = this.authenticator.sessionsInCookies(context);
    if (named.length < 2) return;
    for (const id of named) {
      if (!spared.includes(id)) await this.sessions.end(id, { reason: 'replaced', wait: context.wait });
    }
  }

  private async findPrevious(context: RequestContext): Promise<LiveSession | null> {
    try {
      const authentication = await this.authenticator.authenticateCookie(context);
      return authentication && !authentication.superseded ? authentication.live : null;
    } catch (error) {
      if (error instanceof SessionError && error.expose) return null;
      throw error;
    }
  }
}
