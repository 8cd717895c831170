import { SessionEvents, SessionService, TokenService } from '../../../src/index.js';
import type { SessionEndedEvent } from '../../../src/store/index.js';
import { AccountController } from '../../support/account.controller.js';
import { closeApps, PLATFORMS, startApp, type TestApp } from '../../support/app.js';
import type { Browser } from '../../support/browser.js';
import { SecurityController } from '../../support/security.controller.js';

const COOKIE = '__Host-session';
const jwt = { issuer: 'https://issuer.example', audience: 'https://api.example' };

afterEach(closeApps);

describe.each(PLATFORMS)('proofs of identity on %s', (platform) => {
  let app: TestApp;
  const start = async (session: object = {}): Promise<void> => {
    app = await startApp({
      platform,
      controllers: [AccountController, SecurityController],
      session: { jwt, ...session },
    });
  };
  const signIn = async (input: object = {}, browser = app.browser()) => {
    const reply = await browser.post('/login', { userId: 'ann', ...input });
    expect(reply.status).toBe(200);
    const { session, tokens } = reply.body;
    return { browser, session, tokens };
  };
  const copyOf = (browser: Browser): Browser => {
    const copy = app.browser();
    for (const [name, value] of browser.jar) copy.jar.set(name, value);
    return copy;
  };

  it('methods and level live in the session and survive rotation, refresh and update', async () => {
    await start();
    const { browser, tokens } = await signIn({ transport: 'both', amr: ['pwd', 'otp'], acr: 'aal2' });
    const proof = { amr: ['pwd', 'otp'], acr: 'aal2' };
    expect((await browser.post('/regenerate')).body.session).toMatchObject(proof);
    expect((await browser.post('/note', { a: 1 })).body).toMatchObject(proof);
    expect((await browser.post('/password')).body.session).toMatchObject(proof);
    // The first refresh token was replaced with everything else; its successor goes on with the same proof.
    expect((await browser.post('/refresh', { refreshToken: tokens.refreshToken })).status).toBe(401);
    const { refreshToken } = (await browser.post('/step-up')).body.tokens;
    expect((await browser.post('/refresh', { refreshToken })).body.session).toMatchObject({
      ...proof,
      amr: ['pwd', 'otp'],
    });
  });

  it('7.5.3: @RequireFresh() without a duration takes the option session.freshness', async () => {
    await start({ session: { freshness: '2m' } });
    const { browser } = await signIn();
    app.store.advance(120_000);
    expect((await browser.post('/fresh-by-default')).status).toBe(200);
    app.store.advance(1);
    expect((await browser.post('/fresh-by-default')).body.code).toBe('reauthentication_required');
    expect((await browser.post('/fresh')).status).toBe(200);
    await browser.post('/step-up');
    expect((await browser.post('/fresh-by-default')).status).toBe(200);
  });

  it('a session that waits for its second factor is refused everywhere, and finished by stepUp with a new token', async () => {
    await start();
    const { browser, session } = await signIn({ pending: true, amr: ['pwd'] });
    for (const path of ['/me', '/session', '/admin', '/poll', '/cart']) {
      const reply = await browser.get(path);
      expect([path, reply.status, reply.body.code]).toEqual([path, 403, 'pending_authentication']);
    }
    for (const path of ['/step-up', '/regenerate', '/password', '/logout-others', '/impersonate']) {
      expect([path, (await browser.post(path, {})).status]).toEqual([path, 403]);
    }
    const before = copyOf(browser);
    const done = await browser.post('/second-factor');
    expect(done.status).toBe(200);
    expect(done.body.session).toMatchObject({ id: session.id, amr: ['pwd', 'otp'], acr: 'aal2' });
    expect(done.body.session).not.toHaveProperty('pending');
    expect((await browser.get('/me')).status).toBe(200);
    expect((await before.get('/me')).body.code).toBe('invalid_token');
  });

  it('half a sign-in ends no session of the user: who has the password alone signs nobody out', async () => {
    await start({ session: { maxSessionsPerUser: 2 } });
    const laptop = await signIn({ deviceId: 'laptop' });
    const phone = await signIn({ deviceId: 'phone' });
    const attacker = await signIn({ pending: true, deviceId: 'phone', transport: 'bearer' });
    app.store.advance(1);
    for (let more = 0; more < 5; more += 1) await signIn({ pending: true });
    // Over one's own cookie as well: the sign-in may never be completed.
    const again = await signIn({ pending: true }, copyOf(laptop.browser));
    for (const { browser } of [laptop, phone]) expect((await browser.get('/me')).status).toBe(200);
    expect(await app.store.get(attacker.session.id)).toBeNull();
    expect((await again.browser.post('/second-factor')).status).toBe(200);
    expect((await laptop.browser.get('/me')).body.code).toBe('session_replaced');
    expect((await phone.browser.get('/me')).status).toBe(200);
  });

  it('a completed sign-in at the limit under reject is 409, and waits on', async () => {
    await start({ session: { maxSessionsPerUser: 1, onLimit: 'reject' } });
    const full = await signIn();
    const { browser } = await signIn({ pending: true });
    const refused = await browser.post('/second-factor');
    expect([refused.status, refused.body.code]).toEqual([409, 'session_limit_reached']);
    await full.browser.post('/public-logout');
    expect((await browser.post('/second-factor')).status).toBe(200);
  });

  it('a pending session may sign out', async () => {
    await start();
    const { browser } = await signIn({ pending: true });
    expect((await browser.post('/public-logout')).body).toEqual({ ended: true });
    expect(await app.store.count()).toBe(0);
  });

  it('7.4.3, 7.2.4: after a change of password this session goes on under a new token, and the others end', async () => {
    await start();
    const ends: SessionEndedEvent[] = [];
    app.app.get(SessionEvents).on('ended', (event) => ends.push(event));
    const here = await signIn({ transport: 'both' });
    const others = [await signIn({ transport: 'both' }), await signIn({ transport: 'bearer' })];
    const stranger = await signIn({ userId: 'bob' });
    const copy = copyOf(here.browser);

    const reply = await here.browser.post('/password');
    expect(reply.status).toBe(200);
    expect(reply.body).toMatchObject({ ended: 2, session: { id: here.session.id, data: { passwordChangedAt: 1 } } });
    expect(reply.body.session.authenticatedAt).toBe(here.session.authenticatedAt);
    expect((await here.browser.get('/me')).status).toBe(200);
    expect((await copy.get('/me')).body.code).toBe('invalid_token');
    expect((await others[0]?.browser.get('/me'))?.body.code).toBe('session_revoked');
    for (const { tokens } of [here, ...others]) {
      const bearer = { authorization: `Bearer ${tokens.accessToken}` };
      expect((await app.browser().get('/me', bearer)).status).toBe(401);
      expect((await app.browser().post('/refresh', { refreshToken: tokens.refreshToken })).status).toBe(401);
    }
    expect((await app.browser().post('/refresh', { refreshToken: reply.body.tokens.refreshToken })).status).toBe(200);
    expect((await stranger.browser.get('/me')).status).toBe(200);
    expect(ends.map(({ reason }) => reason)).toEqual(['revoked', 'revoked']);
  });

  it('a change of password that fails half way is done by calling again', async () => {
    await start();
    const { browser } = await signIn();
    await signIn();
    app.store.failing.add('regenerate');
    expect((await browser.post('/password')).status).toBe(503);
    app.store.failing.clear();
    expect((await browser.post('/password')).body.ended).toBe(0);
    expect((await browser.get('/me')).status).toBe(200);
    expect(await app.store.getActiveSessions('ann')).toHaveLength(1);
  });

  it('the same without a request at hand', async () => {
    await start();
    const sessions = app.app.get(SessionService);
    const [keep, other] = [await sessions.start({ userId: 'ann' }), await sessions.start({ userId: 'ann' })];
    const { ended, session, cookieToken } = await sessions.passwordChanged(keep.session);
    expect([ended, session.id]).toEqual([1, keep.session.id]);
    await expect(sessions.authenticate(keep.cookieToken ?? '')).rejects.toMatchObject({ code: 'invalid_token' });
    await expect(sessions.authenticate(other.cookieToken ?? '')).rejects.toMatchObject({ code: 'session_revoked' });
    expect((await sessions.authenticate(cookieToken ?? '')).live.session.id).toBe(keep.session.id);
  });
});

