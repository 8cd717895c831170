import { expectRefusal, HOUR, MINUTE, SECOND, type OpenStore } from '../test-bed.js';
import { describe, expect, it } from '../test-api.js';

const END = { refuseEarlierSignIns: true };

export function describeSignInsUnderWay(open: OpenStore): void {
  describe('a sign-in that was verified before all sessions ended (CWE-367)', () => {
    it('is refused with or without sessions, and a sign-in verified later is accepted', async () => {
      for (const had of [0, 1, 3]) {
        const bed = await open();
        const second = await bed.second();
        for (let count = 0; count < had; count += 1) await bed.store.create({ userId: 'ada' });
        const verifiedAt = bed.store.now();
        expect(await bed.store.destroyAll('ada', END)).toBe(had);
        for (const store of [bed.store, second]) {
          await expectRefusal(store.create({ userId: 'ada' }, { verifiedAt }), 'session_revoked');
        }
        expect(await bed.store.count()).toBe(0);
        const later = bed.store.now();
        const { id } = await bed.store.create({ userId: 'ada' }, { verifiedAt: later });
        expect((await bed.store.get(id))?.id).toBe(id);
      }
    });

    it('is let in where the caller did not say when it was verified, or did not ask to refuse, and for other users', async () => {
      const bed = await open();
      const { store } = bed;
      const verifiedAt = store.now();
      await bed.advance(SECOND);
      await store.create({ userId: 'ada' });
      await store.destroyAll('ada');
      await store.create({ userId: 'ada' }, { verifiedAt });
      await store.destroyAll('ada', END);
      await store.create({ userId: 'ada' });
      await store.create({ userId: 'bob' }, { verifiedAt });
      expect(await store.count()).toBe(2);
    });

    it('is refused beside a session that was spared, and for as long as it lives', async () => {
      const bed = await open({ idleTimeout: 3 * HOUR });
      const { store } = bed;
      const verifiedAt = store.now();
      const { id } = await store.create({ userId: 'ada' });
      await store.create({ userId: 'ada' });
      await bed.advance(SECOND);
      expect(await store.destroyAll('ada', { ...END, except: id })).toBe(1);
      await bed.advance(2 * HOUR);
      expect(await store.touch(id)).toBe(true);
      await expectRefusal(store.create({ userId: 'ada' }, { verifiedAt }), 'session_revoked');
      await store.destroy(id);
      await bed.advance(9 * MINUTE);
      await store.sweep();
      await expectRefusal(store.create({ userId: 'ada' }, { verifiedAt }), 'session_revoked');
    });

    it('does not move the instant back when all are ended again', async () => {
      const { store } = await open();
      await store.destroyAll('ada', END);
      const between = store.now();
      await store.destroyAll('ada', END);
      await expectRefusal(store.create({ userId: 'ada' }, { verifiedAt: between }), 'session_revoked');
    });

    it('refuses an instant in seconds, which would refuse every sign-in', async () => {
      const { store } = await open();
      for (const verifiedAt of [Math.floor(store.now() / 1000), NaN, '2030-01-01']) {
        const refused = store.create({ userId: 'ada' }, { verifiedAt: verifiedAt as number });
        await expectRefusal(refused, 'invalid_argument');
      }
    });

    it('racing the end of all: each that was verified before is ended or refused (ASVS 15.4.2)', async () => {
      const bed = await open({ limit: { max: 100, onLimit: 'reject' } });
      const instances = await bed.instances(40);
      const verifiedAt = bed.store.now();
      await bed.advance(1);
      const creating = instances.map(async (store) =>
        store.create({ userId: 'ada' }, { verifiedAt }).catch(() => null),
      );
      await bed.store.destroyAll('ada', END);
      await Promise.all(creating);
      expect(await bed.store.getActiveSessions('ada')).toEqual([]);
    });
  });
}
