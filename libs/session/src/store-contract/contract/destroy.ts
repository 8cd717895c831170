import type { Session } from '../../model/session.js';
import { END_REASONS } from '../../model/session.js';
import type { SessionStore } from '../../ports/session-store.js';
import { idsOf, MINUTE, SECOND, type OpenStore } from '../test-bed.js';
import { describe, expect, it } from '../test-api.js';

async function signIns(store: SessionStore, userId: string, count: number): Promise<Session[]> {
  const sessions: Session[] = [];
  for (let i = 0; i < count; i += 1) sessions.push(await store.create({ userId, deviceId: `device-${i}` }));
  return sessions;
}

/** Ends the sessions of all users, in as many calls as needed. Returns how many ended. */
async function destroyEverybody(
  store: SessionStore,
  options: { createdBefore?: number; budget?: number } = {},
): Promise<number> {
  let ended = 0;
  let cursor: number | null = 0;
  for (let calls = 0; cursor !== null; calls += 1) {
    if (calls > 10_000) throw new Error('destroyEverybody makes no headway');
    const outcome: { ended: number; cursor: number | null } = await store.destroyEverybody({
      ...options,
      ...(calls > 0 ? { cursor } : {}),
    });
    ended += outcome.ended;
    cursor = outcome.cursor;
  }
  return ended;
}

