import { jest } from '@jest/globals';
import type { SessionData } from 'express-session';
import { Redis } from 'ioredis';
import type { FrameworkStoreOptions } from '../../../src/frameworks/engine/framework-store-options.js';
import { saveBeforeAnswer, SessionExpressStore } from '../../../src/frameworks/express/index.js';
import { MemorySessionStore } from '../../../src/memory/memory-session-store.js';
import type { StoreHarness } from '../../../src/store-contract/store-harness.js';
import { testRedisUrl } from '../../support/redis-harness.js';
import { BACKENDS, closeBackends, openBackend, openExpressStore } from './support/backends.js';
import { closeSites, openSite } from './support/site.js';

const MINUTE = 60_000;

afterEach(async () => {
  await closeSites();
  await closeBackends();
});

function session(data: Record<string, unknown> = {}, cookie: object = { originalMaxAge: null }): SessionData {
  return { cookie, ...data } as SessionData;
}

const expiresIn = (ms: number): object => ({ originalMaxAge: ms, expires: new Date(Date.now() + ms) });
// What was stored as JSON comes back with `expires` as text.
const endOf = (found: SessionData | undefined): number =>
  new Date(found?.cookie.expires as unknown as string).getTime() - Date.now();

describe.each(BACKENDS)('the rules of framework sessions, on %s', (backend) => {
  let harness: StoreHarness;
  let store: SessionExpressStore;

  const open = async (options: Partial<FrameworkStoreOptions> = {}): Promise<void> => {
    harness = await openBackend(backend);
    store = openExpressStore({ ...options, store: harness.store });
  };

  beforeEach(() => open());

  it('a save later than endedFor does not revive a session that its request had read', async () => {
    await open({ endedFor: '1s' });
    await store.set('sid', session({ userId: 'ann' }));
    const read = (await store.get('sid')) as SessionData;
    await store.destroy('sid');
    await harness.advance(11 * MINUTE);
    Object.assign(read, { late: true });
    await store.set('sid', read);
    expect(await store.get('sid')).toBeUndefined();
    expect(await harness.store.count()).toBe(0);
  });

  // On Redis the mark of an ended id goes by the server's own clock.
  if (backend === 'memory') {
    it('an id may begin again after endedFor, also below five minutes, and again after that', async () => {
      await open({ endedFor: '1s' });
      for (let round = 0; round < 12; round += 1) {
        await store.set('sid', session({ round }));
        expect(await store.get('sid')).toMatchObject({ round });
        await store.destroy('sid');
        await store.set('sid', session({ late: true }));
        expect(await store.get('sid')).toBeUndefined();
        await harness.advance(1_001);
      }
    });
  } else {
    it('an id may begin again after endedFor, also below five minutes', async () => {
      await open({ endedFor: 50 });
      await store.set('sid', session({ round: 1 }));
      await store.destroy('sid');
      await new Promise((resolve) => setTimeout(resolve, 80));
      await store.set('sid', session({ round: 2 }));
      expect(await store.get('sid')).toMatchObject({ round: 2 });
    });
  }

  it('a save and a touch of one request are one access, also where every access counts', async () => {
    await open({ touchInterval: 0 });
    const clock = jest.spyOn(performance, 'now');
    const at = performance.now();
    try {
      await store.set('sid', session({ a: 1 }, expiresIn(MINUTE)));
      const read = (await store.get('sid')) as SessionData;
      const touch = jest.spyOn(harness.store, 'touch');
      clock.mockReturnValue(at);
      await store.set('sid', Object.assign(read, { a: 2 }));
      await store.touch('sid', read);
      clock.mockReturnValue(at + 99);
      await store.touch('sid', read);
      expect(touch).toHaveBeenCalledTimes(1);
      clock.mockReturnValue(at + 101);
      await store.touch('sid', read);
      expect(touch).toHaveBeenCalledTimes(2);
    } finally {
      clock.mockRestore();
    }
  });

  it('a sign-out during a sign-in leaves neither the new session nor the old one', async () => {
    await store.set('sid', session({ cart: 1 }));
    const signIn = (await store.get('sid')) as SessionData;
    signIn['userId'] = 'ann';
    const { create } = harness.store;
    harness.store.create = (async (...args: Parameters<typeof create>) => {
      harness.store.create = create;
      const made = await create.apply(harness.store, args);
      // The sign-out marks the alias, and its end of the old session is still under way.
      const { destroy } = harness.store;
      harness.store.destroy = async () => false;
      await store.destroy('sid');
      harness.store.destroy = destroy;
      return made;
    }) as typeof create;
    await store.set('sid', signIn);
    expect(await store.get('sid')).toBeUndefined();
    expect(await harness.store.count()).toBe(0);
  });

  it.each([{ disableTTL: true }, { disableTouch: true }])(
    'an expired cookie ends a session with %p',
    async (options) => {
      await open(options);
      for (const method of ['set', 'touch'] as const) {
        await store.set(method, session({ a: 1 }, expiresIn(MINUTE)));
        await store[method](method, session({ a: 1 }, expiresIn(-1)));
        expect(await store.get(method)).toBeUndefined();
      }
      expect(await harness.store.count()).toBe(0);
    },
  );

  it('an object saved under a second id is kept whole there, and the first one stays', async () => {
    await store.set('first', session({ a: 1, b: 2 }));
    const read = (await store.get('first')) as SessionData;
    await store.set('second', read);
    await store.set('second', Object.assign(read, { c: 3 }));
    expect(await store.get('second')).toMatchObject({ a: 1, b: 2, c: 3 });
    expect(await store.get('first')).toMatchObject({ a: 1, b: 2 });
    expect(await store.get('first')).not.toHaveProperty('c');
  });

  it('no update is lost with a serializer, whenever the other one comes', async () => {
    let whileSerializing: (() => Promise<unknown>) | null = null;
    await open({
      serializer: {
        stringify: (value) => `v1:${JSON.stringify(value)}`,
        parse: async (text) => {
          const run = whileSerializing;
          whileSerializing = null;
          await run?.();
          return JSON.parse(text.slice(3)) as object;
        },
      },
    });
    await store.set('sid', session({ a: 1 }));
    const [one, two] = [(await store.get('sid')) as SessionData, (await store.get('sid')) as SessionData];
    Object.assign(one, { one: true });
    Object.assign(two, { two: true });
    const { update } = harness.store;
    // The other one writes between the read and the write of this one.
    harness.store.update = (async (...args: Parameters<typeof update>) => {
      harness.store.update = update;
      await store.set('sid', two);
      return update.apply(harness.store, args);
    }) as typeof update;
    await store.set('sid', one);
    expect(await store.get('sid')).toMatchObject({ a: 1, one: true, two: true });
  });

  it('cookie.expires follows each touch and set at once (expressjs/session)', async () => {
    await store.set('sid', session({ a: 1 }, expiresIn(MINUTE)));
    for (const [method, lifetime] of [
      ['touch', MINUTE + 400],
      ['set', MINUTE + 800],
      ['touch', MINUTE - 150],
    ] as const) {
      const read = (await store.get('sid')) as SessionData;
      Object.assign(read.cookie, expiresIn(lifetime));
      await store[method]('sid', read);
      const end = endOf(await store.get('sid'));
      expect(Math.abs(end - lifetime)).toBeLessThan(200);
    }
  });

  it('close leaves a store that was handed in open', async () => {
    const close = jest.spyOn(harness.store, 'close');
    await store.close();
    expect(close).not.toHaveBeenCalled();
    await harness.store.create({ userId: 'ann' });
    close.mockRestore();
  });

  it.each([true, false])('an invalid cookie.expires is one error (saveBeforeAnswer: %p)', async (isSavedBefore) => {
    const site = await openSite({
      store,
      session: { rolling: true },
      ...(isSavedBefore && { after: (app) => app.use(saveBeforeAnswer()) }),
      routes: (app) =>
        app.post('/bad', (request, response) => {
          request.session.cookie.expires = new Date(NaN);
          response.send('done');
        }),
    });
    const browser = site.browser();
    await browser.post('/set', { a: 1 });
    if (isSavedBefore) expect((await browser.post('/bad')).status).toBe(400);
    else await browser.post('/bad').catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(site.errors).toEqual([
      expect.objectContaining({
        message: isSavedBefore ? 'cookie.expires: must be a date.' : 'option expires is invalid',
      }),
    ]);
  });

  it('the 409 at the limit names the sessions to choose from', async () => {
    await open({ limit: { max: 1, onLimit: 'reject' } });
    const site = await openSite({ store, after: (app) => app.use(saveBeforeAnswer()) });
    await site.browser().post('/set', { userId: 'ann' });
    const { status, body } = await site.browser().post('/set', { userId: 'ann' });
    const [listed] = await harness.store.getActiveSessions('ann');
    expect(status).toBe(409);
    expect(body).toMatchObject({ code: 'session_limit_reached', sessions: [{ id: listed?.id }] });
  });
});

