import type { Express } from 'express';
import type { SessionExpressStore } from '../../../src/frameworks/express/index.js';
import type { StoreHarness } from '../../../src/store-contract/store-harness.js';
import { BACKENDS, closeBackends, openBackend, openExpressStore } from './support/backends.js';
import { closeSites, dataOf, openSite } from './support/site.js';

const MINUTE = 60_000;

afterEach(async () => {
  await closeSites();
  await closeBackends();
});

describe.each(BACKENDS)('express-session on sockets, on %s', (backend) => {
  let harness: StoreHarness;
  let store: SessionExpressStore;

  beforeEach(async () => {
    harness = await openBackend(backend);
    store = openExpressStore({ store: harness.store });
  });

  it('keeps what was put in a session', async () => {
    const browser = (await openSite({ store })).browser();
    expect((await browser.get('/')).setCookies).toEqual([]);
    const { setCookies } = await browser.post('/set', { theme: 'dark' });
    expect(setCookies).toEqual([expect.objectContaining({ name: 'connect.sid', httpOnly: true, path: '/' })]);
    expect((await browser.get('/')).body).toEqual({ theme: 'dark' });
    expect((await browser.get('/')).setCookies).toEqual([]);
  });

  it('makes no record for an anonymous GET (ASVS 7.6.2)', async () => {
    const browser = (await openSite({ store })).browser();
    await browser.get('/');
    expect(await store.length()).toBe(0);
    expect(await harness.store.count()).toBe(0);
  });

  it('never adopts an id that a client made up', async () => {
    const site = await openSite({ store });
    const browser = site.browser();
    await browser.post('/set', { a: 1 });
    const [id = ''] = await store.ids();
    for (const forged of ['s:made-up.signature', 'made-up', `s:${id}.x`, id]) {
      const stranger = site.browser();
      stranger.jar.set('connect.sid', forged);
      expect((await stranger.get('/')).body).toEqual({});
    }
  });

  describe('saveUninitialized', () => {
    it('saves new sessions in which nothing was put', async () => {
      const browser = (await openSite({ store, session: { saveUninitialized: true } })).browser();
      expect((await browser.get('/')).setCookies).toHaveLength(1);
      expect(await store.length()).toBe(1);
      expect((await browser.get('/')).setCookies).toEqual([]);
      expect(await store.length()).toBe(1);
    });
  });

  describe('resave', () => {
    it.each([
      [false, 0],
      [true, 1],
    ])('%p saves an unchanged session %i times', async (resave, times) => {
      const browser = (await openSite({ store, session: { resave } })).browser();
      await browser.post('/set', { a: 1 });
      let saves = 0;
      const set = store.set.bind(store) as (...args: unknown[]) => unknown;
      store.set = ((...args: unknown[]) => {
        saves += 1;
        return set(...args);
      }) as typeof store.set;
      await browser.get('/');
      expect(saves).toBe(times);
      expect((await browser.get('/')).body).toEqual({ a: 1 });
    });
  });

  describe('rolling', () => {
    it('sets the cookie at each response, and the session lives as long as it is used', async () => {
      const browser = (await openSite({ store, session: { rolling: true, cookie: { maxAge: MINUTE } } })).browser();
      await browser.post('/set', { a: 1 });
      for (let round = 0; round < 3; round += 1) {
        await harness.advance(40_000);
        const { setCookies, body } = await browser.get('/');
        expect(body).toEqual({ a: 1 });
        expect((setCookies[0]?.expires?.getTime() ?? 0) - Date.now()).toBeGreaterThan(58_000);
      }
      await harness.advance(MINUTE);
      expect((await browser.get('/')).body).toEqual({});
    });

    it('off: sets the cookie once, and accesses still lengthen the session', async () => {
      const browser = (await openSite({ store, session: { rolling: false, cookie: { maxAge: MINUTE } } })).browser();
      await browser.post('/set', { a: 1 });
      await harness.advance(40_000);
      expect((await browser.get('/')).setCookies).toEqual([]);
      await harness.advance(40_000);
      expect((await browser.get('/')).body).toEqual({ a: 1 });
    });

    it('does not lengthen a session with disableTouch', async () => {
      store = openExpressStore({ store: harness.store, disableTouch: true });
      const browser = (await openSite({ store, session: { rolling: true, cookie: { maxAge: MINUTE } } })).browser();
      await browser.post('/set', { a: 1 });
      await harness.advance(40_000);
      await browser.get('/');
      await harness.advance(20_000);
      expect((await browser.get('/')).body).toEqual({});
    });
  });

  describe('unset', () => {
    it.each([
      ['keep', { a: 1 }, 1],
      ['destroy', {}, 0],
    ] as const)('%s leaves %p', async (unset, left, count) => {
      const site = await openSite({
        store,
        session: { unset },
        routes: (app) =>
          app.post('/unset', (request, response) => {
            (request as { session: unknown }).session = null;
            response.sendStatus(204);
          }),
      });
      const browser = site.browser();
      await browser.post('/set', { a: 1 });
      await browser.post('/unset');
      expect((await browser.get('/')).body).toEqual(left);
      expect(await store.length()).toBe(count);
    });
  });

  describe('destroy', () => {
    it('ends the session on every instance (ASVS 7.4.1)', async () => {
      const second = openExpressStore({ store: (await harness.openSecond?.()) ?? harness.store });
      const [here, there] = [await openSite({ store }), await openSite({ store: second })];
      const browser = here.browser();
      await browser.post('/set', { a: 1 });
      const elsewhere = there.browser();
      elsewhere.jar.set('connect.sid', browser.jar.get('connect.sid') ?? '');
      expect((await elsewhere.get('/')).body).toEqual({ a: 1 });
      expect((await browser.post('/logout')).status).toBe(204);
      expect((await elsewhere.get('/')).body).toEqual({});
      expect(await store.length()).toBe(0);
    });
  });

  describe('regenerate', () => {
    const routes = (app: Express): unknown =>
      app.post('/regenerate', (request, response, next) => {
        const before = request.sessionID;
        request.session.regenerate((error) => {
          if (error) return next(error);
          request.session['from'] = 'regenerate';
          response.json({ before, after: request.sessionID, data: dataOf(request) });
        });
      });

    it('gives a new id, ends the old one and takes nothing over (CVE-2022-25896)', async () => {
      const site = await openSite({ store, routes });
      const browser = site.browser();
      await browser.post('/set', { a: 1 });
      const thief = site.browser();
      thief.jar.set('connect.sid', browser.jar.get('connect.sid') ?? '');
      const { body } = await browser.post('/regenerate');
      expect(body.after).not.toBe(body.before);
      expect(body.data).toEqual({ from: 'regenerate' });
      expect((await browser.get('/')).body).toEqual({ from: 'regenerate' });
      expect((await thief.get('/')).body).toEqual({});
      expect(await store.length()).toBe(1);
    });

    it('returns a promise where no callback is given', async () => {
      const site = await openSite({
        store,
        routes: (app) =>
          app.post('/again', async (request, response) => {
            const before = request.sessionID;
            await store.regenerate(request);
            response.json({ isNew: request.sessionID !== before });
          }),
      });
      const browser = site.browser();
      await browser.post('/set', { a: 1 });
      expect((await browser.post('/again')).body).toEqual({ isNew: true });
    });
  });

  describe('reload', () => {
    it('reads what another request saved meanwhile, and can be saved then', async () => {
      const site = await openSite({
        store,
        routes: (app) =>
          app.post('/reload', (request, response, next) => {
            request.session['lost'] = true;
            const other = site.browser();
            other.jar.set('connect.sid', request.headers.cookie?.split('=')[1] ?? '');
            other.post('/set', { b: 2 }).then(
              () =>
                request.session.reload((error) => {
                  if (error) return next(error);
                  request.session['c'] = 3;
                  response.json(dataOf(request));
                }),
              next,
            );
          }),
      });
      const browser = site.browser();
      await browser.post('/set', { a: 1 });
      expect((await browser.post('/reload')).body).toEqual({ a: 1, b: 2, c: 3 });
      expect((await browser.get('/')).body).toEqual({ a: 1, b: 2, c: 3 });
    });

    it('fails where the session has ended', async () => {
      const site = await openSite({
        store,
        routes: (app) =>
          app.post('/reload', (request, response, next) => {
            store.destroy(request.sessionID, () =>
              request.session.reload((error) => (error ? next(error) : response.json({}))),
            );
          }),
      });
      const browser = site.browser();
      await browser.post('/set', { a: 1 });
      expect((await browser.post('/reload')).status).toBe(500);
      expect(site.errors).toEqual([expect.objectContaining({ message: 'failed to load session' })]);
    });
  });

  describe('the cookie', () => {
    const routes = (app: Express): void => {
      app.post('/remember', (request, response) => {
        request.session.cookie.maxAge = 30 * 24 * 60 * MINUTE;
        response.json(dataOf(request));
      });
      app.post('/until', (request, response) => {
        request.session.cookie.expires = new Date(Date.now() + 5 * MINUTE);
        request.session['until'] = true;
        response.sendStatus(204);
      });
      app.post('/over', (request, response) => {
        request.session.cookie.maxAge = -1;
        response.sendStatus(204);
      });
      app.post('/browser', (request, response) => {
        request.session.cookie.expires = null;
        request.session['browser'] = true;
        response.sendStatus(204);
      });
    };

    it('may be given a longer maxAge alone, without any change of data', async () => {
      const browser = (await openSite({ store, routes, session: { cookie: { maxAge: MINUTE } } })).browser();
      await browser.post('/set', { a: 1 });
      await browser.post('/remember');
      await harness.advance(29 * 24 * 60 * MINUTE);
      expect((await browser.get('/')).body).toEqual({ a: 1 });
      await harness.advance(29 * 24 * 60 * MINUTE);
      expect((await browser.get('/')).body).toEqual({ a: 1 });
      await harness.advance(30 * 24 * 60 * MINUTE);
      expect((await browser.get('/')).body).toEqual({});
    });

    it('may be given an end', async () => {
      const browser = (await openSite({ store, routes, session: { cookie: { maxAge: MINUTE } } })).browser();
      await browser.post('/until');
      await harness.advance(4 * MINUTE);
      expect((await browser.get('/')).body).toEqual({ until: true });
      await harness.advance(5 * MINUTE);
      expect((await browser.get('/')).body).toEqual({});
    });

    it('ends the session with a negative maxAge', async () => {
      const browser = (await openSite({ store, routes, session: { cookie: { maxAge: MINUTE } } })).browser();
      await browser.post('/set', { a: 1 });
      await browser.post('/over');
      expect((await browser.get('/')).body).toEqual({});
      expect(await store.length()).toBe(0);
    });

    it('may have no end: the session then has `ttl`, sliding', async () => {
      const browser = (await openSite({ store, routes, session: { cookie: {} } })).browser();
      const { setCookies } = await browser.post('/set', { a: 1 });
      expect(setCookies[0]?.expires).toBeUndefined();
      await harness.advance(23 * 60 * MINUTE);
      expect((await browser.get('/')).body).toEqual({ a: 1 });
      await harness.advance(23 * 60 * MINUTE);
      expect((await browser.get('/')).body).toEqual({ a: 1 });
      await harness.advance(24 * 60 * MINUTE);
      expect((await browser.get('/')).body).toEqual({});
    });

    it('may lose its end', async () => {
      const browser = (await openSite({ store, routes, session: { cookie: { maxAge: MINUTE } } })).browser();
      await browser.post('/browser');
      await harness.advance(60 * MINUTE);
      expect((await browser.get('/')).body).toEqual({ browser: true });
    });
  });

  it('works with an id generator of the application', async () => {
    let n = 0;
    const browser = (await openSite({ store, session: { genid: () => `order/${(n += 1)}:*{}?` } })).browser();
    await browser.post('/set', { a: 1 });
    expect((await browser.get('/')).body).toEqual({ a: 1 });
  });
});
