import type { INestApplicationContext } from '@nestjs/common';
import type { SessionCore } from '../core/session-core.js';
import { SESSION_CORE } from '../core/tokens.js';
import { clientFactsOf } from '../http/authentication/client-recognition.js';
import { exchangeOfRequest } from '../http/exchange/http-exchange.js';
import { clientDigestOf } from '../model/fingerprint.js';
import type { Session } from '../model/session.js';
import { CookieJar, loadAgents, withoutSupertest, type TestAgent } from './test-agent.js';
import { newSessionOf, type TestUser } from './test-user.js';

export interface SignInAsOptions {
  /** What the client gets; `bearer` and `both` need the option `jwt`. The agent of `both` sends the cookie. Default `cookie`. */
  transport?: 'cookie' | 'bearer' | 'both';
  /** Takes the longer timeouts of `session.rememberMe`. Default false. */
  rememberMe?: boolean;
  /** The client's `User-Agent`: the agent sends it, and the session remembers its fingerprint. Default: none is remembered. */
  userAgent?: string;
  /**
   * The tenant to sign in to, where the option `tenant` is a function of the request. The client's requests do not name it: set the
   * header that your function reads on the agent.
   */
  tenant?: string;
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
  /** What signs a request in: `cookie` or `authorization`, and `user-agent` where one was given. */
  readonly headers: Readonly<Record<string, string>>;
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
 */
export async function signInAs(
  app: INestApplicationContext,
  user: TestUser,
  options: SignInAsOptions = {},
): Promise<SignedInClient> {
  const core = app.get<SessionCore>(SESSION_CORE, { strict: false });
  const { tenant } = options;
  const start = (): Promise<SignedInClient> => signedInBy(core, app, user, options);
  return tenant === undefined ? start() : core.sessionTenants.run(tenant, start);
}

async function signedInBy(
  core: SessionCore,
  app: INestApplicationContext,
  user: TestUser,
  { transport = 'cookie', rememberMe = false, userAgent }: SignInAsOptions,
): Promise<SignedInClient> {
  if (transport !== 'cookie') core.tokens.assertEnabled();
  const sent: Record<string, string> = userAgent === undefined ? {} : { 'user-agent': userAgent };
  const client = userAgent === undefined ? null : clientFactsOf(exchangeOfRequest({ headers: sent }));
  const input = newSessionOf(user);
  const started = await core.sessions.start(client ? { ...input, ...core.clients.describe(client, input) } : input, {
    rememberMe,
    client: client && clientDigestOf(client.traits),
    credentials: transport === 'both' ? ['cookie', 'refresh'] : [transport === 'cookie' ? 'cookie' : 'refresh'],
  });
  const { session, cookieToken, refreshToken, live } = started;
  const cookie = cookieToken === undefined ? undefined : `${core.options.cookie.name}=${cookieToken}`;
  const accessToken = transport === 'cookie' ? undefined : core.tokens.issueFor(live).accessToken;
  const headers = { ...sent, ...(cookie === undefined ? { authorization: `Bearer ${accessToken}` } : { cookie }) };
  const createAgent = await loadAgents();
  let agent: TestAgent | undefined;
  return {
    session,
    ...(cookie !== undefined && { cookie }),
    ...(accessToken !== undefined && { accessToken }),
    ...(refreshToken !== undefined && { refreshToken }),
    headers,
    get agent() {
      agent ??= agentOf(app, createAgent ?? withoutSupertest, headers, core.options.cookie.name, cookieToken);
      return agent;
    },
  };
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
