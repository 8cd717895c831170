import type { LimitPolicy } from '../../model/limit.js';
import type { Session } from '../../model/session.js';
import { expectRefusal, HOUR, idsOf, MINUTE, refusalOf, SECOND, type OpenStore, type TestBed } from '../test-bed.js';
import { describe, expect, it } from '../test-api.js';

/** Starts sessions of one user, one second apart. */
async function signIns(bed: TestBed, count: number, more: object = {}): Promise<Session[]> {
  const sessions: Session[] = [];
  for (let i = 0; i < count; i += 1) {
    sessions.push(await bed.store.create({ userId: 'ada', ...more }));
    await bed.advance(SECOND);
  }
  return sessions;
}

export function describeLimits(open: OpenStore): void {
  describe('the limit of sessions', () => {
    it('evict-least-recent ends the one not accessed for longest (ASVS 7.1.2)', async () => {
      const bed = await open({ limit: { max: 3, onLimit: 'evict-least-recent' } });
      const { store } = bed;
      const log = await bed.record();
      const [first, second, third] = (await signIns(bed, 3)) as [Session, Session, Session];
      expect(await log.of('ended')).toEqual([]);
      await store.touch(first.id);
      await bed.advance(SECOND);
      const [fourth] = (await signIns(bed, 1)) as [Session];
      expect(idsOf(await store.getActiveSessions('ada'))).toEqual(idsOf([first, third, fourth]));
      expect(await store.read(second.id)).toMatchObject({ state: 'ended', reason: 'evicted' });
      expect(await log.endsOf(second)).toEqual(['evicted']);
      await store.create({ userId: 'ada' });
      expect(await store.get(third.id)).toBeNull();
      expect(await store.get(first.id)).not.toBeNull();
    });

    it('evict-oldest ends the one that started first, however lately accessed (ASVS 7.1.2)', async () => {
      const bed = await open({ limit: { max: 2, onLimit: 'evict-oldest' } });
      const { store } = bed;
      const [first, second] = (await signIns(bed, 2)) as [Session, Session];
      await store.touch(first.id);
      const third = await store.create({ userId: 'ada' });
      expect(idsOf(await store.getActiveSessions('ada'))).toEqual(idsOf([second, third]));
      expect(await store.read(first.id)).toMatchObject({ state: 'ended', reason: 'evicted' });
    });

    it('reject refuses the sign-in, names the sessions that are there, and changes nothing (ASVS 7.1.2)', async () => {
      const bed = await open({ limit: { max: 2, onLimit: 'reject' } });
      const { store } = bed;
      const log = await bed.record();
      const sessions = await signIns(bed, 2, { deviceType: 'mobile' });
      const refusal = (await refusalOf(store.create({ userId: 'ada' }))) as Error & {
        code?: unknown;
        limit: number;
        sessions: Session[];
      };
      expect(refusal.code).toBe('session_limit_reached');
      expect(refusal.limit).toBe(2);
      expect(idsOf(refusal.sessions)).toEqual(idsOf(sessions));
      expect(refusal.sessions.find(({ id }) => id === sessions[0]?.id)).toEqual(sessions[0]);
      expect(await store.getActiveSessions('ada')).toEqual([...sessions].reverse());
      expect(await store.count()).toBe(2);
      expect((await log.all()).map(({ type, userId }) => `${type} ${userId}`)).toEqual([
        'created ada',
        'created ada',
        'limit-reached ada',
      ]);
      await store.destroy(sessions[0]?.id ?? '');
      await store.create({ userId: 'ada' });
      await expectRefusal(store.create({ userId: 'ada' }), 'session_limit_reached');
    });

    it('lets sessions of one millisecond leave in the order of their ids, so that every adapter chooses alike', async () => {
      const bed = await open({ limit: { max: 20, onLimit: 'evict-oldest' } });
      const { store } = bed;
      const created = await Promise.all(Array.from({ length: 20 }, () => store.create({ userId: 'ada' })));
      const order = created.sort((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1));
      await bed.advance(SECOND);
      for (const { id } of order) {
        await store.create({ userId: 'ada' });
        expect(await store.read(id)).toMatchObject({ state: 'ended', reason: 'evicted' });
      }
    });

    it('is one for each user', async () => {
      const { store } = await open({ limit: { max: 1, onLimit: 'reject' } });
      await store.create({ userId: 'ada' });
      await store.create({ userId: 'bob' });
      await expectRefusal(store.create({ userId: 'ada' }), 'session_limit_reached');
      expect(await store.count()).toBe(2);
    });

    it('can be given with the sign-in, and ends as many as it takes', async () => {
      const bed = await open();
      const sessions = await signIns(bed, 5);
      const fresh = await bed.store.create({ userId: 'ada' }, { limit: { max: 2, onLimit: 'evict-oldest' } });
      expect(idsOf(await bed.store.getActiveSessions('ada'))).toEqual(idsOf([fresh, sessions[4] as Session]));
    });

    it('maxOfType counts the devices of that type alone', async () => {
      const limit = { max: 4, maxOfType: 1, onLimit: 'evict-least-recent' as const };
      const bed = await open({ limit });
      const { store } = bed;
      const [desktop] = (await signIns(bed, 1, { deviceType: 'desktop' })) as [Session];
      const [phone] = (await signIns(bed, 1, { deviceType: 'mobile' })) as [Session];
      const [second] = (await signIns(bed, 1, { deviceType: 'mobile' })) as [Session];
      expect(idsOf(await store.getActiveSessions('ada'))).toEqual(idsOf([desktop, second]));
      expect(await store.read(phone.id)).toMatchObject({ state: 'ended', reason: 'evicted' });
      await expectRefusal(
        store.create({ userId: 'ada', deviceType: 'mobile' }, { limit: { ...limit, onLimit: 'reject' } }),
        'session_limit_reached',
      );
      await store.create({ userId: 'ada', deviceType: 'tablet' }, { limit: { ...limit, onLimit: 'reject' } });
      expect(await store.getActiveSessions('ada')).toHaveLength(3);
    });

    it('counts a device of no stated type among the unknown ones', async () => {
      const bed = await open({ limit: { max: 9, maxOfType: 1, onLimit: 'evict-oldest' } });
      const [none] = (await signIns(bed, 1)) as [Session];
      const unknown = await bed.store.create({ userId: 'ada', deviceId: 'd', deviceType: 'unknown' });
      expect(await bed.store.get(none.id)).toBeNull();
      expect(await bed.store.get(unknown.id)).not.toBeNull();
    });

    it('evicts no more than both limits ask for: who leaves for the type leaves for all', async () => {
      const bed = await open({ limit: { max: 3, maxOfType: 2, onLimit: 'evict-oldest' } });
      const [desktop] = (await signIns(bed, 1, { deviceType: 'desktop' })) as [Session];
      const [phone1, phone2] = (await signIns(bed, 2, { deviceType: 'mobile' })) as [Session, Session];
      const phone3 = await bed.store.create({ userId: 'ada', deviceType: 'mobile' });
      expect(idsOf(await bed.store.getActiveSessions('ada'))).toEqual(idsOf([desktop, phone2, phone3]));
      expect(await bed.store.get(phone1.id)).toBeNull();
    });

    for (const onLimit of ['evict-least-recent', 'evict-oldest'] as LimitPolicy[]) {
      it(`${onLimit}: 50 parallel sign-ins at limit 3 leave exactly 3 (ASVS 15.4.2)`, async () => {
        const bed = await open({ limit: { max: 3, onLimit } });
        const log = await bed.record();
        const instances = await bed.instances(50);
        const created = await Promise.all(instances.map((store) => store.create({ userId: 'ada' })));
        const live = await bed.store.getActiveSessions('ada');
        expect(live).toHaveLength(3);
        expect(new Set(idsOf(created)).size).toBe(50);
        const announced = (await log.of('created')).map(({ sessionId }) => sessionId);
        const ended = await log.of('ended');
        expect(announced.sort()).toEqual(idsOf(created));
        expect(ended.map(({ reason }) => reason)).toEqual(Array(47).fill('evicted'));
        const gone = new Set(ended.map(({ sessionId }) => sessionId));
        expect(idsOf(created.filter(({ id }) => !gone.has(id)))).toEqual(idsOf(live));
        expect(await bed.store.count()).toBe(3);
      });
    }

    it('reject: of 50 parallel sign-ins at limit 3 exactly 3 succeed (ASVS 15.4.2)', async () => {
      const bed = await open({ limit: { max: 3, onLimit: 'reject' } });
      const instances = await bed.instances(50);
      const outcomes = await Promise.allSettled(instances.map((store) => store.create({ userId: 'ada' })));
      const created = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
      const codes = outcomes.flatMap((outcome) =>
        outcome.status === 'rejected' ? [(outcome.reason as { code: string }).code] : [],
      );
      expect(created).toHaveLength(3);
      expect(codes).toEqual(Array(47).fill('session_limit_reached'));
      expect(idsOf(await bed.store.getActiveSessions('ada'))).toEqual(idsOf(created));
    });

    it('does not count what is past its deadline; that ends as idle or absolute, once, and never as evicted', async () => {
      const bed = await open({ limit: { max: 3, onLimit: 'reject' } });
      const { store } = bed;
      const log = await bed.record();
      const idle = await store.create({ userId: 'ada' }, { idleTimeout: 10 * MINUTE, absoluteTimeout: 9 * HOUR });
      const over = await store.create({ userId: 'ada' }, { idleTimeout: HOUR, absoluteTimeout: 10 * MINUTE });
      const live = await store.create({ userId: 'ada' }, { idleTimeout: HOUR });
      await bed.goPast(over.expiresAt);
      const fresh = [await store.create({ userId: 'ada' }), await store.create({ userId: 'ada' })];
      expect(idsOf(await store.getActiveSessions('ada'))).toEqual(idsOf([live, ...fresh]));
      await store.sweep();
      expect(await log.endsOf(idle)).toEqual(['idle']);
      expect(await log.endsOf(over)).toEqual(['absolute']);
      expect(await log.of('ended')).toHaveLength(2);
    });

    it('is at most 1,000, and the 1,001st session makes the first one leave', async () => {
      const { store } = await open();
      for (const max of [1_001, 0, -1, 1.5, NaN, Infinity]) {
        const refused = store.create({ userId: 'ada' }, { limit: { max, onLimit: 'evict-oldest' } });
        await expectRefusal(refused, 'invalid_configuration');
      }
      const limit = { max: 1_000, onLimit: 'evict-oldest' as const };
      for (let batch = 0; batch < 10; batch += 1) {
        await Promise.all(Array.from({ length: 100 }, () => store.create({ userId: 'ada' }, { limit })));
      }
      expect(await store.getActiveSessions('ada')).toHaveLength(1_000);
      await store.create({ userId: 'ada' }, { limit });
      expect(await store.getActiveSessions('ada')).toHaveLength(1_000);
      expect(await store.count()).toBe(1_000);
    });
  });
}
