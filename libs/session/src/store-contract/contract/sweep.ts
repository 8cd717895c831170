import type { Session } from '../../model/session.js';
import { HOUR, idsOf, MINUTE, SECOND, type OpenStore, type TestBed } from '../test-bed.js';
import { describe, expect, it } from '../test-api.js';

/** Sessions of 10 users; each has an idle one, one past its absolute end, and a live one. */
async function mixed(bed: TestBed): Promise<Record<'idle' | 'absolute' | 'live', Session[]>> {
  const sessions = { idle: [] as Session[], absolute: [] as Session[], live: [] as Session[] };
  for (let user = 0; user < 10; user += 1) {
    const input = { userId: `user-${user}` };
    sessions.idle.push(await bed.store.create(input, { idleTimeout: MINUTE }));
    sessions.absolute.push(await bed.store.create(input, { absoluteTimeout: MINUTE }));
    sessions.live.push(await bed.store.create(input, { idleTimeout: HOUR }));
  }
  await bed.goPast(bed.store.now() + MINUTE + SECOND);
  return sessions;
}

export function describeSweep(open: OpenStore): void {
  describe('sweep and count', () => {
    it('removes what is past its deadline, announces each once, and spares the rest', async () => {
      const bed = await open();
      const log = await bed.record();
      const { idle, absolute, live } = await mixed(bed);
      expect(await bed.store.sweep()).toBe(20);
      expect(await bed.store.sweep()).toBe(0);
      expect(await log.of('ended')).toHaveLength(20);
      for (const session of idle) expect(await log.endsOf(session)).toEqual(['idle']);
      for (const session of absolute) expect(await log.endsOf(session)).toEqual(['absolute']);
      for (const session of live) expect(await bed.store.get(session.id)).toEqual(session);
      expect(await bed.store.count()).toBe(10);
    });

    it('removes nothing that lives, and nothing from an empty store', async () => {
      const { store } = await open();
      expect(await store.sweep()).toBe(0);
      const session = await store.create({ userId: 'ada' });
      expect(await store.sweep()).toBe(0);
      expect(await store.get(session.id)).toEqual(session);
    });

    it('in parts, sweeps all', async () => {
      const bed = await open();
      const log = await bed.record();
      await mixed(bed);
      let removed = 0;
      for (let part = 0; part < 4; part += 1) removed += await bed.store.sweep({ part, of: 4 });
      expect(removed).toBe(20);
      expect(await bed.store.sweep()).toBe(0);
      expect(await log.of('ended')).toHaveLength(20);
    });

    it('by two instances at once, removes and announces each once', async () => {
      const bed = await open();
      const log = await bed.record();
      const { idle, absolute } = await mixed(bed);
      const instances = await bed.instances(6);
      const removed = await Promise.all(instances.map((store) => store.sweep()));
      expect(removed.reduce((sum, count) => sum + count, 0)).toBe(20);
      expect((await log.of('ended')).map(({ sessionId }) => sessionId).sort()).toEqual(idsOf([...idle, ...absolute]));
    });

    it('spares a session that was touched after it was due to be swept', async () => {
      const bed = await open();
      const session = await bed.store.create({ userId: 'ada' }, { idleTimeout: 10 * MINUTE });
      await bed.goJustBefore(session.createdAt + 10 * MINUTE);
      await bed.store.touch(session.id);
      await bed.advance(9 * MINUTE);
      expect(await bed.store.sweep()).toBe(0);
      expect((await bed.store.get(session.id))?.id).toBe(session.id);
    });

    it('count is exact: creates less ends, of all users, seen from every instance', async () => {
      const bed = await open({ limit: { max: 3, onLimit: 'evict-oldest' } });
      const second = await bed.second();
      expect(await bed.store.count()).toBe(0);
      const instances = await bed.instances(30);
      await Promise.all(instances.map((store, index) => store.create({ userId: `user-${index % 5}` })));
      expect(await bed.store.count()).toBe(15);
      expect(await second.count()).toBe(15);
      await second.destroyAll('user-0');
      const [session] = await bed.store.getActiveSessions('user-1');
      await bed.store.destroy(session?.id ?? '');
      expect(await second.count()).toBe(11);
      expect(await bed.store.count()).toBe(11);
    });
  });
}
