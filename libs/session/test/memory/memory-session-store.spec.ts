import { MemorySessionStore } from '../../src/memory/memory-session-store.js';
import { describeSessionStore } from '../../src/store-contract/store-contract.js';
import { createMemoryHarness, insidesOf } from '../support/memory-harness.js';
import { describeStoreModel } from '../support/describe-store-model.js';

const MINUTE = 60_000;

describeSessionStore('MemorySessionStore', createMemoryHarness);
describeStoreModel('MemorySessionStore', createMemoryHarness);

describeSessionStore('MemorySessionStore by the system clock', async (options) => {
  let shift = 0;
  const store = new MemorySessionStore({ ...options, clock: () => Date.now() + shift });
  return {
    store,
    advance: async (ms) => {
      shift += ms;
    },
    close: () => store.close(),
  };
});

describe('MemorySessionStore', () => {
  it('is empty once everything has expired, was swept, and need not be remembered any more', async () => {
    const { store, advance } = await createMemoryHarness({ tombstoneTtl: MINUTE, absoluteTimeout: 30 * MINUTE });
    for (let user = 0; user < 50; user += 1) {
      const { id } = await store.create({ userId: `user-${user}` });
      await store.create({ userId: `user-${user}` });
      await store.revokeToken(id, `${id}.1`, store.now() + 10 * MINUTE);
      await store.updateUser(`user-${user}`, { roles: ['user'] });
      if (user % 2 === 0) await store.destroy(id);
    }
    const { users } = insidesOf(store);
    expect(users.size).toBe(50);
    await advance(30 * MINUTE);
    expect(await store.sweep()).toBe(75);
    expect(users.size).toBe(50);
    await advance(MINUTE);
    expect(await store.sweep()).toBe(0);
    expect(users.size).toBe(0);
  });

  it('forgets revoked tokens once they would have expired anyway', async () => {
    const { store, advance } = await createMemoryHarness();
    const { id } = await store.create({ userId: 'ada' });
    for (let token = 0; token < 20; token += 1) await store.revokeToken(id, `${id}.${token}`, store.now() + MINUTE);
    const [user] = insidesOf(store).users.values();
    expect(user?.revoked.size).toBe(20);
    await advance(MINUTE);
    await store.sweep();
    expect(user?.revoked.size).toBe(0);
  });

  it('keeps no trace of a user who was only asked about', async () => {
    const { store } = await createMemoryHarness({ limit: { max: 1, onLimit: 'reject' } });
    await store.getActiveSessions('ada');
    await store.destroyAll('ada');
    await store.updateUser('ada', { roles: [] });
    await store.revokeTokens('ada');
    await store.create({ userId: 'ada', expiresAt: 1 }).catch(() => undefined);
    await store.create({ userId: 'ada', data: { big: 'x'.repeat(100_000) } }).catch(() => undefined);
    expect(insidesOf(store).users.size).toBe(0);
  });

  it('holds its time from running backwards when the clock does', async () => {
    let time = 1_900_000_000_000;
    const store = new MemorySessionStore({ clock: () => time });
    const session = await store.create({ userId: 'ada' });
    time += 10 * MINUTE;
    expect(await store.touch(session.id)).toBe(true);
    time -= 5 * MINUTE;
    expect(store.now()).toBe(session.createdAt + 10 * MINUTE);
    expect(await store.touch(session.id)).toBe(true);
    expect((await store.get(session.id))?.lastAccess).toBe(session.createdAt + 10 * MINUTE);
    expect((await store.create({ userId: 'ada' })).createdAt).toBe(session.createdAt + 10 * MINUTE);
  });

  it('separates users of the same id in different tenants: their sessions have other addresses', async () => {
    const stores = ['one', 'two', ''].map((tenant) => new MemorySessionStore({ tenant }));
    const ids = await Promise.all(stores.map(async (store) => (await store.create({ userId: 'ada' })).id.slice(0, 16)));
    expect(new Set(ids).size).toBe(3);
  });

  it('works with nothing set', async () => {
    const store = new MemorySessionStore();
    await store.ready();
    const session = await store.create({ userId: 'ada' });
    expect(session.idleTimeout).toBe(30 * MINUTE);
    expect(session.expiresAt - session.createdAt).toBe(24 * 60 * MINUTE);
    for (let i = 0; i < 5; i += 1) await store.create({ userId: 'ada' });
    expect(await store.getActiveSessions('ada')).toHaveLength(5);
    await store.close();
    await store.close();
  });

  it('hands what a listener threw to the given handler', async () => {
    const errors: unknown[] = [];
    const store = new MemorySessionStore({ onListenerError: (error) => errors.push(error) });
    store.subscribe(({ type }) => {
      throw new Error(type);
    });
    await store.create({ userId: 'ada' });
    expect(errors).toEqual([new Error('created')]);
  });

  it('refuses options that are out of range, and names them', () => {
    for (const options of [
      { idleTimeout: 0 },
      { absoluteTimeout: NaN },
      { maxRecordBytes: 0.5 },
      { tombstoneTtl: -1 },
      { limit: { max: 0, onLimit: 'reject' as const } },
    ]) {
      const [name] = Object.keys(options) as [string];
      const expected = name === 'limit' ? /maxSessionsPerUser: / : new RegExp(`^${name}: `);
      expect(() => new MemorySessionStore(options)).toThrow(expected);
    }
  });
});
