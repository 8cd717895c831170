import { RedisStore } from 'connect-redis';
import express from 'express';
import session, { type SessionData, type Store } from 'express-session';
import { Redis } from 'ioredis';
import { randomBytes } from 'node:crypto';
import type { FrameworkStoreOptions } from '../../../src/frameworks/engine/framework-store-options.js';
import { SessionExpressStore } from '../../../src/frameworks/express/index.js';
import { StoreUnavailableError } from '../../../src/model/errors.js';
import { RedisSessionStore } from '../../../src/redis/redis-session-store.js';
import { testRedisUrl } from '../../support/redis-harness.js';
import { Browser } from '../../support/browser.js';
import { closeSites, openSite, SECRET } from './support/site.js';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What ran before the move: express-session with connect-redis 8 on ioredis. */
class FormerSite {
  private constructor(
    readonly url: string,
    private readonly server: Server,
  ) {}

  static async open(store: Store): Promise<FormerSite> {
    const app = express();
    app.use(
      session({
        store,
        secret: SECRET,
        resave: false,
        saveUninitialized: false,
        cookie: { maxAge: 60_000 },
        rolling: true,
      }),
    );
    app.get('/', (request, response) => {
      response.json({ user: request.session['userId'] ?? null });
    });
    app.post('/login/:user', (request, response) => {
      Object.assign(request.session, { userId: request.params.user, cart: ['a'] });
      response.sendStatus(204);
    });
    const server = app.listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    return new FormerSite(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, server);
  }

