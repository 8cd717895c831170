import { StoreUnavailableError } from '../../../src/index.js';
import { SessionToucher } from '../../../src/sessions/session-toucher.js';
import { AccountController } from '../../support/account.controller.js';
import { closeApps, PLATFORMS, startApp, type TestApp } from '../../support/app.js';
import type { Browser } from '../../support/browser.js';

const COOKIE = '__Host-session';

afterEach(closeApps);

/** Another browser with the same cookie: a thief, or a tab that has not heard the latest. */
function copyOf(browser: Browser, app: TestApp): Browser {
  const copy = app.browser();
  for (const [name, value] of browser.jar) copy.jar.set(name, value);
  return copy;
}

async function signIn(app: TestApp, userId = 'ann', browser = app.browser()) {
  const reply = await browser.post('/login', { userId });
  expect(reply.status).toBe(200);
  return { browser, session: reply.body.session };
}

describe.each(PLATFORMS)('new secrets on %s', (platform) => {
  let app: TestApp;

  beforeEach(async () => {
    app = await startApp({ platform, controllers: [AccountController] });
  });

  it('ASVS 7.2.4: signing in over a cookie makes a new session, and the old one is 401 at once', async () => {
    const { browser, session } = await signIn(app);
    const old = copyOf(browser, app);
    const again = await signIn(app, 'ann', browser);
    expect(again.session.id).not.toBe(session.id);
    expect((await old.get('/me')).body.code).toBe('session_replaced');
    expect((await browser.get('/me')).status).toBe(200);
    expect(await app.store.count()).toBe(1);
  });

  it('ASVS 7.2.4: signing in over the cookie of somebody else ends that session as well', async () => {
    const { browser } = await signIn(app, 'ann');
    const old = copyOf(browser, app);
    await signIn(app, 'bob', browser);
    expect((await old.get('/me')).body.code).toBe('session_replaced');
    expect((await browser.get('/me')).body.user.id).toBe('bob');
    expect(await app.store.count()).toBe(1);
  });

  it('a sign-in that cannot end the session of somebody else leaves none of its own', async () => {
    const { browser } = await signIn(app, 'ann');
    const old = copyOf(browser, app);
    const destroy = app.store.destroy.bind(app.store);
    app.store.destroy = async (id, options) => {
      if (options?.reason === 'replaced') throw new StoreUnavailableError();
      return destroy(id, options);
    };
    const reply = await browser.post('/login', { userId: 'bob' });
    expect([reply.status, reply.setCookies]).toEqual([503, []]);
    expect(await app.store.getActiveSessions('bob')).toEqual([]);
    expect((await old.get('/me')).status).toBe(200);
  });

  it('a token that step-up replaced does not end the session by signing in', async () => {
    const { browser } = await signIn(app, 'ann');
    const stale = copyOf(browser, app);
    await browser.post('/step-up');
    await signIn(app, 'mallory', stale);
    expect((await browser.get('/me')).status).toBe(200);
  });

  it.each(['step-up', 'regenerate'])(
    'ASVS 7.2.4: after %s the old token is 401 at once, with no grace',
    async (route) => {
      const { browser, session } = await signIn(app);
      const old = copyOf(browser, app);
      const reply = await browser.post(`/${route}`);
      expect(reply.status).toBe(200);
      expect(reply.body.session.id).toBe(session.id);
      expect(browser.jar.get(COOKIE)).not.toBe(old.jar.get(COOKIE));
      expect((await old.get('/me')).body.code).toBe('invalid_token');
      expect((await old.post('/regenerate')).status).toBe(401);
      expect((await old.post('/logout')).status).toBe(401);
      expect((await browser.get('/me')).status).toBe(200);
    },
  );

  it('a lost answer to a step-up is repeated with the old token, for 30 seconds and for nothing else but a sign-out', async () => {
    const { browser } = await signIn(app);
    const retry = copyOf(browser, app);
    const late = copyOf(browser, app);
    await browser.post('/step-up');
    for (const path of ['/me', '/session', '/admin']) expect((await retry.get(path)).status).toBe(401);
    expect((await retry.get('/optional')).body).toEqual({ session: null, user: null });

    app.store.advance(29_000);
    expect((await retry.post('/step-up')).status).toBe(200);
    expect((await retry.get('/me')).status).toBe(200);
    expect((await browser.get('/me')).status).toBe(401);

    app.store.advance(2_000);
    expect((await late.post('/step-up')).body.code).toBe('invalid_token');
    expect((await retry.get('/me')).status).toBe(200);
  });

  it('ASVS 7.5.1, 7.5.3: a sign-in that is too old is refused until the user proves again who they are', async () => {
    const { browser, session } = await signIn(app);
    expect((await browser.post('/fresh')).status).toBe(200);
    app.store.advance(5 * 60_000);
    expect((await browser.post('/fresh')).status).toBe(200);
    app.store.advance(1);
    const refused = await browser.post('/fresh');
    expect([refused.status, refused.body.code]).toEqual([403, 'reauthentication_required']);
    expect(refused.headers.get('www-authenticate')).toContain('error="insufficient_user_authentication"');
    expect((await browser.post('/regenerate')).body.session.authenticatedAt).toBe(session.authenticatedAt);
    expect((await browser.post('/fresh')).status).toBe(403);

    const reply = await browser.post('/step-up');
    expect(reply.body.session).toMatchObject({ amr: ['pwd', 'otp'], authenticatedAt: app.store.now() });
    expect((await browser.post('/fresh')).status).toBe(200);
  });

  it('of two step-ups at once with one token, both clients end up in or have to repeat; nobody else is in', async () => {
    const { browser } = await signIn(app);
    const copies = [copyOf(browser, app), copyOf(browser, app)];
    const replies = await Promise.all(copies.map((copy) => copy.post('/step-up')));
    expect(replies.map(({ status }) => status)).toEqual([200, 200]);
    const states = await Promise.all(copies.map(async (copy) => (await copy.get('/me')).status));
    expect(states.filter((status) => status === 200)).toHaveLength(1);
    expect((await browser.get('/me')).status).toBe(401);
  });
});

