import { Logger } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { jest } from '@jest/globals';
import {
  SessionHistory,
  SessionModule,
  SessionService,
  SessionStore,
  type SessionModuleOptions,
} from '../../src/index.js';
import { MemorySessionHistory } from '../../src/memory/memory-session-history.js';
import { newSessionId } from '../../src/model/ids.js';
import { resolveSessionOptions } from '../../src/options/resolve-options.js';
import type { HistoryLimits, SessionHistoryEntry } from '../../src/ports/session-history.js';
import { CountingStore } from '../support/counting-store.js';
import { OwnRedis, PREFIX, until } from '../support/own-redis.js';
import { secretOf } from '../support/secrets.js';

const LIMITS: HistoryLimits = { maxEntries: 5, retention: 60_000 };

const redis: { own?: OwnRedis } = {};
const own = (): OwnRedis => redis.own as OwnRedis;

beforeAll(async () => {
  jest.spyOn(Logger.prototype, 'log').mockImplementation(() => undefined);
  redis.own = await OwnRedis.start();
});
afterAll(() => redis.own?.stop());
afterEach(() => own().reset());

interface Bed {
  readonly history: SessionHistory;
  readonly now: number;
  advance(ms: number): void;
}

const ADAPTERS: Record<string, () => Promise<Bed>> = {
  MemorySessionHistory: async () => {
    const bed = {
      now: 1_800_000_000_000,
      advance: (ms: number) => (bed.now += ms),
      history: null as never as SessionHistory,
    };
    bed.history = new MemorySessionHistory(LIMITS, () => bed.now);
    return bed;
  },
  RedisSessionHistory: async () => {
    let shift = 0;
    const store = own().open({ timeShift: () => shift });
    await store.ready();
    return {
      history: store.history(LIMITS),
      get now() {
        return store.now();
      },
      advance: (ms) => (shift += ms),
    };
  },
};

describe.each(Object.keys(ADAPTERS))('%s', (name) => {
  let bed: Bed;
  let history: SessionHistory;
  const sessionId = newSessionId('u'.repeat(16));
  const entry = (at: number, more: Partial<SessionHistoryEntry> = {}): SessionHistoryEntry => ({
    type: 'regenerated',
    at,
    sessionId,
    ...more,
  });

  beforeEach(async () => {
    bed = await (ADAPTERS[name] as () => Promise<Bed>)();
    history = bed.history;
  });

  it('lists what was added, latest first, each user apart', async () => {
    const { now } = bed;
    await history.add('ada', entry(now - 2, { type: 'created' }));
    await history.add('bob', entry(now - 1));
    await history.add('ada', entry(now, { type: 'ended', reason: 'logout' }));
    expect(await history.list('ada')).toEqual([
      entry(now, { type: 'ended', reason: 'logout' }),
      entry(now - 2, { type: 'created' }),
    ]);
    expect(await history.list('ada', { limit: 1 })).toHaveLength(1);
    expect(await history.list('eve')).toEqual([]);
  });

  it('keeps so many and no more, the latest', async () => {
    const { now } = bed;
    await Promise.all(Array.from({ length: 20 }, (_, index) => history.add('ada', entry(now + index))));
    expect((await history.list('ada')).map(({ at }) => at - now)).toEqual([19, 18, 17, 16, 15]);
  });

  it('keeps them for so long', async () => {
    await history.add('ada', entry(bed.now));
    bed.advance(40_000);
    await history.add('ada', entry(bed.now));
    expect(await history.list('ada')).toHaveLength(2);
    bed.advance(30_000);
    expect(await history.list('ada')).toHaveLength(1);
    bed.advance(40_000);
    expect(await history.list('ada')).toEqual([]);
  });

  if (name === 'MemorySessionHistory') {
    it('keeps them to the last millisecond of that time', async () => {
      await history.add('ada', entry(bed.now));
      bed.advance(LIMITS.retention);
      expect(await history.list('ada')).toHaveLength(1);
      bed.advance(1);
      expect(await history.list('ada')).toEqual([]);
    });
  }

  it('takes a repeat for the same', async () => {
    const { now } = bed;
    for (let times = 0; times < 3; times += 1) await history.add('ada', entry(now));
    expect(await history.list('ada')).toHaveLength(1);
  });

  it('tells device and address of a session with each of its entries', async () => {
    const { now } = bed;
    const other = newSessionId('u'.repeat(16));
    await history.add('ada', entry(now, { type: 'created', deviceName: 'Laptop', ip: '192.0.2.1' }));
    await history.add('ada', entry(now + 1, { type: 'ended', reason: 'idle' }));
    await history.add('ada', { ...entry(now + 2), sessionId: other });
    expect(await history.list('ada')).toMatchObject([
      { sessionId: other },
      { type: 'ended', reason: 'idle', deviceName: 'Laptop', ip: '192.0.2.1' },
      { type: 'created', deviceName: 'Laptop', ip: '192.0.2.1' },
    ]);
    expect((await history.list('ada'))[0]).not.toHaveProperty('deviceName');
  });

  it('forgets on request, and does not mind strange ids', async () => {
    const strange = 'ada}{*\r\n\u0000';
    await history.add(strange, entry(bed.now));
    expect(await history.list(strange)).toHaveLength(1);
    await history.clear(strange);
    expect(await history.list(strange)).toEqual([]);
    await expect(history.list(''))
      .resolves.toEqual([])
      .catch(() => undefined);
  });
});

