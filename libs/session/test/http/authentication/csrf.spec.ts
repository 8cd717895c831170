import { All, Controller, HttpCode, Post, UseGuards } from '@nestjs/common';
import { AllowCrossSite, Public, ReqSession, SessionGuard, type RequestSession } from '../../../src/index.js';
import { AccountController } from '../../support/account.controller.js';
import { closeApps, PLATFORMS, startApp, type TestApp } from '../../support/app.js';
import type { Browser } from '../../support/browser.js';

@Controller('thing')
@UseGuards(SessionGuard)
class ThingController {
  @All()
  @HttpCode(200)
  any(): unknown {
    return { ok: true };
  }
}

@Controller('callback')
@UseGuards(SessionGuard)
class CallbackController {
  @AllowCrossSite('https://login.example', 'null')
  @Post()
  @HttpCode(200)
  callback(): unknown {
    return { ok: true };
  }

  @Public()
  @AllowCrossSite('https://login.example')
  @Post('start')
  @HttpCode(200)
  async start(@ReqSession() session: RequestSession): Promise<unknown> {
    return session.start({ userId: 'ann' });
  }

  @Post('other')
  other(): unknown {
    return { ok: true };
  }
}

const controllers = [AccountController, ThingController];
const REFUSED = [403, 'csrf_rejected'];

afterEach(closeApps);

async function signIn(app: TestApp): Promise<Browser> {
  const browser = app.browser();
  await browser.post('/login', { userId: 'ann' });
  app.store.forget();
  return browser;
}

