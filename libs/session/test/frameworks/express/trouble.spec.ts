import { Logger } from '@nestjs/common';
import type { SessionData } from 'express-session';
import { Redis } from 'ioredis';
import { startRedis, type RedisServer } from '../../../../../test/support/redis-server.js';
import type { FrameworkStoreOptions } from '../../../src/frameworks/engine/framework-store-options.js';
import { saveBeforeAnswer, SessionExpressStore } from '../../../src/frameworks/express/index.js';
import type { SessionEvent } from '../../../src/model/events.js';
import type { SessionStoreOptions } from '../../../src/options/store-options.js';
import { STORE_DAMAGES, type StoreHarness } from '../../../src/store-contract/store-harness.js';
import { BACKENDS, closeBackends, openBackend, openExpressStore } from './support/backends.js';
import { closeSites, openSite } from './support/site.js';
import { until } from '../../support/own-redis.js';

beforeAll(() => Logger.overrideLogger(false));

afterEach(async () => {
  await closeSites();
  await closeBackends();
});

describe.each(BACKENDS)('trouble of a session, on %s', (backend) => {
  let harness: StoreHarness;
  let store: SessionExpressStore;

  const open = async (options: Partial<FrameworkStoreOptions> = {}, of: SessionStoreOptions = {}): Promise<void> => {
    harness = await openBackend(backend, of);
    store = openExpressStore({ ...options, store: harness.store });
  };

  it.each(STORE_DAMAGES)('a damaged record (%s) is an empty session and an event', async (damage) => {
    await open();
    const events: SessionEvent[] = [];
    const damages: unknown[] = [];
    harness.store.subscribe((event) => events.push(event));
    store.on('damaged', (event) => damages.push(event));
    const browser = (await openSite({ store })).browser();
    await browser.post('/set', { userId: 'ann' });
    const [id = ''] = await store.ids();
    await harness.corrupt?.(id, damage);
    const { status, body } = await browser.get('/');
    expect([status, body]).toEqual([200, {}]);
    expect(damages).toEqual([{ sessionId: id, detail: expect.any(String) }]);
    expect(events.filter(({ type }) => type === 'damaged')).toEqual([
      expect.objectContaining({ sessionId: id, userId: 'ann' }),
    ]);
    // The browser goes on with a new one.
    await browser.post('/set', { a: 1 });
    expect((await browser.get('/')).body).toEqual({ a: 1 });
  });

  it('data that the serializer cannot read is an empty session and an event', async () => {
    await open({
      serializer: {
        stringify: (value) => `secret ${JSON.stringify(value)}`,
        parse: (text) => JSON.parse(text.slice(7)) as object,
      },
    });
    const damages: unknown[] = [];
    await store.set('sid', { cookie: { originalMaxAge: null }, a: 1 });
    const [id = ''] = await store.ids();
    await harness.store.update(id, { data: { $serialized: 'something else' } });
    store.on('damaged', (event) => damages.push(event));
    expect(await store.get('sid')).toBeUndefined();
    expect(damages).toEqual([{ sessionId: id, detail: 'the session cannot be parsed' }]);
  });

  describe('with saveBeforeAnswer', () => {
    it('a session above the size limit is 413 with its size and the limit, and the former one stays', async () => {
      await open({}, { maxRecordBytes: 2_000 });
      const site = await openSite({ store, after: (app) => app.use(saveBeforeAnswer()) });
      const browser = site.browser();
      await browser.post('/set', { a: 1 });
      const { status, body, setCookies } = await browser.post('/set', { big: 'x'.repeat(3_000) });
      expect(status).toBe(413);
      expect(body).toEqual({
        statusCode: 413,
        error: 'Payload Too Large',
        code: 'session_too_large',
        message: expect.stringMatching(/^The session would take 3\d\d\d bytes, the limit is 2000\./),
      });
      expect(setCookies).toEqual([]);
      expect((await browser.get('/')).body).toEqual({ a: 1 });
      expect(site.errors).toHaveLength(1);
    });

    it('a sign-in at the limit is 409 under `reject`, and sets no cookie', async () => {
      await open({ limit: { max: 1, onLimit: 'reject' } });
      const site = await openSite({ store, after: (app) => app.use(saveBeforeAnswer()) });
      await site.browser().post('/set', { userId: 'ann' });
      const second = site.browser();
      const { status, body, setCookies } = await second.post('/set', { userId: 'ann' });
      expect([status, body.code, setCookies]).toEqual([409, 'session_limit_reached', []]);
      expect(await harness.store.getActiveSessions('ann')).toHaveLength(1);
    });

    it('everything else is as without it', async () => {
      await open();
      const site = await openSite({
        store,
        session: { rolling: true },
        after: (app) => app.use(saveBeforeAnswer()),
        routes: (app) => {
          app.get('/stream', (request, response) => {
            request.session['streamed'] = true;
            response.write('begun, ');
            response.end('done');
          });
          app.post('/ended', (request, response) => {
            request.session['ended'] = true;
            response.writeHead(200, { 'content-type': 'text/plain' });
            response.end('by hand');
          });
          app.get('/elsewhere', (request, response) => {
            request.session['went'] = true;
            response.redirect('/');
          });
        },
      });
      const browser = site.browser();
      let writes = 0;
      const { update, create } = harness.store;
      harness.store.update = (async (...args: Parameters<typeof update>) => {
        writes += 1;
        return update.apply(harness.store, args);
      }) as typeof update;
      harness.store.create = (async (...args: Parameters<typeof create>) => {
        writes += 1;
        return create.apply(harness.store, args);
      }) as typeof create;
      expect((await browser.get('/')).setCookies).toEqual([]);
      expect(writes).toBe(0);
      expect((await browser.post('/set', { a: 1 })).body).toEqual({ a: 1 });
      expect(writes).toBe(1);
      expect((await browser.get('/')).body).toEqual({ a: 1 });
      expect(writes).toBe(1);
      expect((await browser.get('/stream')).text).toBe('begun, done');
      expect((await browser.post('/ended')).text).toBe('by hand');
      expect((await browser.get('/elsewhere')).status).toBe(302);
      expect((await browser.get('/')).body).toEqual({ a: 1, streamed: true, ended: true, went: true });
      expect((await browser.post('/logout')).status).toBe(204);
      expect((await browser.get('/')).body).toEqual({});
    });
  });
});