export function describeDestroy(open: OpenStore): void {
  describe('destroy', () => {
    it('ends the session, on every instance at once (ASVS 7.4.1)', async () => {
      const bed = await open();
      const { store } = bed;
      const second = await bed.second();
      const [session, other] = (await signIns(store, 'ada', 2)) as [Session, Session];
      expect(await second.destroy(session.id)).toBe(true);
      expect(await store.get(session.id)).toBeNull();
      expect(await store.read(session.id)).toMatchObject({ state: 'ended', reason: 'logout' });
      expect(await second.get(session.id)).toBeNull();
      expect(await store.findByDevice('ada', 'device-0')).toBeNull();
      expect(await store.getActiveSessions('ada')).toEqual([other]);
      expect(await store.count()).toBe(1);
    });

    it('is safe to repeat: false, one event, and the first reason stands', async () => {
      const bed = await open();
      const log = await bed.record();
      const session = await bed.store.create({ userId: 'ada' });
      expect(await bed.store.destroy(session.id, { reason: 'hijack' })).toBe(true);
      expect(await bed.store.destroy(session.id, { reason: 'logout' })).toBe(false);
      expect(await bed.store.read(session.id)).toMatchObject({ state: 'ended', reason: 'hijack' });
      expect(await log.endsOf(session)).toEqual(['hijack']);
    });

    it('of 20 parallel ends one succeeds', async () => {
      const bed = await open();
      const log = await bed.record();
      const session = await bed.store.create({ userId: 'ada' });
      const instances = await bed.instances(20);
      const outcomes = await Promise.all(instances.map((store) => store.destroy(session.id)));
      expect(outcomes.filter(Boolean)).toHaveLength(1);
      expect(await log.endsOf(session)).toEqual(['logout']);
    });

    it("leaves another user's session alone, when told whose it should be (ASVS 7.5.2)", async () => {
      const { store } = await open();
      const session = await store.create({ userId: 'ada' });
      for (const userId of ['eve', 'ADA', 'ada ']) {
        expect(await store.destroy(session.id, { userId })).toBe(false);
      }
      expect(await store.get(session.id)).toEqual(session);
      expect(await store.destroy(session.id, { userId: 'ada' })).toBe(true);
    });
  });

  describe('destroyAll', () => {
    it('ends all sessions of the user and nobody else’s, and returns how many (ASVS 7.4.2)', async () => {
      const bed = await open();
      const { store } = bed;
      const second = await bed.second();
      const log = await bed.record();
      const mine = await signIns(store, 'ada', 3);
      const [bobs] = (await signIns(store, 'bob', 1)) as [Session];
      expect(await second.destroyAll('ada')).toBe(3);
      expect(await store.getActiveSessions('ada')).toEqual([]);
      expect(await store.get(bobs.id)).toEqual(bobs);
      for (const session of mine) {
        expect(await store.read(session.id)).toMatchObject({ state: 'ended', reason: 'logout' });
        expect(await log.endsOf(session)).toEqual(['logout']);
      }
      expect(await second.destroyAll('ada')).toBe(0);
      expect(await store.destroyAll('nobody')).toBe(0);
    });

    it('spares the one named (ASVS 7.4.3)', async () => {
      const { store } = await open();
      const [first, second, third] = (await signIns(store, 'ada', 3)) as [Session, Session, Session];
      expect(await store.destroyAll('ada', { except: second.id })).toBe(2);
      expect(await store.getActiveSessions('ada')).toEqual([second]);
      for (const { id } of [first, third]) expect((await store.read(id)).state).toBe('ended');
    });

    it('spares no session for an invalid or foreign id', async () => {
      const { store } = await open();
      const [bobs] = (await signIns(store, 'bob', 1)) as [Session];
      for (const except of [bobs.id, '', '*', 'x'.repeat(32), 'x'.repeat(10_000), undefined]) {
        await signIns(store, 'ada', 2);
        expect(await store.destroyAll('ada', { except })).toBe(2);
      }
      expect(await store.get(bobs.id)).not.toBeNull();
    });

    it('ends those on one device alone', async () => {
      const { store } = await open();
      const [first, second] = (await signIns(store, 'ada', 2)) as [Session, Session];
      const nowhere = await store.create({ userId: 'ada' });
      const bobs = await store.create({ userId: 'bob', deviceId: 'device-0' });
      expect(await store.destroyAll('ada', { deviceId: 'device-9' })).toBe(0);
      expect(await store.destroyAll('ada', { deviceId: '' })).toBe(0);
      expect(await store.destroyAll('ada', { deviceId: 'device-0', except: first.id })).toBe(0);
      expect(await store.destroyAll('ada', { deviceId: 'device-0' })).toBe(1);
      expect(idsOf(await store.getActiveSessions('ada'))).toEqual(idsOf([second, nowhere]));
      expect(await store.get(bobs.id)).not.toBeNull();
    });

    for (const reason of END_REASONS) {
      it(`gives the reason: ${reason}`, async () => {
        const bed = await open();
        const log = await bed.record();
        const [session] = (await signIns(bed.store, 'ada', 1)) as [Session];
        expect(await bed.store.destroyAll('ada', { reason })).toBe(1);
        expect(await bed.store.read(session.id)).toMatchObject({ state: 'ended', reason });
        expect(await log.endsOf(session)).toEqual([reason]);
      });
    }

    it('lets a sign-in that follows live (ASVS 7.4.2)', async () => {
      const { store } = await open();
      await signIns(store, 'ada', 2);
      await store.destroyAll('ada');
      const session = await store.create({ userId: 'ada', deviceId: 'device-0' });
      expect(await store.getActiveSessions('ada')).toEqual([session]);
    });

    it('racing 20 sign-ins: each is ended and counted, or alive, never neither (ASVS 7.4.2)', async () => {
      const bed = await open();
      const log = await bed.record();
      for (let round = 0; round < 5; round += 1) {
        const userId = `ada-${round}`;
        const instances = await bed.instances(20);
        const creating = instances.map((store) => store.create({ userId }));
        const ending = instances.slice(0, 2).map((store) => store.destroyAll(userId));
        const more = instances.map((store) => store.create({ userId }));
        const created = await Promise.all([...creating, ...more]);
        const ended = (await Promise.all(ending)).reduce((sum, count) => sum + count, 0);
        const live = idsOf(await bed.store.getActiveSessions(userId));
        expect(ended + live.length).toBe(40);
        const announced = (await log.of('ended'))
          .filter((event) => event.userId === userId)
          .map(({ sessionId }) => sessionId);
        expect(announced).toHaveLength(ended);
        expect([...announced, ...live].sort()).toEqual(idsOf(created));
      }
    });
  });

  describe('destroyEverybody', () => {
    it('ends the sessions of all users, by default as admin (ASVS 7.4.5)', async () => {
      const bed = await open();
      const { store } = bed;
      const log = await bed.record();
      const sessions: Session[] = [];
      for (let user = 0; user < 10; user += 1) sessions.push(...(await signIns(store, `user-${user}`, 2)));
      expect(await destroyEverybody(store)).toBe(20);
      expect(await store.count()).toBe(0);
      for (const session of sessions) {
        expect(await store.read(session.id)).toMatchObject({ state: 'ended', reason: 'admin' });
        expect(await log.endsOf(session)).toEqual(['admin']);
      }
      expect(await destroyEverybody(store)).toBe(0);
      expect(await store.create({ userId: 'user-0' })).toMatchObject({ userId: 'user-0' });
    });

    it('spares who signed in later', async () => {
      const bed = await open();
      const { store } = bed;
      const early = await signIns(store, 'ada', 2);
      const createdBefore = store.now();
      await bed.advance(SECOND);
      const late = [...(await signIns(store, 'eve', 1)), await store.create({ userId: 'ada' })];
      const outcome = await store.destroyEverybody({ createdBefore, reason: 'revoked' });
      expect(outcome).toEqual({ ended: 2, cursor: null });
      expect(await store.count()).toBe(2);
      for (const { id } of late) expect(await store.get(id)).not.toBeNull();
      for (const { id } of early) expect(await store.read(id)).toMatchObject({ state: 'ended', reason: 'revoked' });
    });

    it('stops when its budget is spent, and goes on where it stopped', async () => {
      const bed = await open();
      const { store } = bed;
      for (let user = 0; user < 30; user += 1) await signIns(store, `user-${user}`, 1);
      const createdBefore = store.now();
      await bed.advance(SECOND);
      const late = await store.create({ userId: 'late' });
      expect(await destroyEverybody(store, { createdBefore, budget: 1 })).toBe(30);
      expect(await store.count()).toBe(1);
      expect(await store.get(late.id)).not.toBeNull();
    });

    it('does not count or rename what had expired before', async () => {
      const bed = await open();
      const log = await bed.record();
      const idle = await bed.store.create({ userId: 'ada' }, { idleTimeout: MINUTE });
      await bed.goPast(idle.createdAt + MINUTE);
      const live = await bed.store.create({ userId: 'bob' });
      expect(await destroyEverybody(bed.store)).toBe(1);
      await bed.store.sweep();
      expect(await log.endsOf(idle)).toEqual(['idle']);
      expect(await log.endsOf(live)).toEqual(['admin']);
    });

    it('racing sign-ins: each is ended and counted, or alive (ASVS 7.4.5)', async () => {
      const bed = await open();
      const instances = await bed.instances(40);
      const creating = instances.map((store, index) => store.create({ userId: `user-${index % 7}` }));
      const ending = destroyEverybody(bed.store);
      const created = await Promise.all(creating);
      const ended = await ending;
      expect(ended + (await bed.store.count())).toBe(created.length);
    });
  });
}
