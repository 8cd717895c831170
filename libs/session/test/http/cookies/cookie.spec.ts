import { Controller, Get, Header, Post, Res, UseGuards } from '@nestjs/common';
import type { NextFunction, Request, Response } from 'express';
import type { ServerResponse } from 'node:http';
import { Public, ReqSession, SessionGuard, type RequestSession, type Session } from '../../../src/index.js';
import { AccountController } from '../../support/account.controller.js';
import { closeApps, PLATFORMS, startApp } from '../../support/app.js';
import type { Browser } from '../../support/browser.js';
import { CountingStore } from '../../support/counting-store.js';
import { secretOf } from '../../support/secrets.js';

interface Replying {
  header(name: string, value: string): void;
  /** Express alone: there, `header` replaces. */
  append?(name: string, value: string): void;
  /** Fastify alone. */
  raw?: ServerResponse;
}

@UseGuards(SessionGuard)
@Controller()
class CachedRoutes {
  @Header('Cache-Control', 'public, max-age=60')
  @Header('X-Other', 'kept')
  @Get('cached')
  cached(): unknown {
    return { ok: true };
  }

  @Post('cached-login')
  async login(
    @ReqSession() session: RequestSession,
    @Res({ passthrough: true }) reply: Replying & ServerResponse,
  ): Promise<unknown> {
    await session.start({ userId: 'ann' });
    reply.header('cache-control', 'public');
    return { ok: true };
  }
}

@Public()
@Controller()
class CookieWriters {
  @Post('two-cookies')
  async two(@ReqSession() session: RequestSession, @Res({ passthrough: true }) reply: Replying): Promise<unknown> {
    if (reply.append) reply.append('set-cookie', 'theme=dark; Path=/');
    else reply.header('set-cookie', 'theme=dark; Path=/');
    await session.start({ userId: 'first' });
    await session.start({ userId: 'second' });
    return { userId: (await session.current)?.userId };
  }

  @Post('in-and-out')
  async inAndOut(@ReqSession() session: RequestSession): Promise<unknown> {
    await session.start({ userId: 'brief' });
    const ended = await session.end();
    return { ended, current: await session.current };
  }

  @Get('late')
  async late(@ReqSession() session: RequestSession, @Res() reply: Replying & ServerResponse): Promise<void> {
    const raw = reply.raw ?? reply;
    raw.write('early ');
    const error: unknown = await session.start({ userId: 'late' }).catch((thrown: unknown) => thrown);
    raw.end((error as { code?: string }).code);
  }
}

afterEach(closeApps);

