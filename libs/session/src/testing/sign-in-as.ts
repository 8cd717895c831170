import type { INestApplicationContext } from '@nestjs/common';
import type { SessionCore } from '../core/session-core.js';
import { SESSION_CORE } from '../core/tokens.js';
import { clientFactsOf } from '../http/authentication/client-recognition.js';
import { exchangeOfRequest } from '../http/exchange/http-exchange.js';
import { ConfigurationError } from '../model/errors.js';
import { clientDigestOf } from '../model/fingerprint.js';
import type { Session } from '../model/session.js';
import { getSessionToken } from '../module/realm-tokens.js';
import { CookieJar, loadAgents, proving, withoutSupertest, type TestAgent } from './test-agent.js';
import { TestDpopKey } from './test-dpop.js';
import { newSessionOf, type TestUser } from './test-user.js';

export interface SignInAsOptions {
  /**
   * What the client gets; `bearer` and `both` need the option `jwt`. The agent of `both` sends the cookie. Default `cookie`, and
   * `bearer` with `dpop`.
   */
  transport?: 'cookie' | 'bearer' | 'both';
  /**
   * Binds the tokens to a key of the client: the agent and `headersFor` send a new proof with each request. Default: whether the
   * option `jwt.dpop` is `required`.
   */
  dpop?: boolean;
  /** Takes the longer timeouts of `session.rememberMe`. Default false. */
  rememberMe?: boolean;
  /** The client's `User-Agent`: the agent sends it, and the session remembers its fingerprint. Default: none is remembered. */
  userAgent?: string;
  /**
   * The tenant to sign in to, where the option `tenant` is a function of the request. The client's requests do not name it: set the
   * header that your function reads on the agent.
   */
  tenant?: string;
  /** The realm to sign in to. Default: the application's own sessions. */
  realm?: string;
}

/** A client that is signed in. */
export interface SignedInClient {
  readonly session: Session;
  /** As the header `Cookie` has it: `name=token`. Absent for `bearer`. */
  readonly cookie?: string;
  /** Absent for `cookie`. */
  readonly accessToken?: string;
  /** Absent for `cookie`. */
  readonly refreshToken?: string;
  /**
   * What signs a request in: `cookie` or `authorization`, and `user-agent` where one was given. Tokens that are bound to a key need
   * `headersFor`.
   */
  readonly headers: Readonly<Record<string, string>>;
  /**
   * The headers of one request: `headers`, and a new proof in `dpop` where the tokens are bound to a key. A proof counts once.
   *
   * @param url Absolute; for the handshake of a WebSocket with the scheme `http`.
   * @param accessToken To send in place of that of the sign-in, such as the one of a refresh.
   */
  headersFor(method: string, url: string, accessToken?: string): Record<string, string>;
  /**
   * An agent of supertest that sends the headers, and follows the cookies of the answers.
   *
   * @throws {ConfigurationError} where supertest is not installed, or the application has no HTTP server.
   */
  readonly agent: TestAgent;
}

/**
 * Signs a user in without asking for a password: a real session, by the application's own services, as `start` would make it.
 * The hook `beforeStart` and the limits count; nothing else of your sign-in runs.
 *
 * ```ts
 * const ann = await signInAs(app, { id: 'ann', roles: ['admin'] });
 * await ann.agent.get('/admin').expect(200);
 * await fetch(url, { headers: ann.headers });
 * ```
 *
 * @param app After `init()`.
 * @throws {ConfigurationError} for tokens without the option `jwt`, and for `dpop` without the option `jwt.dpop`.
 */
export async function signInAs(
  app: INestApplicationContext,
  user: TestUser,
  options: SignInAsOptions = {},
): Promise<SignedInClient> {
  const { tenant, realm } = options;
  const token = realm === undefined ? SESSION_CORE : getSessionToken(SESSION_CORE, realm);
  const core = app.get<SessionCore>(token, { strict: false });
  const start = (): Promise<SignedInClient> => signedInBy(core, app, user, options);
  return tenant === undefined ? start() : core.sessionTenants.run(tenant, start);
}

