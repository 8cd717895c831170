import { TokenService, type Session } from '../../src/index.js';
import type { TestApp } from './app.js';
import type { Browser, Reply } from './browser.js';
import { CHROME } from './clients.js';

/** A client that is signed in, and its requests by cookie and by bearer token. */
export interface SignedIn {
  readonly session: Session;
  readonly browser: Browser;
  readonly cookie: (path: string, agent?: string) => Promise<Reply>;
  readonly bearer: (path: string, agent?: string) => Promise<Reply>;
}

/** Signs ada in with Chrome, at the route of `AccountController`. */
export async function signedIn(
  { app, browser: open }: TestApp,
  input: Record<string, unknown> = {},
): Promise<SignedIn> {
  const browser = open();
  const reply = await browser.post('/login', { userId: 'ada', roles: ['user'], ...input }, { 'user-agent': CHROME });
  const session = reply.body.session as Session;
  const { accessToken } = app.get(TokenService).issue(session);
  return {
    session,
    browser,
    cookie: (path, agent = CHROME) => browser.get(path, { 'user-agent': agent }),
    bearer: (path, agent = CHROME) => open().get(path, { 'user-agent': agent, authorization: `Bearer ${accessToken}` }),
  };
}
