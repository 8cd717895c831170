import fastifyCookie from '@fastify/cookie';
import { Authenticator } from '@fastify/passport';
import fastifySession, { type FastifySessionOptions } from '@fastify/session';
import fastify, { type FastifyInstance, type FastifyRequest, type preValidationHookHandler } from 'fastify';
import { Strategy } from 'passport-local';
import type { FrameworkStoreOptions } from '../../../src/frameworks/engine/framework-store-options.js';
import { SessionFastifyStore } from '../../../src/frameworks/fastify/index.js';
import { StoreUnavailableError } from '../../../src/model/errors.js';
import type { EndReason } from '../../../src/model/session.js';
import type { SessionStoreOptions } from '../../../src/options/store-options.js';
import type { StoreHarness } from '../../../src/store-contract/store-harness.js';
import {
  BACKENDS,
  closeBackends,
  openBackend,
  closedAfterTest,
  openExpressStore,
} from '../express/support/backends.js';
import { Gate } from '../express/support/site.js';
import { Browser } from '../../support/browser.js';

declare module 'fastify' {
  interface Session {
    [key: string]: unknown;
  }
}

const SECRET = 'a secret of at least 32 characters for these tests';
const MINUTE = 60_000;

const running: FastifyInstance[] = [];

afterEach(async () => {
  await Promise.all(running.splice(0).map((app) => app.close()));
  await closeBackends();
});

interface Site {
  readonly url: string;
  browser(): Browser;
}

function dataOf(request: FastifyRequest): unknown {
  const { cookie: _cookie, ...data } = JSON.parse(JSON.stringify(request.session)) as Record<string, unknown>;
  return data;
}

async function openSite(
  store: SessionFastifyStore,
  options: Partial<FastifySessionOptions> = {},
  routes?: (app: FastifyInstance) => unknown,
): Promise<Site> {
  const app = fastify();
  running.push(app);
  await app.register(fastifyCookie);
  await app.register(fastifySession, {
    secret: SECRET,
    cookieName: 'sid',
    saveUninitialized: false,
    cookie: { secure: false, maxAge: MINUTE },
    ...options,
    store,
  });
  app.get('/', async (request) => dataOf(request));
  app.post('/set', async (request) => {
    Object.assign(request.session, request.body);
    return dataOf(request);
  });
  app.post('/logout', async (request, reply) => {
    await request.session.destroy();
    return reply.code(204).send();
  });
  app.post('/regenerate', async (request) => {
    const before = request.session.sessionId;
    await request.session.regenerate(['keep']);
    return { isNew: request.session.sessionId !== before };
  });
  await routes?.(app);
  const url = await app.listen({ port: 0, host: '127.0.0.1' });
  return { url, browser: () => new Browser(url) };
}

