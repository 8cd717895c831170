import { SessionAdminService, SessionEvents, SessionService, type SessionEvent } from '../../../src/index.js';
import { AccountController } from '../../support/account.controller.js';
import { closeApps, PLATFORMS, startApp, type TestApp } from '../../support/app.js';
import type { Browser } from '../../support/browser.js';
import { SecurityController } from '../../support/security.controller.js';

const COOKIE = '__Host-session';
const ACTOR = '__Host-session-actor';
const HOUR = 60 * 60_000;
const jwt = { issuer: 'https://issuer.example', audience: 'https://api.example' };

afterEach(closeApps);

describe.each(PLATFORMS)('impersonation on %s', (platform) => {
  let app: TestApp;
  let admin: Browser;
  let own: { id: string; expiresAt: number; userId: string };
  let heard: SessionEvent[];

  beforeEach(async () => {
    app = await startApp({ platform, controllers: [AccountController, SecurityController], session: { jwt } });
    heard = [];
    app.app.get(SessionEvents).all$.subscribe((event) => heard.push(event));
    admin = app.browser();
    own = (await admin.post('/login', { userId: 'root', roles: ['admin'] })).body.session;
  });

  const impersonate = async (browser = admin, user: object = {}) =>
    browser.post('/impersonate', { userId: 'ann', email: 'ann@example.com', roles: ['user'], ...user });

  it('both ids are in the session, in the list, and in the events', async () => {
    const reply = await impersonate();
    expect(reply.status).toBe(200);
    const { session } = reply.body;
    const actor = { userId: 'root', sessionId: own.id };
    expect(session).toMatchObject({ userId: 'ann', roles: ['user'], actor });
    expect(session.id).not.toBe(own.id);
    expect((await admin.get('/me')).body.user).toEqual({ id: 'ann', email: 'ann@example.com', roles: ['user'] });
    expect((await admin.get('/admin')).status).toBe(403);
    expect(await app.app.get(SessionService).list('ann')).toEqual([expect.objectContaining({ id: session.id, actor })]);
    const { type, sessionId, userId, ...event } = heard.find(
      ({ type: each }) => each === 'impersonation-started',
    ) as Extract<SessionEvent, { type: 'impersonation-started' }>;
    expect([type, sessionId, userId, event.actor]).toEqual(['impersonation-started', session.id, 'ann', actor]);
    expect(
      heard.filter((each) => each.sessionId === session.id && each.type !== 'request-refused').map((each) => each.type),
    ).toEqual(['created', 'impersonation-started']);
  });

  it('is only for those whom the route lets in, and from a session of their own', async () => {
    const user = app.browser();
    await user.post('/login', { userId: 'bob', roles: ['user'] });
    expect((await impersonate(user)).status).toBe(403);
    const self = await impersonate(admin, { userId: 'root' });
    expect([self.status, self.body.code]).toEqual([400, 'invalid_argument']);
    await impersonate(admin, { roles: ['admin'] });
    const twice = await impersonate(admin, { userId: 'bob' });
    expect([twice.status, twice.body.code]).toEqual([403, 'insufficient_scope']);
    expect(await app.store.getActiveSessions('bob')).toHaveLength(1);
  });

  it('ends where it began: the administrator is back in their own session', async () => {
    await impersonate();
    const acted = app.browser();
    acted.jar.set(COOKIE, admin.jar.get(COOKIE) ?? '');
    const reply = await admin.post('/end-impersonation');
    expect(reply.body.session.id).toBe(own.id);
    expect((await admin.get('/me')).body.user.id).toBe('root');
    expect([...admin.jar.keys()]).toEqual([COOKIE]);
    expect((await acted.get('/me')).status).toBe(401);
    expect(await app.store.getActiveSessions('ann')).toEqual([]);
    const again = await admin.post('/end-impersonation');
    expect([again.status, again.body.code]).toEqual([400, 'invalid_request']);
  });

  it('anyone who steals the cookie of it gets no further than it: not into the administrator’s session', async () => {
    await impersonate();
    const thief = app.browser();
    thief.jar.set(COOKIE, admin.jar.get(COOKIE) ?? '');
    const reply = await thief.post('/end-impersonation');
    expect([reply.status, reply.body.code]).toEqual([401, 'session_required']);
    expect(thief.jar.size).toBe(0);
    expect(await app.store.getActiveSessions('ann')).toEqual([]);
    // The administrator's own session is untouched.
    expect(await app.store.get(own.id)).not.toBeNull();
  });

  it('a forged or foreign cookie in place of the administrator’s own leads nowhere', async () => {
    const bob = app.browser();
    await bob.post('/login', { userId: 'bob', roles: ['admin'] });
    await impersonate();
    admin.jar.set(ACTOR, bob.jar.get(COOKIE) ?? '');
    expect((await admin.post('/end-impersonation')).status).toBe(401);
    expect(admin.jar.size).toBe(0);
    expect((await bob.get('/me')).status).toBe(200);
  });

  it('ends with the administrator’s own session, at once', async () => {
    const { session } = (await impersonate()).body;
    await app.store.destroy(own.id);
    await new Promise((resolve) => setImmediate(resolve));
    expect(await app.store.read(session.id)).toMatchObject({ state: 'ended', reason: 'revoked' });
    expect((await admin.get('/me')).body.code).toBe('session_revoked');
  });

  it('ends with it at its next request, where another instance heard of it or none', async () => {
    // As if this instance had not started it: only the session itself tells.
    const { cookieToken, session } = await app.app
      .get(SessionService)
      .start({ userId: 'ann', actor: { userId: 'root', sessionId: own.id } });
    const acted = app.browser();
    acted.jar.set(COOKIE, cookieToken ?? '');
    app.store.forget();
    expect((await acted.get('/me')).status).toBe(200);
    expect(app.store.commands).toEqual(['read', 'read']);
    await app.store.destroy(own.id);
    expect((await acted.get('/me')).body.code).toBe('session_revoked');
    expect(await app.store.read(session.id)).toMatchObject({ state: 'ended', reason: 'revoked' });
  });

  it('is over where the session that it names as the administrator’s own is somebody else’s', async () => {
    const { session: bobs } = (await app.browser().post('/login', { userId: 'bob' })).body;
    const { cookieToken, session } = await app.app
      .get(SessionService)
      .start({ userId: 'ann', actor: { userId: 'root', sessionId: bobs.id } });
    const acted = app.browser();
    acted.jar.set(COOKIE, cookieToken ?? '');
    expect((await acted.get('/me')).body.code).toBe('session_revoked');
    expect(await app.store.get(session.id)).toBeNull();
  });

  it('costs other sessions nothing', async () => {
    app.store.forget();
    await admin.get('/me');
    expect(app.store.commands).toEqual(['read']);
  });

  it('ends when the administrator’s own session goes idle, which it does not keep alive', async () => {
    const { session } = (await impersonate()).body;
    app.store.advance(20 * 60_000);
    expect((await admin.get('/me')).status).toBe(200);
    await app.store.touch(session.id);
    app.store.advance(11 * 60_000);
    expect((await admin.get('/me')).body.code).toBe('session_revoked');
  });

  it('has no later absolute end than that one, and no refresh token', async () => {
    app.store.advance(HOUR / 4);
    const { session, tokens } = (await impersonate()).body;
    expect(session.expiresAt).toBe(own.expiresAt);
    expect(tokens).toBeUndefined();
    const { families } = (await app.store.read(session.id)) as { families: object };
    expect(families).toMatchObject({ refresh: null });
  });

  it('ends earlier where its route says so, and never later', async () => {
    // A session of its own would now last longer than the administrator's.
    app.store.advance(HOUR / 6);
    const later = (await impersonate(admin, { expiresAt: own.expiresAt + HOUR })).body.session;
    expect(later.expiresAt).toBe(own.expiresAt);
    await admin.post('/end-impersonation');
    const earlier = (await impersonate(admin, { expiresAt: own.expiresAt - HOUR })).body.session;
    expect(earlier.expiresAt).toBe(own.expiresAt - HOUR);
  });

  it('proves nothing of the user: no step-up, no fresh route, no change of password', async () => {
    await impersonate();
    for (const [path, code] of [
      ['/step-up', 'insufficient_scope'],
      ['/second-factor', 'insufficient_scope'],
      ['/password', 'insufficient_scope'],
      ['/fresh', 'reauthentication_required'],
      ['/fresh-by-default', 'reauthentication_required'],
    ] as const) {
      const reply = await admin.post(path);
      expect([path, reply.status, reply.body.code]).toEqual([path, 403, code]);
    }
    expect(await app.store.getActiveSessions('ann')).toHaveLength(1);
  });

  it('7.1.2: counts towards no limit of the user, and signs nobody out', async () => {
    const users: Browser[] = [];
    for (let i = 0; i < 5; i += 1) {
      const browser = app.browser();
      await browser.post('/login', { userId: 'ann' });
      users.push(browser);
    }
    await impersonate();
    for (const browser of users) expect((await browser.get('/me')).status).toBe(200);
    expect(await app.store.getActiveSessions('ann')).toHaveLength(6);
  });

  it('signing out while acting signs the administrator out altogether, and so does signing in', async () => {
    await impersonate();
    expect((await admin.post('/public-logout')).body).toEqual({ ended: true });
    expect(admin.jar.size).toBe(0);
    expect(await app.store.get(own.id)).toBeNull();

    own = (await admin.post('/login', { userId: 'root', roles: ['admin'] })).body.session;
    await impersonate();
    await admin.post('/login', { userId: 'root', roles: ['admin'] });
    expect([...admin.jar.keys()]).toEqual([COOKIE]);
    expect(await app.store.get(own.id)).toBeNull();
    expect(await app.store.getActiveSessions('ann')).toEqual([]);
  });

  it('the user sees it and can end it', async () => {
    const { session } = (await impersonate()).body;
    expect(await app.app.get(SessionService).end(session.id, { userId: 'ann' })).toBe(true);
    expect((await admin.get('/me')).status).toBe(401);
    expect(await app.store.get(own.id)).not.toBeNull();
  });

  it('by bearer token: an access token for the user, and nothing to refresh it with', async () => {
    const { tokens } = (await app.browser().post('/login', { userId: 'root', roles: ['admin'], transport: 'bearer' }))
      .body;
    const client = app.browser();
    const reply = await client.request('/impersonate', {
      method: 'POST',
      body: { userId: 'ann' },
      headers: { authorization: `Bearer ${tokens.accessToken}` },
    });
    expect(reply.setCookies).toEqual([]);
    expect(reply.body.tokens).not.toHaveProperty('refreshToken');
    const bearer = { authorization: `Bearer ${reply.body.tokens.accessToken}` };
    expect((await client.get('/me', bearer)).body.user.id).toBe('ann');
    await app.store.destroyAll('root');
    expect((await client.get('/me', bearer)).body.code).toBe('session_revoked');
  });

  it('by a service: refused once the administrator’s session has ended, however fresh the copy of it', async () => {
    const service = app.app.get(SessionAdminService);
    const session = await app.store.get(own.id);
    if (!session) throw new Error('the administrator is signed in');
    const { cookieToken } = await service.impersonate(session, { userId: 'ann' });
    expect((await app.app.get(SessionService).authenticate(cookieToken ?? '')).live.session.userId).toBe('ann');
    await app.store.destroy(own.id);
    await expect(service.impersonate(session, { userId: 'bob' })).rejects.toMatchObject({ code: 'invalid_token' });
    expect(await app.store.getActiveSessions('bob')).toEqual([]);
    const pending = { ...session, pending: true };
    await expect(service.impersonate(pending, { userId: 'bob' })).rejects.toMatchObject({ code: 'insufficient_scope' });
  });
});
