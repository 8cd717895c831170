import type { Session } from '../../model/session.js';
import { anyHash, expectRefusal, idsOf, refusalOf, MINUTE, SECOND, type OpenStore, type TestBed } from '../test-bed.js';
import { describe, expect, it } from '../test-api.js';

const COMPLETE = { pending: false, amr: ['pwd', 'otp'] };

/** The ways in which a session stops waiting. */
const COMPLETIONS: readonly [string, (bed: TestBed, id: string) => Promise<unknown>][] = [
  ['update', (bed, id) => bed.store.update(id, COMPLETE)],
  [
    'regenerate',
    (bed, id) =>
      bed.store.regenerate(id, {
        credentials: { cookie: anyHash() },
        freshen: true,
        patch: COMPLETE,
        repeatableFor: 0,
      }),
  ],
];

export function describePending(open: OpenStore): void {
  describe('a sign-in that waits for a further factor', () => {
    async function half(bed: TestBed, more: object = {}, options: object = {}): Promise<Session> {
      const session = await bed.store.create({ userId: 'ada', pending: true, ...more }, options);
      await bed.advance(SECOND);
      return session;
    }

    it('ends no session: neither at the limit, nor on its device, nor the one it is to replace', async () => {
      const bed = await open({ limit: { max: 2, maxOfType: 1, onLimit: 'evict-least-recent' } });
      const { store } = bed;
      const log = await bed.record();
      const phone = await store.create({ userId: 'ada', deviceId: 'phone', deviceType: 'mobile' });
      const laptop = await store.create({ userId: 'ada', deviceId: 'laptop', deviceType: 'desktop' });
      const waiting = [
        await half(bed, { deviceId: 'phone', deviceType: 'mobile' }),
        await half(bed, { deviceId: 'phone', deviceType: 'mobile' }, { replaces: laptop.id }),
        await half(bed, {}, { limit: { max: 1, onLimit: 'evict-oldest' } }),
      ];
      expect(idsOf(await store.getActiveSessions('ada'))).toEqual(idsOf([phone, laptop, ...waiting]));
      expect((await store.findByDevice('ada', 'phone'))?.id).toBe(phone.id);
      expect(await log.of('ended')).toEqual([]);
      expect(await log.of('new-device')).toHaveLength(1);
    });

    it('is not kept out by the policy reject before it is complete, and then leaves everything as it was', async () => {
      const bed = await open({ limit: { max: 1, onLimit: 'reject' } });
      const { store } = bed;
      const full = await store.create({ userId: 'ada' });
      const { id } = await half(bed);
      const log = await bed.record();
      for (const [, complete] of COMPLETIONS) {
        await expectRefusal(complete(bed, id), 'session_limit_reached');
        expect(await store.get(id)).toMatchObject({ id, pending: true });
      }
      expect((await log.all()).map(({ type }) => type)).toEqual(['limit-reached', 'limit-reached']);
      expect(await store.get(full.id)).toEqual(full);
      const chosen = { credentials: {}, freshen: true, patch: COMPLETE, repeatableFor: 0, replaces: full.id };
      expect(await store.regenerate(id, chosen)).toMatchObject({ state: 'live' });
      expect(await log.endsOf(full)).toEqual(['replaced']);
      expect((await store.get(id))?.pending).toBeUndefined();
    });

    it('takes no place: it neither keeps others out nor makes way for them', async () => {
      const bed = await open({ limit: { max: 2, onLimit: 'reject' } });
      const waiting = [await half(bed), await half(bed), await half(bed)];
      const full = [await bed.store.create({ userId: 'ada' }), await bed.store.create({ userId: 'ada' })];
      const refused = bed.store.create({ userId: 'ada' });
      expect(await refusalOf(refused)).toMatchObject({ code: 'session_limit_reached', limit: 2 });
      const more = await bed.store.create({ userId: 'ada' }, { limit: { max: 2, onLimit: 'evict-oldest' } });
      const live = idsOf(await bed.store.getActiveSessions('ada'));
      for (const { id } of [...waiting, more]) expect(live).toContain(id);
      expect(live).toHaveLength(5);
      expect(full.filter(({ id }) => live.includes(id))).toHaveLength(1);
    });

    it('is one of three at most: the oldest goes, and no full session', async () => {
      const bed = await open();
      const log = await bed.record();
      const full = await bed.store.create({ userId: 'ada' });
      const waiting: Session[] = [];
      for (let count = 0; count < 5; count += 1) waiting.push(await half(bed));
      expect(idsOf(await bed.store.getActiveSessions('ada'))).toEqual(idsOf([full, ...waiting.slice(2)]));
      for (const session of waiting.slice(0, 2)) expect(await log.endsOf(session)).toEqual(['evicted']);
      expect(await log.of('ended')).toHaveLength(2);
      const bobs = await half(bed, { userId: 'bob' });
      expect(idsOf(await bed.store.getActiveSessions('bob'))).toEqual([bobs.id]);
    });

    it('of 30 at once leaves three (ASVS 15.4.2)', async () => {
      const bed = await open();
      const instances = await bed.instances(30);
      await Promise.all(instances.map((store) => store.create({ userId: 'ada', pending: true })));
      expect(await bed.store.getActiveSessions('ada')).toHaveLength(3);
    });

    for (const [name, complete] of COMPLETIONS) {
      describe(`once complete by ${name}`, () => {
        it('evicts under the limit that it started with', async () => {
          const bed = await open();
          const log = await bed.record();
          const first = await bed.store.create({ userId: 'ada' });
          await bed.advance(SECOND);
          const second = await bed.store.create({ userId: 'ada' });
          await bed.advance(SECOND);
          const { id } = await half(bed, {}, { limit: { max: 2, onLimit: 'evict-oldest' } });
          await complete(bed, id);
          expect(idsOf(await bed.store.getActiveSessions('ada'))).toEqual([second.id, id].sort());
          expect(await log.endsOf(first)).toEqual(['evicted']);
        });

        it('evicts for its type of device', async () => {
          const bed = await open({ limit: { max: 5, maxOfType: 1, onLimit: 'evict-least-recent' } });
          const phone = await bed.store.create({ userId: 'ada', deviceType: 'mobile' });
          const laptop = await bed.store.create({ userId: 'ada', deviceType: 'desktop' });
          const { id } = await half(bed, { deviceType: 'mobile' });
          await complete(bed, id);
          expect(idsOf(await bed.store.getActiveSessions('ada'))).toEqual([laptop.id, id].sort());
          expect(await bed.store.read(phone.id)).toMatchObject({ state: 'ended', reason: 'evicted' });
        });

        it('replaces on its device, waiting sessions included, and what it was to replace', async () => {
          const bed = await open();
          const log = await bed.record();
          const phone = await bed.store.create({ userId: 'ada', deviceId: 'phone' });
          const named = await bed.store.create({ userId: 'ada' });
          const other = await bed.store.create({ userId: 'ada' });
          const waiting = await half(bed, { deviceId: 'phone' });
          const { id } = await half(bed, { deviceId: 'phone' }, { replaces: named.id });
          await complete(bed, id);
          expect(idsOf(await bed.store.getActiveSessions('ada'))).toEqual([other.id, id].sort());
          for (const session of [phone, named, waiting]) expect(await log.endsOf(session)).toEqual(['replaced']);
        });

        it('counts from then on', async () => {
          const bed = await open({ limit: { max: 1, onLimit: 'reject' } });
          const { id } = await half(bed);
          await complete(bed, id);
          await expectRefusal(bed.store.create({ userId: 'ada' }), 'session_limit_reached');
          await bed.store.create({ userId: 'ada', pending: true });
        });

        it('announces a new device, and not before', async () => {
          const bed = await open();
          const log = await bed.record();
          await bed.store.create({ userId: 'ada', deviceId: 'laptop' });
          const { id } = await half(bed, { deviceId: 'phone' });
          expect(await log.of('new-device')).toEqual([]);
          await complete(bed, id);
          expect(await log.of('new-device', id)).toHaveLength(1);
        });

        it('ends what is past its deadline as such, and not as evicted', async () => {
          const bed = await open({ limit: { max: 2, onLimit: 'reject' } });
          const log = await bed.record();
          const idle = await bed.store.create({ userId: 'ada' }, { idleTimeout: MINUTE });
          await bed.store.create({ userId: 'ada' });
          const { id } = await half(bed);
          await bed.goPast(idle.createdAt + MINUTE);
          await complete(bed, id);
          expect(await bed.store.getActiveSessions('ada')).toHaveLength(2);
          await bed.store.sweep();
          expect(await log.endsOf(idle)).toEqual(['idle']);
        });
      });
    }

    it('that is complete ends nothing when it is completed again', async () => {
      const bed = await open({ limit: { max: 1, onLimit: 'evict-oldest' } });
      const { id } = await half(bed);
      await bed.store.update(id, COMPLETE);
      const impersonated = await bed.store.create({
        userId: 'ada',
        actor: { userId: 'root', sessionId: 'A'.repeat(32) },
      });
      await bed.store.update(id, COMPLETE);
      expect(idsOf(await bed.store.getActiveSessions('ada'))).toEqual(idsOf([{ id }, impersonated] as Session[]));
    });

    it('keeps from the session what is for the store alone', async () => {
      const bed = await open();
      const { id } = await half(bed, {}, { limit: { max: 2, onLimit: 'reject' } });
      expect('admission' in ((await bed.store.get(id)) ?? {})).toBe(false);
    });

    it('of many completed at once at limit 2 leaves two (ASVS 15.4.2)', async () => {
      const bed = await open({ limit: { max: 2, onLimit: 'evict-oldest' } });
      const waiting = [await half(bed), await half(bed), await half(bed)];
      const instances = await bed.instances(3);
      await Promise.all(instances.map(async (store, index) => store.update(waiting[index]?.id ?? '', COMPLETE)));
      const live = await bed.store.getActiveSessions('ada');
      expect(live).toHaveLength(2);
      expect(live.every(({ pending }) => pending === undefined)).toBe(true);
    });
  });
}