describe.each(BACKENDS)('@fastify/session, on %s', (backend) => {
  let harness: StoreHarness;
  let store: SessionFastifyStore;

  const open = async (options: Partial<FrameworkStoreOptions> = {}, of: SessionStoreOptions = {}): Promise<void> => {
    harness = await openBackend(backend, of);
    store = closedAfterTest(new SessionFastifyStore({ ...options, store: harness.store }));
  };
  const sidOf = (browser: Browser): string => decodeURIComponent(browser.jar.get('sid') ?? '').split('.')[0] ?? '';

  beforeEach(() => open());

  it('keeps what was put in a session, and leaves no trace of its own in it', async () => {
    const browser = (await openSite(store)).browser();
    expect((await browser.get('/')).setCookies).toEqual([]);
    await browser.post('/set', { theme: 'dark', deep: { a: [1] } });
    expect((await browser.get('/')).body).toEqual({ theme: 'dark', deep: { a: [1] } });
    await browser.post('/set', { more: 1 });
    const [stored] = await openExpressStore({ store: harness.store }).all();
    expect(Object.keys(stored ?? {}).sort()).toEqual(['cookie', 'deep', 'id', 'more', 'theme']);
  });

  it('makes no record for an anonymous GET (ASVS 7.6.2)', async () => {
    await (await openSite(store)).browser().get('/');
    expect(await harness.store.count()).toBe(0);
  });

  it('answers callbacks, and promises where none is given', async () => {
    const session = { cookie: { originalMaxAge: MINUTE, expires: new Date(Date.now() + MINUTE) }, a: 1 };
    const [setError] = await new Promise<unknown[]>(
      (resolve) => void store.set('sid', session, (...args) => resolve(args)),
    );
    expect(setError).toBeNull();
    const [getError, got] = await new Promise<unknown[]>(
      (resolve) => void store.get('sid', (...args) => resolve(args)),
    );
    expect([getError, got]).toEqual([null, expect.objectContaining({ a: 1 })]);
    expect(await store.get('sid')).toMatchObject({ a: 1 });
    const [endError] = await new Promise<unknown[]>((resolve) => void store.destroy('sid', (...args) => resolve(args)));
    expect(endError).toBeNull();
    expect(await store.get('sid')).toBeUndefined();
    await expect(store.get('')).rejects.toMatchObject({ code: 'invalid_argument' });
    await expect(store.set('sid', 'text' as unknown as object)).rejects.toMatchObject({ code: 'invalid_argument' });
  });

  describe('the end of a session', () => {
    it('slides with each request (rolling)', async () => {
      const browser = (await openSite(store)).browser();
      await browser.post('/set', { a: 1 });
      for (let round = 0; round < 3; round += 1) {
        await harness.advance(40_000);
        const { body, setCookies } = await browser.get('/');
        expect(body).toEqual({ a: 1 });
        expect(setCookies).toHaveLength(1);
      }
      await harness.advance(MINUTE);
      expect((await browser.get('/')).body).toEqual({});
    });

    it('stays where it is without rolling', async () => {
      const browser = (await openSite(store, { rolling: false })).browser();
      await browser.post('/set', { a: 1 });
      await harness.advance(40_000);
      expect((await browser.get('/')).body).toEqual({ a: 1 });
      await harness.advance(20_000);
      expect((await browser.get('/')).body).toEqual({});
    });

    it('is a fixed one of the cookie', async () => {
      const browser = (
        await openSite(store, { cookie: { secure: false, expires: new Date(Date.now() + MINUTE) } })
      ).browser();
      await browser.post('/set', { a: 1 });
      await harness.advance(50_000);
      expect((await browser.get('/')).body).toEqual({ a: 1 });
      await harness.advance(10_000);
      expect(await store.get(sidOf(browser))).toBeUndefined();
    });

    it('is `ttl` where the cookie has none', async () => {
      await open({ ttl: 100 });
      const browser = (await openSite(store, { cookie: { secure: false } })).browser();
      await browser.post('/set', { a: 1 });
      await harness.advance(99_000);
      expect((await browser.get('/')).body).toEqual({ a: 1 });
      await harness.advance(100_000);
      expect((await browser.get('/')).body).toEqual({});
    });
  });

  describe('a session that ended stays ended', () => {
    it('while a slow request runs', async () => {
      const gate = new Gate();
      const site = await openSite(store, {}, (app) =>
        app.post('/slow', async (request) => {
          await gate.pass();
          request.session.set('late', true);
          return {};
        }),
      );
      const browser = site.browser();
      await browser.post('/set', { userId: 'ann' });
      const same = site.browser();
      same.jar.set('sid', browser.jar.get('sid') ?? '');
      const slow = same.post('/slow', {});
      await gate.reached;
      expect((await browser.post('/logout')).status).toBe(204);
      gate.open();
      expect((await slow).status).toBe(200);
      expect((await same.get('/')).body).toEqual({});
      expect(await harness.store.count()).toBe(0);
    });

    it('at regenerate, which takes over what it is told to (CVE-2024-31999)', async () => {
      const site = await openSite(store);
      const browser = site.browser();
      await browser.post('/set', { userId: 'ann', keep: 1, drop: 1 });
      const thief = site.browser();
      thief.jar.set('sid', browser.jar.get('sid') ?? '');
      expect((await browser.post('/regenerate')).body).toEqual({ isNew: true });
      expect((await browser.get('/')).body).toEqual({ keep: 1 });
      expect((await thief.get('/')).body).toEqual({});
      expect(await harness.store.count()).toBe(1);
    });

    it.each<EndReason>(['logout', 'admin', 'revoked', 'reuse', 'hijack'])(
      'at regenerate in a request during which its user was signed out everywhere (%s)',
      async (reason) => {
        const gate = new Gate();
        const site = await openSite(store, {}, (app) =>
          app.post('/replace', async (request) => {
            const userId = request.session.get('userId');
            await gate.pass();
            await request.session.regenerate();
            request.session.set('userId', userId);
            return {};
          }),
        );
        const browser = site.browser();
        await browser.post('/set', { userId: 'ann' });
        const running = browser.post('/replace', {});
        await gate.reached;
        expect(await harness.store.destroyAll('ann', { reason })).toBe(1);
        gate.open();
        expect((await running).status).toBe(401);
        expect(await harness.store.getActiveSessions('ann')).toEqual([]);
        expect((await browser.get('/')).body).toEqual({});
        // With the next request the user may sign in.
        expect((await browser.post('/replace', {})).status).toBe(200);
        await browser.post('/set', { userId: 'ann' });
        expect(await harness.store.getActiveSessions('ann')).toHaveLength(1);
      },
    );
  });

  it('keeps what two parallel requests changed in different keys', async () => {
    const gate = new Gate();
    const site = await openSite(store, {}, (app) =>
      app.post('/slow', async (request) => {
        await gate.pass();
        Object.assign(request.session, request.body);
        return {};
      }),
    );
    const browser = site.browser();
    await browser.post('/set', { a: 1, list: [1] });
    const slow = browser.post('/slow', { slow: true });
    await gate.reached;
    await browser.post('/set', { fast: true });
    gate.open();
    await slow;
    expect((await browser.get('/')).body).toEqual({ a: 1, list: [1], slow: true, fast: true });
  });

  it("stands among its user's sessions, counts toward the limit and ends with them", async () => {
    await open({}, { limit: { max: 2, onLimit: 'evict-oldest' } });
    const site = await openSite(store);
    const browsers = [site.browser(), site.browser(), site.browser()];
    for (const browser of browsers) {
      await harness.advance(10);
      await browser.request('/set', { method: 'POST', body: { userId: 'ann' }, headers: { 'user-agent': 'Firefox' } });
    }
    expect(await harness.store.getActiveSessions('ann')).toEqual([
      expect.objectContaining({ metadata: { ip: '127.0.0.1', userAgent: 'Firefox', device: 'Firefox' } }),
      expect.anything(),
    ]);
    expect((await browsers[0]?.get('/'))?.body).toEqual({});
    expect(await harness.store.destroyAll('ann')).toBe(2);
    for (const browser of browsers) expect((await browser.get('/')).body).toEqual({});
  });

  it('is 503 when the store cannot be asked, and 413 above the size limit', async () => {
    await open({}, { maxRecordBytes: 2_000 });
    const browser = (await openSite(store)).browser();
    await browser.post('/set', { a: 1 });
    expect((await browser.post('/set', { big: 'x'.repeat(3_000) })).status).toBe(413);
    const { read } = harness.store;
    harness.store.read = async () => {
      throw new StoreUnavailableError();
    };
    expect((await browser.get('/')).status).toBe(503);
    harness.store.read = read;
    expect((await browser.get('/')).body).toEqual({ a: 1 });
  });

  it('says so where a record is damaged, and goes on without it', async () => {
    const damages: unknown[] = [];
    store.on('damaged', (damage) => damages.push(damage));
    const browser = (await openSite(store)).browser();
    await browser.post('/set', { userId: 'ann' });
    const [listed] = await harness.store.getActiveSessions('ann');
    await harness.corrupt?.(listed?.id ?? '', 'not-json');
    expect((await browser.get('/')).body).toEqual({});
    expect(damages).toEqual([{ sessionId: listed?.id, detail: expect.any(String) }]);
  });

  it('shares its sessions with express-session', async () => {
    const express = openExpressStore({ store: harness.store });
    await express.set('shared', { cookie: { originalMaxAge: null }, a: 1 });
    expect(await store.get('shared')).toMatchObject({ a: 1 });
    expect(await express.length()).toBe(1);
  });

  describe("passport's own sessions", () => {
    const openPassportSite = async (): Promise<Site> =>
      openSite(store, {}, async (app) => {
        const local = new Authenticator();
        local.use(
          'local',
          new Strategy((name, password, done) => done(null, password === 'right' ? { id: name } : false)),
        );
        local.registerUserSerializer(async (user: { id: string }) => user.id);
        local.registerUserDeserializer(async (id: string) => ({ id }));
        await app.register(local.initialize());
        await app.register(local.secureSession());
        // Without failWithError it answers and goes on to the handler, where saving a session takes a while.
        const authenticate = local.authenticate('local', { failWithError: true }) as preValidationHookHandler;
        app.post('/login', { preValidation: authenticate }, async (request) => request.user);
        app.get('/me', async (request, reply) => (request.isAuthenticated() ? request.user : reply.code(401).send()));
        app.post('/sign-out', async (request, reply) => {
          await request.logout();
          return reply.code(204).send();
        });
      });

    it('sign in, recognise and sign out, with a new id each time', async () => {
      const site = await openPassportSite();
      const browser = site.browser();
      await browser.post('/set', { cart: ['a'] });
      const planted = site.browser();
      planted.jar.set('sid', browser.jar.get('sid') ?? '');
      expect((await browser.post('/login', { username: 'ann', password: 'wrong' })).status).toBe(401);
      expect((await browser.post('/login', { username: 'ann', password: 'right' })).status).toBe(200);
      expect((await browser.get('/me')).body).toEqual({ id: 'ann' });
      expect((await planted.get('/me')).status).toBe(401);
      expect(await harness.store.getActiveSessions('ann')).toHaveLength(1);
      const stolen = site.browser();
      stolen.jar.set('sid', browser.jar.get('sid') ?? '');
      expect((await stolen.get('/me')).status).toBe(200);
      expect((await browser.post('/sign-out')).status).toBe(204);
      expect((await browser.get('/me')).status).toBe(401);
      expect((await stolen.get('/me')).status).toBe(401);
      expect(await harness.store.getActiveSessions('ann')).toEqual([]);
    });

    it("end with the user's sessions", async () => {
      const browser = (await openPassportSite()).browser();
      await browser.post('/login', { username: 'ann', password: 'right' });
      expect(await harness.store.destroyAll('ann')).toBe(1);
      expect((await browser.get('/me')).status).toBe(401);
    });
  });
});
