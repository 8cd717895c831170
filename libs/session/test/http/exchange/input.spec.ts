import { SessionService } from '../../../src/index.js';
import { AccountController } from '../../support/account.controller.js';
import { closeApps, PLATFORMS, startApp, type TestApp } from '../../support/app.js';

afterEach(closeApps);

describe.each(PLATFORMS)('input on %s', (platform) => {
  let app: TestApp;

  beforeEach(async () => {
    app = await startApp({
      platform,
      controllers: [AccountController],
      session: { session: { maxSessionsPerUser: 3 } },
    });
  });

  async function signedIn(input: Record<string, unknown> = {}) {
    const browser = app.browser();
    const reply = await browser.post('/login', { userId: 'ann', ...input });
    return { browser, reply, session: reply.body.session };
  }

  it('ASVS 15.4.2: of 50 sign-ins at once at limit 3, exactly 3 live, and every end is accounted for', async () => {
    const { store } = app;
    let ended = 0;
    store.subscribe(({ type }) => {
      if (type === 'ended') ended += 1;
    });
    const all = await Promise.all(Array.from({ length: 50 }, () => signedIn()));
    expect(all.filter(({ reply }) => reply.status === 200)).toHaveLength(50);
    const alive = await Promise.all(all.map(async ({ browser }) => (await browser.get('/me')).status));
    expect(alive.filter((status) => status === 200)).toHaveLength(3);
    expect([await store.count(), 50 - ended]).toEqual([3, 3]);
  });

  it('ASVS 7.1.2: at the limit the least recently used session makes way', async () => {
    const [first, second, third] = [await signedIn(), await signedIn(), await signedIn()];
    app.store.advance(2 * 60_000);
    await first.browser.get('/me');
    const fourth = await signedIn();
    const codes = await Promise.all(
      [first, second, third, fourth].map(async ({ browser }) => (await browser.get('/me')).body.code),
    );
    expect(codes.filter((code) => code === 'session_evicted')).toHaveLength(1);
    expect([codes[0], codes[3]]).toEqual([undefined, undefined]);
  });

  it('the limit may be a function of the user, also a slow one', async () => {
    const session = {
      session: {
        maxSessionsPerUser: async ({ roles }: { roles?: readonly string[] }) => (roles?.includes('pro') ? 2 : 1),
      },
    };
    app = await startApp({ platform, controllers: [AccountController], session });
    for (const [userId, roles, expected] of [
      ['ann', ['pro'], 2],
      ['bob', [], 1],
    ] as const) {
      for (let round = 0; round < 4; round += 1) await signedIn({ userId, roles });
      expect(await app.store.getActiveSessions(userId)).toHaveLength(expected);
    }
  });

  it('ASVS 15.3.3: no update sets id, userId, createdAt or a deadline', async () => {
    const { browser, session } = await signedIn();
    const hostile = {
      id: 'x',
      userId: 'root',
      createdAt: 1,
      expiresAt: 9e15,
      idleTimeout: 9e15,
      lastAccess: 9e15,
      roles: 'admin',
    };
    expect((await browser.post('/note', hostile)).body).toMatchObject({ ...session, data: hostile });
    const sessions = app.app.get(SessionService);
    const updated = await sessions.update(session.id, { ...hostile, roles: ['user'] });
    expect(updated).toMatchObject({
      id: session.id,
      userId: 'ann',
      createdAt: session.createdAt,
      expiresAt: session.expiresAt,
    });
    expect((await browser.get('/me')).body.user).toMatchObject({ id: 'ann', roles: ['user'] });
  });

  it('ASVS 15.3.5: arrays, objects and numbers are no user ids', async () => {
    for (const userId of [['ann'], { id: 'ann' }, 1, true, null, '']) {
      const { reply } = await signedIn({ userId });
      expect([reply.status, reply.body.code, reply.setCookies]).toEqual([400, 'invalid_argument', []]);
      expect(reply.body.message).toContain('userId');
    }
    expect(await app.store.count()).toBe(0);
  });

  it('ASVS 15.3.6: __proto__ in data is harmless', async () => {
    const { browser } = await signedIn();
    const body = '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}},"kept":1}';
    const response = await fetch(`${app.url}/note`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        cookie: [...browser.jar].map((pair) => pair.join('=')).join('; '),
      },
      body,
    });
    // Fastify refuses such a body by itself.
    expect([200, 400]).toContain(response.status);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    const { session } = (await browser.get('/session')).body;
    expect(Object.getPrototypeOf(session.data)).toBe(Object.prototype);
    expect(session.data.polluted).toBeUndefined();
  });

  it('100 increments at once add up', async () => {
    const { session } = await signedIn({ data: { count: 0 } });
    const sessions = app.app.get(SessionService);
    await Promise.all(
      Array.from({ length: 100 }, () =>
        sessions.update<{ count: number }>(session.id, ({ data }) => ({ data: { count: data.count + 1 } })),
      ),
    );
    expect((await sessions.get(session.id))?.data).toEqual({ count: 100 });
  });

  it('ASVS 4.1.3: X-Forwarded-For changes nothing unless the proxy is trusted', async () => {
    const headers = { 'x-forwarded-for': '203.0.113.7', forwarded: 'for=203.0.113.8', 'x-real-ip': '203.0.113.9' };
    const naive = await app.browser().post('/login', { userId: 'ann' }, headers);
    expect(naive.body.session.metadata.ip).toBe('127.0.0.1');
    const trusting = await startApp({ platform, controllers: [AccountController], trustProxy: true });
    const ipOf = async (forwarded: string) => {
      const reply = await trusting.browser().post('/login', { userId: 'ann' }, { 'x-forwarded-for': forwarded });
      return reply.body.session.metadata.ip;
    };
    expect(await ipOf('203.0.113.7')).toBe('203.0.113.7');
    expect(await ipOf('::ffff:203.0.113.7')).toBe('203.0.113.7');
    expect(await ipOf('2001:DB8:0:0::1')).toBe('2001:db8::1');
    expect(await ipOf('"><script>')).toBeUndefined();
  });

  it('a hostile user agent is bounded and stays one line', async () => {
    const reply = await app
      .browser()
      .post('/login', { userId: 'ann' }, { 'user-agent': `Mozilla\t${'x'.repeat(5000)}` });
    expect(reply.status).toBe(200);
    expect(reply.body.session.metadata.userAgent).toMatch(/^Mozilla x{504}$/);
  });

  it('what the application says of the client counts before what the request says', async () => {
    const { session } = await signedIn({ metadata: { ip: '198.51.100.1', device: 'Kiosk' } });
    expect(session.metadata).toMatchObject({ userAgent: 'node', ip: '198.51.100.1', device: 'Kiosk' });
  });

  it('a device holds one session: signing in again on it replaces the old one', async () => {
    const [first, second] = [await signedIn({ deviceId: 'phone' }), await signedIn({ deviceId: 'laptop' })];
    const third = await signedIn({ deviceId: 'phone', deviceName: 'Phone', deviceType: 'mobile' });
    expect((await first.browser.get('/me')).body.code).toBe('session_replaced');
    expect((await second.browser.get('/me')).status).toBe(200);
    expect(third.session).toMatchObject({ deviceId: 'phone', deviceName: 'Phone', deviceType: 'mobile' });
  });
});
