import { Body, Controller, Get, Post, Req, Res } from '@nestjs/common';
import type { Request, Response } from 'express';
import { randomBytes } from 'node:crypto';
import {
  MemorySessionStore,
  SessionEvents,
  SessionModule,
  SessionService,
  type SessionEvent,
  type SessionModuleOptions,
} from '../../src/index.js';
import { closeApps, PLATFORMS, startApp, type TestApp } from '../support/app.js';
import { AccountController } from '../support/account.controller.js';
import { testRedisUrl } from '../support/redis-harness.js';
import { OperationsController } from './support/operations.controller.js';

const SECRETS = randomBytes(48).toString('base64url');
const BACKENDS: Record<string, () => SessionModuleOptions> = {
  memory: () => ({ store: new MemorySessionStore() }),
  Redis: () => ({
    redis: testRedisUrl(),
    keyPrefix: `tenants-http-${randomBytes(6).toString('hex')}:`,
    commandTimeout: 15_000,
  }),
};

const CASES = PLATFORMS.flatMap((platform) => Object.keys(BACKENDS).map((backend) => [platform, backend] as const));

/** Applications with the same secrets, Redis, prefix, issuer, audience and cookie: the tenant alone is different. */
describe.each(CASES)('tenants over HTTP on %s with %s', (platform, backend) => {
  let apps: Record<'acme' | 'globex' | 'none', TestApp>;
  const heard: Record<string, SessionEvent[]> = {};

  beforeAll(async () => {
    const shared = BACKENDS[backend]?.() ?? {};
    const start = async (tenant: string | undefined): Promise<TestApp> => {
      const app = await startApp({
        platform,
        controllers: [AccountController, OperationsController],
        module: SessionModule.forRoot({
          ...shared,
          ...(tenant !== undefined && { tenant }),
          secrets: SECRETS,
          jwt: { issuer: 'https://example.com', audience: 'https://api.example.com' },
          cookie: { name: 'session', secure: false },
          device: { cookie: true },
        }),
      });
      const events: SessionEvent[] = (heard[tenant ?? 'none'] = []);
      app.app.get(SessionEvents).all$.subscribe((event) => events.push(event));
      return app;
    };
    apps = { acme: await start('acme'), globex: await start('globex'), none: await start(undefined) };
  }, 60_000);

  afterAll(closeApps);

  it('a cookie, access token, refresh token and device cookie of one open nothing in the others', async () => {
    const browser = apps.acme.browser();
    const signedIn = await browser.post('/login', { userId: 'ada', roles: ['admin'], transport: 'both' });
    expect(signedIn.status).toBe(200);
    const { tokens, session } = signedIn.body;
    expect((await browser.get('/admin')).status).toBe(200);
    const device = [...browser.jar.keys()].find((name) => name !== 'session');
    expect(device).toBeDefined();
    for (const other of [apps.globex, apps.none]) {
      const thief = other.browser();
      for (const [name, value] of browser.jar) thief.jar.set(name, value);
      expect((await thief.get('/admin')).status).toBe(401);
      expect((await thief.get('/me')).status).toBe(401);
      const bearer = { authorization: `Bearer ${tokens.accessToken}` };
      expect((await other.browser().get('/admin', bearer)).status).toBe(401);
      const refreshed = await other.browser().post('/ops/refresh', { refreshToken: tokens.refreshToken });
      expect(refreshed.status).toBe(401);
      expect((await other.browser().post('/ops/revoke', { token: tokens.accessToken })).body).toEqual({
        code: 'invalid_token',
      });
      // Signed by acme, it names no device here, so that another is drawn.
      const own = other.browser();
      own.jar.set(device as string, browser.jar.get(device as string) as string);
      const second = await own.post('/login', { userId: 'ada' });
      expect(second.body.session.deviceId).not.toBe(session.deviceId);
      await own.post('/logout');
    }
    expect((await browser.get('/me')).status).toBe(200);
    const bearer = { authorization: `Bearer ${tokens.accessToken}` };
    expect((await apps.acme.browser().get('/me', bearer)).status).toBe(200);
    expect((await apps.acme.browser().post('/ops/refresh', { refreshToken: tokens.refreshToken })).status).toBe(200);
    await browser.post('/logout');
  });

  it('an id of one is no session in the others: not to read, list, count, end or hear of', async () => {
    const browser = apps.acme.browser();
    const { session } = (await browser.post('/login', { userId: 'bob', roles: ['admin'], deviceId: 'd' })).body;
    for (const other of [apps.globex, apps.none]) {
      const admin = other.browser();
      expect((await admin.get(`/ops/sessions/${session.id}`)).body).toEqual({ session: null });
      expect((await admin.get('/ops/users/bob')).body).toEqual({ ids: [], devices: [] });
      expect((await admin.get('/ops/count')).body).toEqual({ count: 0 });
      const ended = await admin.request(`/ops/sessions/${session.id}/bob`, { method: 'DELETE' });
      expect(ended.body).toEqual({ ended: [false, false, false] });
      expect((await admin.request('/ops/everybody', { method: 'DELETE' })).body).toEqual({ ended: 0 });
    }
    expect((await browser.get('/me')).status).toBe(200);
    expect((await apps.acme.browser().get('/ops/count')).body).toEqual({ count: 1 });
    const ended = await apps.acme.browser().request('/ops/everybody', { method: 'DELETE' });
    expect(ended.body).toEqual({ ended: 1 });
    expect((await browser.get('/me')).status).toBe(401);
    for (const [name, events] of Object.entries(heard)) {
      expect(events.map(({ tenant }) => tenant ?? 'none').every((tenant) => tenant === name)).toBe(true);
    }
    // Their own administrators' attempts to end it are recorded, and nothing else of it.
    const others = [...(heard['globex'] ?? []), ...(heard['none'] ?? [])];
    const ofIt = others.filter(({ sessionId }) => sessionId === session.id);
    expect(ofIt.map((event) => [event.type, 'ended' in event && event.ended])).toEqual([
      ['admin-action', 0],
      ['admin-action', 0],
    ]);
  });
});