describe.each(PLATFORMS)('the session cookie on %s', (platform) => {
  const controllers = [AccountController, CookieWriters, CachedRoutes];

  it('ASVS 3.3.1 to 3.3.4: __Host- prefix, Secure, HttpOnly, SameSite=Lax, Path=/, no Domain', async () => {
    const app = await startApp({ platform, controllers });
    const reply = await app.browser().post('/login', { userId: 'ann' });
    expect(reply.status).toBe(200);
    expect(reply.headers.getSetCookie()).toEqual([
      expect.stringMatching(/^__Host-session=st_[\w~.-]+; Path=\/; HttpOnly; Secure; SameSite=Lax$/),
    ]);
  });

  it('takes name and attributes from the options, and is cleared with the very same ones (CVE-2024-31999)', async () => {
    const cookie = { name: 'sid', domain: 'example.com', path: '/app', sameSite: 'none', partitioned: true } as const;
    const app = await startApp({ platform, controllers, session: { cookie } });
    const browser = app.browser();
    const [set] = (await browser.post('/login', { userId: 'ann' })).setCookies;
    const reply = await browser.post('/logout');
    const [cleared] = reply.setCookies;
    expect(reply.body).toEqual({ ended: true });
    expect(set).toEqual({ name: 'sid', value: expect.stringMatching(/^st_/), ...attributes() });
    expect(cleared).toEqual({ name: 'sid', value: '', ...attributes(), maxAge: 0, expires: new Date(0) });
    expect(browser.jar.size).toBe(0);

    function attributes() {
      return { domain: 'example.com', path: '/app', httpOnly: true, secure: true, sameSite: 'none', partitioned: true };
    }
  });

  it('is named __Secure-session where it has a domain, and travels over http where told so', async () => {
    const withDomain = await startApp({ platform, controllers, session: { cookie: { domain: 'example.com' } } });
    const plain = await startApp({ platform, controllers, session: { cookie: { name: 'session', secure: false } } });
    expect((await withDomain.browser().post('/login', { userId: 'ann' })).setCookies[0]).toMatchObject({
      name: '__Secure-session',
      domain: 'example.com',
      secure: true,
    });
    const [cookie] = (await plain.browser().post('/login', { userId: 'ann' })).setCookies;
    expect(cookie).toMatchObject({ name: 'session', httpOnly: true });
    expect(cookie?.secure).toBeUndefined();
  });

  it('goes with the browser, unless the user asked to be remembered', async () => {
    const app = await startApp({ platform, controllers });
    const [brief] = (await app.browser().post('/login', { userId: 'ann' })).setCookies;
    const browser = app.browser();
    const reply = await browser.post('/login', { userId: 'ann', rememberMe: true });
    const [lasting] = reply.setCookies;
    expect(brief).not.toHaveProperty('maxAge');
    expect(brief).not.toHaveProperty('expires');
    expect(lasting?.maxAge).toBe(30 * 24 * 60 * 60);
    expect(Math.abs((lasting?.expires?.getTime() ?? 0) - reply.body.session.expiresAt)).toBeLessThan(1000);
    expect(reply.body.session.idleTimeout).toBe(14 * 24 * 60 * 60_000);

    app.store.advance(24 * 60 * 60_000);
    const [regenerated] = (await browser.post('/regenerate')).setCookies;
    expect(regenerated?.maxAge).toBe(29 * 24 * 60 * 60);
  });

  it('lasts because the user asked for it, not because of timeouts: equal ones, or other ones after a deployment', async () => {
    const session = { preset: 'aal1', secrets: secretOf('remember'), session: { rotationInterval: '1h' } } as const;
    const before = await startApp({ platform, controllers, session: { ...session, store: new CountingStore() } });
    const [remembered, brief] = [before.browser(), before.browser()];
    expect((await remembered.post('/login', { userId: 'ann', rememberMe: true })).setCookies[0]?.maxAge).toBe(
      30 * 24 * 60 * 60,
    );
    expect((await brief.post('/login', { userId: 'ann' })).setCookies[0]).not.toHaveProperty('maxAge');

    const other = {
      idleTimeout: '3d',
      absoluteTimeout: '9d',
      rememberMe: { idleTimeout: '2d', absoluteTimeout: '4d' },
    } as const;
    const after = await startApp({
      platform,
      controllers,
      session: { store: before.store, secrets: session.secrets, session: { ...session.session, ...other } },
    });
    before.store.advance(61 * 60_000);
    const rotated = async (old: Browser) => {
      const browser = after.browser();
      for (const [name, value] of old.jar) browser.jar.set(name, value);
      return (await browser.get('/me')).setCookies;
    };
    expect(await rotated(remembered)).toEqual([expect.objectContaining({ maxAge: 30 * 24 * 60 * 60 - 61 * 60 })]);
    expect(await rotated(brief)).toEqual([expect.not.objectContaining({ maxAge: expect.anything() })]);
  });

  it('lasts 400 days at most, as browsers have it (RFC 6265bis, 5.5)', async () => {
    const rememberMe = { idleTimeout: '2y', absoluteTimeout: '2y' } as const;
    const app = await startApp({ platform, controllers, session: { session: { rememberMe } } });
    const reply = await app.browser().post('/login', { userId: 'ann', rememberMe: true });
    const [cookie] = reply.setCookies;
    const { createdAt, expiresAt } = reply.body.session as Session;
    expect(cookie?.maxAge).toBe(400 * 24 * 60 * 60);
    expect(Math.abs((cookie?.expires?.getTime() ?? 0) - createdAt - 400 * 24 * 60 * 60_000)).toBeLessThan(1000);
    expect(expiresAt - createdAt).toBeGreaterThan(700 * 24 * 60 * 60_000);
  });

  it('never lasts longer than the session, whose end the sign-in may cap', async () => {
    const app = await startApp({ platform, controllers });
    const expiresAt = app.store.now() + 60_000;
    const reply = await app.browser().post('/login', { userId: 'ann', rememberMe: true, expiresAt });
    expect(reply.body.session.expiresAt).toBe(expiresAt);
    expect(reply.setCookies[0]?.maxAge).toBe(60);
  });

  it('ASVS 3.3.4, 14.2.1: the token stands in Set-Cookie and nowhere else', async () => {
    const app = await startApp({ platform, controllers });
    const browser = app.browser();
    const reply = await browser.post('/login', { userId: 'ann' });
    const token = reply.setCookies[0]?.value ?? '';
    const secret = token.split('.')[1] ?? '';
    expect(secret).toHaveLength(32);
    const seen = [
      reply,
      await browser.get('/me'),
      await browser.get('/session'),
      await browser.post('/note', { a: 1 }),
    ];
    for (const { text, headers } of seen) {
      const others = [...headers].filter(([name]) => name !== 'set-cookie').flat();
      expect([text, ...others].join('\n')).not.toContain(secret);
    }
    expect((await app.browser().get(`/me?session=${token}&access_token=${token}&__Host-session=${token}`)).status).toBe(
      401,
    );
  });

  it('CVE-2025-64762, ASVS 14.3.2: whatever sets or clears it is kept by no cache', async () => {
    const app = await startApp({ platform, controllers });
    const browser = app.browser();
    const replies = [
      await browser.post('/login', { userId: 'ann' }),
      await browser.post('/regenerate'),
      await browser.post('/step-up'),
      await browser.post('/logout'),
    ];
    for (const { status, setCookies, headers } of replies) {
      expect([status, setCookies.length, headers.get('cache-control')]).toEqual([200, 1, 'no-store']);
    }
    expect((await browser.get('/public')).headers.get('cache-control')).toBeNull();
  });

  it('CVE-2025-64762: a route that may be cached is not, where the cookie rotates on it', async () => {
    const app = await startApp({ platform, controllers, session: { session: { rotationInterval: '1h' } } });
    const browser = app.browser();
    await browser.post('/login', { userId: 'ann', rememberMe: true });
    const ask = async () => {
      const { setCookies, headers, body } = await browser.get('/cached');
      return [setCookies.length, headers.get('cache-control'), headers.get('x-other'), body];
    };
    expect(await ask()).toEqual([0, 'public, max-age=60', 'kept', { ok: true }]);
    app.store.advance(61 * 60_000);
    expect(await ask()).toEqual([1, 'no-store', 'kept', { ok: true }]);
    expect(await ask()).toEqual([0, 'public, max-age=60', 'kept', { ok: true }]);
    const reply = await browser.post('/cached-login');
    expect([reply.status, reply.headers.get('cache-control'), reply.setCookies.length]).toEqual([201, 'no-store', 1]);
  });

  it('CVE-2025-7339: stands beside cookies that others set, and only once', async () => {
    const app = await startApp({
      platform,
      controllers,
      configure: (nest) =>
        nest.use((_: Request, response: Response, next: NextFunction) => {
          response.setHeader('set-cookie', ['first=1', 'second=2']);
          next();
        }),
    });
    const reply = await app.browser().post('/two-cookies');
    expect(reply.body).toEqual({ userId: 'second' });
    expect(reply.setCookies.map(({ name }) => name).sort()).toEqual(['__Host-session', 'first', 'second', 'theme']);
  });

  it('is cleared when one request signs in and out, and nobody stays signed in', async () => {
    const app = await startApp({ platform, controllers });
    const browser = app.browser();
    const reply = await browser.post('/in-and-out');
    expect(reply.body).toEqual({ ended: true, current: null });
    expect(reply.setCookies).toEqual([expect.objectContaining({ name: '__Host-session', value: '', maxAge: 0 })]);
    expect(await app.store.count()).toBe(0);
  });

  it('the second of two sign-ins in one request ends the first', async () => {
    const app = await startApp({ platform, controllers });
    await app.browser().post('/two-cookies');
    expect(await app.store.getActiveSessions('first')).toEqual([]);
    expect(await app.store.getActiveSessions('second')).toHaveLength(1);
  });

  it('a sign-in after the response began fails with a clear code and leaves no session', async () => {
    const app = await startApp({ platform, controllers });
    const reply = await app.browser().get('/late');
    expect(reply.text).toBe('early headers_sent');
    expect(await app.store.count()).toBe(0);
  });
});
