import { END_REASONS } from '../../model/session.js';
import type { LiveSession } from '../../ports/session-store.js';
import { anyHash, HOUR, idsOf, SECOND, type OpenStore } from '../test-bed.js';
import { describe, expect, it } from '../test-api.js';

const MALFORMED: readonly (readonly [string, unknown])[] = [
  ['the empty string', ''],
  ['CRLF', `${'a'.repeat(30)}\r\n`],
  ['a trailing newline', `${'a'.repeat(32)}\n`],
  ['10 kB', 'a'.repeat(10_000)],
  ['NUL', `${'a'.repeat(31)}\0`],
  ['a star', '*'],
  ['stars', '*'.repeat(32)],
  ['one character short', 'a'.repeat(31)],
  ['one character long', 'a'.repeat(33)],
  ['braces', `{${'a'.repeat(30)}}`],
  ['another script', 'а'.repeat(32)],
  ['__proto__', '__proto__'],
  ['a number', 5],
  ['an array', ['a'.repeat(32)]],
  ['an object', { toString: () => 'a'.repeat(32), length: 32 }],
  ['a String object', Object('a'.repeat(32))],
  ['a buffer', Buffer.from('a'.repeat(32))],
  ['undefined', undefined],
  ['null', null],
  ['true', true],
];

