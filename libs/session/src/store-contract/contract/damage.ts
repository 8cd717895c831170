import type { Session } from '../../model/session.js';
import { STORE_DAMAGES, type StoreDamage } from '../store-harness.js';
import { anyHash, MINUTE, type OpenStore, type TestBed } from '../test-bed.js';
import { describe, expect, it } from '../test-api.js';

const HASH = anyHash();

/** A damaged session among intact ones, or null if the harness cannot damage anything. */
async function damaged(
  open: OpenStore,
  how: StoreDamage,
): Promise<{ bed: TestBed; session: Session; sound: Session } | null> {
  const bed = await open();
  if (!bed.harness.corrupt) return null;
  const input = { userId: 'ada', deviceId: 'd' };
  const session = await bed.store.create(input, { idleTimeout: 10 * MINUTE, credentials: { cookie: HASH } });
  const sound = await bed.store.create({ userId: 'ada' });
  await bed.harness.corrupt(session.id, how);
  return { bed, session, sound };
}

export function describeDamage(open: OpenStore): void {
  describe('a damaged record', () => {
    for (const how of STORE_DAMAGES) {
      it(`${how}: is no session to anybody, and is announced`, async () => {
        const scene = await damaged(open, how);
        if (!scene) return;
        const { bed, session, sound } = scene;
        const { store } = bed;
        const log = await bed.record();
        const snapshot = await store.read(session.id);
        expect(snapshot).toMatchObject({ state: 'damaged' });
        expect((snapshot as { detail: string }).detail.length).toBeGreaterThan(0);
        const [event, ...more] = await log.of('damaged');
        expect(event).toMatchObject({ sessionId: session.id, userId: 'ada' });
        expect(event?.detail.length).toBeGreaterThan(0);
        expect(more).toEqual([]);
        expect(await store.get(session.id)).toBeNull();
        expect(await store.update(session.id, { data: { a: 1 } })).toBeNull();
        expect(await store.update(session.id, () => ({ data: { a: 1 } }))).toBeNull();
        const rule = { grace: 0, rotateAfter: Infinity, rotateFirst: false, touch: true };
        const rotation = { ...rule, kind: 'cookie', presented: { hash: HASH, generation: 0 } } as const;
        expect((await store.rotate(session.id, rotation)).state).toBe('damaged');
        const regeneration = { credentials: { cookie: anyHash() }, freshen: true, repeatableFor: 0 };
        expect((await store.regenerate(session.id, { ...regeneration, patch: { acr: 'x' } })).state).toBe('damaged');
        expect(await store.findByDevice('ada', 'd')).toBeNull();
        expect(await store.getActiveSessions('ada')).toEqual([sound]);
        expect((await store.read(session.id)).state).toBe('damaged');
      });

      it(`${how}: hinders none of its user's other sessions`, async () => {
        const scene = await damaged(open, how);
        if (!scene) return;
        const { bed, sound } = scene;
        const { store } = bed;
        expect(await store.touch(sound.id)).toBe(true);
        expect((await store.update(sound.id, { data: { a: 1 } }))?.data).toEqual({ a: 1 });
        await store.updateUser('ada', { roles: ['user'] });
        await store.revokeTokens('ada');
        const fresh = await store.create({ userId: 'ada', deviceId: 'd' });
        expect((await store.get(sound.id))?.roles).toEqual(['user']);
        expect((await store.getActiveSessions('ada')).map(({ id }) => id).sort()).toEqual([fresh.id, sound.id].sort());
        await store.destroyAll('ada');
        expect(await store.getActiveSessions('ada')).toEqual([]);
        expect(await store.count()).toBe(0);
      });

      it(`${how}: can be ended, and ends at its deadline by itself`, async () => {
        const byHand = await damaged(open, how);
        if (!byHand) return;
        expect(await byHand.bed.store.destroy(byHand.session.id)).toBe(true);
        expect(await byHand.bed.store.read(byHand.session.id)).toMatchObject({ state: 'ended', reason: 'logout' });
        const byTime = await damaged(open, how);
        if (!byTime) return;
        const log = await byTime.bed.record();
        await byTime.bed.goPast(byTime.session.createdAt + 10 * MINUTE);
        await byTime.bed.store.sweep();
        expect(await log.endsOf(byTime.session)).toEqual(['idle']);
      });
    }

    it('of a newer version is left alone: an old process in a rolling update must not delete it', async () => {
      const scene = await damaged(open, 'newer-version');
      if (!scene) return;
      const { bed, session } = scene;
      const log = await bed.record();
      for (const ask of ['get', 'read', 'touch'] as const) await bed.store[ask](session.id);
      await bed.store.update(session.id, { data: { a: 1 } });
      await bed.store.getActiveSessions('ada');
      await bed.store.findByDevice('ada', 'd');
      await bed.store.create({ userId: 'ada' });
      await bed.store.sweep();
      expect(await bed.store.read(session.id)).toMatchObject({ state: 'damaged' });
      expect(await log.endsOf(session)).toEqual([]);
      expect(await bed.store.destroy(session.id)).toBe(true);
    });
  });
}
