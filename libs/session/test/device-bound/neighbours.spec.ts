import { Controller, Get, Post, Req } from '@nestjs/common';
import fastifyCookie from '@fastify/cookie';
import fastifySession from '@fastify/session';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import expressSession from 'express-session';
import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import { SessionExpressStore } from '../../src/frameworks/express/index.js';
import { SessionFastifyStore } from '../../src/frameworks/fastify/index.js';
import { RedisSessionStore, SessionEvents, SessionService, SessionStore, type SessionEvent } from '../../src/index.js';
import { RedisKeys } from '../../src/redis/keys.js';
import { sidOf } from '../../src/model/ids.js';
import { AccountController } from '../support/account.controller.js';
import { closeApps, PLATFORMS, startApp } from '../support/app.js';
import { testRedisUrl } from '../support/redis-harness.js';
import { secretOf } from '../support/secrets.js';
import { SecurityController } from '../support/security.controller.js';
import { Device } from './support/device.js';

afterEach(closeApps);

const MINUTE = 60_000;
const BOUND = '__Host-session-bound';

interface WithCart {
  session: { cart?: number };
}

/** What keeps its data in the session of a framework. */
@Controller('shop')
class ShopController {
  @Post()
  fill(@Req() request: WithCart): object {
    request.session.cart = 1;
    return {};
  }

  @Get()
  look(@Req() request: WithCart): object {
    return { cart: request.session.cart ?? null };
  }
}

