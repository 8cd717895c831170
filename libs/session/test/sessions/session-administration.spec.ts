import { logEntryOf } from '../../src/model/event-log.js';
import type { SessionEvent } from '../../src/model/events.js';
import type { Session } from '../../src/model/session.js';
import { MemorySessionStore } from '../../src/memory/memory-session-store.js';
import { DelegatingSessionStore } from '../../src/ports/delegating-session-store.js';
import type { SessionStore } from '../../src/ports/session-store.js';
import { SessionAdministration, type AdminProgress } from '../../src/sessions/session-administration.js';
import type { SessionFilter } from '../../src/sessions/session-filter.js';
import { redisHarness } from '../support/redis-harness.js';

const BY = { actor: 'root', reason: 'T-1' };
const DAY = 86_400_000;

/** Fails once it has ended `ends` sessions. */
class BreakingStore extends DelegatingSessionStore {
  constructor(
    store: SessionStore,
    public ends: number,
  ) {
    super(store);
  }

  forTenant(): SessionStore {
    return this;
  }

  override async destroy(sessionId: string): Promise<boolean> {
    if (this.ends === 0) throw new Error('Redis is away');
    this.ends -= 1;
    return super.destroy(sessionId, { reason: 'admin' });
  }
}

function administrationOf(store: SessionStore): { admin: SessionAdministration; events: SessionEvent[] } {
  const events: SessionEvent[] = [];
  return { admin: new SessionAdministration(store, (event) => events.push(event)), events };
}

describe('a search', () => {
  let time = 100 * DAY;
  const store = new MemorySessionStore({ clock: () => time });
  const { admin } = administrationOf(store);
  const named = (sessions: Session[]): unknown[] => sessions.map(({ data }) => data['name']).sort();

  beforeAll(async () => {
    const start = (name: string, more: object): Promise<Session> =>
      store.create(
        { userId: name, data: { name }, metadata: { ip: '198.51.100.7' }, ...more },
        { idleTimeout: 90 * DAY, absoluteTimeout: 90 * DAY },
      );
    await start('old', { roles: ['admin'] });
    time += 10 * DAY;
    const phone = await start('phone', { deviceId: 'p', deviceType: 'mobile' });
    const key = { algorithm: 'ES256', thumbprint: 'x'.repeat(43), publicKey: 'e'.repeat(80) } as const;
    await store.bindDevice(phone.id, { key, challengedAt: time });
    await start('office', { metadata: { ip: '203.0.113.77' }, roles: ['admin', 'user'] });
    await start('six', { metadata: { ip: '2001:db8::1' } });
    await store.forTenant('acme').create({ userId: 'old', roles: ['admin'] });
    time += 1;
  });

  it.each<[SessionFilter, string[]]>([
    [{}, ['office', 'old', 'phone', 'six']],
    [{ userId: 'old' }, ['old']],
    [{ userId: 'nobody' }, []],
    [{ role: 'admin' }, ['office', 'old']],
    [{ role: 'adm' }, []],
    [{ deviceType: 'mobile' }, ['phone']],
    [{ deviceType: 'unknown' }, ['office', 'old', 'six']],
    [{ address: '203.0.113.0/24' }, ['office']],
    [{ address: '203.0.113.77' }, ['office']],
    [{ address: '0.0.0.0/0' }, ['office', 'old', 'phone']],
    [{ address: '2001:db8::/32' }, ['six']],
    [{ createdBefore: 105 * DAY }, ['old']],
    [{ createdAfter: 105 * DAY }, ['office', 'phone', 'six']],
    [{ unusedSince: 100 * DAY }, ['old']],
    [{ deviceBound: true }, ['phone']],
    [{ deviceBound: false, role: 'admin' }, ['office', 'old']],
    [{ role: 'admin', address: '198.51.100.0/24' }, ['old']],
  ])('%j finds %j, of its own tenant alone', async (filter, names) => {
    expect(named((await admin.search(filter)).sessions)).toEqual(names);
    expect(await admin.countSessions(filter)).toBe(names.length);
  });

  it.each([
    { address: '203.0.113.0/33' },
    { address: 'office' },
    { address: '1.2.3.4/8/9' },
    { deviceType: 'fridge' },
    { role: '' },
    { deviceBound: 'yes' },
    { createdBefore: NaN },
    { user: 'old' },
  ])('%j is refused, because it would match nothing or everything', async (filter) => {
    await expect(admin.search(filter as SessionFilter)).rejects.toMatchObject({ code: 'invalid_argument' });
    await expect(admin.endMatching(filter as SessionFilter, BY)).rejects.toMatchObject({ code: 'invalid_argument' });
  });
});

