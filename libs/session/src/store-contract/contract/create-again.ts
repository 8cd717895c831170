import { randomBytes } from 'node:crypto';
import type { LiveSession } from '../../ports/session-store.js';
import { anyHash, expectRefusal, MINUTE, SECOND, type OpenStore } from '../test-bed.js';
import { describe, expect, it } from '../test-api.js';

function anySid(): string {
  return randomBytes(12).toString('base64url');
}

export function describeCreateAgain(open: OpenStore): void {
  describe('create with a sid of the caller, so that it can be repeated', () => {
    it('gives the session that id, within its user’s part of it', async () => {
      const { store } = await open();
      const sid = anySid();
      const [mine, bobs] = [
        await store.create({ userId: 'ada' }, { sid }),
        await store.create({ userId: 'bob' }, { sid }),
      ];
      expect(mine.id).toMatch(/^[A-Za-z0-9_-]{32}$/);
      expect(mine.id.slice(16)).toBe(sid);
      expect(bobs.id.slice(16)).toBe(sid);
      expect(bobs.id).not.toBe(mine.id);
      expect(await store.get(mine.id)).toEqual(mine);
      expect(mine.id.slice(0, 16)).toBe((await store.create({ userId: 'ada' })).id.slice(0, 16));
    });

    it('answers a repeat with the session as it stands, and changes nothing', async () => {
      const bed = await open({ limit: { max: 2, onLimit: 'evict-oldest' } });
      const { store } = bed;
      const second = await bed.second();
      const log = await bed.record();
      const sid = anySid();
      const cookie = anyHash();
      const other = await store.create({ userId: 'ada', deviceId: 'd' });
      const session = await store.create({ userId: 'ada', roles: ['user'] }, { sid, credentials: { cookie } });
      await bed.advance(SECOND);
      await store.touch(session.id);
      const updated = await store.update(session.id, { data: { a: 1 } });
      const input = { userId: 'ada', roles: ['admin'], deviceId: 'd', data: { b: 2 } };
      const again = await second.create(input, { sid, credentials: { cookie: anyHash() }, replaces: other.id });
      expect(again).toEqual(updated);
      expect(((await store.read(session.id)) as LiveSession).families.cookie?.hash.equals(cookie)).toBe(true);
      expect(await store.get(other.id)).toEqual(other);
      expect(await log.of('created')).toHaveLength(2);
      expect(await log.of('ended')).toEqual([]);
    });

    it('is the same session for 20 parallel calls, started once', async () => {
      const bed = await open({ limit: { max: 1, onLimit: 'reject' } });
      const log = await bed.record();
      const sid = anySid();
      const instances = await bed.instances(20);
      const sessions = await Promise.all(instances.map((store) => store.create({ userId: 'ada' }, { sid })));
      expect(new Set(sessions.map(({ id }) => id)).size).toBe(1);
      expect(await bed.store.getActiveSessions('ada')).toEqual([sessions[0]]);
      expect(await log.of('created')).toHaveLength(1);
      expect(await log.of('limit-reached')).toEqual([]);
    });

    it('is refused once the session has ended, so that a late repeat does not revive it', async () => {
      const bed = await open();
      const { store } = bed;
      const log = await bed.record();
      const [ended, expired] = [anySid(), anySid()];
      const first = await store.create({ userId: 'ada' }, { sid: ended });
      await store.destroy(first.id);
      await expectRefusal(store.create({ userId: 'ada' }, { sid: ended }), 'session_ended');
      const second = await store.create({ userId: 'ada' }, { sid: expired, idleTimeout: MINUTE });
      await bed.goPast(second.createdAt + MINUTE);
      await expectRefusal(store.create({ userId: 'ada' }, { sid: expired }), 'session_expired');
      expect(await store.getActiveSessions('ada')).toEqual([]);
      await store.sweep();
      await expectRefusal(store.create({ userId: 'ada' }, { sid: expired }), 'session_expired');
      expect(await log.endsOf(first)).toEqual(['logout']);
      expect(await log.endsOf(second)).toEqual(['idle']);
    });

    it('refuses what is no sid', async () => {
      const { store } = await open();
      const wrong = [
        '',
        'x'.repeat(15),
        'x'.repeat(17),
        'x'.repeat(32),
        '*'.repeat(16),
        `${'x'.repeat(15)}\n`,
        'ż'.repeat(16),
      ];
      for (const sid of wrong) await expectRefusal(store.create({ userId: 'ada' }, { sid }), 'invalid_argument');
      expect(await store.count()).toBe(0);
    });
  });
}