describe.each(PLATFORMS)('@Transport on %s', (platform) => {
  it('lets in requests of one transport alone', async () => {
    const app = await startApp({ platform, controllers: [AccountController, SecurityController], session: { jwt } });
    const browser = app.browser();
    const { session } = (await browser.post('/login', { userId: 'ann' })).body;
    const bearer = { authorization: `Bearer ${app.app.get(TokenService).issue(session).accessToken}` };
    const client = app.browser();
    const answer = async (from: Browser, path: string, headers = {}) => {
      const { status, body } = await from.get(path, headers);
      return status === 200 ? 200 : [status, body.code];
    };
    const refused = [401, 'session_required'];
    expect(await answer(browser, '/cookie-only')).toBe(200);
    expect(await answer(browser, '/bearer-only')).toEqual(refused);
    expect(await answer(client, '/cookie-only', bearer)).toEqual(refused);
    expect(await answer(client, '/bearer-only', bearer)).toBe(200);
    // With both, the route decides which counts.
    expect(await answer(browser, '/cookie-only', bearer)).toBe(200);
    expect(await answer(browser, '/bearer-only', bearer)).toBe(200);
    expect(await answer(client, '/cookie-only')).toEqual(refused);
    expect(browser.jar.has(COOKIE)).toBe(true);
  });
});
