import { jest } from '@jest/globals';
import { Cookie, Store, type SessionData } from 'express-session';
import type { SessionExpressStore } from '../../../src/frameworks/express/index.js';
import type { FrameworkStoreOptions } from '../../../src/frameworks/engine/framework-store-options.js';
import type { StoreHarness } from '../../../src/store-contract/store-harness.js';
import { BACKENDS, closeBackends, openBackend, openExpressStore } from './support/backends.js';

const DAY = 24 * 60 * 60_000;

afterEach(closeBackends);

/** A session as express-session hands it to a store. */
function sessionWith(
  data: Record<string, unknown> = {},
  cookie: Record<string, unknown> = { maxAge: DAY },
): SessionData {
  return { cookie: new (Cookie as unknown as new (options: object) => SessionData['cookie'])(cookie), ...data };
}

/** What a callback was called with. */
async function called<T>(
  call: (callback: (error: unknown, value?: T) => void) => unknown,
): Promise<[unknown, T | undefined]> {
  return new Promise((resolve) => {
    call((error, value) => resolve([error, value]));
  });
}

describe.each(BACKENDS)('the methods of a store of express-session, on %s', (backend) => {
  let harness: StoreHarness;
  let store: SessionExpressStore;

  const open = async (options: Partial<FrameworkStoreOptions> = {}): Promise<void> => {
    harness = await openBackend(backend);
    store = openExpressStore({ store: harness.store, ...options });
  };

  beforeEach(() => open());

  it('is a store of express-session', () => {
    expect(store).toBeInstanceOf(Store);
    for (const method of [
      'get',
      'set',
      'destroy',
      'touch',
      'all',
      'length',
      'clear',
      'regenerate',
      'createSession',
      'load',
    ]) {
      expect(typeof Reflect.get(store, method)).toBe('function');
    }
  });

  describe('get and set (required)', () => {
    it('gives back what was set, its cookie included', async () => {
      const session = sessionWith({ cart: ['a', 'b'], deep: { one: { two: [3, null] } } });
      await store.set('sid', session);
      const got = await store.get('sid');
      expect(got).toEqual(JSON.parse(JSON.stringify(session)));
    });

    it('answers callbacks', async () => {
      expect(await called((done) => store.set('sid', sessionWith({ a: 1 }), done))).toEqual([null, undefined]);
      const [error, got] = await called<SessionData>((done) => store.get('sid', done));
      expect([error, got?.['a']]).toEqual([null, 1]);
    });

    it('gives undefined and no error for an unknown id', async () => {
      expect(await store.get('unknown')).toBeUndefined();
      expect(await called((done) => store.get('unknown', done))).toEqual([null, undefined]);
    });

    it('replaces what was set before by an object that it has not seen', async () => {
      await store.set('sid', sessionWith({ a: 1, b: 1 }));
      await store.set('sid', sessionWith({ b: 2 }));
      expect(await store.get('sid')).toMatchObject({ b: 2 });
      expect(await store.get('sid')).not.toHaveProperty('a');
    });

    it('hands out copies (fastify/session shares references)', async () => {
      const session = sessionWith({ list: [1] });
      await store.set('sid', session);
      (session['list'] as number[]).push(2);
      const got = await store.get('sid');
      (got?.['list'] as number[]).push(3);
      expect((await store.get('sid'))?.['list']).toEqual([1]);
    });

    it('takes a session without a cookie, as tests of connect-redis do', async () => {
      await store.set('123', { foo: 'bar' } as unknown as SessionData);
      expect(await store.get('123')).toEqual({ foo: 'bar' });
    });

    it('takes __proto__ for nothing special', async () => {
      const session = sessionWith(JSON.parse('{"__proto__":{"admin":true},"a":1}') as Record<string, unknown>);
      await store.set('sid', session);
      const got = await store.get('sid');
      expect(got?.['admin']).toBeUndefined();
      expect(got?.['a']).toBe(1);
    });

    it.each([
      ['undefined', undefined],
      ['null', null],
      ['no text', ''],
      ['a number', 5],
      ['an object', {}],
      ['a list', ['sid']],
      ['too long a text', 'x'.repeat(2_000)],
      ['half a character', '\ud800'],
    ])('refuses %s as an id', async (_name, sid) => {
      await expect(store.get(sid as string)).rejects.toMatchObject({ code: 'invalid_argument' });
      await expect(store.set(sid as string, sessionWith())).rejects.toMatchObject({ code: 'invalid_argument' });
      await expect(store.destroy(sid as string)).rejects.toMatchObject({ code: 'invalid_argument' });
    });

    it.each([null, undefined, 'text', 5])('refuses %p as a session', async (session) => {
      const [error] = await called((done) => store.set('sid', session as unknown as SessionData, done));
      expect(error).toMatchObject({ code: 'invalid_argument' });
    });

    it('refuses what cannot be serialized, and says why', async () => {
      const cyclic = sessionWith();
      cyclic['self'] = cyclic;
      await expect(store.set('sid', cyclic)).rejects.toThrow(/session: cannot be serialized: .*circular/i);
      await expect(store.set('sid', sessionWith({ big: 1n }))).rejects.toMatchObject({ code: 'invalid_argument' });
    });

    it('refuses an oversize session with its size and the limit, and keeps the former one', async () => {
      harness = await openBackend(backend, { maxRecordBytes: 2_000 });
      store = openExpressStore({ store: harness.store });
      await store.set('sid', sessionWith({ a: 1 }));
      const [error] = await called((done) => store.set('sid', sessionWith({ big: 'x'.repeat(3_000) }), done));
      expect(error).toMatchObject({ code: 'session_too_large', statusCode: 413, limit: 2_000 });
      expect((error as { size: number }).size).toBeGreaterThan(3_000);
      expect(await store.get('sid')).toMatchObject({ a: 1 });
    });
  });

  describe('the end of a session', () => {
    it('is that of its cookie', async () => {
      await store.set('sid', sessionWith({}, { maxAge: 60_000 }));
      await harness.advance(58_000);
      expect(await store.get('sid')).toBeDefined();
      await harness.advance(2_000);
      expect(await store.get('sid')).toBeUndefined();
    });

    it('is that of a cookie with a fixed end', async () => {
      await store.set('sid', sessionWith({}, { expires: new Date(Date.now() + 60_000) }));
      await harness.advance(58_000);
      expect(await store.get('sid')).toBeDefined();
      await harness.advance(2_000);
      expect(await store.get('sid')).toBeUndefined();
    });

    it.each([
      ['null', { maxAge: null }],
      ['false', { expires: false }],
    ])('is `ttl` where the cookie has none (%s), one day', async (_name, cookie) => {
      await store.set('sid', sessionWith({}, cookie));
      await harness.advance(DAY - 1_000);
      expect(await store.get('sid')).toBeDefined();
      await harness.advance(1_000);
      expect(await store.get('sid')).toBeUndefined();
    });

    it('is `ttl` in seconds as configured', async () => {
      await open({ ttl: 30 });
      await store.set('sid', sessionWith({}, { maxAge: null }));
      await harness.advance(29_000);
      expect(await store.get('sid')).toBeDefined();
      await harness.advance(1_000);
      expect(await store.get('sid')).toBeUndefined();
    });

    it('is what a function `ttl` says, whatever the cookie says', async () => {
      await open({ ttl: (session) => session['seconds'] as number });
      await store.set('short', sessionWith({ seconds: 10 }));
      await store.set('long', sessionWith({ seconds: 100 }, { maxAge: 1_000 }));
      await harness.advance(10_000);
      expect(await store.get('short')).toBeUndefined();
      expect(await store.get('long')).toBeDefined();
      await expect(store.set('wrong', sessionWith({ seconds: 'soon' }))).rejects.toThrow(
        'ttl: must return a number of seconds',
      );
    });

    it.each([
      ['a negative maxAge', { maxAge: -1 }],
      ['maxAge 0', { maxAge: 0 }],
      ['an end in the past', { expires: new Date(Date.now() - 1_000) }],
      ['an end in the past as text', { expires: new Date(Date.now() - 1_000).toISOString() }],
    ])('is at once with %s', async (_name, cookie) => {
      await store.set('sid', sessionWith({ a: 1 }));
      await store.set('sid', sessionWith({ a: 2 }, cookie));
      expect(await store.get('sid')).toBeUndefined();
      await store.set('new', sessionWith({ a: 2 }, cookie));
      expect(await store.get('new')).toBeUndefined();
      expect(await store.length()).toBe(0);
    });

    it('is refused where it is no date', async () => {
      await expect(store.set('sid', { cookie: { expires: 'soon' } } as unknown as SessionData)).rejects.toThrow(
        'cookie.expires: must be a date',
      );
    });

    it('does not come at all with disableTTL', async () => {
      await open({ disableTTL: true });
      await store.set('sid', sessionWith({}, { maxAge: 1_000 }));
      await harness.advance(300 * DAY);
      expect(await store.get('sid')).toBeDefined();
    });

    it('comes at absoluteTimeout however often the session is used (ASVS 7.3.2)', async () => {
      await open({ absoluteTimeout: '3m' });
      const session = sessionWith({}, { maxAge: 60_000 });
      await store.set('sid', session);
      for (let minute = 0; minute < 3; minute += 1) {
        await harness.advance(50_000);
        await store.touch('sid', sessionWith({}, { maxAge: 60_000 }));
      }
      expect(await store.get('sid')).toBeDefined();
      await harness.advance(30_000);
      expect(await store.get('sid')).toBeUndefined();
    });

    it('moves again when the lifetime is changed later', async () => {
      await store.set('sid', sessionWith({}, { maxAge: 60_000 }));
      await store.set('sid', sessionWith({}, { maxAge: 30 * DAY }));
      await harness.advance(29 * DAY);
      expect(await store.get('sid')).toBeDefined();
      await store.set('sid', sessionWith({}, { maxAge: 60_000 }));
      await harness.advance(60_000);
      expect(await store.get('sid')).toBeUndefined();
    });
  });

  describe('touch (recommended)', () => {
    it('moves the end, and `get` tells the cookie so', async () => {
      await store.set('sid', sessionWith({ a: 1 }, { maxAge: 60_000 }));
      await harness.advance(40_000);
      const before = await store.get('sid');
      expect(new Date(before?.cookie.expires as unknown as string).getTime() - Date.now()).toBeLessThan(21_000);
      await store.touch('sid', sessionWith({}, { maxAge: 60_000 }));
      await harness.advance(40_000);
      const after = await store.get('sid');
      expect(after).toMatchObject({ a: 1 });
      expect(new Date(after?.cookie.expires as unknown as string).getTime() - Date.now()).toBeLessThan(21_000);
      await harness.advance(20_000);
      expect(await store.get('sid')).toBeUndefined();
    });

    it('changes no data', async () => {
      await store.set('sid', sessionWith({ a: 1 }));
      const got = (await store.get('sid')) as SessionData;
      got['a'] = 2;
      expect(await called((done) => store.touch('sid', got, done))).toEqual([null, undefined]);
      expect(await store.get('sid')).toMatchObject({ a: 1 });
    });

    it('makes no session of an unknown id', async () => {
      await store.touch('unknown', sessionWith({ a: 1 }));
      expect(await store.get('unknown')).toBeUndefined();
      expect(await store.length()).toBe(0);
    });

    it('ends a session whose cookie has expired', async () => {
      await store.set('sid', sessionWith());
      await store.touch('sid', sessionWith({}, { maxAge: -1 }));
      expect(await store.get('sid')).toBeUndefined();
    });

    it('does nothing with disableTouch, while saving lengthens the session', async () => {
      await open({ disableTouch: true });
      await store.set('sid', sessionWith({}, { maxAge: 60_000 }));
      await harness.advance(40_000);
      await store.touch('sid', sessionWith({}, { maxAge: 60_000 }));
      await harness.advance(19_000);
      await store.set('sid', sessionWith({}, { maxAge: 60_000 }));
      await harness.advance(59_000);
      expect(await store.get('sid')).toBeDefined();
      await harness.advance(1_000);
      expect(await store.get('sid')).toBeUndefined();
    });

    it('is recorded at most once in touchInterval', async () => {
      await open({ touchInterval: '5s' });
      await store.set('sid', sessionWith({}, { maxAge: 60_000 }));
      const touch = jest.spyOn(harness.store, 'touch');
      const touchAgain = async (): Promise<void> => {
        const got = (await store.get('sid')) as SessionData;
        got.cookie.expires = new Date(Date.now() + 60_000);
        await store.touch('sid', got);
      };
      await touchAgain();
      expect(touch).not.toHaveBeenCalled();
      await harness.advance(6_000);
      await touchAgain();
      expect(touch).toHaveBeenCalledTimes(1);
      await touchAgain();
      expect(touch).toHaveBeenCalledTimes(1);
    });
  });

  describe('destroy (required)', () => {
    it('ends the session, may be repeated, and knows unknown ids', async () => {
      await store.set('sid', sessionWith());
      expect(await called((done) => store.destroy('sid', done))).toEqual([null, undefined]);
      expect(await store.get('sid')).toBeUndefined();
      await store.destroy('sid');
      await store.destroy('unknown');
    });

    it('does not need to be waited for', async () => {
      await store.set('sid', sessionWith());
      void store.destroy('sid');
      await harness.settle?.();
      await store.length();
      expect(await store.get('sid')).toBeUndefined();
    });
  });

  describe('all, ids, length and clear (optional)', () => {
    it('list sessions with public ids that destroy takes', async () => {
      await store.set('one', sessionWith({ n: 1 }));
      await store.set('two', sessionWith({ n: 2 }));
      const all = await store.all();
      expect(all.map((session) => session['n']).sort()).toEqual([1, 2]);
      const ids = await store.ids();
      expect(ids.sort()).toEqual(all.map(({ id }) => id).sort());
      expect(await store.length()).toBe(2);
      const [first] = all.filter((session) => session['n'] === 1);
      await store.destroy(first?.id ?? '');
      expect(await store.get('one')).toBeUndefined();
      expect((await store.all()).map((session) => session['n'])).toEqual([2]);
    });

    it('give nothing with which anybody gets in (better-auth#6940)', async () => {
      await store.set('one', sessionWith({ n: 1 }));
      const [id = ''] = await store.ids();
      expect(id).not.toBe('one');
      expect(await store.get(id)).toBeUndefined();
    });

    it('answer callbacks', async () => {
      await store.set('one', sessionWith());
      const [[, all], [, ids], [, length]] = await Promise.all([
        called<unknown[]>((done) => store.all(done)),
        called<string[]>((done) => store.ids(done)),
        called<number>((done) => store.length(done)),
      ]);
      expect([all?.length, ids?.length, length]).toEqual([1, 1, 1]);
      expect(await called((done) => store.clear(done))).toEqual([null, undefined]);
      expect(await called<number>((done) => store.length(done))).toEqual([null, 0]);
    });

    it('leave out what has expired or was ended', async () => {
      await store.set('short', sessionWith({}, { maxAge: 1_000 }));
      await store.set('ended', sessionWith());
      await store.set('live', sessionWith({ is: 'live' }));
      await store.destroy('ended');
      await harness.advance(1_000);
      expect(await store.length()).toBe(1);
      expect(await store.all()).toEqual([expect.objectContaining({ is: 'live' })]);
    });

    it('leave sessions alone that are not of express-session', async () => {
      const other = await harness.store.create({ userId: 'ann' });
      await store.set('sid', sessionWith());
      expect(await store.length()).toBe(1);
      await store.clear();
      expect(await store.length()).toBe(0);
      expect(await harness.store.get(other.id)).not.toBeNull();
    });

    it('work with 1,000 sessions', async () => {
      await Promise.all(
        Array.from({ length: 1_000 }, (_, n) =>
          store.set(`sid-${n}`, sessionWith({ n, ...(n % 2 === 0 && { userId: `user-${n}` }) })),
        ),
      );
      const all = await store.all();
      expect(all.map((session) => session['n'] as number).sort((a, b) => a - b)).toEqual(
        Array.from({ length: 1_000 }, (_, n) => n),
      );
      expect(new Set(await store.ids()).size).toBe(1_000);
      expect(await store.length()).toBe(1_000);
      expect(await harness.store.count()).toBe(1_000);
      await store.clear();
      expect(await store.all()).toEqual([]);
      expect(await store.ids()).toEqual([]);
      expect(await store.length()).toBe(0);
      expect(await harness.store.count()).toBe(0);
    }, 60_000);
  });

  describe('load, createSession and regenerate', () => {
    it('load makes a session object that can be saved', async () => {
      await store.set('sid', sessionWith({ a: 1 }));
      const [error, session] = await called<SessionData & { save(done: (error: unknown) => void): void }>((done) =>
        store.load('sid', done as (error: unknown, session?: SessionData) => void),
      );
      expect(error).toBeNull();
      expect(session?.cookie).toBeInstanceOf(Cookie);
      expect(session?.cookie.expires).toBeInstanceOf(Date);
      Object.assign(session ?? {}, { b: 2 });
      await new Promise((resolve) => session?.save(resolve));
      expect(await store.get('sid')).toMatchObject({ a: 1, b: 2 });
    });

    it('createSession makes a session of a record that has no cookie', async () => {
      await store.set('sid', { a: 1 } as unknown as SessionData);
      const stored = (await store.get('sid')) as SessionData;
      const session = store.createSession({ sessionID: 'sid', sessionStore: store } as never, stored);
      expect(session.cookie).toBeInstanceOf(Cookie);
      expect(session['a']).toBe(1);
    });
  });
});
