import type { Express } from 'express';
import type { SessionData } from 'express-session';
import { Redis } from 'ioredis';
import { anonymousUserId, aliasDigest } from '../../../src/model/alias.js';
import type { FrameworkStoreOptions } from '../../../src/frameworks/engine/framework-store-options.js';
import { SessionExpressStore } from '../../../src/frameworks/express/index.js';
import { MemorySessionStore } from '../../../src/memory/memory-session-store.js';
import type { SessionEvent } from '../../../src/model/events.js';
import { StoreUnavailableError } from '../../../src/model/errors.js';
import type { SessionStoreOptions } from '../../../src/options/store-options.js';
import type { StoreHarness } from '../../../src/store-contract/store-harness.js';
import { testRedisUrl } from '../../support/redis-harness.js';
import { BACKENDS, closeBackends, openBackend, openExpressStore } from './support/backends.js';
import { closeSites, Gate, openSite } from './support/site.js';

afterEach(async () => {
  await closeSites();
  await closeBackends();
});

function session(data: Record<string, unknown> = {}): SessionData {
  return { cookie: { originalMaxAge: null }, ...data };
}

describe.each(BACKENDS)('the users of express sessions, on %s', (backend) => {
  let harness: StoreHarness;
  let store: SessionExpressStore;
  let events: SessionEvent[];

  const open = async (options: Partial<FrameworkStoreOptions> = {}, of: SessionStoreOptions = {}): Promise<void> => {
    harness = await openBackend(backend, of);
    store = openExpressStore({ ...options, store: harness.store });
    events = [];
    harness.store.subscribe((event) => events.push(event));
  };

  const routes = (app: Express): void => {
    app.post('/login/:user', (request, response) => {
      request.session['userId'] = request.params['user'];
      response.sendStatus(204);
    });
    app.post('/leave', (request, response) => {
      delete request.session['userId'];
      response.sendStatus(204);
    });
  };

  /** The data of a user's sessions, without their cookies. */
  const listOf = async (userId: string): Promise<unknown[]> =>
    (await harness.store.getActiveSessions(userId)).map(({ data: { cookie: _cookie, ...data } }) => data);

  beforeEach(() => open());

  it('stand in the same lists as all others, with their data and their client', async () => {
    const browser = (await openSite({ store, routes })).browser();
    await browser.post('/set', { theme: 'dark' });
    await browser.request('/login/ann', {
      method: 'POST',
      headers: { 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:120.0)\u0085Gecko/20100101 Firefox/120.0' },
    });
    const [listed] = await harness.store.getActiveSessions('ann');
    expect(listed).toMatchObject({
      userId: 'ann',
      data: { theme: 'dark', userId: 'ann' },
      metadata: {
        ip: '127.0.0.1',
        userAgent: 'Mozilla/5.0 (X11; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120.0',
        device: 'Firefox on Linux',
      },
    });
    expect(await store.ids()).toEqual([listed?.id]);
  });

  it('end with the same calls: one, all, everybody (expressjs/session#504)', async () => {
    const site = await openSite({ store, routes });
    const browsers = [site.browser(), site.browser(), site.browser()];
    for (const browser of browsers) await browser.post('/login/ann');
    const [first] = await harness.store.getActiveSessions('ann');
    await harness.store.destroy(first?.id ?? '');
    const alive = async (): Promise<number> =>
      (await Promise.all(browsers.map((browser) => browser.get('/')))).filter(({ body }) => body.userId === 'ann')
        .length;
    expect(await alive()).toBe(2);
    expect(await harness.store.destroyAll('ann', { reason: 'admin' })).toBe(2);
    expect(await alive()).toBe(0);

    await browsers[0]?.post('/login/ann');
    await browsers[1]?.post('/set', { anonymous: true });
    await harness.advance(1);
    expect((await harness.store.destroyEverybody()).ended).toBe(2);
    expect(await alive()).toBe(0);
    expect(await store.length()).toBe(0);
  });

  it('see what is written to the session from outside', async () => {
    const browser = (await openSite({ store, routes })).browser();
    await browser.post('/login/ann');
    const [listed] = await harness.store.getActiveSessions('ann');
    await harness.store.update(listed?.id ?? '', { data: { notice: 'hello' } });
    expect((await browser.get('/')).body).toEqual({ userId: 'ann', notice: 'hello' });
  });

  it('count toward the same limit: the least recently used makes way (spring-security#18155)', async () => {
    await open({}, { limit: { max: 2, onLimit: 'evict-least-recent' } });
    const site = await openSite({ store, routes });
    await harness.store.create({ userId: 'ann' });
    const browsers = [site.browser(), site.browser(), site.browser()];
    for (const browser of browsers) {
      await harness.advance(1_000);
      await browser.post('/login/ann');
    }
    expect((await Promise.all(browsers.map((browser) => browser.get('/')))).map(({ body }) => body.userId)).toEqual([
      undefined,
      'ann',
      'ann',
    ]);
    expect(await harness.store.getActiveSessions('ann')).toHaveLength(2);
  });

  it('may have a limit of their own, asked for at each sign-in', async () => {
    const asked: string[] = [];
    await open({
      limit: async ({ userId }) => {
        asked.push(userId);
        return { max: 1, onLimit: 'evict-oldest' };
      },
    });
    const site = await openSite({ store, routes });
    await site.browser().post('/set', { a: 1 });
    expect(asked).toEqual([]);
    await site.browser().post('/login/ann');
    await site.browser().post('/login/ann');
    expect(asked).toEqual(['ann', 'ann']);
    expect(await harness.store.getActiveSessions('ann')).toHaveLength(1);
  });

  it('are found by passport, userId and user.id, and by a function of the application', async () => {
    const find = async (data: Record<string, unknown>): Promise<string[]> => {
      const sid = JSON.stringify(data);
      await store.set(sid, session(data));
      const found: string[] = [];
      for (const user of ['ann', '7', '0']) {
        if ((await harness.store.getActiveSessions(user)).length > 0) found.push(user);
      }
      await store.destroy(sid);
      return found;
    };
    expect(await find({ passport: { user: 'ann' } })).toEqual(['ann']);
    expect(await find({ passport: { user: { id: 7, name: 'Ann' } } })).toEqual(['7']);
    expect(await find({ userId: 7 })).toEqual(['7']);
    expect(await find({ userId: 0 })).toEqual(['0']);
    expect(await find({ user: { id: 'ann' } })).toEqual(['ann']);
    expect(await find({ passport: {}, userId: '', user: null })).toEqual([]);
    expect(await find({ passport: { user: ['ann'] }, userId: { id: 'ann' }, user: 'ann' })).toEqual([]);

    await open({
      userOf: ({ account }) => {
        const { name, roles } = (account ?? {}) as { name?: string; roles?: string[] };
        return name === undefined ? null : { id: name, email: `${name}@example.com`, roles: roles ?? [] };
      },
    });
    await store.set('sid', session({ account: { name: 'ann', roles: ['admin'] }, userId: 'other' }));
    expect(await harness.store.getActiveSessions('ann')).toEqual([
      expect.objectContaining({ email: 'ann@example.com', roles: ['admin'] }),
    ]);
    expect(await harness.store.getActiveSessions('other')).toEqual([]);
  });

  it('are refused where the function returns no user', async () => {
    await open({ userOf: () => ({ id: {} as string }) });
    await expect(store.set('sid', session())).rejects.toThrow('userOf: must return');
  });

  it('are one of their own until they are known, and one session all the way', async () => {
    const site = await openSite({ store, routes });
    const browser = site.browser();
    await browser.post('/set', { cart: ['a'] });
    const sid =
      decodeURIComponent(browser.jar.get('connect.sid') ?? '')
        .slice(2)
        .split('.')[0] ?? '';
    const anonymous = anonymousUserId(aliasDigest(sid));
    expect(await listOf(anonymous)).toEqual([{ cart: ['a'] }]);

    await browser.post('/login/ann');
    expect(await listOf(anonymous)).toEqual([]);
    expect(await listOf('ann')).toEqual([{ cart: ['a'], userId: 'ann' }]);

    await browser.post('/login/bob');
    expect(await listOf('ann')).toEqual([]);
    expect(await listOf('bob')).toEqual([{ cart: ['a'], userId: 'bob' }]);

    await browser.post('/leave');
    expect(await listOf('bob')).toEqual([]);
    expect(await listOf(anonymous)).toEqual([{ cart: ['a'] }]);

    await browser.post('/login/ann');
    expect(await listOf('ann')).toEqual([{ cart: ['a'], userId: 'ann' }]);
    expect((await browser.get('/')).body).toEqual({ cart: ['a'], userId: 'ann' });
    expect(await harness.store.count()).toBe(1);
    await harness.settle?.();
    expect(events.filter(({ type }) => type === 'ended')).toEqual(
      Array.from({ length: 4 }, () => expect.objectContaining({ reason: 'replaced' })),
    );
  });

  it('are not signed in by a request that was slower than their logout', async () => {
    const gate = new Gate();
    const site = await openSite({
      store,
      routes: (app) => {
        routes(app);
        app.post('/slow-login', async (request, response) => {
          await gate.pass();
          request.session['userId'] = 'ann';
          response.sendStatus(204);
        });
      },
    });
    const browser = site.browser();
    await browser.post('/set', { a: 1 });
    const slow = browser.post('/slow-login');
    await gate.reached;
    await browser.post('/logout');
    gate.open();
    await slow;
    expect(await harness.store.getActiveSessions('ann')).toEqual([]);
    expect(await harness.store.count()).toBe(0);
  });

  describe('a move that got half way is completed by the next try', () => {
    it.each(['point', 'destroy'] as const)('after a failure of %s', async (step) => {
      await store.set('sid', session({ cart: ['a'] }));
      const at = step === 'point' ? (harness.store.aliases() as object) : harness.store;
      const works = Reflect.get(at, step) as unknown;
      Reflect.set(at, step, async () => {
        throw new StoreUnavailableError();
      });
      const login = (await store.get('sid')) as SessionData;
      login['userId'] = 'ann';
      await expect(store.set('sid', login)).rejects.toMatchObject({ statusCode: 503 });
      Reflect.set(at, step, works);

      const again = (await store.get('sid')) as SessionData;
      expect(again).toMatchObject({ cart: ['a'] });
      again['userId'] = 'ann';
      again['again'] = true;
      await store.set('sid', again);
      expect(await listOf('ann')).toEqual([{ cart: ['a'], userId: 'ann', again: true }]);
      expect(await store.get('sid')).toMatchObject({ cart: ['a'], userId: 'ann', again: true });
      expect(await store.length()).toBe(1);
    });
  });

  it('sign in in parallel over many sessions, and exactly the limit lives (ASVS 15.4.2)', async () => {
    await open({}, { limit: { max: 3, onLimit: 'evict-least-recent' } });
    const site = await openSite({ store, routes });
    const browsers = Array.from({ length: 30 }, () => site.browser());
    await Promise.all(browsers.map((browser) => browser.post('/login/ann')));
    expect(await harness.store.getActiveSessions('ann')).toHaveLength(3);
    const alive = (await Promise.all(browsers.map((browser) => browser.get('/')))).filter(
      ({ body }) => body.userId === 'ann',
    );
    expect(alive).toHaveLength(3);
  });
});