  async signIn(user: string): Promise<Browser> {
    const browser = new Browser(this.url);
    await browser.post(`/login/${user}`);
    return browser;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

describe('the move from connect-redis 8, with data that it wrote itself (connect-redis#433)', () => {
  const run = randomBytes(6).toString('hex');
  const prefix = `test-${run}-sess:`;
  const keyPrefix = `test-${run}:`;
  let client: Redis;
  let former: FormerSite;
  let store: SessionExpressStore;

  const stores: SessionExpressStore[] = [];
  const openStore = (options: Partial<FrameworkStoreOptions> = {}): SessionExpressStore => {
    const opened = new SessionExpressStore({ client, prefix, redis: { keyPrefix }, ...options });
    stores.push(opened);
    return opened;
  };
  const open = async (browser: Browser, of = store): Promise<Browser> => {
    const site = await openSite({ store: of, session: { rolling: true, cookie: { maxAge: 60_000 } } });
    const moved = site.browser();
    for (const [name, value] of browser.jar) moved.jar.set(name, value);
    return moved;
  };
  const sidOf = (browser: Browser): string =>
    decodeURIComponent(browser.jar.get('connect.sid') ?? '')
      .slice(2)
      .split('.')[0] ?? '';
  const legacyKeys = async (): Promise<string[]> => client.keys(`${prefix}*`);

  beforeEach(async () => {
    client = new Redis(testRedisUrl());
    former = await FormerSite.open(new RedisStore({ client, prefix }));
    store = openStore();
  });

  afterEach(async () => {
    await closeSites();
    await former.close();
    await Promise.all(stores.splice(0).map((each) => each.close()));
    const keys = await client.keys(`test-${run}*`);
    if (keys.length > 0) await client.del(keys);
    client.disconnect();
  });

  it('signs nobody out: the first request finds the session', async () => {
    const browser = await open(await former.signIn('ann'));
    expect((await browser.get('/')).body).toEqual({ userId: 'ann', cart: ['a'] });
  });

  it("takes a session over at its first access, and from then on it stands among its user's", async () => {
    const signedIn = await former.signIn('ann');
    expect(await legacyKeys()).toEqual([prefix + sidOf(signedIn)]);
    expect(await store.sessions.getActiveSessions('ann')).toEqual([]);
    const browser = await open(signedIn);
    await browser.get('/');
    expect(await legacyKeys()).toEqual([]);
    const [listed] = await store.sessions.getActiveSessions('ann');
    expect(listed).toMatchObject({ userId: 'ann', data: { cart: ['a'] } });
    expect((await browser.get('/')).body).toEqual({ userId: 'ann', cart: ['a'] });
    expect(await store.sessions.destroyAll('ann')).toBe(1);
    expect((await browser.get('/')).body).toEqual({});
  });

  it('loses none whose take-over fails: what connect-redis left goes once the session stands among the others', async () => {
    const signedIn = await former.signIn('ann');
    const read = (await store.get(sidOf(signedIn))) as SessionData;
    const { create } = store.sessions;
    store.sessions.create = async () => {
      throw new StoreUnavailableError();
    };
    const change = store.set(sidOf(signedIn), Object.assign(read, { b: 1 }));
    await expect(change).rejects.toMatchObject({ code: 'store_unavailable' });
    expect(await legacyKeys()).toHaveLength(1);
    store.sessions.create = create;
    const browser = await open(signedIn);
    await browser.post('/set', { c: 1 });
    expect((await browser.get('/')).body).toEqual({ userId: 'ann', cart: ['a'], c: 1 });
    expect(await legacyKeys()).toEqual([]);
  });

  it('takes it over at a change, with the change', async () => {
    const browser = await open(await former.signIn('ann'));
    await browser.post('/set', { cart: ['a', 'b'] });
    expect(await legacyKeys()).toEqual([]);
    expect((await browser.get('/')).body).toEqual({ userId: 'ann', cart: ['a', 'b'] });
  });

  it('reads without taking over with disableTouch, until something changes', async () => {
    store = openStore({ disableTouch: true });
    const browser = await open(await former.signIn('ann'));
    await browser.get('/');
    expect(await legacyKeys()).toHaveLength(1);
    await browser.post('/set', { b: 1 });
    expect(await legacyKeys()).toEqual([]);
  });

  it('keeps every session of a user, also above the limit that counts from now on', async () => {
    const browsers = [];
    for (let n = 0; n < 8; n += 1) browsers.push(await open(await former.signIn('ann')));
    for (const browser of browsers) await browser.get('/');
    for (const browser of browsers) expect((await browser.get('/')).body).toMatchObject({ userId: 'ann' });
    expect(await store.sessions.getActiveSessions('ann')).toHaveLength(8);
  });

  it('takes parallel requests of two processes over as one session with both changes', async () => {
    const second = new Redis(testRedisUrl());
    const other = openStore({ client: second });
    for (let round = 0; round < 10; round += 1) {
      const signedIn = await former.signIn(`ann-${round}`);
      const [here, there] = [await open(signedIn), await open(signedIn, other)];
      await Promise.all([here.post('/set', { here: true }), there.post('/set', { there: true })]);
      expect((await here.get('/')).body).toEqual({ userId: `ann-${round}`, cart: ['a'], here: true, there: true });
      expect(await store.sessions.getActiveSessions(`ann-${round}`)).toHaveLength(1);
    }
    expect(await legacyKeys()).toEqual([]);
    second.disconnect();
  });

  it("goes by the time to live of the key, which connect-redis moves without writing the cookie's end", async () => {
    const signedIn = await former.signIn('ann');
    const key = prefix + sidOf(signedIn);
    const stored = JSON.parse((await client.get(key)) ?? '') as SessionData;
    stored.cookie.expires = new Date(Date.now() - 1_000);
    await client.set(key, JSON.stringify(stored), 'EX', 30);
    const got = await store.get(sidOf(signedIn));
    const ends = new Date(got?.cookie.expires as unknown as string).getTime() - Date.now();
    expect(ends).toBeGreaterThan(25_000);
    expect(ends).toBeLessThanOrEqual(30_000);
  });

  it('ends a session that was not taken over yet, for good', async () => {
    const signedIn = await former.signIn('ann');
    const browser = await open(signedIn);
    await store.destroy(sidOf(signedIn));
    expect(await legacyKeys()).toEqual([]);
    expect((await browser.get('/')).body).toEqual({});
    // A process that still runs connect-redis writes it late.
    await new RedisStore({ client, prefix }).set(sidOf(signedIn), { cookie: { originalMaxAge: null }, userId: 'ann' });
    expect((await browser.get('/')).body).toEqual({});
  });

  it('prefers what was taken over to what an old process writes afterwards', async () => {
    const signedIn = await former.signIn('ann');
    const browser = await open(signedIn);
    await browser.post('/set', { cart: [] });
    await former.signIn('bob');
    await new RedisStore({ client, prefix }).set(sidOf(signedIn), { cookie: { originalMaxAge: null }, userId: 'bob' });
    expect((await browser.get('/')).body).toEqual({ userId: 'ann', cart: [] });
  });

  it('counts and lists both kinds, and clear ends both', async () => {
    const [moved, left] = [await former.signIn('ann'), await former.signIn('bob')];
    await (await open(moved)).get('/');
    expect(await store.length()).toBe(2);
    const all = await store.all();
    expect(all.map((one) => one['userId']).sort()).toEqual(['ann', 'bob']);
    expect(await store.ids()).toContain(sidOf(left));
    expect(await store.ids()).not.toContain(sidOf(moved));
    await store.clear();
    expect(await store.length()).toBe(0);
    expect(await legacyKeys()).toEqual([]);
    for (const browser of [moved, left]) expect((await (await open(browser)).get('/')).body).toEqual({});
  });

  it('works with the options of connect-redis: prefix, ttl, serializer', async () => {
    const serializer = {
      stringify: (value: object) => Buffer.from(JSON.stringify(value)).toString('base64'),
      parse: (text: string) => JSON.parse(Buffer.from(text, 'base64').toString()) as SessionData,
    };
    await former.close();
    former = await FormerSite.open(new RedisStore({ client, prefix: `${prefix}own:`, serializer, ttl: 60 }));
    store = openStore({ prefix: `${prefix}own:`, serializer, ttl: 60 });
    const browser = await open(await former.signIn('ann'));
    await browser.post('/set', { more: true });
    expect((await browser.get('/')).body).toEqual({ userId: 'ann', cart: ['a'], more: true });
    expect(await store.sessions.getActiveSessions('ann')).toHaveLength(1);
  });

  it('reads none of it with prefix: false', async () => {
    store = openStore({ prefix: false });
    const browser = await open(await former.signIn('ann'));
    expect((await browser.get('/')).body).toEqual({});
    expect(await store.length()).toBe(0);
  });

  it('takes a key that cannot be read for no session and says so', async () => {
    const signedIn = await former.signIn('ann');
    const damages: unknown[] = [];
    store.on('damaged', (damage) => damages.push(damage));
    for (const text of ['{"cookie":', 'null', '5', '[]']) {
      await client.set(prefix + sidOf(signedIn), text);
      expect(await store.get(sidOf(signedIn))).toBeUndefined();
    }
    await client.del(prefix + sidOf(signedIn));
    await client.lpush(prefix + sidOf(signedIn), 'x');
    expect(await store.get(sidOf(signedIn))).toBeUndefined();
    expect(damages).toHaveLength(4);
  });

  it('reads through the store of a SessionModule as well', async () => {
    const sessions = new RedisSessionStore(client, { keyPrefix });
    const shared = new SessionExpressStore({ store: sessions, prefix });
    const browser = await open(await former.signIn('ann'), shared);
    expect((await browser.get('/')).body).toMatchObject({ userId: 'ann' });
    expect(await sessions.getActiveSessions('ann')).toHaveLength(1);
    await sessions.close();
  });
});
