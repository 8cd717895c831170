import { generateKeyPairSync, randomBytes } from 'node:crypto';
import type { DeviceKey } from '../../model/device-binding.js';
import { SessionStore, type LiveSession } from '../../ports/session-store.js';
import { expectRefusal, HOUR, MINUTE, SECOND, type OpenStore } from '../test-bed.js';
import { describe, expect, it } from '../test-api.js';

const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });

function anyKey(): DeviceKey {
  return {
    algorithm: 'ES256',
    thumbprint: randomBytes(32).toString('base64url'),
    publicKey: publicKey.export({ format: 'der', type: 'spki' }).toString('base64url'),
  };
}

/** Stores that bind no sessions pass: the methods are optional. */
export function describeBinding(open: OpenStore): void {
  describe('bindDevice and proveDevice', () => {
    const opened = async (): Promise<Awaited<ReturnType<OpenStore>> | null> => {
      const bed = await open();
      return bed.store.bindDevice === SessionStore.prototype.bindDevice ? null : bed;
    };

    it('binds a session once, for all instances, and announces it once', async () => {
      const bed = await opened();
      if (!bed) return;
      const { store } = bed;
      const second = await bed.second();
      const log = await bed.record();
      const { id, createdAt: challengedAt } = await store.create({ userId: 'ada' });
      expect(((await store.read(id)) as LiveSession).binding ?? null).toBeNull();
      const key = anyKey();
      const bound = (await store.bindDevice(id, { key, challengedAt })) as LiveSession;
      expect(bound).toMatchObject({ state: 'live', binding: key, session: { id, deviceBound: true } });
      expect(bound.binding?.boundAt).toBeGreaterThanOrEqual(challengedAt);
      expect(await second.read(id)).toMatchObject({ state: 'live', binding: bound.binding });
      expect((await second.getActiveSessions('ada')).map(({ deviceBound }) => deviceBound)).toEqual([true]);
      expect(await second.bindDevice(id, { key: anyKey(), challengedAt })).toEqual({ state: 'refused' });
      expect(await second.bindDevice(id, { key, challengedAt: challengedAt + HOUR })).toEqual({ state: 'refused' });
      expect(((await store.read(id)) as LiveSession).binding).toEqual(bound.binding);
      expect((await log.of('bound', id)).map(({ userId }) => userId)).toEqual(['ada']);
    });

    it('of 20 parallel calls one binds', async () => {
      const bed = await opened();
      if (!bed) return;
      const { id, createdAt: challengedAt } = await bed.store.create({ userId: 'ada' });
      const instances = await bed.instances(20);
      const outcomes = await Promise.all(
        instances.map((store) => store.bindDevice(id, { key: anyKey(), challengedAt })),
      );
      const states = outcomes.map(({ state }) => state);
      expect(states.filter((state) => state === 'live')).toHaveLength(1);
      expect(states.filter((state) => state === 'refused')).toHaveLength(19);
    });

    it('keeps the key through every other write, also in parallel', async () => {
      const bed = await opened();
      if (!bed) return;
      const { store } = bed;
      const second = await bed.second();
      const { id, createdAt: challengedAt } = await store.create({ userId: 'ada' });
      const writes = Array.from({ length: 20 }, (_, index) => second.update(id, { data: { [`k${index}`]: index } }));
      const binding = store.bindDevice(id, { key: anyKey(), challengedAt });
      await Promise.all([...writes, binding]);
      await store.touch(id);
      await store.updateUser('ada', { roles: ['admin'] });
      await store.regenerate(id, { credentials: {}, freshen: false, repeatableFor: 0, patch: { acr: 'x' } });
      const before = ((await binding) as LiveSession).binding;
      expect(before ?? null).not.toBeNull();
      const after = (await store.read(id)) as LiveSession;
      expect(after.binding).toEqual(before);
      expect(Object.keys(after.session.data)).toHaveLength(20);
    });

    it('binds again after a later proof of identity, and only for a challenge issued after it', async () => {
      const bed = await opened();
      if (!bed) return;
      const { store } = bed;
      const { id, createdAt } = await store.create({ userId: 'ada' });
      await store.bindDevice(id, { key: anyKey(), challengedAt: createdAt });
      await bed.advance(SECOND);
      const proved = (await store.regenerate(id, { credentials: {}, freshen: true, repeatableFor: 0 })) as LiveSession;
      expect(proved.binding ?? null).not.toBeNull();
      expect(await store.bindDevice(id, { key: anyKey(), challengedAt: createdAt })).toEqual({ state: 'refused' });
      await bed.advance(SECOND);
      const key = anyKey();
      const { authenticatedAt: challengedAt } = proved.session;
      expect(await store.bindDevice(id, { key, challengedAt })).toMatchObject({ state: 'live', binding: key });
      expect(await store.bindDevice(id, { key: anyKey(), challengedAt })).toEqual({ state: 'refused' });
    });

    it('counts an answer to a challenge once, and none to an earlier one', async () => {
      const bed = await opened();
      if (!bed) return;
      const { store } = bed;
      const second = await bed.second();
      const { id, createdAt: at } = await store.create({ userId: 'ada' });
      const key = anyKey();
      const { thumbprint } = key;
      expect(await store.proveDevice(id, { thumbprint, challengedAt: at })).toEqual({ state: 'refused' });
      await store.bindDevice(id, { key, challengedAt: at });
      expect(await store.proveDevice(id, { thumbprint: anyKey().thumbprint, challengedAt: at })).toEqual({
        state: 'refused',
      });
      const prove = async (by: SessionStore, challengedAt: number): Promise<string> =>
        (await by.proveDevice(id, { thumbprint, challengedAt })).state;
      expect(await prove(store, at + 2)).toBe('proven');
      expect([await prove(second, at + 2), await prove(store, at + 1)]).toEqual(['spent', 'spent']);
      const parallel = await Promise.all((await bed.instances(10)).map(async (by) => prove(by, at + 3)));
      expect(parallel.filter((state) => state === 'proven')).toHaveLength(1);
    });

    it('is over with the session, and says how it ended', async () => {
      const bed = await opened();
      if (!bed) return;
      const { store } = bed;
      const { id, createdAt: challengedAt } = await store.create({ userId: 'ada' });
      const key = anyKey();
      await store.bindDevice(id, { key, challengedAt });
      await store.destroy(id);
      expect(await store.bindDevice(id, { key, challengedAt })).toMatchObject({ state: 'ended', reason: 'logout' });
      const { thumbprint } = key;
      expect(await store.proveDevice(id, { thumbprint, challengedAt: challengedAt + 1 })).toMatchObject({
        state: 'ended',
      });
      const idle = await store.create({ userId: 'bob' }, { idleTimeout: MINUTE });
      await bed.goPast(idle.createdAt + MINUTE);
      expect((await store.bindDevice(idle.id, { key, challengedAt: idle.createdAt })).state).toBe('ended');
      expect((await store.bindDevice('nobody', { key, challengedAt })).state).toBe('absent');
      expect((await store.proveDevice('x'.repeat(32), { thumbprint, challengedAt })).state).toBe('absent');
    });

    it('refuses what is no key', async () => {
      const bed = await opened();
      if (!bed) return;
      const { id, createdAt: challengedAt } = await bed.store.create({ userId: 'ada' });
      const wrong: Partial<DeviceKey>[] = [
        { thumbprint: 'short' },
        { publicKey: '' },
        { publicKey: 'x'.repeat(5_000) },
        { algorithm: 'none' as 'ES256' },
        { thumbprint: `${'x'.repeat(42)}.` },
      ];
      for (const part of wrong) {
        await expectRefusal(
          bed.store.bindDevice(id, { key: { ...anyKey(), ...part }, challengedAt }),
          'invalid_argument',
        );
      }
      expect(((await bed.store.read(id)) as LiveSession).binding ?? null).toBeNull();
    });
  });
}