describe('pages', () => {
  it('of Redis hold each session once, also when sessions of earlier pages end meanwhile', async () => {
    const { store, close } = await redisHarness({});
    try {
      const { admin } = administrationOf(store);
      const ids: string[] = [];
      for (let n = 0; n < 25; n += 1) ids.push((await store.create({ userId: `user-${n % 10}` })).id);
      const seen: string[] = [];
      let cursor: string | null = null;
      do {
        const page: Awaited<ReturnType<typeof admin.search>> = await admin.search(
          {},
          { limit: 4, ...(cursor !== null && { cursor }) },
        );
        expect(page.sessions.length).toBeLessThanOrEqual(4);
        seen.push(...page.sessions.map(({ id }) => id));
        const [first] = page.sessions;
        if (first) await admin.endSession(first.id, BY);
        cursor = page.cursor;
      } while (cursor !== null);
      expect(seen.sort()).toEqual(ids.sort());
    } finally {
      await close();
    }
  });

  it('refuse a cursor that is none', async () => {
    const { admin } = administrationOf(new MemorySessionStore());
    await expect(admin.search({}, { cursor: 'next' })).rejects.toMatchObject({ code: 'invalid_argument' });
    await expect(admin.search({}, { limit: 0 })).rejects.toMatchObject({ code: 'invalid_argument' });
  });
});

