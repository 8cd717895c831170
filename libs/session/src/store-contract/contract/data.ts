import type { LiveSession } from '../../ports/session-store.js';
import { anyClient, anyHash, expectRefusal, type OpenStore } from '../test-bed.js';
import { describe, expect, it } from '../test-api.js';
import { fullInput } from './full-input.js';

export function describeData(open: OpenStore): void {
  describe('copies', () => {
    it('is not changed by what happens to its input afterwards', async () => {
      const { store } = await open();
      const roles = ['user'];
      const data = { list: [1], nested: { a: 1 } };
      const metadata = { ip: '192.0.2.1' };
      const credentials = { cookie: anyHash(), refresh: anyHash() };
      const kept = { cookie: Buffer.from(credentials.cookie), refresh: Buffer.from(credentials.refresh) };
      const creating = store.create({ userId: 'ada', roles, data, metadata }, { credentials });
      const { id } = await creating;
      roles.push('admin');
      data.list.push(2);
      data.nested.a = 2;
      metadata.ip = 'changed';
      credentials.cookie.fill(0);
      credentials.refresh.fill(0);
      const read = (await store.read(id)) as LiveSession;
      expect(read.session).toMatchObject({
        roles: ['user'],
        data: { list: [1], nested: { a: 1 } },
        metadata: { ip: '192.0.2.1' },
      });
      expect(read.families.cookie?.hash.equals(kept.cookie)).toBe(true);
      expect(read.families.refresh?.hash.equals(kept.refresh)).toBe(true);
    });

    it('is not changed by what happens to anything handed out', async () => {
      const { store } = await open();
      const input = fullInput('ada');
      const cookie = anyHash();
      const client = anyClient();
      const kept = [Buffer.from(cookie), Buffer.from(client)] as const;
      const created = await store.create(input, { credentials: { cookie }, client });
      const { id } = created;
      const original = structuredClone(created);
      const read = (await store.read(id)) as LiveSession;
      const updated = await store.update(id, (session) => {
        session.roles.push('root');
        session.data['theme'] = 'changed';
        return {};
      });
      const [listed] = await store.getActiveSessions('ada');
      for (const copy of [created, await store.get(id), listed, read.session, updated]) {
        copy?.roles.push('root');
        Object.assign(copy?.data ?? {}, { theme: 'changed' });
        (copy?.data['nested'] as { list: unknown[] }).list.length = 0;
        Object.assign(copy ?? {}, { userId: 'eve', expiresAt: 1e15 });
      }
      read.families.cookie?.hash.fill(0);
      read.families.cookie?.client?.fill(0);
      expect(await store.get(id)).toEqual(original);
      const after = ((await store.read(id)) as LiveSession).families.cookie;
      expect(after?.hash.equals(kept[0])).toBe(true);
      expect(after?.client?.equals(kept[1])).toBe(true);
    });
  });

  describe('data', () => {
    it('comes back as JSON keeps it: empty lists stay lists, precise numbers stay precise', async () => {
      const { store } = await open();
      const data = {
        emptyList: [],
        emptyObject: {},
        nested: [[], {}, [[]]],
        big: 9_007_199_254_740_991,
        small: 1.1e-7,
        huge: 1e21,
        text: 'ż 🦔 \u2028 " \\ \r\n \u0000 \uD800',
        '': 'empty key',
        'a.b*{c}:d': 1,
      };
      const { id } = await store.create({ userId: 'ada', data });
      expect((await store.get(id))?.data).toEqual(data);
      await store.update(id, { data: { more: [] } });
      expect((await store.get(id))?.data).toEqual({ ...data, more: [] });
    });

    it('loses what JSON cannot keep, at once and not only after a read', async () => {
      const { store } = await open();
      const data = { at: new Date(0), gone: undefined, call: () => 1, notANumber: NaN };
      const created = await store.create({ userId: 'ada', data });
      expect(created.data).toEqual({ at: '1970-01-01T00:00:00.000Z', notANumber: null });
      expect('gone' in created.data).toBe(false);
    });

    it('is refused where it cannot be written as an object: cycles, BigInt, a Date', async () => {
      const { store } = await open();
      const cycle: Record<string, unknown> = {};
      cycle['self'] = cycle;
      const wrong = [cycle, { n: 1n }, new Date(), { toJSON: () => 5 }, [1], 'text', 5];
      for (const data of wrong as Record<string, unknown>[]) {
        await expectRefusal(store.create({ userId: 'ada', data }), 'invalid_argument');
      }
      expect(await store.count()).toBe(0);
    });

    it('is refused where JSON would lose it without a word, at any depth, with the place named', async () => {
      const { store } = await open();
      const { id } = await store.create({ userId: 'ada', data: { kept: 1 } });
      const hidden = {
        toJSON: () => new Map([['a', 1]]),
      };
      const lost: unknown[] = [
        new Map([['a', 1]]),
        new Set([1]),
        1n,
        new WeakMap(),
        Promise.resolve(),
        /a/,
        new Error('x'),
        new Uint8Array(2),
        new ArrayBuffer(2),
        new URLSearchParams('a=1'),
        Object(1n),
        hidden,
      ];
      for (const value of lost) {
        const wrong: Record<string, unknown>[] = [{ a: value }, { list: [{ 'a b': value }] }];
        for (const data of wrong) {
          await expectRefusal(store.create({ userId: 'ada', data }), 'invalid_argument');
          await expectRefusal(store.update(id, { data }), 'invalid_argument');
          await expectRefusal(
            store.update(id, () => ({ data })),
            'invalid_argument',
          );
        }
      }
      const refused = await store
        .create({ userId: 'ada', data: { cart: { items: [1, new Map()] } } })
        .catch((e: Error) => e);
      expect((refused as Error).message).toBe(
        'data.cart.items[1]: is of the kind Map, which JSON cannot keep; store Object.fromEntries(map), or a list of its entries.',
      );
      expect((await store.get(id))?.data).toEqual({ kept: 1 });
      expect(await store.count()).toBe(1);
    });

    it('is refused deeper than 100 levels or in a cycle, and no size of it blocks the process', async () => {
      const { store } = await open({ maxRecordBytes: 10_000 });
      const nested = (levels: number): Record<string, unknown> => {
        let data: Record<string, unknown> = {};
        for (let level = 0; level < levels; level += 1) data = level % 2 ? { in: data } : { in: [data] };
        return data;
      };
      // Each pair of levels is an object and a list.
      const deep = await store.create({ userId: 'ada', data: nested(66) });
      expect((await store.get(deep.id))?.data).toEqual(nested(66));
      for (const levels of [70, 1_000, 100_000]) {
        await expectRefusal(store.create({ userId: 'ada', data: nested(levels) }), 'invalid_argument');
        await expectRefusal(store.update(deep.id, { data: { more: nested(levels) } }), 'invalid_argument');
      }
      const cycle: unknown[] = [];
      cycle.push({ cycle });
      await expectRefusal(store.create({ userId: 'ada', data: { cycle } }), 'invalid_argument');
      // Without a cycle, but 2^60 values when written out.
      let doubled: unknown = 'x';
      for (let level = 0; level < 60; level += 1) doubled = [doubled, doubled];
      await expectRefusal(store.create({ userId: 'ada', data: { doubled } }), 'session_too_large');
      const shared = { a: 1 };
      const twice = await store.create({ userId: 'ada', data: { one: shared, two: shared } });
      expect(twice.data).toEqual({ one: { a: 1 }, two: { a: 1 } });
    });

    it('keeps what has its own way into JSON: dates, bytes of Buffer, instances of classes', async () => {
      const { store } = await open();
      class Cart {
        items = [1];
        secret = (): number => 1;
      }
      class Empty {}
      const data = {
        cart: new Cart(),
        empty: new Empty(),
        at: new Date(0),
        bytes: Buffer.from('a'),
        text: new String('t'),
      };
      const { id } = await store.create({ userId: 'ada', data });
      expect((await store.get(id))?.data).toEqual({
        cart: { items: [1] },
        empty: {},
        at: '1970-01-01T00:00:00.000Z',
        bytes: { type: 'Buffer', data: [97] },
        text: 't',
      });
    });

    it('sets no prototype through __proto__ (ASVS 15.3.6)', async () => {
      const { store } = await open();
      const hostile = JSON.parse('{"a":1,"__proto__":{"admin":true},"nested":{"__proto__":{"admin":true}}}') as object;
      const { id } = await store.create({ userId: 'ada', data: { ...hostile } });
      const data = (await store.get(id))?.data as Record<string, unknown>;
      const copied: Record<string, unknown> = {};
      Object.assign(copied, data, data['nested']);
      expect(data['a']).toBe(1);
      expect(copied['admin']).toBeUndefined();
      expect(({} as Record<string, unknown>)['admin']).toBeUndefined();
    });
  });
}
