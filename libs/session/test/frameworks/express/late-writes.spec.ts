import type { SessionData } from 'express-session';
import type { SessionExpressStore } from '../../../src/frameworks/express/index.js';
import type { FrameworkStoreOptions } from '../../../src/frameworks/engine/framework-store-options.js';
import type { StoreHarness } from '../../../src/store-contract/store-harness.js';
import { BACKENDS, closeBackends, openBackend, openSecond, openExpressStore } from './support/backends.js';
import { closeSites, dataOf, Gate, openSite, type Site } from './support/site.js';

afterEach(async () => {
  await closeSites();
  await closeBackends();
});

describe.each(BACKENDS)('late and parallel writes, on %s', (backend) => {
  let harness: StoreHarness;
  let store: SessionExpressStore;

  const open = async (options: Partial<FrameworkStoreOptions> = {}): Promise<void> => {
    harness = await openBackend(backend);
    store = openExpressStore({ ...options, store: harness.store });
  };

  /** A site with a route that reads the session, waits at the gate, and then puts its body in the session. */
  const openSlowSite = async (gate: Gate, of = store): Promise<Site> =>
    openSite({
      store: of,
      routes: (app) => {
        app.post('/slow', async (request, response) => {
          await gate.pass();
          Object.assign(request.session, request.body);
          response.json(dataOf(request));
        });
        app.post('/login', (request, response) => {
          request.session['userId'] = 'ann';
          response.sendStatus(204);
        });
        app.post('/remove', (request, response) => {
          delete request.session['a'];
          response.sendStatus(204);
        });
      },
    });

  describe('a slow request does not revive a session that ended while it ran', () => {
    beforeEach(() => open());

    it.each(['POST /slow that changes it', 'POST /slow that does not'])(
      'by logout: %s (expressjs/session#361, #632, #830; connect-redis#75)',
      async (name) => {
        const gate = new Gate();
        const site = await openSlowSite(gate);
        const browser = site.browser();
        await browser.post('/set', { a: 1 });
        const same = site.browser();
        same.jar.set('connect.sid', browser.jar.get('connect.sid') ?? '');
        const slow = same.post('/slow', name.endsWith('not') ? {} : { b: 2 });
        await gate.reached;
        expect((await browser.post('/logout')).status).toBe(204);
        gate.open();
        expect((await slow).status).toBe(200);
        expect((await same.get('/')).body).toEqual({});
        expect(await store.length()).toBe(0);
        expect(await harness.store.count()).toBe(0);
        expect(site.errors).toEqual([]);
      },
    );

    it('by the logout of another process', async () => {
      const gate = new Gate();
      const [here, there] = [
        await openSlowSite(gate),
        await openSlowSite(new Gate(), openExpressStore({ store: await openSecond(harness) })),
      ];
      const browser = here.browser();
      await browser.post('/set', { a: 1 });
      const elsewhere = there.browser();
      elsewhere.jar.set('connect.sid', browser.jar.get('connect.sid') ?? '');
      const slow = browser.post('/slow', { b: 2 });
      await gate.reached;
      await elsewhere.post('/logout');
      gate.open();
      await slow;
      expect((await elsewhere.get('/')).body).toEqual({});
      expect(await store.length()).toBe(0);
    });

    it('by the end of all sessions of its user', async () => {
      const gate = new Gate();
      const site = await openSlowSite(gate);
      const browser = site.browser();
      await browser.post('/login');
      const slow = browser.post('/slow', { b: 2 });
      await gate.reached;
      expect(await harness.store.destroyAll('ann')).toBe(1);
      gate.open();
      await slow;
      expect((await browser.get('/')).body).toEqual({});
      expect(await harness.store.getActiveSessions('ann')).toEqual([]);
    });

    it('by its deadline', async () => {
      const gate = new Gate();
      const site = await openSlowSite(gate);
      const browser = site.browser();
      await browser.post('/set', { a: 1 });
      const slow = browser.post('/slow', { b: 2 });
      await gate.reached;
      await harness.advance(25 * 60 * 60_000);
      gate.open();
      await slow;
      expect((await browser.get('/')).body).toEqual({});
    });

    it('by regenerate', async () => {
      const gate = new Gate();
      const site = await openSlowSite(gate);
      const browser = site.browser();
      await browser.post('/set', { a: 1 });
      const sid =
        decodeURIComponent(browser.jar.get('connect.sid') ?? '')
          .slice(2)
          .split('.')[0] ?? '';
      const slow = browser.post('/slow', { b: 2 });
      await gate.reached;
      await store.regenerate({ sessionID: sid, sessionStore: store, headers: {} } as never);
      gate.open();
      await slow;
      expect(await store.get(sid)).toBeUndefined();
    });
  });

  describe('the mark of an ended id', () => {
    beforeEach(() => open({ endedFor: '5m' }));

    it('refuses a late set of an object nobody knows, without an error', async () => {
      await store.set('sid', session({ a: 1 }));
      await store.destroy('sid');
      await store.set('sid', session({ a: 2 }));
      await store.touch('sid', session({ a: 2 }));
      expect(await store.get('sid')).toBeUndefined();
      expect(await harness.store.count()).toBe(0);
    });

    it('is left by the end of an id that was never saved', async () => {
      await store.destroy('sid');
      await store.set('sid', session({ a: 2 }));
      expect(await store.get('sid')).toBeUndefined();
    });

    it('lets the first set of a new id through', async () => {
      await store.destroy('sid');
      await store.set('other', session({ a: 2 }));
      expect(await store.get('other')).toMatchObject({ a: 2 });
    });

    it('completes an end that got half way', async () => {
      await store.set('sid', session({ userId: 'ann' }));
      const failing = openExpressStore({ store: harness.store });
      const { destroy } = harness.store;
      harness.store.destroy = async () => {
        throw new Error('lost on the way');
      };
      await expect(failing.destroy('sid')).rejects.toThrow('lost on the way');
      harness.store.destroy = destroy;
      expect(await store.get('sid')).toBeUndefined();
      expect(await harness.store.getActiveSessions('ann')).toHaveLength(1);
      await store.destroy('sid');
      expect(await harness.store.getActiveSessions('ann')).toEqual([]);
    });
  });

  describe('mergeConcurrentWrites', () => {
    const race = async (
      site: Site,
      gate: Gate,
      slowBody: object,
      fastPath: string,
      fastBody?: object,
    ): Promise<unknown> => {
      const browser = site.browser();
      await browser.post('/set', { a: 1, list: [1] });
      const slow = browser.post('/slow', slowBody);
      await gate.reached;
      await browser.post(fastPath, fastBody);
      gate.open();
      await slow;
      return (await browser.get('/')).body;
    };

    it('keeps what two parallel requests changed in different keys', async () => {
      await open();
      const gate = new Gate();
      expect(await race(await openSlowSite(gate), gate, { slow: true }, '/set', { fast: true })).toEqual({
        a: 1,
        list: [1],
        slow: true,
        fast: true,
      });
    });

    it('brings back no key that the other one removed', async () => {
      await open();
      const gate = new Gate();
      expect(await race(await openSlowSite(gate), gate, { slow: true }, '/remove')).toEqual({ list: [1], slow: true });
    });

    it('lets the later one win where both changed the same key', async () => {
      await open();
      const gate = new Gate();
      expect(await race(await openSlowSite(gate), gate, { list: [1, 2] }, '/set', { list: [1, 3] })).toEqual({
        a: 1,
        list: [1, 2],
      });
    });

    it('keeps a sign-in that happened while a slow request ran', async () => {
      await open();
      const gate = new Gate();
      expect(await race(await openSlowSite(gate), gate, { slow: true }, '/login')).toEqual({
        a: 1,
        list: [1],
        slow: true,
        userId: 'ann',
      });
      expect(await harness.store.getActiveSessions('ann')).toHaveLength(1);
    });

    it("works with a serializer of one's own", async () => {
      await open({
        serializer: {
          stringify: (value) => `v1:${JSON.stringify(value)}`,
          parse: async (text) => JSON.parse(text.slice(3)) as object,
        },
      });
      const gate = new Gate();
      expect(await race(await openSlowSite(gate), gate, { slow: true }, '/set', { fast: true })).toEqual({
        a: 1,
        list: [1],
        slow: true,
        fast: true,
      });
    });

    it('off: the last to save wins, as in other stores', async () => {
      await open({ mergeConcurrentWrites: false });
      const gate = new Gate();
      expect(await race(await openSlowSite(gate), gate, { slow: true }, '/set', { fast: true })).toEqual({
        a: 1,
        list: [1],
        slow: true,
      });
    });

    it('keeps both changes of one request that saves twice, and those of others in between', async () => {
      await open();
      const site = await openSite({
        store,
        routes: (app) =>
          app.post('/twice', (request, response, next) => {
            request.session['first'] = true;
            request.session.save((error) => {
              if (error) return next(error);
              const other = site.browser();
              other.jar.set('connect.sid', request.headers.cookie?.split('=')[1] ?? '');
              other.post('/set', { between: true }).then(() => {
                request.session['second'] = true;
                response.sendStatus(204);
              }, next);
            });
          }),
      });
      const browser = site.browser();
      await browser.post('/set', { a: 1 });
      await browser.post('/twice');
      expect((await browser.get('/')).body).toEqual({ a: 1, first: true, between: true, second: true });
    });

    describe('an older state of a value does not return', () => {
      const signedIn = (found: SessionData | undefined, userId: string): SessionData =>
        Object.assign(found as SessionData, { userId });

      /** Stops the next call of a method once its answer is there. */
      const stopAfter = (name: 'get' | 'create', gate: Gate): void => {
        const at = harness.store as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
        const method = at[name] as (...args: unknown[]) => Promise<unknown>;
        at[name] = async (...args) => {
          at[name] = method;
          const answer = await method.apply(at, args);
          await gate.pass();
          return answer;
        };
      };

      /** Stops the first end of a session that another replaces: what was written to it late has been carried over. */
      const stopBeforeReplaced = (gate: Gate): void => {
        const at = harness.store;
        const { destroy } = at;
        at.destroy = async (...args) => {
          if (args[1]?.reason !== 'replaced') return destroy.apply(at, args);
          at.destroy = destroy;
          await gate.pass();
          return destroy.apply(at, args);
        };
      };

      const write = async (n: number): Promise<void> => {
        await store.set('sid', Object.assign((await store.get('sid')) as SessionData, { n }));
      };

      beforeEach(async () => {
        await open();
        await store.set('sid', session({ n: 0 }));
      });

      it('where two requests sign in and the slower one had read it', async () => {
        const [slow, fast] = [signedIn(await store.get('sid'), 'ann'), signedIn(await store.get('sid'), 'ann')];
        const [read, leaving] = [new Gate(), new Gate()];
        stopAfter('get', read);
        const slowly = store.set('sid', slow);
        await read.reached;
        await write(1);
        stopBeforeReplaced(leaving);
        const quickly = store.set('sid', fast);
        await leaving.reached;
        await write(2);
        read.open();
        await slowly;
        leaving.open();
        await quickly;
        expect(await store.get('sid')).toMatchObject({ n: 2, userId: 'ann' });
        expect(await harness.store.count()).toBe(1);
      });

      it('where the session moved on while the slower one looked at it', async () => {
        const [slow, fast] = [signedIn(await store.get('sid'), 'ann'), signedIn(await store.get('sid'), 'ann')];
        slow['slow'] = true;
        const [read, created, leaving] = [new Gate(), new Gate(), new Gate()];
        stopAfter('get', read);
        const slowly = store.set('sid', slow);
        await read.reached;
        await store.set('sid', fast);
        stopAfter('create', created);
        read.open();
        await created.reached;
        await write(1);
        stopBeforeReplaced(leaving);
        const moving = store.set('sid', signedIn(await store.get('sid'), 'bob'));
        await leaving.reached;
        await write(2);
        created.open();
        await slowly;
        leaving.open();
        await moving;
        expect(await store.get('sid')).toMatchObject({ n: 2, slow: true });
        expect(await harness.store.count()).toBe(1);
      });
    });

    it('loses none of 20 parallel requests over two processes', async () => {
      await open();
      const sites = [
        await openSite({ store }),
        await openSite({ store: openExpressStore({ store: await openSecond(harness) }) }),
      ];
      const browser = sites[0]?.browser();
      await browser?.post('/set', { start: true });
      await Promise.all(
        Array.from({ length: 20 }, async (_, n) => {
          const other = (sites[n % 2] as Site).browser();
          other.jar.set('connect.sid', browser?.jar.get('connect.sid') ?? '');
          await other.post('/set', { [`key${n}`]: n });
        }),
      );
      const { body } = (await browser?.get('/')) ?? { body: {} };
      expect(Object.keys(body as object)).toHaveLength(21);
    });

    it('loses none while one of them signs in', async () => {
      await open();
      const site = await openSlowSite(new Gate());
      for (let round = 0; round < 5; round += 1) {
        const browser = site.browser();
        await browser.post('/set', { start: true });
        await Promise.all([
          ...Array.from({ length: 10 }, (_, n) => {
            const other = site.browser();
            other.jar.set('connect.sid', browser.jar.get('connect.sid') ?? '');
            return n === 5 ? other.post('/login') : other.post('/set', { [`key${n}`]: n });
          }),
        ]);
        const { body } = await browser.get('/');
        expect(body).toMatchObject({ start: true, userId: 'ann' });
        expect(Object.keys(body as object)).toHaveLength(11);
        expect(await harness.store.getActiveSessions('ann')).toHaveLength(Math.min(round + 1, 5));
        expect(await store.length()).toBe(Math.min(round + 1, 5));
      }
    });
  });
});

function session(data: Record<string, unknown>): SessionData {
  return { cookie: { originalMaxAge: null }, ...data };
}
