import { Injectable, Module, type MiddlewareConsumer, type NestModule } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import {
  DeviceSessionService,
  SessionAdminService,
  SessionHistory,
  SessionMiddleware,
  SessionService,
  TokenBlacklist,
  TokenService,
} from '../../src/index.js';
import { JwtAuthGuard } from '../../src/passport/index.js';
import { signInAs, useMemorySessions, type MemorySessions } from '../../src/testing/index.js';
import { closeApps, PLATFORMS } from '../support/app.js';
import type { Browser } from '../support/browser.js';
import { startRealms, STORES, type RealmApp } from './support.js';

const SHOP = '__Host-session';
const STAFF = '__Host-session-admin';

const SIDES = [
  { own: 'shop', ownCookie: SHOP, other: 'staff', otherCookie: STAFF },
  { own: 'staff', ownCookie: STAFF, other: 'shop', otherCookie: SHOP },
] as const;

/** Takes passport's way, as a subclass may do more. */
@Injectable()
class OwnGuard extends JwtAuthGuard {
  override handleRequest<T>(...args: Parameters<JwtAuthGuard['handleRequest']>): T {
    return super.handleRequest<T>(...args);
  }
}

@Module({})
class EverywhereModule implements NestModule {
  configure(consumer: MiddlewareConsumer): void {
    consumer.apply(SessionMiddleware).forRoutes('*path');
  }
}

afterEach(closeApps);

