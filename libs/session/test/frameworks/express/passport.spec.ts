import express, { type Express } from 'express';
import passport from 'passport';
import { Strategy } from 'passport-local';
import type { SessionExpressStore } from '../../../src/frameworks/express/index.js';
import type { StoreHarness } from '../../../src/store-contract/store-harness.js';
import { BACKENDS, closeBackends, openBackend, openExpressStore } from './support/backends.js';
import { closeSites, openSite, type Site } from './support/site.js';

afterEach(async () => {
  await closeSites();
  await closeBackends();
});

const USERS = [
  { id: 1, name: 'ann', password: 'ann-password' },
  { id: 2, name: 'bob', password: 'bob-password' },
];

/** An instance of passport of its own: the shared one belongs to the whole process. */
function passportLocal(): passport.Authenticator {
  const own = new passport.Passport();
  own.use(
    new Strategy((name, password, done) => {
      const user = USERS.find((one) => one.name === name && one.password === password);
      done(null, user ?? false);
    }),
  );
  own.serializeUser((user, done) => done(null, (user as { id: number }).id));
  own.deserializeUser((id, done) => done(null, USERS.find((one) => one.id === id) ?? false));
  return own;
}

describe.each(BACKENDS)("passport's own sessions, on %s", (backend) => {
  let harness: StoreHarness;
  let store: SessionExpressStore;
  let site: Site;

  beforeEach(async () => {
    harness = await openBackend(backend);
    store = openExpressStore({ store: harness.store });
    const local = passportLocal();
    site = await openSite({
      store,
      after: (app: Express) => app.use(local.session()),
      routes: (app: Express) => {
        app.use(express.json());
        app.post('/login', local.authenticate('local'), (request, response) => {
          response.json(request.user);
        });
        app.get('/me', (request, response) => {
          if (request.isAuthenticated()) response.json({ name: (request.user as { name: string }).name });
          else response.sendStatus(401);
        });
        app.post('/sign-out', (request, response, next) => {
          request.logout((error) => (error ? next(error) : response.sendStatus(204)));
        });
      },
    });
  });

  const login = (username: string, password: string) => ({ username, password });

  it('sign in, recognise and sign out', async () => {
    const browser = site.browser();
    expect((await browser.get('/me')).status).toBe(401);
    expect((await browser.post('/login', login('ann', 'wrong'))).status).toBe(401);
    expect((await browser.post('/login', login('ann', 'ann-password'))).status).toBe(200);
    expect((await browser.get('/me')).body).toEqual({ name: 'ann' });
    expect((await browser.post('/sign-out')).status).toBe(204);
    expect((await browser.get('/me')).status).toBe(401);
    expect(await harness.store.getActiveSessions('1')).toEqual([]);
  });

  it('draw a new id at sign-in and at sign-out, and the old ones are dead (CVE-2022-25896)', async () => {
    const browser = site.browser();
    await browser.post('/set', { cart: ['a'] });
    const planted = site.browser();
    planted.jar.set('connect.sid', browser.jar.get('connect.sid') ?? '');
    await browser.post('/login', login('ann', 'ann-password'));
    expect((await planted.get('/me')).status).toBe(401);
    const stolen = site.browser();
    stolen.jar.set('connect.sid', browser.jar.get('connect.sid') ?? '');
    expect((await stolen.get('/me')).status).toBe(200);
    await browser.post('/sign-out');
    expect((await stolen.get('/me')).status).toBe(401);
  });

  it("stand among the user's sessions and end with them", async () => {
    const [phone, laptop, other] = [site.browser(), site.browser(), site.browser()];
    await phone.post('/login', login('ann', 'ann-password'));
    await laptop.post('/login', login('ann', 'ann-password'));
    await other.post('/login', login('bob', 'bob-password'));
    expect(await harness.store.getActiveSessions('1')).toHaveLength(2);
    expect(await harness.store.destroyAll('1', { reason: 'admin' })).toBe(2);
    expect((await phone.get('/me')).status).toBe(401);
    expect((await laptop.get('/me')).status).toBe(401);
    expect((await other.get('/me')).status).toBe(200);
  });
});
