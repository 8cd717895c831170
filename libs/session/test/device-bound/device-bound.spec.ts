import {
  Controller,
  Get,
  UseGuards,
  VERSION_NEUTRAL,
  VersioningType,
  Injectable,
  type CanActivate,
} from '@nestjs/common';
import { APP_GUARD, APP_INTERCEPTOR } from '@nestjs/core';
import { map, type Observable } from 'rxjs';
import {
  RequireDeviceBound,
  SessionEvents,
  SessionGuard,
  SessionService,
  type SessionEvent,
  type SessionModuleOptions,
} from '../../src/index.js';
import { AccountController } from '../support/account.controller.js';
import { closeApps, PLATFORMS, startApp, type AppOptions, type TestApp } from '../support/app.js';
import type { Browser, Reply } from '../support/browser.js';
import { challengeIn, Device, offerIn } from './support/device.js';

afterEach(closeApps);

const MINUTE = 60_000;
const ADA = { userId: 'ada' };
const BOUND = '__Host-session-bound';

@Controller()
@UseGuards(SessionGuard)
class TransferController {
  @RequireDeviceBound()
  @Get('transfer')
  transfer(): unknown {
    return { ok: true };
  }
}

@Injectable()
class ClosedDoor implements CanActivate {
  canActivate(): boolean {
    return false;
  }
}

