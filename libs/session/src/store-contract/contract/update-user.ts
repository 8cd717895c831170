import { expectRefusal, idsOf, type OpenStore } from '../test-bed.js';
import { describe, expect, it } from '../test-api.js';
import { fullInput } from './full-input.js';

export function describeUpdateUser(open: OpenStore): void {
  describe('updateUser (ASVS 8.3.2)', () => {
    it('reaches all sessions of the user and nobody else, and returns how many', async () => {
      const bed = await open();
      const { store } = bed;
      const second = await bed.second();
      const sessions = [await store.create(fullInput('ada')), await store.create({ userId: 'ada', data: { a: 1 } })];
      const bobs = await store.create({ userId: 'bob', roles: ['admin'] });
      expect(await second.updateUser('ada', { roles: [] })).toBe(2);
      for (const session of sessions) expect(await store.get(session.id)).toEqual({ ...session, roles: [] });
      expect(await store.updateUser('ada', { email: 'new@example.com' })).toBe(2);
      for (const session of await second.getActiveSessions('ada')) {
        expect(session).toMatchObject({ roles: [], email: 'new@example.com' });
      }
      expect(await store.get(bobs.id)).toEqual(bobs);
      expect(await store.updateUser('nobody', { roles: ['admin'] })).toBe(0);
    });

    it('does not reach a session that starts later: its values are newer', async () => {
      const { store } = await open();
      const early = await store.create({ userId: 'ada', roles: ['old'] });
      await store.updateUser('ada', { roles: ['middle'] });
      const late = await store.create({ userId: 'ada', roles: ['new'] });
      expect((await store.get(early.id))?.roles).toEqual(['middle']);
      expect(late.roles).toEqual(['new']);
      expect((await store.get(late.id))?.roles).toEqual(['new']);
      await store.updateUser('ada', { roles: ['last'] });
      expect((await store.getActiveSessions('ada')).map(({ roles }) => roles)).toEqual([['last'], ['last']]);
      await store.destroyAll('ada');
      expect((await store.create({ userId: 'ada', roles: ['fresh'] })).roles).toEqual(['fresh']);
    });

    it('of a change of one session and a change of all, the later one counts', async () => {
      const { store } = await open();
      const one = await store.create({ userId: 'ada', roles: ['a'] });
      const other = await store.create({ userId: 'ada', roles: ['a'] });
      await store.updateUser('ada', { roles: ['b'] });
      expect((await store.update(one.id, { roles: ['c'] }))?.roles).toEqual(['c']);
      expect((await store.get(other.id))?.roles).toEqual(['b']);
      await store.updateUser('ada', { roles: ['d'] });
      await store.updateUser('ada', { roles: ['e'] });
      expect((await store.get(one.id))?.roles).toEqual(['e']);
      expect((await store.get(other.id))?.roles).toEqual(['e']);
    });

    it('is not undone by a later change of something else: revoked roles do not come back with a new email', async () => {
      const { store } = await open();
      const { id } = await store.create({ userId: 'ada', email: 'old@example.com', roles: ['admin'] });
      await store.updateUser('ada', { roles: [] });
      expect((await store.update(id, { data: { a: 1 } }))?.roles).toEqual([]);
      expect((await store.update(id, { email: 'new@example.com' }))?.roles).toEqual([]);
      expect(await store.get(id)).toMatchObject({ roles: [], email: 'new@example.com' });
      await store.updateUser('ada', { email: 'newest@example.com' });
      expect((await store.update(id, { roles: ['user'] }))?.email).toBe('newest@example.com');
      const regeneration = { credentials: {}, freshen: false, repeatableFor: 0, patch: { roles: ['x'] } };
      expect(await store.regenerate(id, regeneration)).toMatchObject({
        session: { email: 'newest@example.com', roles: ['x'] },
      });
    });

    it('is not undone by a parallel change of something else', async () => {
      const bed = await open();
      const second = await bed.second();
      const { id } = await bed.store.create({ userId: 'ada', roles: ['admin'] });
      for (let round = 0; round < 20; round += 1) {
        await Promise.all([
          bed.store.update(id, { email: `${round}@example.com` }),
          second.updateUser('ada', { roles: [`${round}`] }),
          second.update(id, { data: { round } }),
        ]);
        expect(await bed.store.get(id)).toMatchObject({
          roles: [`${round}`],
          email: `${round}@example.com`,
          data: { round },
        });
      }
    });

    it('is what the function of a later update sees', async () => {
      const { store } = await open();
      const { id } = await store.create({ userId: 'ada', roles: ['admin'] });
      await store.updateUser('ada', { roles: ['user'] });
      const updated = await store.update(id, ({ roles }) => ({ roles: [...roles, 'more'] }));
      expect(updated?.roles).toEqual(['user', 'more']);
    });

    it('copies what it is given and what it hands out', async () => {
      const { store } = await open();
      const first = await store.create({ userId: 'ada' });
      const second = await store.create({ userId: 'ada' });
      const roles = ['user'];
      await store.updateUser('ada', { roles });
      roles.push('admin');
      (await store.get(first.id))?.roles.push('admin');
      expect((await store.get(first.id))?.roles).toEqual(['user']);
      expect((await store.get(second.id))?.roles).toEqual(['user']);
    });

    it('refuses values of the wrong type, and changes nothing then', async () => {
      const { store } = await open();
      const session = await store.create(fullInput('ada'));
      for (const patch of [{ roles: 'admin' }, { roles: [1] }, { email: 5 }, { email: null }] as object[]) {
        await expectRefusal(store.updateUser('ada', patch), 'invalid_argument');
        await expectRefusal(store.updateUser('ada', { email: 'x', roles: ['x'], ...patch }), 'invalid_argument');
      }
      expect(await store.get(session.id)).toEqual(session);
    });

    it('announces a change of each session', async () => {
      const bed = await open();
      const log = await bed.record();
      const sessions = [await bed.store.create({ userId: 'ada' }), await bed.store.create({ userId: 'ada' })];
      await bed.store.updateUser('ada', { roles: ['user'] });
      const changed = new Set((await log.of('changed')).map(({ sessionId }) => sessionId));
      expect([...changed].sort()).toEqual(idsOf(sessions));
    });
  });
}