describe.each(PLATFORMS)('device-bound sessions beside the rest, on %s', (platform) => {
  it('an impersonated session is good with the bound cookie of the administrator alone', async () => {
    const app = await startApp({
      platform,
      controllers: [AccountController, SecurityController],
      session: { deviceBound: true },
    });
    const browser = app.browser();
    const device = new Device();
    await device.register(browser, await browser.post('/login', { userId: 'root', roles: ['admin'] }));
    const acting = await browser.post('/impersonate', { userId: 'ada' });
    expect(acting.status).toBe(200);
    expect(acting.headers.get('secure-session-registration')).toBeNull();
    app.store.advance(MINUTE);
    expect((await browser.get('/me')).body.user.id).toBe('ada');
    const thief = app.browser();
    thief.jar.set('__Host-session', browser.jar.get('__Host-session') ?? '');
    expect((await thief.get('/me')).body.code).toBe('device_binding_required');
    // The browser renews by the administrator's session, whose token the other cookie keeps.
    app.store.advance(8 * MINUTE);
    expect((await device.refresh(browser)).status).toBe(200);
    app.store.advance(9 * MINUTE);
    expect((await browser.get('/me')).body.user.id).toBe('ada');
    expect((await browser.post('/end-impersonation')).status).toBe(200);
    expect((await browser.get('/me')).body.user.id).toBe('root');
  });

  it('an evicted session ends in its browser as well', async () => {
    const app = await startApp({
      platform,
      controllers: [AccountController],
      session: { deviceBound: true, session: { maxSessionsPerUser: 1 } },
    });
    const browser = app.browser();
    const device = new Device();
    await device.register(browser, await browser.post('/login', { userId: 'ada' }));
    await app.browser().post('/login', { userId: 'ada' });
    expect((await device.refresh(browser)).body).toMatchObject({ continue: false });
  });

  it('a pending session may be bound, and stays so once the second factor is there', async () => {
    const app = await startApp({
      platform,
      controllers: [AccountController, SecurityController],
      session: { deviceBound: true },
    });
    const browser = app.browser();
    const device = new Device();
    await device.register(browser, await browser.post('/login', { userId: 'ada', pending: true }));
    app.store.advance(MINUTE);
    const complete = await browser.post('/second-factor');
    expect([complete.status, complete.headers.get('secure-session-registration')]).toEqual([200, null]);
    expect((await browser.get('/session')).body.session).toMatchObject({ deviceBound: true, amr: ['pwd', 'otp'] });
    expect((await device.refresh(browser)).status).toBe(200);
  });

  it('after passwordChanged the session keeps its key, and the others end in their browsers as well', async () => {
    const app = await startApp({
      platform,
      controllers: [AccountController, SecurityController],
      session: { deviceBound: true },
    });
    const [browser, other] = [app.browser(), app.browser()];
    const [device, otherDevice] = [new Device(), new Device()];
    await device.register(browser, await browser.post('/login', { userId: 'ada' }));
    await otherDevice.register(other, await other.post('/login', { userId: 'ada' }));
    app.store.advance(MINUTE);
    const copied = app.browser();
    for (const [name, value] of browser.jar) copied.jar.set(name, value);
    const changed = await browser.post('/password');
    expect([changed.status, changed.headers.get('secure-session-registration')]).toEqual([200, null]);
    expect((await browser.get('/session')).body.session).toMatchObject({ deviceBound: true });
    expect((await device.refresh(browser)).status).toBe(200);
    // A copy from before is dead, and one of the new cookie alone is of no use.
    expect((await copied.get('/me')).status).toBe(401);
    const thief = app.browser();
    thief.jar.set('__Host-session', browser.jar.get('__Host-session') ?? '');
    expect((await thief.get('/me')).body.code).toBe('device_binding_required');
    expect((await otherDevice.refresh(other)).body).toMatchObject({ continue: false });
    expect((await other.get('/me')).status).toBe(401);
  });

  it('the sessions of express-session and @fastify/session on the same store are not covered', async () => {
    const secret = 'a secret of at least 32 characters for these tests';
    const app = await startApp({
      platform,
      controllers: [AccountController, ShopController],
      session: { deviceBound: true },
      configure: async (nest) => {
        const store = nest.get(SessionStore);
        if (platform === 'express') {
          const kept = new SessionExpressStore({ store, sweepInterval: false });
          nest.use(expressSession({ secret, name: 'sid', store: kept, resave: false, saveUninitialized: false }));
          return;
        }
        const fastify = nest as NestFastifyApplication;
        await fastify.register(fastifyCookie as never);
        await fastify.register(fastifySession, {
          secret,
          cookieName: 'sid',
          cookie: { secure: false },
          saveUninitialized: false,
          store: new SessionFastifyStore({ store, sweepInterval: false }),
        });
      },
    });
    const browser = app.browser();
    const device = new Device();
    await device.register(browser, await browser.post('/login', { userId: 'ada' }));
    const filled = await browser.post('/shop');
    expect([filled.status, filled.headers.get('secure-session-registration')]).toEqual([201, null]);
    app.store.advance(MINUTE);
    expect((await browser.get('/shop')).body).toEqual({ cart: 1 });
    // Each cookie by its own rule: one without the bound cookie, the other not.
    browser.jar.delete(BOUND);
    expect((await browser.get('/me')).body.code).toBe('device_binding_required');
    expect((await browser.get('/shop')).body).toEqual({ cart: 1 });
    browser.jar.delete('sid');
    expect((await device.refresh(browser)).status).toBe(200);
    expect((await browser.get('/me')).status).toBe(200);
    expect((await browser.get('/shop')).body).toEqual({ cart: null });
  });

  it('bearer tokens and their session without a cookie are left alone', async () => {
    const app = await startApp({
      platform,
      controllers: [AccountController],
      session: { deviceBound: true, jwt: { issuer: 'i', audience: 'a' } },
    });
    const login = await app.browser().post('/login', { userId: 'ada', transport: 'bearer' });
    expect(login.headers.get('secure-session-registration')).toBeNull();
    const authorization = `Bearer ${login.body.tokens.accessToken as string}`;
    app.store.advance(MINUTE);
    expect((await app.browser().get('/me', { authorization })).status).toBe(200);
  });

  it('with a near cache, a good bound cookie needs no read, and a missing one is refused by the store', async () => {
    const app = await startApp({
      platform,
      controllers: [AccountController],
      session: { deviceBound: true, nearCache: true },
    });
    const browser = app.browser();
    await new Device().register(browser, await browser.post('/login', { userId: 'ada' }));
    app.store.advance(MINUTE);
    await browser.get('/poll');
    app.store.forget();
    expect((await browser.get('/poll')).status).toBe(200);
    expect(app.store.commands).toEqual([]);
    browser.jar.delete(BOUND);
    expect((await browser.get('/poll')).body.code).toBe('device_binding_required');
    expect(app.store.commands).toEqual(['read']);
  });

  it('on Redis, by two instances: the key has a field of its own, which goes with the session', async () => {
    const keyPrefix = `test-${randomBytes(6).toString('hex')}:`;
    const clients = [new Redis(testRedisUrl()), new Redis(testRedisUrl())];
    let shift = 0;
    const stores = clients.map(
      (client) => new RedisSessionStore(client, { keyPrefix, commandTimeout: 5_000, timeShift: () => shift }),
    );
    try {
      const secrets = secretOf('s');
      const apps = await Promise.all(
        stores.map(async (store) =>
          startApp({ platform, controllers: [AccountController], session: { store, secrets, deviceBound: true } }),
        ),
      );
      const [one, two] = apps as [(typeof apps)[0], (typeof apps)[0]];
      const heard: SessionEvent[] = [];
      one.app.get(SessionEvents).all$.subscribe((event) => heard.push(event));
      const browser = one.browser();
      const login = await browser.post('/login', { userId: 'ada' });
      const id = login.body.session.id as string;
      const elsewhere = two.browser();
      const device = new Device();
      for (const [name, value] of browser.jar) elsewhere.jar.set(name, value);
      expect((await device.register(elsewhere, login)).status).toBe(200);
      const { user } = new RedisKeys(keyPrefix, '').ofSession(id);
      const fields = async (): Promise<string[]> =>
        Object.keys((await clients[0]?.hgetall(user)) ?? {}).filter((field) => field.endsWith(sidOf(id)));
      expect((await fields()).sort()).toEqual(['c', 'k', 'r'].map((kind) => kind + sidOf(id)));
      shift += 9 * MINUTE;
      browser.jar.set(BOUND, elsewhere.jar.get(BOUND) ?? '');
      expect((await browser.get('/me')).status).toBe(200);
      expect((await device.refresh(browser)).status).toBe(200);
      expect((await fields()).sort()).toEqual(['c', 'k', 'q', 'r'].map((kind) => kind + sidOf(id)));
      shift += 2 * MINUTE;
      expect((await elsewhere.get('/me')).body.code).toBe('device_binding_required');
      expect((await browser.get('/me')).status).toBe(200);
      expect((await two.app.get(SessionService).list('ada')).map(({ deviceBound }) => deviceBound)).toEqual([true]);
      await browser.post('/logout');
      expect(await fields()).toEqual([]);
      expect((await device.askRefresh(elsewhere)).body.continue).toBe(false);
      expect(heard.filter(({ type }) => type === 'bound')).toMatchObject([{ sessionId: id, userId: 'ada' }]);
    } finally {
      await closeApps();
      await Promise.all(stores.map(async (store) => store.close()));
      for (const client of clients) client.disconnect();
    }
  });
});
