import type { Session } from '../../model/session.js';
import { anyClient, anyHash, idsOf, refusalOf, SECOND, type OpenStore } from '../test-bed.js';
import { describe, expect, it } from '../test-api.js';

const actor = { userId: 'root', sessionId: 'r'.repeat(32) };

export function describeDevices(open: OpenStore): void {
  describe('a new device', () => {
    it('is announced where the user is signed in elsewhere, and not at the first sign-in of all', async () => {
      const bed = await open();
      const { store } = bed;
      const log = await bed.record();
      const phone = await store.create({ userId: 'ada', deviceId: 'phone' });
      const laptop = await store.create({ userId: 'ada', deviceId: 'laptop' });
      await store.create({ userId: 'bob', deviceId: 'phone' });
      expect(await log.typesOf(phone)).toEqual(['created']);
      expect(await log.typesOf(laptop)).toEqual(['created', 'new-device']);
      const [event, ...more] = await log.of('new-device');
      expect(event).toMatchObject({ userId: 'ada', sessionId: laptop.id, at: laptop.createdAt });
      expect(more).toEqual([]);
    });

    it('is none that the user is signed in on, whatever became of that session by this sign-in', async () => {
      const bed = await open({ limit: { max: 1, onLimit: 'evict-oldest' } });
      const { store } = bed;
      const log = await bed.record();
      await store.create({ userId: 'ada', deviceId: 'phone' });
      const again = await store.create({ userId: 'ada', deviceId: 'phone' });
      const renamed = await store.create({ userId: 'ada', deviceId: 'other' }, { replaces: again.id });
      expect(await log.of('new-device')).toEqual([]);
      const elsewhere = await store.create({ userId: 'ada', deviceId: 'laptop' });
      expect((await log.of('new-device')).map(({ sessionId }) => sessionId)).toEqual([elsewhere.id]);
      expect(await log.endsOf(renamed)).toEqual(['evicted']);
    });

    it('is recognised by the client if there is no device id and clients are known', async () => {
      const bed = await open();
      const { store } = bed;
      const log = await bed.record();
      const [chrome, firefox] = [anyClient(), anyClient()];
      const signIn = (client: Buffer | null, credentials = { cookie: anyHash() }): Promise<Session> =>
        store.create({ userId: 'ada' }, { credentials, client });
      await signIn(null);
      await signIn(chrome);
      await signIn(chrome);
      await signIn(null);
      expect(await log.of('new-device')).toEqual([]);
      const { id } = await signIn(firefox);
      expect((await log.of('new-device')).map(({ sessionId }) => sessionId)).toEqual([id]);
      await signIn(firefox);
      expect(await log.of('new-device')).toHaveLength(1);
    });

    it('is announced at no refused sign-in, and of ended sessions nothing is known', async () => {
      const bed = await open({ limit: { max: 1, onLimit: 'reject' } });
      const { store } = bed;
      const log = await bed.record();
      const first = await store.create({ userId: 'ada', deviceId: 'phone' });
      await refusalOf(store.create({ userId: 'ada', deviceId: 'laptop' }));
      await store.destroy(first.id);
      await store.create({ userId: 'ada', deviceId: 'laptop' });
      expect(await log.of('new-device')).toEqual([]);
    });
  });

  describe('an impersonated session', () => {
    it('is in the list, and counts towards no limit (7.1.2)', async () => {
      const bed = await open({ limit: { max: 2, maxOfType: 1, onLimit: 'reject' } });
      const { store } = bed;
      const log = await bed.record();
      const mine = await store.create({ userId: 'ada', deviceType: 'mobile' });
      const acted = await store.create({ userId: 'ada', deviceType: 'mobile', actor });
      const other = await store.create({ userId: 'ada', deviceType: 'desktop' });
      const more = await store.create({ userId: 'ada', deviceType: 'desktop', actor });
      expect(acted.actor).toEqual(actor);
      expect(idsOf(await store.getActiveSessions('ada'))).toEqual(idsOf([mine, acted, other, more]));
      const refusal = await refusalOf(store.create({ userId: 'ada', deviceType: 'tablet' }));
      expect(refusal).toMatchObject({ code: 'session_limit_reached', limit: 2 });
      expect(await log.of('new-device')).toEqual([]);
    });

    it('is never evicted, and ends with all the others', async () => {
      const bed = await open({ limit: { max: 1, onLimit: 'evict-oldest' } });
      const { store } = bed;
      const acted = await store.create({ userId: 'ada', actor });
      await bed.advance(SECOND);
      const first = await store.create({ userId: 'ada' });
      await bed.advance(SECOND);
      const second = await store.create({ userId: 'ada' });
      expect(await store.read(first.id)).toMatchObject({ state: 'ended', reason: 'evicted' });
      expect(idsOf(await store.getActiveSessions('ada'))).toEqual(idsOf([acted, second]));
      expect(await store.destroyAll('ada')).toBe(2);
    });
  });

  it('a refused sign-in says which limit it reached (7.1.2)', async () => {
    const { store } = await open({ limit: { max: 3, maxOfType: 1, onLimit: 'reject' } });
    await store.create({ userId: 'ada', deviceType: 'mobile' });
    expect(await refusalOf(store.create({ userId: 'ada', deviceType: 'mobile' }))).toMatchObject({ limit: 1 });
    await store.create({ userId: 'ada', deviceType: 'desktop' });
    await store.create({ userId: 'ada', deviceType: 'tablet' });
    expect(await refusalOf(store.create({ userId: 'ada', deviceType: 'unknown' }))).toMatchObject({ limit: 3 });
  });
}