describe('a store that cannot be asked', () => {
  let server: RedisServer;
  let client: Redis;
  let store: SessionExpressStore;

  beforeEach(async () => {
    server = await startRedis();
    client = new Redis(server.url, { maxRetriesPerRequest: 0, retryStrategy: () => 50, connectTimeout: 500 });
    client.on('error', () => undefined);
    store = new SessionExpressStore({ client, redis: { commandTimeout: 300 } });
  });

  afterEach(async () => {
    await closeSites();
    await store.close();
    client.disconnect();
    await server.stop();
  });

  const session = (): SessionData => ({ cookie: { originalMaxAge: null }, a: 1 });

  it('is an error of every method, and no `disconnect`', async () => {
    await store.set('sid', session());
    let disconnects = 0;
    store.on('disconnect', () => (disconnects += 1));
    await server.kill();
    const unavailable = { code: 'store_unavailable', statusCode: 503 };
    await expect(store.get('sid')).rejects.toMatchObject(unavailable);
    await expect(store.set('sid', session())).rejects.toMatchObject(unavailable);
    await expect(store.touch('sid', session())).rejects.toMatchObject(unavailable);
    await expect(store.destroy('sid')).rejects.toMatchObject(unavailable);
    for (const method of ['all', 'ids', 'length', 'clear'] as const)
      await expect(store[method]()).rejects.toMatchObject(unavailable);
    const [error] = await new Promise<unknown[]>((resolve) => void store.get('sid', (...args) => resolve(args)));
    expect(error).toMatchObject(unavailable);
    // Without a callback and without anybody who waits: no unhandled rejection.
    void store.destroy('sid');
    expect(disconnects).toBe(0);
  });

  it('is 503 for the client and never "no session"; afterwards the session is there again', async () => {
    const site = await openSite({ store, after: (app) => app.use(saveBeforeAnswer()) });
    const browser = site.browser();
    await browser.post('/set', { userId: 'ann' });
    server.pause();
    for (const reply of [
      await browser.get('/'),
      await browser.post('/set', { b: 1 }),
      await site.browser().post('/set', { b: 1 }),
    ]) {
      expect(reply.status).toBe(503);
      expect(reply.headers.get('retry-after')).toBe('1');
      expect(reply.setCookies).toEqual([]);
      expect(reply.body).toEqual({
        statusCode: 503,
        error: 'Service Unavailable',
        code: 'store_unavailable',
        message: 'Sessions cannot be checked at the moment. Try again.',
      });
    }
    // One without a session needs no store.
    expect((await site.browser().get('/')).status).toBe(200);
    server.resume();
    // Commands are refused at once until one of them, let through every 250 ms, shows that Redis answers again.
    await until(() =>
      store.length().then(
        (length) => length > 0,
        () => false,
      ),
    );
    expect((await browser.get('/')).body).toMatchObject({ userId: 'ann' });
  });

  it('ends sessions when Redis is out of memory, and refuses new ones', async () => {
    const site = await openSite({ store, after: (app) => app.use(saveBeforeAnswer()) });
    const browser = site.browser();
    await browser.post('/set', { userId: 'ann' });
    await client.config('SET', 'maxmemory', '1');
    expect((await site.browser().post('/set', { userId: 'ann' })).status).toBe(503);
    expect((await browser.post('/logout')).status).toBe(204);
    await client.config('SET', 'maxmemory', '0');
    expect((await browser.get('/')).body).toEqual({});
    expect(await store.sessions.getActiveSessions('ann')).toEqual([]);
  });
});