it('the trail of a user is one key in the slot of their sessions, which goes away by itself', async () => {
  const store = own().open();
  await store.ready();
  const history = store.history(LIMITS);
  const { id } = await store.create({ userId: 'ada' });
  await history.add('ada', { type: 'created', at: store.now(), sessionId: id });
  const { user, userKey } = own().keys.ofUser('ada');
  const key = user.replace(':user:', ':history:');
  expect((await own().keysLeft()).sort()).toEqual([own().keys.ofUser('ada').expiries, key, user].sort());
  expect(key).toBe(`${PREFIX}${/\{.*\}/.exec(user)?.[0]}:history:${userKey}`);
  expect(await own().admin.pttl(key)).toBeGreaterThan(50_000);
  // Damage and other people's entries are passed over.
  await own().admin.zadd(
    key,
    store.now(),
    'nonsense',
    store.now(),
    JSON.stringify({ type: 'created', at: 1, sessionId: id, userId: 'eve' }),
  );
  expect(await history.list('ada')).toHaveLength(1);
});

describe('the audit trail', () => {
  const apps: { close(): Promise<void> }[] = [];
  afterEach(async () => {
    await Promise.all(apps.splice(0).map((app) => app.close()));
  });

  async function open(options: SessionModuleOptions) {
    const app = await Test.createTestingModule({
      imports: [SessionModule.forRoot({ events: { log: false }, ...options })],
    }).compile();
    await app.init();
    apps.push(app);
    return { sessions: app.get(SessionService), history: app.get(SessionHistory), store: app.get(SessionStore) };
  }

  /** The types of the entries that are written by way of this store. */
  function writesOf(store: SessionStore): string[] {
    const types: string[] = [];
    const history = store.history.bind(store);
    store.history = (limits) => {
      const made = history(limits) as SessionHistory;
      const add = made.add.bind(made);
      made.add = async (userId, written) => {
        types.push(written.type);
        await add(userId, written);
      };
      return made;
    };
    return types;
  }

  const summary = (entries: readonly SessionHistoryEntry[]): string[] =>
    entries.map(({ type, reason }) => (reason === undefined ? type : `${type} ${reason}`));

  it('is written by the instance that caused an event, and by no other', async () => {
    const options = { secrets: secretOf('s'), history: true } as const;
    const stores = [own().open(), own().open()] as const;
    const written = stores.map(writesOf);
    const here = await open({ ...options, store: stores[0] });
    const there = await open({ ...options, store: stores[1] });
    const { session } = await here.sessions.start({
      userId: 'ada',
      deviceId: 'd',
      deviceName: 'Laptop',
      metadata: { ip: '192.0.2.1', userAgent: 'a secret?' },
    });
    await here.sessions.update(session.id, { data: { a: 1 } });
    await there.sessions.regenerate(session.id);
    await there.sessions.end(session.id, { reason: 'revoked' });
    await until(async () => (await there.history.list('ada')).length >= 3);
    await new Promise((resolve) => setTimeout(resolve, 100));
    const entries = await here.history.list('ada');
    expect(summary(entries)).toEqual(['ended revoked', 'regenerated', 'created']);
    expect(
      entries.every(
        ({ deviceName, ip, sessionId }) => deviceName === 'Laptop' && ip === '192.0.2.1' && sessionId === session.id,
      ),
    ).toBe(true);
    expect(JSON.stringify(entries)).not.toContain('secret');
    // The same entry twice would look like one.
    expect(written).toEqual([['created'], ['regenerated', 'ended']]);
  });

  it('has ends by the sweeper, and what the process found out', async () => {
    const store = new CountingStore();
    const { sessions, history } = await open({ store, history: { maxEntries: 10 } });
    const { session, cookieToken = '' } = await sessions.start({ userId: 'ada' });
    store.advance(31 * 60_000);
    await store.sweep();
    await expect(sessions.authenticate(cookieToken)).rejects.toMatchObject({ code: 'session_expired' });
    await until(async () => (await history.list('ada')).length === 3);
    expect(summary(await history.list('ada')).sort()).toEqual(['created', 'ended idle', 'use-after-end idle']);
    expect((await history.list('ada')).map(({ sessionId }) => sessionId)).toEqual([session.id, session.id, session.id]);
  });

  it('is none of an anonymous visitor, whose trail nobody could read', async () => {
    const store = new CountingStore();
    const written = writesOf(store);
    const { sessions } = await open({ store, history: true });
    const visit = await sessions.startAnonymous();
    await sessions.end(visit.session.id);
    await sessions.start({ userId: 'ada' });
    await until(() => written.length > 0);
    expect(written).toEqual(['created']);
  });

  it('fails no request where it cannot be written, and says so once', async () => {
    const warnings: unknown[] = [];
    const spy = jest.spyOn(Logger.prototype, 'warn').mockImplementation((line) => void warnings.push(line));
    const store = new CountingStore();
    const broken = { add: () => Promise.reject(new Error('full')), list: async () => [], clear: async () => undefined };
    store.history = () => broken as unknown as ReturnType<typeof store.history>;
    const { sessions } = await open({ store, history: true });
    for (const userId of ['ada', 'bob']) await expect(sessions.start({ userId })).resolves.toBeDefined();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(warnings.filter((line) => String(line).includes('audit trail cannot be written: full'))).toHaveLength(1);
    spy.mockRestore();
  });

  it('is written to its end before the store closes', async () => {
    const store = own().open();
    const app = await open({ secrets: secretOf('s'), store, history: true });
    await Promise.all(Array.from({ length: 20 }, (_, index) => app.sessions.start({ userId: `user-${index}` })));
    await apps.pop()?.close();
    const reader = own().open();
    await reader.ready();
    const history = reader.history(LIMITS);
    const lengths = await Promise.all(
      Array.from({ length: 20 }, async (_, index) => (await history.list(`user-${index}`)).length),
    );
    expect(lengths.every((length) => length === 1)).toBe(true);
  });

  it('is off unless asked for, and then says what to set', async () => {
    const { history, sessions } = await open({});
    await sessions.start({ userId: 'ada' });
    for (const asked of [history.list('ada'), history.clear('ada')]) {
      await expect(asked).rejects.toMatchObject({
        code: 'invalid_configuration',
        message: expect.stringContaining('history: true'),
      });
    }
  });

  it('stops the boot with a store that has no place for it', async () => {
    const store = new CountingStore();
    store.history = () => null as never;
    await expect(open({ store, history: true })).rejects.toThrow(/history: your store keeps no audit trail/);
  });

  it.each([
    [{ maxEntries: 0 }, /history\.maxEntries: must be a whole number from 1/],
    [{ retention: 'for ever' }, /history\.retention: "for ever" is not a duration/],
    [{ max: 3 }, /history\.max: there is no such option/],
    ['yes', /history: must be true, false or/],
  ])('refuses %j at boot', (history, message) => {
    expect(() => resolveSessionOptions({ history: history as never })).toThrow(message);
  });
});