describe.each(PLATFORMS)('requests from other sites on %s', (platform) => {
  const ask = async (browser: Browser, method: string, headers: Record<string, string>) => {
    const reply = await browser.request('/thing', { method, headers });
    return [reply.status, reply.body?.code];
  };

  it.each(['POST', 'PUT', 'PATCH', 'DELETE'])(
    'ASVS 3.5.1, 3.5.3: %s with the cookie is evaluated by Sec-Fetch-Site, before the store is asked',
    async (method) => {
      const app = await startApp({ platform, controllers });
      const browser = await signIn(app);
      for (const site of ['cross-site', 'same-site', 'nonsense', '']) {
        expect([site, ...(await ask(browser, method, { 'sec-fetch-site': site }))]).toEqual([site, ...REFUSED]);
      }
      expect(app.store.commands).toEqual([]);
      for (const site of ['same-origin', 'none']) {
        expect(await ask(browser, method, { 'sec-fetch-site': site })).toEqual([200, undefined]);
      }
    },
  );

  it.each(['GET', 'HEAD', 'OPTIONS'])(
    'ASVS 3.5.3: %s changes nothing, so it may come from anywhere',
    async (method) => {
      const app = await startApp({ platform, controllers });
      const browser = await signIn(app);
      expect((await ask(browser, method, { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' }))[0]).toBe(
        200,
      );
      expect(app.store.commands).toEqual(['read']);
    },
  );

  it('without Sec-Fetch-Site the Origin must be our own', async () => {
    const app = await startApp({ platform, controllers });
    const browser = await signIn(app);
    const { host, port } = new URL(app.url);
    for (const origin of [
      'null',
      'https://evil.example',
      `http://${host}.evil.example`,
      'http://127.0.0.1',
      `http://127.0.0.2:${port}`,
      'nonsense',
      `ftp://${host}`,
      'file://',
      '',
    ]) {
      expect([origin, ...(await ask(browser, 'POST', { origin }))]).toEqual([origin, ...REFUSED]);
    }
    expect(app.store.commands).toEqual([]);
    for (const origin of [`http://${host}`, `https://${host}`]) {
      expect(await ask(browser, 'POST', { origin })).toEqual([200, undefined]);
    }
  });

  it('a request with neither header comes from no browser and passes', async () => {
    const app = await startApp({ platform, controllers });
    expect(await ask(await signIn(app), 'POST', {})).toEqual([200, undefined]);
  });

  it('Sec-Fetch-Site counts before Origin', async () => {
    const app = await startApp({ platform, controllers });
    const browser = await signIn(app);
    const headers = { 'sec-fetch-site': 'cross-site', origin: app.url };
    expect(await ask(browser, 'POST', headers)).toEqual(REFUSED);
  });

  it('a trusted origin passes, and only that one', async () => {
    const csrf = { trustedOrigins: ['https://app.example.com'] };
    const app = await startApp({ platform, controllers, session: { security: { csrf } } });
    const browser = await signIn(app);
    const from = (origin: string) => ask(browser, 'POST', { 'sec-fetch-site': 'same-site', origin });
    expect(await from('https://app.example.com')).toEqual([200, undefined]);
    for (const origin of ['https://app.example.com.evil', 'http://app.example.com', 'https://example.com', 'null']) {
      expect(await from(origin)).toEqual(REFUSED);
    }
  });

  it('behind a trusted proxy the host is the one it names; a header alone decides nothing', async () => {
    const forwarded = { 'x-forwarded-host': 'shop.example.com', 'x-forwarded-proto': 'https' };
    const trusting = await startApp({ platform, controllers, trustProxy: true });
    const naive = await startApp({ platform, controllers });
    const [first, second] = [await signIn(trusting), await signIn(naive)];
    const origin = 'https://shop.example.com';
    expect(await ask(first, 'POST', { ...forwarded, origin })).toEqual([200, undefined]);
    expect(await ask(first, 'POST', { ...forwarded, origin: 'https://shop.example.com:443' })).toEqual([
      200,
      undefined,
    ]);
    expect(await ask(first, 'POST', { ...forwarded, origin: 'http://shop.example.com' })).toEqual(REFUSED);
    expect(await ask(second, 'POST', { ...forwarded, origin })).toEqual(REFUSED);
  });

  it('can be switched off', async () => {
    const app = await startApp({ platform, controllers, session: { security: { csrf: false } } });
    expect(await ask(await signIn(app), 'POST', { 'sec-fetch-site': 'cross-site' })).toEqual([200, undefined]);
  });

  it('ASVS 3.5.1: another site can sign nobody in or out (login CSRF)', async () => {
    const app = await startApp({ platform, controllers });
    const browser = await signIn(app);
    const evil = { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' };
    const login = await browser.post('/login', { userId: 'mallory' }, evil);
    expect([login.status, login.body.code, login.setCookies]).toEqual([...REFUSED, []]);
    const logout = await browser.post('/public-logout', undefined, evil);
    expect([logout.status, logout.body.code, logout.setCookies]).toEqual([...REFUSED, []]);
    expect(app.store.commands).toEqual([]);
    expect((await browser.get('/me')).body.user.id).toBe('ann');
  });

  it('a cookie that another site sent to a public route tells of nobody', async () => {
    const app = await startApp({ platform, controllers });
    const browser = await signIn(app);
    const reply = await browser.get('/optional', { 'sec-fetch-site': 'cross-site' });
    expect(reply.body.user.id).toBe('ann');
  });

  it('without a cookie there is nothing to abuse', async () => {
    const app = await startApp({ platform, controllers });
    expect(await ask(app.browser(), 'POST', { 'sec-fetch-site': 'cross-site' })).toEqual([401, 'session_required']);
  });

  it('trusts the origins of applications, and of all subdomains where told so', async () => {
    const trustedOrigins = ['capacitor://localhost', 'chrome-extension://abcdefghijklmnop', 'https://*.example.com'];
    const app = await startApp({ platform, controllers, session: { security: { csrf: { trustedOrigins } } } });
    const browser = await signIn(app);
    const from = (origin: string) => ask(browser, 'POST', { 'sec-fetch-site': 'cross-site', origin });
    for (const origin of [...trustedOrigins.slice(0, 2), 'https://a.example.com', 'https://a.b.example.com'])
      expect([origin, ...(await from(origin))]).toEqual([origin, 200, undefined]);
    for (const origin of [
      'https://example.com',
      'https://evilexample.com',
      'http://a.example.com',
      'https://a.example.com:8443',
      'https://a.example.com.evil.example',
      'https://evil.example/.example.com',
      'https://.example.com',
      'https://x@y.example.com',
      'capacitor://other',
      'null',
    ])
      expect([origin, ...(await from(origin))]).toEqual([origin, ...REFUSED]);
  });

  it('a route may accept single origins, and nothing wider: a provider that posts its answer', async () => {
    const app = await startApp({ platform, controllers: [...controllers, CallbackController] });
    const browser = await signIn(app);
    const post = async (path: string, origin: string) => {
      const { status, body } = await browser.post(path, {}, { origin, 'sec-fetch-site': 'cross-site' });
      return [status, body.code];
    };
    expect(await post('/callback', 'https://login.example')).toEqual([200, undefined]);
    expect(await post('/callback', 'null')).toEqual([200, undefined]);
    expect(await post('/callback/start', 'https://login.example')).toEqual([200, undefined]);
    expect(await post('/callback', 'https://evil.example')).toEqual(REFUSED);
    expect(await post('/callback/other', 'https://login.example')).toEqual(REFUSED);
    expect(await post('/callback/other', 'null')).toEqual(REFUSED);
    for (const wrong of [['*'], ['https://*.example.com'], ['login.example'], []])
      expect(() => AllowCrossSite(...(wrong as [string]))).toThrow('AllowCrossSite: ');
  });

  it('a sign-in that sets no cookie may come from any site, and leaves the cookies of the browser alone', async () => {
    const jwt = { issuer: 'https://issuer.example', audience: 'https://api.example' };
    const app = await startApp({ platform, controllers, session: { jwt, device: { cookie: true } } });
    const browser = await signIn(app);
    const cross = { 'sec-fetch-site': 'cross-site', origin: 'https://spa.example' };
    const reply = await browser.post('/login', { userId: 'eve', transport: 'bearer' }, cross);
    expect([reply.status, reply.setCookies, typeof reply.body.tokens.accessToken]).toEqual([200, [], 'string']);
    expect((await browser.get('/me')).body.user.id).toBe('ann');
    for (const transport of ['cookie', 'both'])
      expect((await browser.post('/login', { userId: 'eve', transport }, cross)).status).toBe(403);
    const withCookie = await startApp({
      platform,
      controllers,
      session: { jwt: { ...jwt, refreshCookie: { path: '/auth' } } },
    });
    const refused = await withCookie.browser().post('/login', { userId: 'eve', transport: 'bearer' }, cross);
    expect([refused.status, refused.body.code]).toEqual(REFUSED);
  });
});