describe.each(PLATFORMS)('device-bound sessions on %s', (platform) => {
  async function start(
    deviceBound: SessionModuleOptions['deviceBound'] = true,
    options: Partial<AppOptions> = {},
  ): Promise<TestApp> {
    const { session, ...rest } = options;
    return startApp({
      platform,
      controllers: [AccountController, TransferController],
      ...rest,
      session: { deviceBound, ...session },
    });
  }

  async function bound(
    app: TestApp,
    device = new Device(),
  ): Promise<{ browser: Browser; device: Device; login: Reply }> {
    const browser = app.browser();
    const login = await browser.post('/login', ADA);
    expect((await device.register(browser, login)).status).toBe(200);
    return { browser, device, login };
  }

  function heard(app: TestApp): SessionEvent[] {
    const events: SessionEvent[] = [];
    app.app.get(SessionEvents).all$.subscribe((event) => events.push(event));
    return events;
  }

  it('offers nothing, serves no endpoint and reads no key without the option', async () => {
    const app = await startApp({ platform, controllers: [AccountController] });
    const browser = app.browser();
    const login = await browser.post('/login', ADA);
    expect(login.headers.get('secure-session-registration')).toBeNull();
    for (const path of ['register', 'refresh']) {
      expect((await browser.post(`/session/device/${path}`)).status).toBe(404);
    }
  });

  it.each(['ES256', 'RS256'] as const)('binds a session to a %s key, and renews its cookie', async (algorithm) => {
    const app = await start();
    const events = heard(app);
    const browser = app.browser();
    const login = await browser.post('/login', ADA);
    const device = new Device(algorithm);
    const registered = await device.register(browser, login);
    expect(registered.status).toBe(200);
    expect(registered.headers.get('cache-control')).toBe('no-store');
    // A challenge in the answer to a registration is one that browsers have no session for yet.
    expect(registered.headers.get('secure-session-challenge')).toBeNull();
    const [cookie] = registered.setCookies;
    expect(cookie).toMatchObject({
      name: BOUND,
      path: '/',
      secure: true,
      httpOnly: true,
      sameSite: 'lax',
      maxAge: 570,
    });
    expect(registered.body).toEqual({
      session_identifier: expect.stringMatching(/^[A-Za-z0-9_-]{32}\.[A-Za-z0-9_-]{43}$/),
      refresh_url: '/session/device/refresh',
      scope: { origin: expect.stringMatching(/^https:\/\/127\.0\.0\.1/), include_site: false, scope_specification: [] },
      credentials: [{ type: 'cookie', name: BOUND, attributes: 'Path=/; HttpOnly; Secure; SameSite=Lax' }],
      allowed_refresh_initiators: ['*'],
    });
    expect((await browser.get('/session')).body.session.deviceBound).toBe(true);
    const [listed] = await app.app.get(SessionService).list('ada');
    expect(listed?.deviceBound).toBe(true);
    expect(events.filter(({ type }) => type === 'bound')).toMatchObject([{ sessionId: listed?.id, userId: 'ada' }]);

    app.store.advance(9 * MINUTE);
    const renewed = await device.refresh(browser);
    expect(renewed.status).toBe(200);
    expect(renewed.body).toMatchObject({ session_identifier: device.identifier, refresh_url: device.refreshUrl });
    app.store.advance(9 * MINUTE);
    expect((await browser.get('/me')).status).toBe(200);
    // With the challenge of the last answer, one request is enough.
    const again = await device.askRefresh(browser, device.refreshProof(challengeIn(renewed)));
    expect(again.status).toBe(200);
  });

  it('refuses a copied cookie: at once without the bound one, and both once that has run out', async () => {
    const app = await start();
    const events = heard(app);
    const { browser, device } = await bound(app);
    const session = browser.jar.get('__Host-session') ?? '';
    const thief = app.browser();
    thief.jar.set('__Host-session', session);
    app.store.advance(31_000);
    const refused = await thief.get('/me');
    expect([refused.status, refused.body.code]).toEqual([401, 'device_binding_required']);
    thief.jar.set(BOUND, browser.jar.get(BOUND) ?? '');
    expect((await thief.get('/me')).status).toBe(200);
    app.store.advance(9 * MINUTE);
    expect((await device.refresh(browser)).status).toBe(200);
    app.store.advance(MINUTE);
    expect((await thief.get('/me')).body.code).toBe('device_binding_required');
    expect((await browser.get('/me')).status).toBe(200);
    expect(events.filter(({ type }) => type === 'bound-cookie-missing')).toMatchObject([
      { userId: 'ada', action: 'reject' },
      { userId: 'ada', action: 'reject' },
    ]);
  });

  it('accepts what was under way at registration for 30 seconds, and no longer', async () => {
    const app = await start();
    const { browser } = await bound(app);
    browser.jar.delete(BOUND);
    app.store.advance(29_999);
    expect((await browser.get('/me')).status).toBe(200);
    app.store.advance(1);
    expect((await browser.get('/me')).status).toBe(401);
  });

  it('serves browsers that never answer as before', async () => {
    const app = await start();
    const browser = app.browser();
    await browser.post('/login', ADA);
    for (let quarter = 0; quarter < 8; quarter += 1) {
      app.store.advance(15 * MINUTE);
      expect((await browser.get('/me')).status).toBe(200);
    }
    expect((await browser.get('/transfer')).body.code).toBe('session_not_bound');
  });

  it('costs no command more at a request', async () => {
    const app = await start();
    const { browser } = await bound(app);
    app.store.forget();
    await browser.get('/poll');
    expect(app.store.commands).toEqual(['read']);
  });

  it.each([
    ['log', 200, undefined],
    ['step-up', 403, 'step_up_required'],
    ['reject', 401, 'device_binding_required'],
  ] as const)('under the policy %s a missing cookie is %i', async (policy, status, code) => {
    const app = await start({ policy });
    const events = heard(app);
    const { browser } = await bound(app);
    browser.jar.delete(BOUND);
    app.store.advance(MINUTE);
    const reply = await browser.get('/me', { 'secure-session-skipped': 'quota_exceeded;session_identifier="x"' });
    expect([reply.status, reply.body.code]).toEqual([status, code]);
    await browser.get('/me');
    expect(events.filter(({ type }) => type === 'bound-cookie-missing')).toMatchObject([
      { action: policy, skipped: 'quota_exceeded' },
    ]);
    expect((await browser.get('/transfer')).status).toBe(policy === 'reject' ? 401 : 403);
  });

  it('@RequireDeviceBound() lets in a bound session with its cookie, also under the policy log', async () => {
    const app = await start({ policy: 'log' });
    const { browser } = await bound(app);
    expect((await browser.get('/transfer')).status).toBe(200);
    browser.jar.delete(BOUND);
    expect((await browser.get('/transfer')).body.code).toBe('session_not_bound');
  });

  it('@RequireDeviceBound() without the option stops the boot', async () => {
    await expect(startApp({ platform, controllers: [TransferController] })).rejects.toThrow(
      /TransferController\.transfer: @RequireDeviceBound\(\)/,
    );
  });

  it('with `required`, an unbound session has 30 seconds', async () => {
    const app = await start({ required: true });
    const unbound = app.browser();
    await unbound.post('/login', { userId: 'bob' });
    const { browser } = await bound(app);
    expect((await unbound.get('/me')).status).toBe(200);
    app.store.advance(MINUTE);
    expect((await unbound.get('/me')).body.code).toBe('session_not_bound');
    expect((await browser.get('/me')).status).toBe(200);
  });

  it('does not rotate the token for a request without the bound cookie', async () => {
    const app = await start(true, { session: { session: { rotationInterval: '5m' } } });
    const { browser, device } = await bound(app);
    const before = browser.jar.get('__Host-session');
    app.store.advance(6 * MINUTE);
    const thief = app.browser();
    thief.jar.set('__Host-session', before ?? '');
    expect((await thief.get('/me')).setCookies).toEqual([]);
    expect((await browser.get('/me')).setCookies.map(({ name }) => name)).toEqual(['__Host-session']);
    expect(browser.jar.get('__Host-session')).not.toBe(before);
    // The binding is the session's, and not its token's.
    expect((await browser.get('/transfer')).status).toBe(200);
    expect((await device.refresh(browser)).status).toBe(200);
  });

  it('is bound once: a second registration changes nothing, nor does a replayed one', async () => {
    const app = await start();
    const events = heard(app);
    const { browser, device, login } = await bound(app);
    const { path, challenge } = offerIn(login);
    for (const key of [device, new Device()]) {
      const headers = { 'secure-session-response': `"${key.registrationProof(challenge)}"` };
      const reply = await browser.request(path, { method: 'POST', headers });
      expect([reply.status, reply.body.code]).toEqual([403, 'device_binding_failed']);
      expect(reply.setCookies).toEqual([]);
    }
    expect(events.filter(({ type }) => type === 'binding-failed')).toMatchObject([
      { step: 'registration', reason: 'bound' },
    ]);
    expect((await device.refresh(browser)).status).toBe(200);
  });

  it('of 20 registrations at once with one challenge, one binds', async () => {
    const app = await start();
    const browser = app.browser();
    const login = await browser.post('/login', ADA);
    const devices = Array.from({ length: 20 }, () => new Device());
    const replies = await Promise.all(devices.map((device) => device.register(browser, login)));
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(replies.filter(({ status }) => status === 403)).toHaveLength(19);
  });

  it('is bound again after a step-up of a browser that lost its key, and not after one that proves it', async () => {
    const app = await start({ policy: 'step-up' });
    const { browser, device, login } = await bound(app);
    app.store.advance(MINUTE);
    const proven = await browser.post('/step-up');
    expect(proven.headers.get('secure-session-registration')).toBeNull();
    // The challenge of the sign-in is older than the latest proof of identity.
    const stale = await new Device().register(browser, login);
    expect([stale.status, stale.body.code]).toEqual([403, 'device_binding_failed']);
    browser.jar.delete(BOUND);
    expect((await browser.get('/me')).body.code).toBe('step_up_required');
    const again = await browser.post('/step-up');
    const other = new Device();
    expect((await other.register(browser, again)).status).toBe(200);
    expect((await browser.get('/transfer')).status).toBe(200);
    expect((await other.refresh(browser)).status).toBe(200);
    const former = await device.refresh(browser);
    expect([former.status, former.body.continue]).toEqual([404, false]);
  });

  it('keeps its binding through updates, regeneration and change of roles', async () => {
    const app = await start();
    const { browser, device } = await bound(app);
    await browser.post('/note', { a: 1 });
    await browser.post('/regenerate');
    await app.app.get(SessionService).updateUser('ada', { roles: ['admin'] });
    await Promise.all(Array.from({ length: 20 }, (_, index) => browser.post('/note', { [`b${index}`]: index })));
    expect((await browser.get('/transfer')).status).toBe(200);
    expect((await device.refresh(browser)).status).toBe(200);
  });

  it('sign-out clears the bound cookie, and the next renewal ends what the browser keeps', async () => {
    const app = await start();
    const { browser, device } = await bound(app);
    const reply = await browser.post('/logout');
    expect(reply.setCookies.map(({ name, maxAge }) => [name, maxAge])).toEqual(
      expect.arrayContaining([
        ['__Host-session', 0],
        [BOUND, 0],
      ]),
    );
    const over = await device.askRefresh(browser);
    expect([over.status, over.body]).toEqual([
      404,
      { session_identifier: device.identifier, continue: false, code: 'session_ended' },
    ]);
  });

  it('can be signed out of without the bound cookie', async () => {
    const app = await start();
    const { browser } = await bound(app);
    browser.jar.delete(BOUND);
    app.store.advance(MINUTE);
    expect((await browser.post('/public-logout')).body).toEqual({ ended: true });
  });

  it('two accounts in one browser: the session of the first ends there, the second is bound by itself', async () => {
    const app = await start();
    const { browser, device } = await bound(app);
    const second = await browser.post('/login', { userId: 'bob' });
    const other = new Device();
    expect((await other.register(browser, second)).status).toBe(200);
    expect((await device.askRefresh(browser)).body.continue).toBe(false);
    expect((await browser.get('/me')).body.user.id).toBe('bob');
    expect((await other.refresh(browser)).status).toBe(200);
  });

  it('a browser that holds the cookie of another session gets no bound cookie over its own', async () => {
    const app = await start();
    const { device } = await bound(app);
    const elsewhere = await bound(app);
    expect((await device.askRefresh(elsewhere.browser)).body.continue).toBe(false);
  });

  it('answers 503 and changes nothing while the store is down', async () => {
    const app = await start();
    const { browser, device } = await bound(app);
    const asked = await device.askRefresh(browser);
    app.store.down = true;
    const proof = device.refreshProof(challengeIn(asked));
    const failing = await device.askRefresh(browser, proof);
    expect([failing.status, failing.body.code]).toEqual([503, 'store_unavailable']);
    expect(failing.headers.get('retry-after')).toBe('1');
    expect(failing.setCookies).toEqual([]);
    app.store.down = false;
    expect((await device.askRefresh(browser, proof)).status).toBe(200);
  });

  it('a challenge counts once, outlives the cookie, and a stale one with a good signature gets a new one', async () => {
    const app = await start(true, { session: { session: { idleTimeout: '2h' } } });
    const { browser, device } = await bound(app);
    const first = challengeIn(await device.askRefresh(browser));
    expect((await device.askRefresh(browser, device.refreshProof(first))).status).toBe(200);
    app.store.advance(1);
    const replayed = await device.askRefresh(browser, device.refreshProof(first));
    expect([replayed.status, replayed.setCookies]).toEqual([403, []]);
    const second = challengeIn(replayed);
    app.store.advance(14 * MINUTE);
    expect((await device.askRefresh(browser, device.refreshProof(second))).status).toBe(200);
    const third = challengeIn(await device.askRefresh(browser));
    app.store.advance(16 * MINUTE);
    const stale = await device.askRefresh(browser, device.refreshProof(third));
    expect(stale.status).toBe(403);
    expect((await device.askRefresh(browser, device.refreshProof(challengeIn(stale)))).status).toBe(200);
  });

  it('takes the headers bare as well, as Chromium sends them', async () => {
    const app = await start();
    const browser = app.browser();
    const { path, challenge } = offerIn(await browser.post('/login', ADA));
    const device = new Device();
    const bare = (proof: string): Record<string, string> => ({ 'secure-session-response': proof });
    const registered = await browser.request(path, {
      method: 'POST',
      headers: bare(device.registrationProof(challenge)),
    });
    expect(registered.status).toBe(200);
    const id = { 'sec-secure-session-id': registered.body.session_identifier as string };
    const { refresh_url: url } = registered.body as { refresh_url: string };
    const asked = await browser.request(url, { method: 'POST', headers: id });
    const headers = { ...id, ...bare(device.refreshProof(challengeIn(asked))) };
    expect((await browser.request(url, { method: 'POST', headers })).status).toBe(200);
  });

  it('limits attempts: 429 keeps the browser’s session', async () => {
    const app = await start();
    const { browser, device } = await bound(app);
    const statuses: number[] = [];
    for (let attempt = 0; attempt < 40; attempt += 1) statuses.push((await device.askRefresh(browser)).status);
    expect(statuses.slice(0, 29)).toEqual(Array(29).fill(403));
    expect(statuses.at(-1)).toBe(429);
    app.store.advance(MINUTE);
    expect((await device.refresh(browser)).status).toBe(200);
  });

  it('a registration that another site sends is refused', async () => {
    const app = await start();
    const browser = app.browser();
    const { path, challenge } = offerIn(await browser.post('/login', ADA));
    const reply = await browser.request(path, {
      method: 'POST',
      headers: {
        'secure-session-response': `"${new Device().registrationProof(challenge)}"`,
        'sec-fetch-site': 'cross-site',
      },
    });
    expect([reply.status, reply.body.code]).toEqual([403, 'csrf_rejected']);
  });

  it('stands under the global prefix, beside versions, and answers before guards and interceptors of the application', async () => {
    const wrapping = {
      intercept: (_: unknown, next: { handle(): Observable<unknown> }) => next.handle().pipe(map((data) => ({ data }))),
    };
    const app = await start(true, {
      providers: [
        { provide: APP_INTERCEPTOR, useValue: wrapping },
        { provide: APP_GUARD, useClass: ClosedDoor },
      ],
      configure: (nest) => {
        nest.setGlobalPrefix('api/v0');
        nest.enableVersioning({ type: VersioningType.URI, defaultVersion: [VERSION_NEUTRAL, '1'] });
      },
    });
    const browser = app.browser();
    // The guard lets no sign-in in, so that the session is started without a route.
    const { cookieToken = '' } = await app.app.get(SessionService).start(ADA);
    browser.jar.set('__Host-session', cookieToken);
    const reply = await browser.request('/api/v0/session/device/register', { method: 'POST' });
    expect([reply.status, reply.body.code]).toEqual([400, 'invalid_request']);
    const refresh = await browser.request('/api/v0/session/device/refresh', {
      method: 'POST',
      headers: { 'sec-secure-session-id': '"nobody"' },
    });
    expect([refresh.status, refresh.body.continue]).toEqual([404, false]);
    expect((await browser.post('/session/device/register')).status).not.toBe(400);
  });

  it('announces the prefixes of the application and of the proxy', async () => {
    const app = await start(
      { paths: { register: '/dbsc/start', refresh: '/dbsc/renew', prefix: '/shop' } },
      { configure: (nest) => nest.setGlobalPrefix('api') },
    );
    const browser = app.browser();
    const login = await browser.post('/api/login', ADA);
    expect(offerIn(login).path).toBe('/shop/api/dbsc/start');
    const { challenge } = offerIn(login);
    const headers = { 'secure-session-response': `"${new Device().registrationProof(challenge)}"` };
    const registered = await browser.request('/api/dbsc/start', { method: 'POST', headers });
    expect(registered.body.refresh_url).toBe('/shop/api/dbsc/renew');
  });

  it.each([
    [{ cookie: { partitioned: true } }, /deviceBound: browsers bind no partitioned cookies/],
    [{ deviceBound: { refresh: '500ms' } }, /deviceBound\.refresh/],
    [{ deviceBound: { refresh: '2d' } }, /deviceBound\.refresh/],
    [{ deviceBound: { paths: { register: 'x' } } }, /deviceBound\.paths\.register/],
    [{ deviceBound: { paths: { register: '/x', refresh: '/x' } } }, /deviceBound\.paths/],
    [{ deviceBound: { policy: 'end' } }, /deviceBound: must be/],
    [{ deviceBound: { unknown: 1 } }, /deviceBound/],
    [{ cookie: { name: '__Secure-s', path: '/app' } }, /deviceBound\.paths\.register/],
  ])('refuses to boot with %j', async (wrong, message) => {
    await expect(start(true, { session: wrong as SessionModuleOptions })).rejects.toThrow(message);
  });
});
