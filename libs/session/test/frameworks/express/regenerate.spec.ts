import type { Express, Request } from 'express';
import type { SessionExpressStore } from '../../../src/frameworks/express/index.js';
import { saveBeforeAnswer } from '../../../src/frameworks/express/index.js';
import type { EndReason } from '../../../src/model/session.js';
import type { StoreHarness } from '../../../src/store-contract/store-harness.js';
import { BACKENDS, closeBackends, openBackend, openExpressStore } from './support/backends.js';
import { closeSites, Gate, openSite, type Site } from './support/site.js';

afterEach(async () => {
  await closeSites();
  await closeBackends();
});

const MINUTE = 60_000;

const WAYS = {
  regenerate: (request: Request, done: (error?: unknown) => void) => request.session.regenerate(done),
  'destroy and generate': (request: Request, done: (error?: unknown) => void) => {
    const { sessionStore } = request;
    request.session.destroy((error) => {
      (sessionStore as unknown as { generate(request: Request): void }).generate(request);
      done(error);
    });
  },
  'generate alone': (request: Request, done: (error?: unknown) => void) => {
    (request.sessionStore as unknown as { generate(request: Request): void }).generate(request);
    done();
  },
};

describe.each(BACKENDS)('a request whose session is replaced while it runs, on %s', (backend) => {
  let harness: StoreHarness;
  let store: SessionExpressStore;
  let gate: Gate;
  let site: Site;

  const routes =
    (way: keyof typeof WAYS) =>
    (app: Express): void => {
      app.post('/replace', async (request, response, next) => {
        const { userId } = request.session;
        await gate.pass();
        WAYS[way](request, (error) => {
          if (error) return next(error);
          Object.assign(request.session, { userId: userId ?? 'ann', ...request.body });
          response.sendStatus(204);
        });
      });
      app.post('/leave', async (request, response, next) => {
        await gate.pass();
        WAYS[way](request, (error) => {
          if (error) return next(error);
          request.session['notice'] = 'signed out';
          response.sendStatus(204);
        });
      });
    };

  const open = async (way: keyof typeof WAYS = 'regenerate'): Promise<void> => {
    gate = new Gate();
    site = await openSite({ store, routes: routes(way), after: (app) => app.use(saveBeforeAnswer()) });
  };

  beforeEach(async () => {
    harness = await openBackend(backend);
    store = openExpressStore({ store: harness.store });
  });

  describe.each(Object.keys(WAYS) as (keyof typeof WAYS)[])('by %s', (way) => {
    it.each<EndReason>(['logout', 'admin', 'revoked', 'reuse', 'hijack'])(
      'does not bring back a user who was signed out everywhere meanwhile (%s)',
      async (reason) => {
        await open(way);
        const browser = site.browser();
        await browser.post('/set', { userId: 'ann' });
        const running = browser.post('/replace');
        await gate.reached;
        expect(await harness.store.destroyAll('ann', { reason })).toBe(1);
        gate.open();
        const { status, setCookies } = await running;
        expect([status, setCookies]).toEqual([401, []]);
        expect(await harness.store.getActiveSessions('ann')).toEqual([]);
        expect((await browser.get('/')).body).toEqual({});
      },
    );

    it('signs in where nobody ended the session', async () => {
      await open(way);
      const browser = site.browser();
      await browser.post('/set', { cart: 1 });
      gate.open();
      expect((await browser.post('/replace', { fresh: true })).status).toBe(204);
      expect((await browser.get('/')).body).toEqual({ userId: 'ann', fresh: true });
      gate = new Gate();
      gate.open();
      expect((await browser.post('/replace', { again: true })).status).toBe(204);
      expect((await browser.get('/')).body).toEqual({ userId: 'ann', again: true });
    });
  });

  it('does not bring back a user whose sign-out the store has forgotten since', async () => {
    await open();
    const browser = site.browser();
    await browser.post('/set', { userId: 'ann' });
    const running = browser.post('/replace');
    await gate.reached;
    const [session] = await harness.store.getActiveSessions('ann');
    expect(await harness.store.destroyAll('ann')).toBe(1);
    // More ends than a user's tombstones hold, each of them later than a sign-in could be sent again.
    for (let more = 0; more < 10; more += 1) {
      await harness.advance(MINUTE);
      await harness.store.create({ userId: 'ann' });
      await harness.store.destroyAll('ann');
    }
    expect(await harness.store.read(session?.id ?? '')).toEqual({ state: 'absent' });
    gate.open();
    expect((await running).status).toBe(401);
    expect(await harness.store.getActiveSessions('ann')).toEqual([]);
  });

  it('signs in where the session had expired or made way for another', async () => {
    await open();
    for (const end of [
      async () => harness.advance(25 * 60 * 60_000),
      async () => harness.store.destroyAll('ann', { reason: 'evicted' }),
    ]) {
      gate = new Gate();
      const browser = site.browser();
      await browser.post('/set', { userId: 'ann' });
      const running = browser.post('/replace');
      await gate.reached;
      await end();
      gate.open();
      expect((await running).status).toBe(204);
      expect((await browser.get('/')).body).toMatchObject({ userId: 'ann' });
    }
  });

  it('gets a session without a user after a sign-out everywhere, and may sign in with the next request', async () => {
    await open();
    const browser = site.browser();
    await browser.post('/set', { userId: 'ann' });
    const running = browser.post('/leave');
    await gate.reached;
    await harness.store.destroyAll('ann');
    gate.open();
    expect((await running).status).toBe(204);
    expect((await browser.get('/')).body).toEqual({ notice: 'signed out' });
    gate = new Gate();
    gate.open();
    expect((await browser.post('/replace')).status).toBe(204);
    expect((await browser.get('/')).body).toEqual({ userId: 'ann' });
  });
});
