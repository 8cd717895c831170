import { isAnonymousSession } from '../../model/alias.js';
import { AuthenticationError, ConfigurationError, SessionError } from '../../model/errors.js';
import { userKeyOf, userKeyOfSession } from '../../model/ids.js';
import type { NewSession, Session, SessionData } from '../../model/session.js';
import type { ResolvedSessionOptions } from '../../options/resolved-options.js';
import type { LiveSession } from '../../ports/session-store.js';
import type { Authentication, SessionAuthenticator } from '../../sessions/session-authenticator.js';
import type { SessionService, StartedSession } from '../../sessions/session-service.js';
import type { CsrfPolicy } from '../authentication/csrf-policy.js';
import type { RequestAuthenticator } from '../authentication/request-authenticator.js';
import type { ClientMismatch, RequestContext } from '../authentication/request-context.js';
import type { SecurityPolicy } from '../authentication/security-policy.js';
import type { AccountsCookie, ParkedToken } from '../cookies/accounts-cookie.js';
import type { RefreshCookie } from '../cookies/refresh-cookie.js';
import type { SessionCookie } from '../cookies/session-cookie.js';
import type { SignIn, SignInOptions } from './sign-in.js';

/** An account that the browser is signed in to. */
export interface Account<T = SessionData> {
  session: Session<T>;
  /** Whether it is the session of the request. */
  current: boolean;
}

/** A parked account whose session lives. */
interface Parked extends ParkedToken {
  readonly live: LiveSession;
  /** The error for every route except those with `@StepUp()`. */
  readonly mismatch: SessionError | null;
}

/** The parked accounts of a request. */
interface ParkedAccounts {
  readonly usable: readonly Parked[];
  /** Those that this client may not use. They stay in the cookie, and are not shown. */
  readonly refused: readonly (ParkedToken & { readonly live: LiveSession })[];
}

/** The account in the session cookie, with the token that the browser has from now on. */
interface CurrentAccount {
  readonly live: LiveSession;
  readonly token: string;
}

/**
 * Several accounts in one browser: the session cookie holds the token of the one in use, and the accounts cookie those of the others.
 * Each is a session of its own. A parked one is evaluated by the same rules as one in use, and reading it counts as no access.
 */
export class Accounts {
  constructor(
    private readonly options: ResolvedSessionOptions,
    private readonly authenticator: SessionAuthenticator,
    private readonly sessions: SessionService,
    private readonly requests: RequestAuthenticator,
    private readonly policy: SecurityPolicy,
    private readonly csrf: CsrfPolicy,
    private readonly signIn: SignIn,
    private readonly cookie: SessionCookie,
    private readonly refreshCookie: RefreshCookie,
    private readonly parked: AccountsCookie,
  ) {}