describe('what is kept on Redis', () => {
  it('holds no id that lets anybody in, and only keys of the documented names', async () => {
    const client = new Redis(testRedisUrl(), { keyPrefix: '' });
    const keyPrefix = `test-express-${Date.now()}:`;
    const store = new SessionExpressStore({ client, redis: { keyPrefix } });
    const site = await openSite({ store });
    const browser = site.browser();
    await browser.post('/set', { userId: 'ann' });
    await browser.post('/set', { more: true });
    const sid =
      decodeURIComponent(browser.jar.get('connect.sid') ?? '')
        .slice(2)
        .split('.')[0] ?? '';
    const keys = await client.keys(`${keyPrefix}*`);
    const dump = await Promise.all(keys.map(async (key) => [key, await client.dumpBuffer(key)].map(String).join('')));
    expect(dump.join('')).not.toContain(sid);
    expect(keys).toContain(`${keyPrefix}alias:${aliasDigest(sid)}`);
    for (const key of keys)
      expect(key.slice(keyPrefix.length)).toMatch(/^(alias:[\w-]{43}|\{.+\}:(user:[\w-]{16}|expiries))$/);
    const ttl = await client.pttl(`${keyPrefix}alias:${aliasDigest(sid)}`);
    expect(ttl).toBeGreaterThan(24 * 60 * 60_000);
    expect(ttl).toBeLessThanOrEqual(24 * 60 * 60_000 + 5 * 60_000);
    await store.clear();
    await client.del(await client.keys(`${keyPrefix}*`));
    await store.close();
    client.disconnect();
  });

  it('is found through a client with a prefix of its own', async () => {
    const client = new Redis(testRedisUrl(), { keyPrefix: `app[1]*-${Date.now()}:` });
    const store = new SessionExpressStore({ client });
    await store.set('sid', session({ a: 1 }));
    expect(await store.get('sid')).toMatchObject({ a: 1 });
    expect(await store.length()).toBe(1);
    await store.clear();
    expect(await store.length()).toBe(0);
    await store.close();
    client.disconnect();
  });
});

