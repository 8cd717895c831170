import { SessionService } from '../../../src/index.js';
import { AccountController } from '../../support/account.controller.js';
import { closeApps, PLATFORMS, startApp, type AppOptions, type TestApp } from '../../support/app.js';
import type { Browser } from '../../support/browser.js';
import { CHROME, FIREFOX } from '../../support/clients.js';
import { SecurityController } from '../../support/security.controller.js';

const COOKIE = '__Host-session';
const ACTOR = '__Host-session-actor';
const jwt = { issuer: 'https://issuer.example', audience: 'https://api.example' };
const FOREIGN = `Bearer ${[{ alg: 'RS256', kid: 'theirs' }, { sub: 'ann' }].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')}.c2ln`;

afterEach(closeApps);

describe.each(PLATFORMS)('ASVS 7.4.1: a sign-out ends what it names, on %s', (platform) => {
  let app: TestApp;
  const start = async (session: AppOptions['session'] = {}): Promise<void> => {
    app = await startApp({
      platform,
      controllers: [AccountController, SecurityController],
      session: { jwt, ...session },
      trustProxy: true,
    });
  };
  const signIn = async (input: object = {}, headers: Record<string, string> = {}) => {
    const browser = app.browser();
    const { body } = await browser.post('/login', { userId: 'ann', roles: ['user'], ...input }, headers);
    return { browser, id: body.session.id as string, token: body.tokens?.accessToken as string };
  };
  const lives = async (id: string): Promise<boolean> => (await app.app.get(SessionService).get(id)) !== null;
  const signOut = async (browser: Browser, headers: Record<string, string> = {}) => {
    const { status, body, setCookies } = await browser.post('/public-logout', undefined, headers);
    return [status, body.ended ?? body.code, setCookies.filter(({ maxAge }) => maxAge === 0).map(({ name }) => name)];
  };

  it('an expired access token ends the session it was issued for', async () => {
    await start();
    const { id, token } = await signIn({ transport: 'bearer' });
    app.store.advance(16 * 60_000);
    expect((await app.browser().get('/me', { authorization: `Bearer ${token}` })).status).toBe(401);
    expect(await lives(id)).toBe(true);
    expect(await signOut(app.browser(), { authorization: `Bearer ${token}` })).toEqual([200, true, []]);
    expect(await lives(id)).toBe(false);
    expect(await signOut(app.browser(), { authorization: `Bearer ${token}` })).toEqual([200, false, []]);
  });

  it.each(['Bearer null', 'Bearer undefined', FOREIGN, 'Bearer a b', 'Bearer', 'Basic dXNlcjpwYXNz'])(
    'a good cookie beside "%s"',
    async (authorization) => {
      await start();
      const { browser, id } = await signIn();
      expect(await signOut(browser, { authorization })).toEqual([200, true, [COOKIE]]);
      expect(await lives(id)).toBe(false);
    },
  );

  it('a cookie and a bearer token of two users: both sessions', async () => {
    await start();
    const [ann, bob] = [await signIn(), await signIn({ userId: 'bob', transport: 'bearer' })];
    expect(await signOut(ann.browser, { authorization: `Bearer ${bob.token}` })).toEqual([200, true, [COOKIE]]);
    expect([await lives(ann.id), await lives(bob.id)]).toEqual([false, false]);
  });

  it.each(['reject', 'step-up', 'end', 'log'] as const)(
    'from another network and browser, under %s',
    async (action) => {
      await start({ security: { bindToIP: action, useFingerprint: action } });
      const home = { 'x-forwarded-for': '203.0.113.7', 'user-agent': CHROME };
      const { browser, id } = await signIn({}, home);
      const away = { 'x-forwarded-for': '198.51.100.7', 'user-agent': FIREFOX };
      expect(await signOut(browser, away)).toEqual([200, true, [COOKIE]]);
      expect(await lives(id)).toBe(false);
    },
  );

  it('a cookie that was replaced by a step-up', async () => {
    await start();
    const { browser, id } = await signIn();
    const old = new Map(browser.jar);
    await browser.post('/step-up');
    for (const [name, value] of old) browser.jar.set(name, value);
    expect(await signOut(browser)).toEqual([200, true, [COOKIE]]);
    expect(await lives(id)).toBe(false);
  });

  it('two cookies: the sessions of both', async () => {
    await start();
    const [first, second] = [await signIn(), await signIn({ userId: 'bob' })];
    const cookie = [first, second].map(({ browser }) => `${COOKIE}=${browser.jar.get(COOKIE)}`).join('; ');
    expect(await signOut(app.browser(), { cookie })).toEqual([200, true, [COOKIE]]);
    expect([await lives(first.id), await lives(second.id)]).toEqual([false, false]);
  });

  describe('while an administrator acts as somebody else', () => {
    const impersonate = async () => {
      await start();
      const admin = await signIn({ userId: 'root', roles: ['admin'] });
      const { body } = await admin.browser.post('/impersonate', { userId: 'ann', roles: ['user'] });
      return { ...admin, asAnn: body.session.id as string };
    };

    it('both sessions, where the other one has ended already as well', async () => {
      const { browser, id, asAnn } = await impersonate();
      await app.app.get(SessionService).end(asAnn);
      expect(await signOut(browser)).toEqual([200, true, [ACTOR, COOKIE]]);
      expect(await lives(id)).toBe(false);
    });

    it('endAll: the administrator is out as well', async () => {
      const { browser, id, asAnn } = await impersonate();
      const { status, setCookies } = await browser.post('/logout-all');
      expect([status, setCookies.map(({ name, maxAge }) => [name, maxAge])]).toEqual([
        200,
        [
          [ACTOR, 0],
          [COOKIE, 0],
        ],
      ]);
      expect([await lives(id), await lives(asAnn), browser.jar.size]).toEqual([false, false, 0]);
    });

    it('the cookie of the administrator alone', async () => {
      const { browser, id } = await impersonate();
      browser.jar.delete(COOKIE);
      expect(await signOut(browser)).toEqual([200, true, [ACTOR]]);
      expect(await lives(id)).toBe(false);
    });
  });

  it('what could not be ended is an error, and the cookies stay', async () => {
    await start();
    const { browser, id, token } = await signIn({ transport: 'both' });
    app.store.advance(16 * 60_000);
    app.store.down = true;
    expect(await signOut(browser, { authorization: `Bearer ${token}` })).toEqual([503, 'store_unavailable', []]);
    app.store.down = false;
    expect(await lives(id)).toBe(true);
  });

  it('ASVS 3.5.1, 9.1.1: another site signs nobody out, and what we never signed ends nothing', async () => {
    await start();
    const { browser, id } = await signIn();
    const crossSite = { 'sec-fetch-site': 'cross-site' };
    expect(await signOut(browser, crossSite)).toEqual([403, 'csrf_rejected', []]);
    expect(await signOut(browser, { ...crossSite, authorization: FOREIGN })).toEqual([403, 'csrf_rejected', []]);
    const forged = `${COOKIE}=${browser.jar.get(COOKIE)?.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A'))}`;
    expect(await signOut(app.browser(), { cookie: forged })).toEqual([401, 'invalid_token', [COOKIE]]);
    expect(await signOut(app.browser(), { authorization: FOREIGN })).toEqual([401, 'invalid_token', []]);
    expect(await signOut(app.browser())).toEqual([401, 'session_required', []]);
    expect(await lives(id)).toBe(true);
  });
});
