import { Controller, Get, UseGuards } from '@nestjs/common';
import { CurrentSession, SessionGuard, SessionService, Transport, type Session } from '../../../src/index.js';
import { AccountController } from '../../support/account.controller.js';
import { closeApps, PLATFORMS, startApp, type AppOptions, type TestApp } from '../../support/app.js';
import { SecurityController } from '../../support/security.controller.js';

const jwt = { issuer: 'https://issuer.example', audience: 'https://api.example' };
const NAME = '__Secure-session';

@Controller()
@UseGuards(SessionGuard)
class CookieOnly {
  @Transport('cookie')
  @Get('by-cookie-alone')
  who(@CurrentSession() session: Session): unknown {
    return { userId: session.userId };
  }
}

afterEach(closeApps);

describe.each(PLATFORMS)('credentials that compete, on %s', (platform) => {
  let app: TestApp;
  const start = async (session: AppOptions['session'] = {}): Promise<void> => {
    app = await startApp({
      platform,
      controllers: [AccountController, SecurityController, CookieOnly],
      session: { cookie: { name: NAME }, ...session },
    });
  };
  const signIn = async (input: object = {}) => {
    const browser = app.browser();
    const { body } = await browser.post('/login', { userId: 'ann', ...input });
    return {
      browser,
      id: body.session?.id as string,
      value: browser.jar.get(NAME) ?? '',
      token: body.tokens?.accessToken as string,
    };
  };
  const ask = async (values: string[], headers: Record<string, string> = {}, path = '/me') => {
    const cookie = values.map((value) => `${NAME}=${value}`).join('; ');
    const { status, body } = await app.browser().get(path, { ...(cookie && { cookie }), ...headers });
    return status === 200 ? (body.user?.id ?? body.userId) : [status, body.code];
  };

  describe('twin cookies (RFC 6265, 8.6)', () => {
    it('identical ones count as one, and those that we did not sign as none', async () => {
      await start();
      const { value } = await signIn();
      app.store.forget();
      expect(await ask([value, value])).toBe('ann');
      expect(await ask(['old', value, '', 'st_x'])).toBe('ann');
      expect(app.store.commands).toEqual(['read', 'read']);
      expect(await ask(['old', 'older'])).toEqual([401, 'invalid_token']);
    });

    it('of different sessions the one that lives counts, in any order', async () => {
      await start();
      const [old, good] = [await signIn(), await signIn({ userId: 'bob' })];
      await app.app.get(SessionService).end(old.id);
      expect(await ask([old.value, good.value])).toBe('bob');
      expect(await ask([good.value, old.value])).toBe('bob');
      await app.app.get(SessionService).end(good.id);
      expect(await ask([old.value, good.value])).toEqual([401, 'session_ended']);
    });

    it('of one session the newest counts, with the secret that it has', async () => {
      await start({ session: { rotationInterval: '1m' } });
      const { browser, value: first } = await signIn();
      await browser.post('/regenerate');
      const second = browser.jar.get(NAME) ?? '';
      app.store.advance(61_000);
      await browser.get('/me');
      const third = browser.jar.get(NAME) ?? '';
      await browser.get('/me');
      app.store.advance(31_000);
      expect(new Set([first, second, third]).size).toBe(3);
      expect(await ask([first, second, third])).toBe('ann');
      expect(await ask([third, second, first])).toBe('ann');
    });

    it('two that live are 400 on guarded routes, never on sign-in and sign-out, after which all is well', async () => {
      await start();
      const [ann, bob] = [await signIn(), await signIn({ userId: 'bob' })];
      const cookie = `${NAME}=${ann.value}; ${NAME}=${bob.value}`;
      expect(await ask([ann.value, bob.value])).toEqual([400, 'invalid_request']);
      const again = await app.browser().post('/login', { userId: 'cem' }, { cookie });
      expect(again.status).toBe(200);
      const now = again.setCookies[0]?.value ?? '';
      expect(await ask([ann.value, now, bob.value])).toBe('cem');
      expect((await app.browser().post('/public-logout', undefined, { cookie })).status).toBe(200);
    });

    it('half a sign-in ends neither of two that live, and a whole one both', async () => {
      await start();
      const [ann, bob] = [await signIn(), await signIn({ userId: 'bob' })];
      const cookie = `${NAME}=${ann.value}; ${NAME}=${bob.value}`;
      const isLive = async ({ id }: { id: string }): Promise<boolean> => (await app.store.get(id)) !== null;
      for (const [pending, lives] of [
        [true, true],
        [false, false],
      ] as const) {
        expect((await app.browser().post('/login', { userId: 'cem', pending }, { cookie })).status).toBe(200);
        expect([await isLive(ann), await isLive(bob)]).toEqual([lives, lives]);
      }
    });

    it('of refresh cookies of one session the newest counts, in any order', async () => {
      await start({ jwt: { ...jwt, refreshCookie: { path: '/refresh' } } });
      const browser = app.browser();
      const tokens: string[] = [];
      const keep = (): number => tokens.push(browser.jar.get('__Secure-refresh') ?? '');
      await browser.post('/login', { userId: 'ann', transport: 'bearer' });
      keep();
      for (let rotation = 0; rotation < 2; rotation += 1) {
        app.store.advance(31_000);
        expect((await browser.post('/refresh', {})).status).toBe(200);
        keep();
      }
      expect(new Set(tokens).size).toBe(3);
      for (const order of [tokens, [...tokens].reverse()]) {
        app.store.advance(31_000);
        const cookie = order.map((token) => `__Secure-refresh=${token}`).join('; ');
        const reply = await app.browser().post('/refresh', {}, { cookie });
        expect([reply.status, reply.body.session?.userId]).toEqual([200, 'ann']);
        tokens.push(reply.setCookies[0]?.value ?? '');
      }
    });

    it('cookie.former clears the places where it stood, whenever it is set or cleared', async () => {
      await start({ cookie: { name: NAME, former: [{ path: '/app' }, { path: '/', domain: 'example.com' }] } });
      const browser = app.browser();
      const places = (reply: Awaited<ReturnType<typeof browser.post>>) =>
        reply.setCookies.map(({ path, domain, maxAge, value }) => [path, domain, maxAge, value !== '']);
      const former = [
        ['/app', undefined, 0, false],
        ['/', 'example.com', 0, false],
      ];
      const reply = await browser.post('/login', { userId: 'ann' });
      expect(places(reply)).toEqual([['/', undefined, undefined, true], ...former]);
      const cookie = `${NAME}=${reply.setCookies[0]?.value}`;
      const out = await app.browser().post('/logout', undefined, { cookie });
      expect(places(out)).toEqual([['/', undefined, 0, false], ...former]);
    });

    it.each([
      [
        { name: '__Host-session', former: [{ path: '/app' }] },
        'cookie.former[0]: a cookie named __Host-session has only',
      ],
      [{ name: 'a', former: [{}] }, 'cookie.former[0]: is where the cookie stands now'],
      [{ name: 'a', former: [{ path: 'app' }] }, 'cookie.former[0].path: must begin with "/"'],
      [{ name: 'a', former: '/app' }, 'cookie.former: must be a list of places'],
    ])('refuses %j', async (cookie, message) => {
      await expect(start({ cookie: cookie as never })).rejects.toThrow(message);
    });
  });

  describe('a bearer token beside a good cookie', () => {
    const foreign = { authorization: 'Bearer eyJhbGciOiJSUzI1NiIsImtpZCI6InByb3h5In0.eyJzdWIiOiJ4In0.c2ln' };

    it('that a proxy put there leaves the cookie to decide, with its check for other sites (ASVS 3.5.1)', async () => {
      await start({ jwt });
      const { browser, value } = await signIn();
      expect(await ask([value], foreign)).toBe('ann');
      expect((await browser.post('/note', { a: 1 }, foreign)).status).toBe(200);
      expect((await browser.post('/note', { a: 1 }, { ...foreign, 'sec-fetch-site': 'cross-site' })).status).toBe(403);
      expect(await ask([], foreign)).toEqual([401, 'invalid_token']);
      expect(await ask(['never ours'], foreign)).toEqual([401, 'invalid_token']);
    });

    it('is not ours where tokens are off, whatever is in it', async () => {
      await start();
      const { value } = await signIn();
      for (const authorization of ['Bearer a b', 'Bearer', foreign.authorization])
        expect(await ask([value], { authorization })).toBe('ann');
      expect(await ask([], foreign)).toEqual([401, 'invalid_token']);
    });

    it("stays 401 where it is our own and has expired, but for @Transport('cookie')", async () => {
      await start({ jwt });
      const { value, token } = await signIn({ transport: 'both' });
      app.store.advance(16 * 60_000);
      const own = { authorization: `Bearer ${token}` };
      expect(await ask([value], own)).toEqual([401, 'invalid_token']);
      expect(await ask([value], own, '/by-cookie-alone')).toBe('ann');
      expect(await ask([value], { authorization: 'Bearer a b' }, '/by-cookie-alone')).toBe('ann');
      expect(await ask([], own, '/by-cookie-alone')).toEqual([401, 'session_required']);
    });
  });
});
