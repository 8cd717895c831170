import { isAnonymousSession, SessionService, type SessionModuleOptions } from '../../../src/index.js';
import { AccountController } from '../../support/account.controller.js';
import { closeApps, PLATFORMS, startApp, type TestApp } from '../../support/app.js';
import type { Browser } from '../../support/browser.js';
import { CHROME, FIREFOX } from '../../support/clients.js';
import { SecurityController } from '../../support/security.controller.js';

afterEach(closeApps);

describe.each(PLATFORMS)('anonymous sessions on %s', (platform) => {
  let app: TestApp;
  let visitor: Browser;
  const start = async (session: SessionModuleOptions = {}): Promise<void> => {
    // Visits name a browser and other requests do not: whether both are one client is not at issue here.
    const security = { useFingerprint: false, ...session.security };
    app = await startApp({
      platform,
      controllers: [AccountController, SecurityController],
      session: { ...session, security },
    });
    visitor = app.browser();
  };
  const visit = async (data: object = { cart: ['book'] }) => {
    const reply = await visitor.post('/visit', data, { 'user-agent': CHROME });
    expect(reply.status).toBe(200);
    return reply;
  };

  it('7.6.2: start on an explicit action alone', async () => {
    await start();
    for (const path of ['/maybe', '/cart', '/me', '/optional', '/public']) {
      expect((await visitor.get(path)).setCookies).toEqual([]);
    }
    expect((await visitor.post('/cart', { a: 1 })).status).toBe(401);
    expect(await app.store.count()).toBe(0);
    const { body, setCookies } = await visit();
    expect(setCookies).toHaveLength(1);
    expect(body.session).toMatchObject({
      data: { cart: ['book'] },
      email: '',
      roles: [],
      deviceName: 'Chrome on Windows',
    });
    expect(isAnonymousSession(body.session)).toBe(true);
    expect(await app.store.count()).toBe(1);
  });

  it('count as not signed in, but where @AllowAnonymous() stands', async () => {
    await start();
    const { body } = await visit();
    for (const path of ['/me', '/session', '/poll', '/admin']) {
      const reply = await visitor.get(path);
      expect([path, reply.status, reply.body.code]).toEqual([path, 401, 'session_required']);
    }
    for (const path of ['/regenerate', '/step-up', '/password', '/logout-others', '/impersonate', '/note']) {
      expect([path, (await visitor.post(path, {})).status]).toEqual([path, 401]);
    }
    expect((await visitor.get('/optional')).body).toEqual({ session: null, user: null });
    for (const path of ['/cart', '/maybe']) {
      expect((await visitor.get(path)).body).toEqual({ session: body.session, user: null });
    }
    expect((await visitor.post('/cart', { coupon: 'x' })).body.data).toEqual({ cart: ['book'], coupon: 'x' });
  });

  it('are one a visitor: starting again gives the same, and a signed-in user keeps theirs', async () => {
    await start();
    const { body } = await visit();
    const again = await visit({ other: true });
    expect(again.body.session.id).toBe(body.session.id);
    expect(again.body.session.data).toEqual({ cart: ['book'] });
    expect(again.setCookies).toEqual([]);
    const other = app.browser();
    expect((await other.post('/visit', {})).body.session.userId).not.toBe(body.session.userId);
    const signedIn = (await visitor.post('/login', { userId: 'ann' })).body.session;
    expect((await visit()).body.session.id).toBe(signedIn.id);
  });

  it('7.2.4: never become a user’s: signing in starts a new session, with new secrets, and ends the old', async () => {
    await start({ mergeAnonymous: (anonymous, user) => ({ ...user, cart: anonymous['cart'], merged: true }) });
    const { body } = await visit();
    const planted = app.browser();
    for (const [name, value] of visitor.jar) planted.jar.set(name, value);
    const { session } = (await visitor.post('/login', { userId: 'ann', data: { theme: 'dark' } })).body;
    expect(session.id).not.toBe(body.session.id);
    expect(session.data).toEqual({ theme: 'dark', cart: ['book'], merged: true });
    expect(await app.store.read(body.session.id)).toMatchObject({ state: 'ended', reason: 'replaced' });
    expect((await planted.get('/cart')).body.code).toBe('session_replaced');
    expect((await visitor.get('/me')).body.user.id).toBe('ann');
    expect(await app.store.count()).toBe(1);
  });

  it('nothing is taken over without the hook, nor from the session of another user', async () => {
    await start();
    await visit();
    expect((await visitor.post('/login', { userId: 'ann' })).body.session.data).toEqual({});
    const asked: unknown[] = [];
    await start({ mergeAnonymous: (anonymous) => (asked.push(anonymous), anonymous) });
    await visitor.post('/login', { userId: 'ann', data: { secret: 'of ann' } });
    expect((await visitor.post('/login', { userId: 'bob' })).body.session.data).toEqual({});
    expect(asked).toEqual([]);
  });

  it('a hook that throws lets nobody in, and ends nothing', async () => {
    await start({
      mergeAnonymous: () => {
        throw new Error('mine');
      },
    });
    const { body } = await visit();
    expect((await visitor.post('/login', { userId: 'ann' })).status).toBe(500);
    expect(await app.store.getActiveSessions('ann')).toEqual([]);
    expect((await visitor.get('/cart')).body.session.id).toBe(body.session.id);
  });

  it('3.5.1: another site cannot have a browser start one', async () => {
    await start();
    const reply = await visitor.post('/visit', {}, { 'sec-fetch-site': 'cross-site' });
    expect([reply.status, reply.setCookies]).toEqual([403, []]);
    expect(await app.store.count()).toBe(0);
  });

  it('do not push out a session that waits for a step-up', async () => {
    await start({ security: { useFingerprint: 'step-up' } });
    await visitor.post('/login', { userId: 'ann' }, { 'user-agent': CHROME });
    const reply = await visitor.post('/visit', {}, { 'user-agent': FIREFOX });
    expect([reply.status, reply.body.code, reply.setCookies]).toEqual([403, 'step_up_required', []]);
    expect((await visitor.get('/me', { 'user-agent': CHROME })).status).toBe(200);
  });

  it('nobody signs in under the name of one', async () => {
    await start();
    const { body } = await visit();
    for (const userId of [body.session.userId, 'anonymous:x']) {
      const reply = await app.browser().post('/login', { userId });
      expect([reply.status, reply.body.code]).toEqual([400, 'invalid_argument']);
    }
  });

  it('ask the hook beforeStart nothing, as there is no user to veto', async () => {
    await start({ beforeStart: () => false });
    await visit();
    expect((await app.browser().post('/login', { userId: 'ann' })).status).toBe(403);
  });

  it('end like any other, by the visitor and by a service', async () => {
    await start();
    const { body } = await visit();
    expect((await visitor.post('/public-logout')).body).toEqual({ ended: true });
    expect(visitor.jar.size).toBe(0);
    expect(await app.store.get(body.session.id)).toBeNull();
    const { session } = await app.app.get(SessionService).startAnonymous({ data: { a: 1 } });
    expect(isAnonymousSession(session)).toBe(true);
  });
});