describe('an end', () => {
  it.each([undefined, {}, { actor: 'root' }, { actor: ' ', reason: 'x' }, { actor: 'root', reason: '' }])(
    'ASVS 16.2.1: by %j ends nothing',
    async (by) => {
      const store = new MemorySessionStore();
      const { admin, events } = administrationOf(store);
      const { id } = await store.create({ userId: 'ann', roles: ['user'] });
      const refused = { code: 'invalid_argument' };
      await expect(admin.endSession(id, by as never)).rejects.toMatchObject(refused);
      await expect(admin.endUserSessions('ann', by as never)).rejects.toMatchObject(refused);
      await expect(admin.endUsersSessions(['ann'], by as never)).rejects.toMatchObject(refused);
      await expect(admin.endMatching({ role: 'user' }, by as never)).rejects.toMatchObject(refused);
      await expect(admin.endEverybody(by as never)).rejects.toMatchObject(refused);
      expect([await store.count(), events]).toEqual([1, []]);
    },
  );

  it('of each kind is one event with who, why, and how many', async () => {
    const store = new MemorySessionStore();
    const { admin, events } = administrationOf(store);
    const [one] = await Promise.all(
      ['ann', 'ann', 'bob', 'cid', 'cid', 'eve', 'fay'].map((userId) =>
        store.create({ userId, roles: userId === 'eve' ? ['user'] : [] }),
      ),
    );
    expect(await admin.endSession(one?.id ?? '', BY)).toBe(true);
    expect(await admin.endSession(one?.id ?? '', BY)).toBe(false);
    expect(await admin.endUserSessions('ann', BY)).toBe(1);
    const heard: AdminProgress[] = [];
    const onProgress = (progress: AdminProgress): unknown => heard.push(progress);
    expect(await admin.endUsersSessions(['bob', 'cid', 'bob', 'nobody'], BY, { onProgress })).toBe(3);
    expect(await admin.endMatching({ role: 'user' }, BY, { onProgress })).toBe(1);
    await expect(admin.endMatching({}, BY)).rejects.toMatchObject({ code: 'invalid_argument' });
    expect(await admin.endEverybody(BY, { onProgress })).toBe(1);
    expect(heard.map(({ sessions, progress }) => [sessions, progress])).toEqual([
      [3, 1],
      [1, 1],
      [1, 1],
    ]);
    expect(events.map((event) => event.type === 'admin-action' && [event.action, event.ended, event.userId])).toEqual([
      ['end-session', 1, ''],
      ['end-session', 0, ''],
      ['end-user', 1, 'ann'],
      ['end-users', 3, ''],
      ['end-matching', 1, ''],
      ['end-everybody', 1, ''],
    ]);
    expect(events).toEqual(
      events.map((event) => expect.objectContaining({ ...BY, completed: true, type: event.type })),
    );
  });

  it.each(['accountDisabled', 'accountDeleted'] as const)(
    'ASVS 7.4.2: %s ends all sessions of the user, and refuses a sign-in whose password was verified before',
    async (call) => {
      let time = 20_000 * DAY;
      const store = new MemorySessionStore({ clock: () => (time += 1) });
      const { admin, events } = administrationOf(store);
      for (const userId of ['ann', 'ann', 'bob']) await store.create({ userId });
      const verifiedAt = store.now();
      await expect(admin[call]('ann', { actor: 'root', reason: '' })).rejects.toMatchObject({
        code: 'invalid_argument',
      });
      expect([await store.count(), events]).toEqual([3, []]);
      expect(await admin[call]('ann', BY)).toBe(2);
      expect(await admin[call]('ann', BY)).toBe(0);
      await expect(store.create({ userId: 'ann' }, { verifiedAt })).rejects.toMatchObject({ code: 'session_revoked' });
      expect((await store.getActiveSessions('bob')).length).toBe(1);
      const action = call === 'accountDisabled' ? 'account-disabled' : 'account-deleted';
      expect(events).toMatchObject([2, 0].map((ended) => ({ ...BY, action, userId: 'ann', ended, completed: true })));
    },
  );

  it('ASVS 8.3.2: rolesChanged gives every session of the user the new roles, with an event that names them', async () => {
    const store = new MemorySessionStore();
    const { admin, events } = administrationOf(store);
    for (const userId of ['ann', 'ann', 'bob']) await store.create({ userId, roles: ['admin'] });
    await expect(admin.rolesChanged('ann', 'user' as never, BY)).rejects.toMatchObject({ code: 'invalid_argument' });
    await expect(admin.rolesChanged('ann', ['user'], {} as never)).rejects.toMatchObject({ code: 'invalid_argument' });
    expect(events).toEqual([]);
    expect(await admin.rolesChanged('ann', ['user', 'editor'], BY)).toBe(2);
    const roles = async (userId: string): Promise<unknown> =>
      (await store.getActiveSessions(userId)).map((session) => session.roles);
    expect(await roles('ann')).toEqual([
      ['user', 'editor'],
      ['user', 'editor'],
    ]);
    expect(await roles('bob')).toEqual([['admin']]);
    expect(events).toMatchObject([
      { ...BY, action: 'roles-changed', userId: 'ann', roles: ['user', 'editor'], ended: 0, completed: true },
    ]);
    expect(events.map(logEntryOf)).toMatchObject([{ action: 'roles-changed', roles: 'user,editor', actorId: 'root' }]);
  });

  it('that fails on the way says so in its event, and the next one ends the rest', async () => {
    const memory = new MemorySessionStore();
    const store = new BreakingStore(memory, 3);
    const { admin, events } = administrationOf(store);
    for (let n = 0; n < 8; n += 1) await memory.create({ userId: `user-${n}`, roles: ['user'] });
    await expect(admin.endMatching({ role: 'user' }, BY)).rejects.toThrow('Redis is away');
    expect(events).toMatchObject([{ ended: 3, completed: false }]);
    store.ends = Infinity;
    expect(await admin.endMatching({ role: 'user' }, BY)).toBe(5);
    expect(await memory.count()).toBe(0);
  });
});

it('actions reach every instance', async () => {
  const harness = await redisHarness({});
  try {
    const other = await harness.openSecond?.();
    if (!other) throw new Error('on Redis there is a second instance');
    const admin = new SessionAdministration(harness.store, (event) => harness.store.publish(event));
    const heard: SessionEvent[] = [];
    const arrived = new Promise<void>((resolve) => {
      other.subscribe((event) => {
        if (event.type === 'admin-action' && heard.push(event) === 2) resolve();
      });
    });
    await other.ready();
    await admin.endUsersSessions(['ann'], BY);
    await admin.rolesChanged('ann', ['user'], BY);
    await arrived;
    expect(heard).toMatchObject([
      { ...BY, action: 'end-users', sessionId: '', remote: true },
      { ...BY, action: 'roles-changed', userId: 'ann', roles: ['user'], remote: true },
    ]);
  } finally {
    await harness.close();
  }
});
