import { Controller, HttpCode, Post } from '@nestjs/common';
import { Public, ReqSession, RequestSession, SessionService } from '../../../src/index.js';
import { AccountController } from '../../support/account.controller.js';
import { closeApps, PLATFORMS, startApp, type TestApp } from '../../support/app.js';
import type { Browser, Reply } from '../../support/browser.js';

const COOKIE = '__Host-session';
const REFRESH = '__Secure-refresh';

@Public()
@Controller('tokens')
class TokensController {
  @Post('refresh')
  @HttpCode(200)
  async refresh(@ReqSession() session: RequestSession): Promise<unknown> {
    return session.refresh();
  }
}

afterEach(closeApps);

describe.each(PLATFORMS)('cookies of no further use, on %s', (platform) => {
  let app: TestApp;
  const start = async (session: object = {}): Promise<void> => {
    app = await startApp({
      platform,
      session: {
        jwt: { issuer: 'i', audience: 'a', refreshCookie: { path: '/tokens/refresh' } },
        ...session,
      },
      controllers: [AccountController, TokensController],
    });
  };
  const signIn = async (browser = app.browser(), userId = 'ann') => {
    const reply = await browser.post('/login', { userId, transport: 'both' });
    expect(reply.status).toBe(200);
    return { browser, session: reply.body.session };
  };
  const copyOf = (browser: Browser): Browser => {
    const copy = app.browser();
    for (const [name, value] of browser.jar) copy.jar.set(name, value);
    return copy;
  };
  const cleared = (reply: Reply): string[] =>
    reply.setCookies.filter(({ value, maxAge }) => value === '' && maxAge === 0).map(({ name }) => name);

  it('the 401 of a reused session cookie clears it, and a later one of the same session as well', async () => {
    await start({ session: { rotationInterval: '1m' } });
    const { browser, session } = await signIn();
    const thief = copyOf(browser);
    const late = copyOf(browser);
    app.store.advance(61_000);
    await browser.get('/me');
    app.store.advance(31_000);
    // The successor is used.
    await browser.get('/me');
    const reused = await thief.get('/me');
    expect([reused.status, reused.body.code, cleared(reused)]).toEqual([401, 'session_revoked', [COOKIE]]);
    expect(await app.store.read(session.id)).toMatchObject({ state: 'ended', reason: 'reuse' });
    expect(cleared(await late.get('/me'))).toEqual([COOKIE]);
  });

  it('a reused refresh cookie is cleared', async () => {
    await start();
    const { browser, session } = await signIn();
    const thief = copyOf(browser);
    expect((await browser.post('/tokens/refresh')).status).toBe(200);
    app.store.advance(31_000);
    expect((await browser.post('/tokens/refresh')).status).toBe(200);
    app.store.advance(31_000);
    const reused = await thief.post('/tokens/refresh');
    expect([reused.status, reused.body.code, cleared(reused)]).toEqual([401, 'session_revoked', [REFRESH]]);
    expect(await app.store.read(session.id)).toMatchObject({ state: 'ended', reason: 'reuse' });
  });

  it('the refresh cookie of a session that is not live is cleared: signed out elsewhere, timed out, forgotten', async () => {
    await start();
    const ended = await signIn();
    await app.app.get(SessionService).end(ended.session.id);
    const afterEnd = await ended.browser.post('/tokens/refresh');
    expect([afterEnd.status, cleared(afterEnd)]).toEqual([401, [REFRESH]]);
    const idle = await signIn();
    app.store.advance(31 * 60_000);
    const afterIdle = await idle.browser.post('/tokens/refresh');
    expect([afterIdle.status, afterIdle.body.code, cleared(afterIdle)]).toEqual([401, 'session_expired', [REFRESH]]);
    const forgotten = await signIn();
    app.store.advance(400 * 86_400_000);
    await app.app.get(SessionService).sweep();
    const afterAll = await forgotten.browser.post('/tokens/refresh');
    expect([afterAll.status, cleared(afterAll)]).toEqual([401, [REFRESH]]);
  });

  it('no race that a newer cookie won clears it: a sign-in in another tab, a rotation, a step-up', async () => {
    await start({ session: { rotationInterval: '1m' } });
    const { browser } = await signIn();
    const late = copyOf(browser);
    await signIn(browser);
    for (const path of ['/me', '/tokens/refresh']) {
      const reply = path === '/me' ? await late.get(path) : await late.post(path);
      expect([path, reply.status, reply.setCookies]).toEqual([path, 401, []]);
    }
    const stale = copyOf(browser);
    await browser.post('/step-up');
    for (const path of ['/me', '/tokens/refresh']) {
      const reply = path === '/me' ? await stale.get(path) : await stale.post(path);
      expect([path, reply.status, reply.setCookies]).toEqual([path, 401, []]);
    }
    const slow = copyOf(browser);
    expect((await browser.post('/tokens/refresh')).status).toBe(200);
    const repeated = await slow.post('/tokens/refresh');
    expect([repeated.status, cleared(repeated)]).toEqual([200, []]);
    expect(slow.jar.get(REFRESH)).toBe(browser.jar.get(REFRESH));
  });

  it('a store that cannot be asked clears nothing', async () => {
    await start();
    const { browser } = await signIn();
    app.store.down = true;
    const reply = await browser.post('/tokens/refresh');
    expect([reply.status, reply.setCookies]).toEqual([503, []]);
  });
});