describe.each(PLATFORMS)('session.rotationInterval on %s', (platform) => {
  let app: TestApp;

  beforeEach(async () => {
    app = await startApp({
      platform,
      controllers: [AccountController],
      session: { session: { rotationInterval: '10m' } },
    });
  });

  const tokenOf = (browser: Browser) => browser.jar.get(COOKIE);

  it('rotates the cookie when it is older, is one read and no write before, and writes once that the new one is in use', async () => {
    const { browser } = await signIn(app);
    const first = tokenOf(browser);
    app.store.advance(10 * 60_000);
    app.store.forget();
    await browser.get('/poll');
    expect([tokenOf(browser) === first, app.store.commands]).toEqual([true, ['read']]);
    app.store.advance(1);
    app.store.forget();
    const reply = await browser.get('/me');
    expect([reply.status, reply.setCookies.length, reply.headers.get('cache-control')]).toEqual([200, 1, 'no-store']);
    expect(app.store.commands).toEqual(['read', 'rotate']);
    expect(tokenOf(browser)).not.toBe(first);
    app.store.forget();
    for (const commands of [['read', 'touch'], ['read'], ['read']]) {
      app.store.forget();
      expect((await browser.get('/poll')).setCookies).toEqual([]);
      await app.app.get(SessionToucher, { strict: false }).settle();
      expect(app.store.commands).toEqual(commands);
    }
  });

  it('requests that left before the rotation get the same successor', async () => {
    const { browser } = await signIn(app);
    app.store.advance(11 * 60_000);
    const tabs = Array.from({ length: 20 }, () => copyOf(browser, app));
    const replies = await Promise.all(tabs.map((tab) => tab.get('/me')));
    expect(replies.map(({ status }) => status)).toEqual(tabs.map(() => 200));
    expect(new Set(tabs.map(tokenOf)).size).toBe(1);
    app.store.advance(29_000);
    expect((await browser.get('/me')).status).toBe(200);
    expect(tokenOf(browser)).toBe(tokenOf(tabs[0] as Browser));
  });

  it('a cookie whose successor never arrived stays good, and gets another one, for as long as it takes', async () => {
    const { browser, session } = await signIn(app);
    const behindProxy = copyOf(browser, app);
    for (let hour = 0; hour < 3; hour += 1) {
      app.store.advance(20 * 60_000);
      const lost = copyOf(behindProxy, app);
      const reply = await lost.get('/me');
      expect([reply.status, reply.setCookies.length]).toEqual([200, 1]);
    }
    expect((await app.store.read(session.id)).state).toBe('live');
  });

  it('the token before comes back after its grace and the use of its successor: reuse, and the session ends', async () => {
    const { browser } = await signIn(app);
    const thief = copyOf(browser, app);
    app.store.advance(11 * 60_000);
    await browser.get('/me');
    await browser.get('/me');
    await app.app.get(SessionToucher, { strict: false }).settle();
    app.store.advance(31_000);
    const reply = await thief.get('/me');
    expect([reply.status, reply.body.code]).toEqual([401, 'session_revoked']);
    expect((await browser.get('/me')).body.code).toBe('session_revoked');
    expect(await app.store.count()).toBe(0);
  });

  it('a rotation that the store cannot write leaves the old token working', async () => {
    const { browser } = await signIn(app);
    const first = tokenOf(browser);
    app.store.advance(11 * 60_000);
    app.store.failing.add('rotate');
    expect((await browser.get('/me')).status).toBe(200);
    expect(tokenOf(browser)).toBe(first);
    app.store.failing.clear();
    expect((await browser.get('/me')).setCookies).toHaveLength(1);
  });

  it('a token of a rotation that the store forgot is taken at its word', async () => {
    const { browser, session } = await signIn(app);
    app.store.advance(11 * 60_000);
    await browser.get('/me');
    const token = tokenOf(browser);
    const stored = await app.store.read(session.id);
    const family = stored.state === 'live' ? stored.families.cookie : null;
    expect(family?.generation).toBe(1);
    const read = app.store.read.bind(app.store);
    app.store.read = async (id, options) => {
      const live = await read(id, options);
      if (live.state !== 'live' || !live.families.cookie) return live;
      return { ...live, families: { ...live.families, cookie: { ...live.families.cookie, generation: 0 } } };
    };
    expect((await browser.get('/me')).status).toBe(200);
    expect(tokenOf(browser)).toBe(token);
  });
});