it('a MemorySessionStore that only express-session uses frees what has expired', async () => {
  let now = Date.now();
  const memory = new MemorySessionStore({ clock: () => now });
  const sweep = jest.spyOn(memory, 'sweep');
  const store = new SessionExpressStore({ store: memory, sweepInterval: 32 });
  const byDefault = jest.spyOn(globalThis, 'setInterval');
  await new SessionExpressStore({ store: memory }).close();
  expect(byDefault).toHaveBeenCalledTimes(1);
  byDefault.mockRestore();
  await store.set('sid', session({ a: 1 }, expiresIn(1_000)));
  now += 10 * MINUTE;
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(sweep).toHaveBeenCalled();
  expect(await memory.sweep()).toBe(0);
  await store.close();
});

describe('a prefix of connect-redis that overlaps the keys of this library', () => {
  let client: Redis;

  beforeEach(() => {
    client = new Redis(testRedisUrl(), { lazyConnect: true });
  });
  afterEach(() => client.disconnect());

  it.each([
    ['', 'session:'],
    ['session:', 'session:'],
    ['sess', 'session:'],
    ['session:al', 'session:'],
    ['session:alias:', 'session:'],
    ['session:alias:x', 'session:'],
    ['session:{', 'session:'],
    ['sess:', 'sess:'],
    ['sess:', 'sess:ion:'],
  ])('%p and keyPrefix %p refuse to boot', (prefix, keyPrefix) => {
    expect(() => new SessionExpressStore({ client, prefix, redis: { keyPrefix } })).toThrow(
      /^prefix: .* Set keyPrefix so that neither begins with the other/,
    );
  });

  it.each([
    ['sess:', 'session:'],
    ['app:sess:', 'app:'],
    [false as const, ''],
  ])('%p and keyPrefix %p are fine', async (prefix, keyPrefix) => {
    await new SessionExpressStore({ client, prefix, redis: { keyPrefix } }).close();
  });
});