export function describeRead(open: OpenStore): void {
  describe('read', () => {
    it('gives the session, its families and the instant, all at once', async () => {
      const { store } = await open();
      const credentials = { cookie: anyHash(), refresh: anyHash() };
      const session = await store.create({ userId: 'ada', data: { a: 1 } }, { credentials });
      const before = store.now();
      const snapshot = (await store.read(session.id)) as LiveSession;
      expect(snapshot).toMatchObject({ state: 'live', session, tokenRevoked: false });
      expect(snapshot.families.cookie?.hash.equals(credentials.cookie)).toBe(true);
      expect(snapshot.families.refresh?.hash.equals(credentials.refresh)).toBe(true);
      expect(snapshot.now).toBeGreaterThanOrEqual(before - SECOND);
      expect(snapshot.now).toBeLessThanOrEqual(store.now() + SECOND);
      expect(snapshot.tokensFrom).toBeLessThanOrEqual(session.createdAt);
      expect(typeof snapshot.revision).toBe('string');
    });

    it('names a new state of the record by a new revision', async () => {
      const { store } = await open();
      const { id } = await store.create({ userId: 'ada' });
      const { revision } = (await store.read(id)) as LiveSession;
      expect(((await store.read(id)) as LiveSession).revision).toBe(revision);
      await store.update(id, { data: { a: 1 } });
      expect(((await store.read(id)) as LiveSession).revision).not.toBe(revision);
    });

    for (const reason of END_REASONS) {
      it(`says of an ended session that it ended, and why: ${reason}`, async () => {
        const bed = await open();
        const { store } = bed;
        const session = await store.create({ userId: 'ada' });
        await store.create({ userId: 'ada' });
        await bed.advance(SECOND);
        expect(await store.destroy(session.id, { reason })).toBe(true);
        const snapshot = await store.read(session.id);
        expect(snapshot).toMatchObject({ state: 'ended', reason });
        const { endedAt } = snapshot as { endedAt: number };
        expect(endedAt).toBeGreaterThan(session.createdAt);
        expect(endedAt).toBeLessThanOrEqual(store.now() + SECOND);
      });
    }

    it('remembers why when the last session of a user has ended, and after a sweep', async () => {
      const { store } = await open();
      const { id } = await store.create({ userId: 'ada' });
      await store.destroy(id, { reason: 'admin' });
      await store.sweep();
      expect(await store.read(id)).toMatchObject({ state: 'ended', reason: 'admin' });
    });

    it('remembers the latest eight ends of a user', async () => {
      const bed = await open();
      const { store } = bed;
      const sessions = [];
      for (let i = 0; i < 10; i += 1) sessions.push(await store.create({ userId: 'ada' }));
      for (const { id } of sessions) {
        await store.destroy(id);
        await bed.advance(SECOND);
      }
      const states = [];
      for (const { id } of sessions.slice(2)) states.push((await store.read(id)).state);
      expect(states).toEqual(Array(8).fill('ended'));
    });

    it('knows no id that was never issued, even one of an existing user (CVE-2022-25896)', async () => {
      const { store } = await open();
      const { id } = await store.create({ userId: 'ada' });
      for (const unknown of ['x'.repeat(32), id.slice(0, 16) + 'x'.repeat(16), id.slice(16) + id.slice(0, 16)]) {
        expect(await store.read(unknown)).toEqual({ state: 'absent' });
        expect(await store.touch(unknown)).toBe(false);
        expect(await store.update(unknown, { data: { a: 1 } })).toBeNull();
        expect(await store.get(unknown)).toBeNull();
      }
      expect(await store.count()).toBe(1);
    });

    for (const [name, value] of MALFORMED) {
      it(`takes ${name} for an id of no session, in every method, and never throws (ASVS 15.3.5)`, async () => {
        const { store } = await open();
        const live = await store.create({ userId: 'ada' });
        const id = value as string;
        expect(await store.read(id)).toEqual({ state: 'absent' });
        expect(await store.get(id)).toBeNull();
        expect(await store.touch(id)).toBe(false);
        expect(await store.update(id, { data: { a: 1 } })).toBeNull();
        expect(await store.destroy(id)).toBe(false);
        expect(await store.revokeToken(id, 'some-token', store.now() + HOUR)).toBe(false);
        const rule = { grace: 0, rotateAfter: 0, rotateFirst: true, touch: true };
        const rotation = { kind: 'cookie', presented: { hash: anyHash(), generation: 0 }, ...rule } as const;
        expect(await store.rotate(id, rotation)).toEqual({ state: 'absent' });
        const regeneration = { credentials: { cookie: anyHash() }, freshen: true, repeatableFor: 0 };
        expect(await store.regenerate(id, regeneration)).toEqual({ state: 'absent' });
        expect(await store.getActiveSessions('ada')).toEqual([live]);
        expect(await store.count()).toBe(1);
      });
    }
  });

  describe('getActiveSessions', () => {
    it('lists the latest access first', async () => {
      const bed = await open();
      const { store } = bed;
      const ids: string[] = [];
      for (let i = 0; i < 3; i += 1) {
        ids.unshift((await store.create({ userId: 'ada' })).id);
        await bed.advance(SECOND);
      }
      expect((await store.getActiveSessions('ada')).map(({ id }) => id)).toEqual(ids);
      const [, , last] = ids as [string, string, string];
      await store.touch(last);
      expect((await store.getActiveSessions('ada')).map(({ id }) => id)).toEqual([last, ids[0], ids[1]]);
    });

    it('lists only own sessions (ASVS 7.5.2), none for an unknown user, and those of a second instance', async () => {
      const bed = await open();
      const { store } = bed;
      const second = await bed.second();
      await store.create({ userId: 'bob' });
      const mine = [await store.create({ userId: 'ada' }), await second.create({ userId: 'ada' })];
      expect(idsOf(await store.getActiveSessions('ada'))).toEqual(idsOf(mine));
      expect(idsOf(await second.getActiveSessions('ada'))).toEqual(idsOf(mine));
      expect(await store.getActiveSessions('nobody')).toEqual([]);
    });

    it('shows no secret (ASVS 7.5.2)', async () => {
      const { store } = await open();
      const cookie = anyHash();
      await store.create({ userId: 'ada' }, { credentials: { cookie } });
      const text = JSON.stringify(await store.getActiveSessions('ada'));
      for (const encoding of ['hex', 'base64', 'base64url'] as const) {
        expect(text.includes(cookie.toString(encoding))).toBe(false);
      }
      expect(text.includes('hash')).toBe(false);
    });
  });

  describe('findByDevice', () => {
    it('finds the session of that user on exactly that device', async () => {
      const { store } = await open();
      const session = await store.create({ userId: 'ada', deviceId: 'phone' });
      await store.create({ userId: 'ada', deviceId: 'phone ' });
      await store.create({ userId: 'ada' });
      expect(await store.findByDevice('ada', 'phone')).toEqual(session);
      for (const deviceId of ['PHONE', '', '*', 'unknown']) {
        expect(await store.findByDevice('ada', deviceId)).toBeNull();
      }
      expect(await store.findByDevice('bob', 'phone')).toBeNull();
      await store.destroy(session.id);
      expect(await store.findByDevice('ada', 'phone')).toBeNull();
    });
  });
}