async function signedInBy(
  core: SessionCore,
  app: INestApplicationContext,
  user: TestUser,
  options: SignInAsOptions,
): Promise<SignedInClient> {
  const { rememberMe = false, userAgent } = options;
  const transport = options.transport ?? (options.dpop === true ? 'bearer' : 'cookie');
  if (transport !== 'cookie') core.tokens.assertEnabled();
  const key = keyFor(core, transport, options);
  const jkt = key?.thumbprint;
  const sent: Record<string, string> = userAgent === undefined ? {} : { 'user-agent': userAgent };
  const client = userAgent === undefined ? null : clientFactsOf(exchangeOfRequest({ headers: sent }));
  const input = newSessionOf(user);
  const started = await core.sessions.start(client ? { ...input, ...core.clients.describe(client, input) } : input, {
    rememberMe,
    client: client && clientDigestOf(client.traits),
    credentials: transport === 'both' ? ['cookie', 'refresh'] : [transport === 'cookie' ? 'cookie' : 'refresh'],
    ...(jkt !== undefined && { jkt }),
  });
  const { session, cookieToken, refreshToken, live } = started;
  const cookie = cookieToken === undefined ? undefined : `${core.options.cookie.name}=${cookieToken}`;
  const issued = transport === 'cookie' ? undefined : core.tokens.issueFor(live, { jkt });
  const accessToken = issued?.accessToken;
  const authorizationOf = (token: string): string => `${issued?.tokenType ?? 'Bearer'} ${token}`;
  const headers: Record<string, string> = {
    ...sent,
    ...(cookie !== undefined && { cookie }),
    ...(cookie === undefined && accessToken !== undefined && { authorization: authorizationOf(accessToken) }),
  };
  const headersFor = (method: string, url: string, token?: string): Record<string, string> => {
    const proved = token ?? (cookie === undefined ? accessToken : undefined);
    return {
      ...(token === undefined ? headers : { ...sent, authorization: authorizationOf(token) }),
      ...(key && { dpop: key.proof(method, url, proved) }),
    };
  };
  const createAgent = await loadAgents();
  let agent: TestAgent | undefined;
  return {
    session,
    ...(cookie !== undefined && { cookie }),
    ...(accessToken !== undefined && { accessToken }),
    ...(refreshToken !== undefined && { refreshToken }),
    headers,
    headersFor,
    get agent() {
      if (agent) return agent;
      agent = agentOf(app, createAgent ?? withoutSupertest, headers, core.options.cookie.name, cookieToken);
      if (key) agent.use(proving(key.proof));
      return agent;
    },
  };
}

/** The key that the tokens are bound to; undefined for tokens that are bound to none. */
function keyFor(
  core: SessionCore,
  transport: 'cookie' | 'bearer' | 'both',
  { dpop, tenant }: SignInAsOptions,
): TestDpopKey | undefined {
  const settings = core.options.jwt?.dpop;
  if (!(dpop ?? (settings?.mode === 'required' && transport !== 'cookie'))) return undefined;
  if (!settings) throw new ConfigurationError("dpop: needs the option jwt.dpop. Set it to 'optional' or 'required'.");
  if (transport === 'cookie') throw new ConfigurationError("dpop: binds tokens. Leave out transport: 'cookie'.");
  return new TestDpopKey(core, settings, tenant);
}

function agentOf(
  app: INestApplicationContext,
  createAgent: (server: unknown) => TestAgent,
  { cookie: _cookie, ...headers }: Readonly<Record<string, string>>,
  cookieName: string,
  cookieToken: string | undefined,
): TestAgent {
  const agent = createAgent((app as unknown as { getHttpServer(): unknown }).getHttpServer());
  const jar = new CookieJar();
  if (cookieToken !== undefined) jar.set(cookieName, cookieToken);
  agent.set(headers);
  agent.use(jar.attach);
  return agent;
}