describe('the options of a SessionExpressStore', () => {
  const make = (options: object): SessionExpressStore => new SessionExpressStore(options);
  const memory = new MemorySessionStore();

  it.each([
    [{}, 'client, store: set one of them'],
    [{ client: {}, store: memory }, 'client, store: set one of them'],
    [{ client: { get: () => null } }, 'client: must be a client of the package ioredis'],
    [{ store: memory, disableTtl: true }, 'disableTtl: there is no such option; did you mean "disableTTL"?'],
    [{ store: memory, ttl: 0 }, 'ttl: must be a number of seconds above 0'],
    [{ store: memory, ttl: '1h' }, 'ttl: must be a number of seconds above 0'],
    [{ store: memory, touchInterval: 'often' }, 'touchInterval: "often" is not a duration'],
    [{ store: memory, scanCount: 0 }, 'scanCount: must be a whole number above 0'],
    [{ store: memory, serializer: {} }, 'serializer: must be an object with stringify and parse'],
    [{ store: memory, userOf: 'userId' }, 'userOf: must be a function'],
    [{ store: memory, mergeConcurrentWrites: 'yes' }, 'mergeConcurrentWrites: must be true or false'],
    [{ store: memory, prefix: 5 }, 'prefix: must be text, or false'],
    [{ store: memory, ipPrivacy: 'some' }, 'ipPrivacy: must be one of full, truncated, none'],
    [{ store: memory, limit: { max: 0, onLimit: 'reject' } }, 'maxSessionsPerUser'],
  ])('%# are refused with the mend', (options, message) => {
    expect(() => make(options)).toThrow(message);
  });

  it('ask for aliases if the store has none', () => {
    const bare = Object.create(memory, { aliases: { value: () => null } }) as MemorySessionStore;
    expect(() => make({ store: bare })).toThrow('aliases: this store has none');
    expect(make({ store: bare, aliases: memory.aliases() })).toBeInstanceOf(SessionExpressStore);
  });
});
