import { All, Controller, HttpCode, UseGuards } from '@nestjs/common';
import { SessionGuard } from '../../src/index.js';
import { AccountController } from './support/account.controller.js';
import { closeApps, PLATFORMS, startApp, type TestApp } from './support/app.js';
import type { Browser } from './support/browser.js';

@Controller('thing')
@UseGuards(SessionGuard)
class ThingController {
  @All()
  @HttpCode(200)
  any(): unknown {
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
    'ASVS 3.5.1, 3.5.3: %s with the cookie is judged by Sec-Fetch-Site, before the store is asked',
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
});