  /** See `RequestSession.accounts`. @param current The session of the request. */
  async list(context: RequestContext, current: LiveSession | null): Promise<Account[]> {
    this.assertEnabled();
    const found = await this.parkedIn(context, current?.session.id);
    const accounts = found.usable.map(({ live }): Account => ({ session: live.session, current: false }));
    if (current && isAccount(current)) accounts.push({ session: current.session, current: true });
    // The order must not change when an account is switched to.
    return accounts.sort(({ session: a }, { session: b }) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1));
  }

  /** See `RequestSession.addAccount`. */
  async add<T = SessionData>(
    context: RequestContext,
    input: NewSession<T>,
    options: SignInOptions,
  ): Promise<StartedSession<T>> {
    this.assertEnabled();
    this.begin(context);
    if (options.transport === 'bearer') {
      throw new SessionError('invalid_request', 'An account of a browser needs the cookie: omit the transport.');
    }
    const current = await this.requireOwn(context);
    const isOwn = current?.live.session.userId === input.userId;
    const staying = current && !isOwn && isAccount(current.live) ? current : null;
    const found = await this.parkedIn(context, current?.live.session.id);
    const userKey = userKeyOf(input.userId, this.options.currentTenant());
    const same = found.usable.find(({ credential }) => userKeyOfSession(credential.sessionId) === userKey);
    const others = found.usable.filter((account) => account !== same);
    if (others.length + found.refused.length + (staying ? 1 : 0) >= this.parked.max) {
      throw new SessionError(
        'too_many_accounts',
        `This browser is signed in to ${this.parked.max} accounts already. Sign out of one of them first.`,
      );
    }
    const replaces = options.replaces ?? (isOwn ? undefined : same?.credential.sessionId);
    const started = await this.signIn.start<T>(
      context,
      input,
      { ...options, ...(replaces !== undefined && { replaces }) },
      { keeps: staying?.live.session.id ?? null },
    );
    if (same && replaces !== same.credential.sessionId) await this.end(context, same.credential.sessionId);
    this.keep(context, { ...found, usable: others }, staying);
    return started;
  }

  /** See `RequestSession.switchAccount`. */
  async switchTo(context: RequestContext, sessionId: string): Promise<Session> {
    this.assertEnabled();
    this.begin(context);
    const current = await this.requireOwn(context);
    if (current?.live.session.id === sessionId) return current.live.session;
    const found = await this.parkedIn(context, current?.live.session.id);
    const chosen = found.usable.find(({ credential }) => credential.sessionId === sessionId);
    const authentication = chosen && (await this.authenticate(context, chosen));
    if (!authentication) throw notFound();
    const { live } = authentication;
    const staying = current && isAccount(current.live) ? current : null;
    if (current && !staying) await this.end(context, current.live.session.id);
    this.cookie.write(context.exchange, authentication.cookieToken ?? chosen.token, live);
    this.keep(context, { ...found, usable: found.usable.filter((account) => account !== chosen) }, staying);
    // It belongs to the session that was in use.
    if (this.refreshCookie.enabled) this.refreshCookie.clear(context.exchange);
    const { mismatch } = chosen;
    this.requests.remember(context, { state: 'authenticated', transport: 'cookie', mismatch, ...authentication });
    return live.session;
  }

  /** See `RequestSession.signOutAccount`. Returns whether it was the session of the request, which the caller then clears. */
  async signOut(context: RequestContext, sessionId: string): Promise<{ wasCurrent: boolean }> {
    this.assertEnabled();
    this.begin(context);
    const current = await this.requireOwn(context);
    const wasCurrent = current?.live.session.id === sessionId;
    const isParked = this.parked
      .tokensIn(context.exchange)
      .some(({ credential }) => credential.sessionId === sessionId);
    if (!wasCurrent && !isParked) throw notFound();
    await this.sessions.end(sessionId, { wait: context.wait });
    const found = await this.parkedIn(context, sessionId);
    this.keep(context, found);
    return { wasCurrent };
  }

  /** The sessions named by the cookie of a request, live or not. */
  sessionsIn({ exchange }: RequestContext): string[] {
    return this.parked.tokensIn(exchange).map(({ credential }) => credential.sessionId);
  }

  /** Clears the cookie, after its sessions were ended. */
  forget({ exchange }: RequestContext): void {
    if (this.parked.max > 0 && this.parked.isSentBy(exchange)) this.parked.clear(exchange);
  }

  private begin(context: RequestContext): void {
    context.exchange.assertCanSetHeaders();
    this.csrf.check(context);
  }

  private async end(context: RequestContext, sessionId: string): Promise<void> {
    await this.sessions.end(sessionId, { reason: 'replaced', wait: context.wait });
  }

  private keep(
    context: RequestContext,
    { usable, refused }: ParkedAccounts,
    added: CurrentAccount | null = null,
  ): void {
    const all = [...usable, ...refused, ...(added ? [added] : [])];
    const now = all[0]?.live.now ?? 0;
    this.parked.write(
      context.exchange,
      all.map(({ token, live: { session } }) => ({ token, session })),
      now,
    );
  }

  /** The account in the session cookie, if its session lives. @throws {SessionError} for an impersonated session. */
  private async requireOwn(context: RequestContext): Promise<CurrentAccount | null> {
    const current = await this.currentOf(context);
    if (!current?.live.session.actor) return current;
    throw new SessionError('invalid_request', 'End the impersonation first: it belongs to one of the accounts.');
  }

  private async currentOf(context: RequestContext): Promise<CurrentAccount | null> {
    try {
      const authentication = await this.requests.authenticateCookie(context);
      if (!authentication || authentication.superseded) return null;
      const { live } = authentication;
      const token = authentication.cookieToken ?? this.requests.cookieOf(context)?.token;
      return token === undefined ? null : { live, token };
    } catch (error) {
      if (error instanceof SessionError && error.expose) return null;
      throw error;
    }
  }

  /** What the parked tokens of a request open now. One read for each. Tokens stay as they are: none is rotated. */
  private async parkedIn(context: RequestContext, except: string | undefined): Promise<ParkedAccounts> {
    const others = this.parked.tokensIn(context.exchange).filter(({ credential }) => credential.sessionId !== except);
    const found = await Promise.all(others.map((parked) => this.look(context, parked)));
    const living = found.filter((account) => account !== null);
    return {
      usable: living.filter(({ isRefused }) => !isRefused),
      refused: living.filter(({ isRefused }) => isRefused),
    };
  }

  /** Null where the session is over, or the token is no longer its own. */
  private async look(context: RequestContext, parked: ParkedToken): Promise<(Parked & { isRefused: boolean }) | null> {
    let mismatch: ClientMismatch | null = null;
    try {
      const { live, superseded } = await this.authenticator.authenticate(parked.credential, {
        client: () => context.clientDigest,
        deny: (of) => this.policy.denies((mismatch = this.policy.assess(context, of, 'cookie'))),
        canSetCookie: false,
        near: false,
        wait: context.wait,
      });
      if (superseded || !isAccount(live)) return null;
      try {
        const error = await this.policy.apply(live, mismatch, { wait: context.wait });
        return { ...parked, live, mismatch: error, isRefused: false };
      } catch (error) {
        const isOver = error instanceof AuthenticationError && error.ended !== null;
        if (!(error instanceof SessionError) || !error.expose) throw error;
        return isOver ? null : { ...parked, live, mismatch: error, isRefused: true };
      }
    } catch (error) {
      if (error instanceof SessionError && error.expose) return null;
      throw error;
    }
  }

  /** As the next request with the cookie would be: the token rotates where that is due, and it counts as an access. */
  private async authenticate(context: RequestContext, { token, mismatch }: Parked): Promise<Authentication | null> {
    try {
      return await this.sessions.authenticate(token, {
        client: () => context.clientDigest,
        deny: () => mismatch !== null,
        near: false,
        wait: context.wait,
      });
    } catch (error) {
      if (error instanceof SessionError && error.expose) return null;
      throw error;
    }
  }

  private assertEnabled(): void {
    if (this.parked.max > 0) return;
    throw new ConfigurationError('accounts: is off, so a browser has one account. Set accounts: true, or { max }.');
  }
}

/** Whether a session can be parked: not one that waits for a further factor, of nobody, or of somebody who is impersonated. */
function isAccount({ session }: LiveSession): boolean {
  return session.pending !== true && !session.actor && !isAnonymousSession(session);
}

function notFound(): SessionError {
  return new SessionError('account_not_found', 'This browser is not signed in to this account. It may have ended.');
}