describe.each(STORES.flatMap((store) => PLATFORMS.map((platform) => [store, platform] as const)))(
  'two realms on %s and %s',
  (store, platform) => {
    let app: RealmApp;
    const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });
    const signIn = async (side: string, userId = 'ann', extra: object = {}, browser: Browser = app.browser()) => {
      const { status, body } = await browser.post(`/${side}/login`, { userId, ...extra });
      expect(status).toBe(200);
      return { browser, id: body.session.id as string, tokens: body.tokens as Record<string, string> };
    };

    beforeEach(async () => {
      app = await startRealms(platform, store, { root: { history: true }, realm: { history: true } });
    });

    it('one browser is signed in to both, and each route sees the session of its own', async () => {
      const { browser, id } = await signIn('shop', 'ann');
      const { id: staffId } = await signIn('staff', 'boss', {}, browser);
      expect([...browser.jar.keys()].sort()).toEqual([SHOP, STAFF]);
      expect((await browser.get('/shop/me')).body).toEqual({
        ...{ user: 'ann', session: id, onRequest: id, userOnRequest: 'ann' },
      });
      expect((await browser.get('/staff/me')).body).toEqual({
        ...{ user: 'boss', session: staffId, onRequest: staffId, userOnRequest: 'boss' },
      });
      expect((await browser.get('/shop/guest')).body).toEqual({ user: 'ann', session: id, current: id });
      expect((await browser.get('/staff/guest')).body).toEqual({ user: 'boss', session: staffId, current: staffId });
      expect((await browser.get('/mixed/customer')).body).toEqual({ user: 'ann' });
      expect((await browser.get('/mixed/staff')).body).toEqual({ user: 'boss' });
      expect((await browser.post('/staff/logout')).body).toEqual({ ended: true });
      expect([...browser.jar.keys()]).toEqual([SHOP]);
      expect((await browser.get('/staff/me')).status).toBe(401);
      expect((await browser.get('/shop/me')).status).toBe(200);
    });

    it.each(SIDES)('a session of $own alone is nobody at $other', async ({ own, other }) => {
      const { browser } = await signIn(own, 'ann', { roles: ['boss'] });
      for (const path of ['me', 'by-token', 'boss']) expect((await browser.get(`/${other}/${path}`)).status).toBe(401);
      expect((await browser.get(`/${other}/guest`)).body).toEqual({});
      expect((await browser.post(`/${other}/logout`)).status).toBe(401);
      expect((await browser.get(`/${own}/boss`)).status).toBe(200);
    });

    it.each(SIDES)(
      'a cookie of $own under the name of $other opens nothing',
      async ({ own, ownCookie, other, otherCookie }) => {
        const { browser } = await signIn(own, 'ann', { roles: ['boss'] });
        const forged = app.browser();
        forged.jar.set(otherCookie, browser.jar.get(ownCookie) ?? '');
        const { status, body } = await forged.get(`/${other}/me`);
        expect([status, body.code]).toEqual([401, 'invalid_token']);
        const elsewhere = other === 'staff' ? app.staff : app.customers;
        // The tag is wrong, whatever the store holds.
        await expect(elsewhere.authenticate(browser.jar.get(ownCookie) ?? '')).rejects.toMatchObject({
          cause: 'forged',
        });
        expect((await browser.get(`/${own}/me`)).status).toBe(200);
      },
    );

    it.each(SIDES)('tokens of $own open nothing at $other', async ({ own, other }) => {
      const { tokens } = await signIn(own, 'ann', { transport: 'both', roles: ['boss'] });
      const client = app.browser();
      const { accessToken = '', refreshToken = '' } = tokens;
      for (const path of ['me', 'by-token', 'boss']) {
        expect((await client.get(`/${own}/${path}`, bearer(accessToken))).status).toBe(200);
        expect((await client.get(`/${other}/${path}`, bearer(accessToken))).status).toBe(401);
      }
      expect((await client.post(`/${other}/refresh`, { token: refreshToken })).status).toBe(401);
      const refreshed = await client.post(`/${own}/refresh`, { token: refreshToken });
      expect(refreshed.status).toBe(200);
      expect((await client.get(`/${own}/me`, bearer(refreshed.body.tokens.accessToken as string))).status).toBe(200);
    });

    it('ids, lists, counts and ends of one know nothing of the other', async () => {
      const customer = await signIn('shop', 'ann', { deviceId: 'laptop' });
      const clerk = await signIn('staff', 'ann', { deviceId: 'laptop' });
      expect((await app.customers.list('ann')).map(({ id }) => id)).toEqual([customer.id]);
      expect((await app.staff.list('ann')).map(({ id }) => id)).toEqual([clerk.id]);
      expect(await app.customers.get(clerk.id)).toBeNull();
      expect(await app.staff.get(customer.id)).toBeNull();
      expect(await app.staff.end(customer.id)).toBe(false);
      expect(await app.staff.update(customer.id, { data: { taken: true } }).catch(() => null)).toBeNull();
      expect(await app.customers.end(clerk.id)).toBe(false);
      const devices = app.service(DeviceSessionService, 'admin');
      expect(await devices.getDeviceSessions('ann')).toHaveLength(1);
      expect(await app.service(SessionAdminService, 'admin').countSessions()).toBe(1);
      expect((await clerk.browser.post('/staff/logout-all')).body).toEqual({ ended: 1 });
      expect((await customer.browser.get('/shop/me')).status).toBe(200);
      expect(await app.customers.list('ann')).toHaveLength(1);
    });

    it('ending everybody of one leaves the other', async () => {
      const customer = await signIn('shop', 'ann');
      const clerk = await signIn('staff', 'bob');
      const why = { actor: 'test', reason: 'test' };
      await app.service(SessionAdminService, 'admin').endEverybody(why);
      expect((await clerk.browser.get('/staff/me')).status).toBe(401);
      expect((await customer.browser.get('/shop/me')).status).toBe(200);
      const again = await signIn('staff', 'bob');
      await app.service(SessionAdminService).endEverybody(why);
      expect((await customer.browser.get('/shop/me')).status).toBe(401);
      expect((await again.browser.get('/staff/me')).status).toBe(200);
    });

    it('what one blacklists, and what its trail holds, is not in the other', async () => {
      const { id } = await signIn('shop', 'ann');
      await app.service(TokenBlacklist).add('jti-1', Date.now() + 60_000);
      expect(await app.service(TokenBlacklist).isBlacklisted('jti-1')).toBe(true);
      expect(await app.service(TokenBlacklist, 'admin').isBlacklisted('jti-1')).toBe(false);
      await app.customers.end(id);
      const trail = app.service(SessionHistory);
      const patience = performance.now() + 10_000;
      while ((await trail.list('ann')).length < 2 && performance.now() < patience)
        await new Promise((resolve) => setImmediate(resolve));
      expect((await trail.list('ann')).length).toBeGreaterThanOrEqual(2);
      expect(await app.service(SessionHistory, 'admin').list('ann')).toEqual([]);
    });

    it('tokens name their realm by their audience', async () => {
      const { id } = await signIn('staff', 'bob', { transport: 'both' });
      const live = await app.staff.get(id);
      expect(live).not.toBeNull();
      const { tokens } = await signIn('staff', 'bob', { transport: 'bearer' });
      const staffTokens = app.service(TokenService, 'admin');
      await expect(staffTokens.verify(tokens['accessToken'] ?? '')).resolves.toBeDefined();
      await expect(app.service(TokenService).verify(tokens['accessToken'] ?? '')).rejects.toMatchObject({
        code: 'invalid_token',
      });
    });
  },
);

