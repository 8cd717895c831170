import type { SessionChange, SessionPatch } from '../../model/session.js';
import { expectRefusal, refusalOf, type OpenStore } from '../test-bed.js';
import { describe, expect, it } from '../test-api.js';
import { fullInput } from './full-input.js';

const increment: SessionChange = ({ data }) => ({ data: { n: Number(data['n'] ?? 0) + 1 } });

export function describeUpdate(open: OpenStore): void {
  describe('update', () => {
    it('merges data key by key at the top level, and returns the session as it then is', async () => {
      const { store } = await open();
      const session = await store.create({ userId: 'ada', data: { a: 1, nested: { x: 1, y: 2 }, keep: null } });
      const updated = await store.update(session.id, { data: { a: 2, b: [], nested: { x: 3 } } });
      expect(updated).toEqual({ ...session, data: { a: 2, b: [], nested: { x: 3 }, keep: null } });
      expect(await store.get(session.id)).toEqual(updated);
    });

    it('removes a key set to undefined, and keeps one set to null', async () => {
      const { store } = await open();
      const { id } = await store.create({ userId: 'ada', data: { a: 1, b: 2, c: 3 } });
      const updated = await store.update(id, { data: { a: undefined, b: null } });
      expect(updated?.data).toEqual({ b: null, c: 3 });
      expect('a' in (updated?.data ?? {})).toBe(false);
    });

    it('changes every documented field, and leaves what the patch does not name', async () => {
      const { store } = await open();
      const session = await store.create(fullInput('ada'));
      const patch: SessionPatch = {
        email: 'new@example.com',
        roles: [],
        metadata: { ip: '192.0.2.7' },
        deviceName: 'Work laptop',
        lastLocation: { ip: '192.0.2.7', country: 'DE' },
        amr: ['hwk'],
        acr: 'aal3',
      };
      expect(await store.update(session.id, patch)).toEqual({ ...session, ...patch });
      expect(await store.update(session.id, {})).toEqual({ ...session, ...patch });
      const settled = await store.update(session.id, { pending: false });
      expect(settled?.pending === true).toBe(false);
      expect((await store.update(session.id, { pending: true }))?.pending).toBe(true);
    });

    it('takes a function of the session as it stands', async () => {
      const { store } = await open();
      const session = await store.create({ userId: 'ada', roles: ['user'], data: { n: 1 } });
      const updated = await store.update(session.id, (current) => {
        expect(current).toEqual(session);
        return { roles: [...current.roles, 'admin'], data: { n: Number(current.data['n']) + 1 } };
      });
      expect(updated).toEqual({ ...session, roles: ['user', 'admin'], data: { n: 2 } });
    });

    it('cannot set id, userId, createdAt, deadlines or device (ASVS 15.3.3)', async () => {
      const { store } = await open();
      const session = await store.create({ userId: 'ada', deviceId: 'd' });
      const hostile = {
        id: 'x'.repeat(32),
        userId: 'eve',
        createdAt: 1,
        lastAccess: 9e15,
        expiresAt: 9e15,
        idleTimeout: 9e15,
        authenticatedAt: 9e15,
        tokensFrom: 0,
        deviceId: 'other',
        deviceType: 'mobile',
        actor: { userId: 'root', sessionId: 'x' },
        v: 99,
        whatever: true,
        data: { fine: true },
      };
      expect(await store.update(session.id, hostile)).toEqual({ ...session, data: { fine: true } });
      expect(await store.update(session.id, () => hostile)).toEqual({ ...session, data: { fine: true } });
      expect(await store.getActiveSessions('eve')).toEqual([]);
      expect((await store.findByDevice('ada', 'd'))?.id).toBe(session.id);
      expect(await store.findByDevice('ada', 'other')).toBeNull();
    });

    it('100 parallel increments give 100', async () => {
      const { store } = await open();
      const { id } = await store.create({ userId: 'ada' });
      await Promise.all(Array.from({ length: 100 }, () => store.update(id, increment)));
      expect((await store.get(id))?.data).toEqual({ n: 100 });
    });

    it('100 parallel increments give 100, half of them by a second instance', async () => {
      const bed = await open();
      const { id } = await bed.store.create({ userId: 'ada' });
      const instances = await bed.instances(100);
      await Promise.all(instances.map((store) => store.update(id, increment)));
      expect((await bed.store.get(id))?.data).toEqual({ n: 100 });
    });

    it('loses neither of two parallel patches on different keys', async () => {
      const bed = await open();
      const second = await bed.second();
      const { id } = await bed.store.create({ userId: 'ada' });
      for (let round = 0; round < 10; round += 1) {
        await Promise.all([
          bed.store.update(id, { data: { [`a${round}`]: 1 } }),
          second.update(id, { data: { [`b${round}`]: 1 } }),
          bed.store.touch(id),
        ]);
      }
      expect(Object.keys((await bed.store.get(id))?.data ?? {})).toHaveLength(20);
    });

    it('loses nothing to a change that its own function makes', async () => {
      const { store } = await open();
      const { id } = await store.create({ userId: 'ada' });
      const inner: Promise<unknown>[] = [];
      await store.update(id, (session) => {
        if (inner.length === 0) inner.push(store.update(id, increment));
        return typeof increment === 'function' ? increment(session) : {};
      });
      await Promise.all(inner);
      expect((await store.get(id))?.data).toEqual({ n: 2 });
    });

    it('lets through what the function throws, and changes nothing then', async () => {
      const { store } = await open();
      const session = await store.create({ userId: 'ada', data: { a: 1 } });
      const failure = new Error('mine');
      const refusal = await refusalOf(
        store.update(session.id, (current) => {
          current.data['a'] = 2;
          throw failure;
        }),
      );
      expect(refusal).toBe(failure);
      expect(await store.get(session.id)).toEqual(session);
      expect((await store.update(session.id, { data: { b: 2 } }))?.data).toEqual({ a: 1, b: 2 });
    });

    it('refuses a function that returns a promise or no patch', async () => {
      const { store } = await open();
      const session = await store.create({ userId: 'ada', data: { a: 1 } });
      const wrong: unknown[] = [
        async () => ({ data: { a: 2 } }),
        async () => Promise.reject(new Error('must not end the process')),
        () => undefined,
        () => null,
        () => 5,
        () => [],
        null,
        undefined,
        'text',
      ];
      for (const change of wrong) {
        await expectRefusal(store.update(session.id, change as SessionChange), 'invalid_argument');
      }
      expect(await store.get(session.id)).toEqual(session);
    });

    it('refuses values of the wrong type, and changes nothing then', async () => {
      const { store } = await open();
      const session = await store.create(fullInput('ada'));
      const wrong = [
        { email: null },
        { roles: 'admin' },
        { roles: [['admin']] },
        { data: [] },
        { data: new Date() },
        { data: { n: 1n } },
        { metadata: { ip: {} } },
        { deviceName: '' },
        { deviceName: 'x'.repeat(513) },
        { lastLocation: 'here' },
        { amr: [1] },
        { acr: [] },
      ];
      for (const patch of wrong) {
        const mixed = { acr: 'changed', ...patch } as unknown as SessionPatch;
        await expectRefusal(store.update(session.id, mixed), 'invalid_argument');
      }
      expect(await store.get(session.id)).toEqual(session);
    });

    it('refuses to grow the record over the cap, says both sizes, and changes nothing then', async () => {
      const { store } = await open({ maxRecordBytes: 1_000 });
      const session = await store.create({ userId: 'ada', data: { a: 'x'.repeat(500) } });
      const refusal = (await refusalOf(store.update(session.id, { data: { b: 'x'.repeat(600) } }))) as Error & {
        code?: unknown;
        size: number;
        limit: number;
      };
      expect(refusal.code).toBe('session_too_large');
      expect(refusal.limit).toBe(1_000);
      expect(refusal.size).toBeGreaterThan(1_100);
      expect(await store.get(session.id)).toEqual(session);
      expect(await store.update(session.id, { data: { a: undefined, b: 'x'.repeat(600) } })).not.toBeNull();
    });

    it('sets no prototype through __proto__ (ASVS 15.3.6)', async () => {
      const { store } = await open();
      const { id } = await store.create({ userId: 'ada', data: { a: 1 } });
      const patch = JSON.parse(
        '{"__proto__":{"userId":"eve"},"data":{"__proto__":{"admin":true},"constructor":{"prototype":{"admin":true}}}}',
      ) as SessionPatch;
      const updated = await store.update(id, patch);
      expect(updated?.userId).toBe('ada');
      expect((Object.assign({}, updated?.data) as Record<string, unknown>)['admin']).toBeUndefined();
      expect(({} as Record<string, unknown>)['admin']).toBeUndefined();
      expect(updated?.data['a']).toBe(1);
    });

    it('revives nothing: a session that ended stays ended (expressjs/session#632)', async () => {
      const bed = await open();
      const { store } = bed;
      const log = await bed.record();
      const session = await store.create({ userId: 'ada' });
      await store.destroy(session.id);
      expect(await store.update(session.id, { data: { a: 1 } })).toBeNull();
      expect(await store.touch(session.id)).toBe(false);
      expect(await store.get(session.id)).toBeNull();
      expect(await log.typesOf(session)).toEqual(['created', 'ended']);
    });

    it('is null when the session ends while its function runs', async () => {
      const { store } = await open();
      const session = await store.create({ userId: 'ada' });
      const ending: Promise<boolean>[] = [];
      const updated = await store.update(session.id, () => {
        if (ending.length === 0) ending.push(store.destroy(session.id));
        return { data: { a: 1 } };
      });
      expect(updated).toBeNull();
      expect(await Promise.all(ending)).toEqual([true]);
      expect(await store.read(session.id)).toMatchObject({ state: 'ended', reason: 'logout' });
    });

    it('is null or done before the end, when updates and an end run in parallel', async () => {
      const bed = await open();
      const log = await bed.record();
      const instances = await bed.instances(30);
      const { id } = await bed.store.create({ userId: 'ada' });
      const updates = instances.map((store, index) =>
        index === 15 ? store.destroy(id) : store.update(id, { data: { [index]: 1 } }),
      );
      await Promise.all(updates);
      expect(await bed.store.get(id)).toBeNull();
      expect(await bed.store.count()).toBe(0);
      expect(await log.endsOf({ id })).toEqual(['logout']);
      expect((await log.typesOf({ id })).pop()).toBe('ended');
    });

    it('announces the change', async () => {
      const bed = await open();
      const log = await bed.record();
      const second = await bed.second();
      const { id } = await bed.store.create({ userId: 'ada' });
      await second.update(id, { data: { a: 1 } });
      expect((await log.of('changed', id)).length).toBeGreaterThan(0);
    });
  });
}