/** The routes of an application with express-session. */
@Controller('shop')
class ShopController {
  @Get()
  read(@Req() request: Request): unknown {
    const { cookie: _cookie, ...data } = { ...request.session };
    return data;
  }

  @Post('set')
  set(@Req() request: Request, @Body() body: object): unknown {
    Object.assign(request.session, body);
    return {};
  }

  @Post('logout')
  logout(@Req() request: Request, @Res() response: Response): void {
    request.session.destroy((error: unknown) => response.sendStatus(error ? 500 : 204));
  }
}

/** The same secret for the cookies, so that express-session itself takes each for its own. */
describe.each(Object.keys(BACKENDS))('express-session of two tenants over HTTP with %s', (backend) => {
  let acme: TestApp;
  let globex: TestApp;

  beforeAll(async () => {
    const shared = BACKENDS[backend]?.() ?? {};
    const start = (tenant: string): Promise<TestApp> =>
      startApp({
        platform: 'express',
        controllers: [ShopController],
        module: SessionModule.forRoot({ ...shared, tenant, secrets: SECRETS, expressSession: { secret: SECRETS } }),
      });
    [acme, globex] = [await start('acme'), await start('globex')];
  });

  afterAll(closeApps);

  it('a cookie of one is an empty session in the other, and what happens to it there changes nothing here', async () => {
    const [browser, crossed] = [acme.browser(), globex.browser()];
    await browser.post('/shop/set', { userId: 'ada', cart: 1 });
    crossed.jar.set('connect.sid', browser.jar.get('connect.sid') ?? '');
    expect((await crossed.get('/shop')).body).toEqual({});
    expect((await crossed.post('/shop/logout')).status).toBe(204);
    expect((await browser.get('/shop')).body).toEqual({ userId: 'ada', cart: 1 });
    crossed.jar.set('connect.sid', browser.jar.get('connect.sid') ?? '');
    await crossed.post('/shop/set', { userId: 'eve' });
    expect((await browser.get('/shop')).body).toEqual({ userId: 'ada', cart: 1 });
    expect(await acme.app.get(SessionService).list('eve')).toEqual([]);
    expect(await globex.app.get(SessionService).list('ada')).toEqual([]);
    expect(await globex.app.get(SessionService).endAll('ada')).toBe(0);
    expect((await browser.get('/shop')).body).toEqual({ userId: 'ada', cart: 1 });
    expect(await acme.app.get(SessionService).endAll('ada')).toBe(1);
    expect((await browser.get('/shop')).body).toEqual({});
  });
});