describe.each(PLATFORMS)('realms on %s', (platform) => {
  it('SessionMiddleware gives the route of a realm no session of the application', async () => {
    const app = await startRealms(platform, 'memory', { imports: [EverywhereModule] });
    const browser = app.browser();
    const { body: shop } = await browser.post('/shop/login', { userId: 'ann' });
    expect((await browser.get('/shop/guest')).body).toMatchObject({ user: 'ann', onRequest: shop.session.id });
    expect((await browser.get('/staff/guest')).body).toEqual({});
    const { body: staff } = await browser.post('/staff/login', { userId: 'bob' });
    expect((await browser.get('/staff/me')).body).toMatchObject({ user: 'bob', onRequest: staff.session.id });
    expect((await browser.get('/shop/me')).body).toMatchObject({ user: 'ann', onRequest: shop.session.id });
  });

  it('limits are of each realm', async () => {
    const app = await startRealms(platform, 'memory', {
      root: { session: { maxSessionsPerUser: 2 } },
      realm: { session: { maxSessionsPerUser: 1, onLimit: 'reject' } },
    });
    const statuses = async (side: string): Promise<number[]> => {
      const all: number[] = [];
      for (let turn = 0; turn < 3; turn += 1)
        all.push((await app.browser().post(`/${side}/login`, { userId: 'ann' })).status);
      return all;
    };
    expect(await statuses('shop')).toEqual([200, 200, 200]);
    expect(await statuses('staff')).toEqual([200, 409, 409]);
    const [customers, staff] = [await app.customers.list('ann'), await app.staff.list('ann')];
    expect([customers.length, staff.length]).toEqual([2, 1]);
  });

  it('timeouts are of each realm', async () => {
    let sessions: MemorySessions | undefined;
    const app = await startRealms(platform, 'memory', {
      root: { session: { idleTimeout: '1h' } },
      realm: { session: { idleTimeout: '5m' } },
      override: (builder) => (sessions = useMemorySessions(builder)),
    });
    const clients = await Promise.all([
      signInAs(app.app, { id: 'ann' }),
      signInAs(app.app, { id: 'bob' }, { realm: 'admin' }),
    ]);
    const statuses = async (): Promise<number[]> =>
      Promise.all(
        ['shop', 'staff'].map(
          async (side, index) => (await app.browser().get(`/${side}/me`, clients[index]?.headers)).status,
        ),
      );
    expect(await statuses()).toEqual([200, 200]);
    await sessions?.advance('6m');
    expect(await statuses()).toEqual([200, 401]);
    await sessions?.advance('2h');
    expect(await statuses()).toEqual([401, 401]);
  });

  it('a global guard with a strategy of passport, and a subclass with options, ask the realm of the route', async () => {
    const app = await startRealms(platform, 'memory', { providers: [{ provide: APP_GUARD, useClass: OwnGuard }] });
    const [customer, clerk] = await Promise.all(
      ['shop', 'staff'].map(async (side) => {
        const { body } = await app.browser().post(`/${side}/login`, { userId: side, transport: 'bearer' });
        return { authorization: `Bearer ${body.tokens.accessToken as string}` };
      }),
    );
    const asked = Array.from({ length: 40 }, (_, turn) => (turn % 2 ? 'staff' : 'shop'));
    const answers = await Promise.all(
      asked.map(async (side) => app.browser().get(`/${side}/me`, side === 'staff' ? clerk : customer)),
    );
    expect(answers.map(({ body }) => body.user)).toEqual(asked);
    const crossed = await Promise.all([app.browser().get('/shop/me', clerk), app.browser().get('/staff/me', customer)]);
    expect(crossed.map(({ status }) => status)).toEqual([401, 401]);
  });

  it('concurrent requests of both, by passport and by cookie, keep to their own', async () => {
    const app = await startRealms(platform, 'memory');
    const tokens = await Promise.all(
      ['shop', 'staff'].map(async (side) => {
        const { body } = await app.browser().post(`/${side}/login`, { userId: side, transport: 'bearer' });
        return body.tokens.accessToken as string;
      }),
    );
    const asked = Array.from({ length: 40 }, (_, turn) => ({
      side: turn % 2 ? 'staff' : 'shop',
      token: tokens[turn % 2],
    }));
    const answers = await Promise.all(
      asked.map(async ({ side, token }) =>
        app.browser().get(`/${side}/by-token`, { authorization: `Bearer ${token ?? ''}` }),
      ),
    );
    expect(answers.map(({ body }) => body)).toEqual(asked.map(({ side }) => ({ user: side })));
  });

  it('a near cache of one answers for it alone', async () => {
    const app = await startRealms(platform, 'memory', { root: { nearCache: true }, realm: { nearCache: true } });
    const browser = app.browser();
    await browser.post('/shop/login', { userId: 'ann' });
    await browser.post('/staff/login', { userId: 'bob' });
    for (let turn = 0; turn < 3; turn += 1) {
      expect((await browser.get('/shop/me')).body).toMatchObject({ user: 'ann' });
      expect((await browser.get('/staff/me')).body).toMatchObject({ user: 'bob' });
    }
    const staff = app.service(SessionService, 'admin');
    await staff.endAll('bob');
    expect((await browser.get('/staff/me')).status).toBe(401);
    expect((await browser.get('/shop/me')).status).toBe(200);
  });
});
