import type { Session } from '../../model/session.js';
import { expectRefusal, idsOf, type OpenStore } from '../test-bed.js';
import { describe, expect, it } from '../test-api.js';

/** User ids that some existing store has mixed up. */
const NASTY: readonly string[] = [
  'a',
  'A',
  'a ',
  ' a',
  'a:b',
  'a::b',
  'a:b:user',
  ':',
  '*',
  'a*',
  '?',
  '[a]',
  '{}',
  '{a}',
  'a{b}c',
  '\n',
  'a\nb',
  'a\r\nb',
  '\0',
  'a\0',
  'a\0b',
  '\\',
  '"',
  "'",
  '%',
  '%00',
  '../a',
  '🦔',
  '🦔🦔',
  'é',
  'e\u0301',
  '\uFFFD',
  '\uFEFFa',
  '0',
  '00',
  '-1',
  'null',
  'undefined',
  'true',
  '[object Object]',
  '__proto__',
  'constructor',
  'hasOwnProperty',
  'x'.repeat(10_000),
  'x'.repeat(10_001),
];

const NO_USER_IDS: readonly (readonly [string, unknown])[] = [
  ['null', null],
  ['undefined', undefined],
  ['the empty string', ''],
  ['a number', 1],
  ['an array, which ioredis would flatten', ['a']],
  ['an object', { toString: () => 'a' }],
  ['a String object', Object('a')],
  ['a buffer', Buffer.from('a')],
  ['a lone high surrogate', 'a\uD83E'],
  ['a lone low surrogate', '\uDD94a'],
];

export function describeUserIds(open: OpenStore): void {
  describe('user ids', () => {
    it('of any characters never meet', async () => {
      const { store } = await open();
      const sessions = new Map<string, Session>();
      for (const userId of NASTY) sessions.set(userId, await store.create({ userId, deviceId: 'd', data: { userId } }));
      expect(await store.count()).toBe(NASTY.length);
      for (const [userId, session] of sessions) {
        expect(session.userId).toBe(userId);
        expect(await store.get(session.id)).toEqual(session);
        expect(await store.getActiveSessions(userId)).toEqual([session]);
        expect(await store.findByDevice(userId, 'd')).toEqual(session);
      }
      let left = NASTY.length;
      for (const userId of NASTY) {
        expect(await store.updateUser(userId, { roles: [userId] })).toBe(1);
        expect((await store.getActiveSessions(userId)).map(({ roles }) => roles)).toEqual([[userId]]);
        expect(await store.destroyAll(userId)).toBe(1);
        left -= 1;
        expect(await store.count()).toBe(left);
      }
    });

    it('may be of any characters on the device side as well', async () => {
      const { store } = await open();
      const sessions: Session[] = [];
      const devices = NASTY.filter((deviceId) => deviceId.length <= 512);
      for (const deviceId of devices) sessions.push(await store.create({ userId: 'ada', deviceId }));
      expect(idsOf(await store.getActiveSessions('ada'))).toEqual(idsOf(sessions));
      for (const session of sessions) {
        expect((await store.findByDevice('ada', session.deviceId ?? ''))?.id).toBe(session.id);
      }
      for (const deviceId of devices) expect(await store.destroyAll('ada', { deviceId })).toBe(1);
      expect(await store.count()).toBe(0);
    });

    for (const [name, value] of NO_USER_IDS) {
      it(`refuses ${name}, in every method (ASVS 15.3.5)`, async () => {
        const { store } = await open();
        const userId = value as string;
        const live = await store.create({ userId: 'a' });
        await expectRefusal(store.create({ userId }), 'invalid_argument');
        await expectRefusal(store.getActiveSessions(userId), 'invalid_argument');
        await expectRefusal(store.findByDevice(userId, 'd'), 'invalid_argument');
        await expectRefusal(store.updateUser(userId, { roles: ['admin'] }), 'invalid_argument');
        await expectRefusal(store.destroyAll(userId), 'invalid_argument');
        await expectRefusal(store.revokeTokens(userId), 'invalid_argument');
        expect(await store.getActiveSessions('a')).toEqual([live]);
        expect(await store.count()).toBe(1);
      });
    }
  });
}
