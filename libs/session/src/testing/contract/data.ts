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
      expect(read.lineages.cookie?.hash.equals(kept.cookie)).toBe(true);
      expect(read.lineages.refresh?.hash.equals(kept.refresh)).toBe(true);
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
      read.lineages.cookie?.hash.fill(0);
      read.lineages.cookie?.client?.fill(0);
      expect(await store.get(id)).toEqual(original);
      const after = ((await store.read(id)) as LiveSession).lineages.cookie;
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
