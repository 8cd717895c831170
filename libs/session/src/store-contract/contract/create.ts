import type { NewSession } from '../../model/session.js';
import type { LiveSession } from '../../ports/session-store.js';
import {
  anyClient,
  anyHash,
  expectRefusal,
  HOUR,
  idsOf,
  MINUTE,
  refusalOf,
  SECOND,
  type OpenStore,
} from '../test-bed.js';
import { describe, expect, it } from '../test-api.js';
import { fullInput } from './full-input.js';

export function describeCreate(open: OpenStore): void {
  describe('create', () => {
    it('starts a session of a user id alone, by the defaults of the store', async () => {
      const { store } = await open({ idleTimeout: 7 * MINUTE, absoluteTimeout: 3 * HOUR });
      const before = store.now();
      const session = await store.create({ userId: 'ada' });
      const after = store.now();
      expect(session.id).toMatch(/^[A-Za-z0-9_-]{32}$/);
      expect(session.createdAt).toBeGreaterThanOrEqual(before - SECOND);
      expect(session.createdAt).toBeLessThanOrEqual(after + SECOND);
      const { createdAt } = session;
      expect(session).toEqual({
        id: session.id,
        userId: 'ada',
        email: '',
        roles: [],
        data: {},
        createdAt,
        lastAccess: createdAt,
        authenticatedAt: createdAt,
        idleTimeout: 7 * MINUTE,
        expiresAt: createdAt + 3 * HOUR,
      });
      expect('deviceId' in session).toBe(false);
      expect(await store.get(session.id)).toEqual(session);
    });

    it('keeps every field, and hands out the same from every method', async () => {
      const { store } = await open();
      const input = fullInput('ada');
      const session = await store.create(input);
      expect(session).toMatchObject(input);
      expect(await store.get(session.id)).toEqual(session);
      expect(await store.getActiveSessions('ada')).toEqual([session]);
      expect(await store.findByDevice('ada', 'device-1')).toEqual(session);
      expect(await store.read(session.id)).toMatchObject({ state: 'live', session });
    });

    it('calls a device of no stated type unknown', async () => {
      const { store } = await open();
      expect((await store.create({ userId: 'ada', deviceId: 'd' })).deviceType).toBe('unknown');
      expect((await store.create({ userId: 'ada' })).deviceType).toBeUndefined();
    });

    it('takes timeouts of its own', async () => {
      const { store } = await open();
      const session = await store.create({ userId: 'ada' }, { idleTimeout: MINUTE, absoluteTimeout: 2 * MINUTE });
      expect(session.idleTimeout).toBe(MINUTE);
      expect(session.expiresAt).toBe(session.createdAt + 2 * MINUTE);
    });

    it('refuses a timeout that is none: NaN would never end (ASVS 7.3.2)', async () => {
      const { store } = await open();
      for (const timeout of [0, -1, 0.5, NaN, Infinity, '60000' as unknown as number]) {
        await expectRefusal(store.create({ userId: 'ada' }, { idleTimeout: timeout }), 'invalid_argument');
        await expectRefusal(store.create({ userId: 'ada' }, { absoluteTimeout: timeout }), 'invalid_argument');
      }
      expect(await store.count()).toBe(0);
    });

    it('gives every sign-in an id of its own (ASVS 7.2.2), and adopts none from the input (fixation, CVE-2022-25896)', async () => {
      const { store } = await open();
      const first = await store.create({ userId: 'ada' });
      const chosen = {
        userId: 'ada',
        id: first.id.slice(0, 16) + 'x'.repeat(16),
        createdAt: 1,
        sid: 'x',
        lastAccess: 1,
      };
      const second = await store.create(chosen);
      expect(second.id).not.toBe(first.id);
      expect(second.id).not.toBe(chosen.id);
      expect(await store.get(chosen.id)).toBeNull();
      expect(second.createdAt).toBeGreaterThanOrEqual(first.createdAt);
      expect('sid' in second).toBe(false);
      expect(await store.get(first.id)).toEqual(first);
    });

    it('keeps the hashes of its secrets, and no credential that was not given', async () => {
      const { store } = await open();
      const credentials = { cookie: anyHash(), refresh: anyHash() };
      const client = anyClient();
      const { id, createdAt } = await store.create({ userId: 'ada' }, { credentials, client });
      const { families } = (await store.read(id)) as LiveSession;
      for (const kind of ['cookie', 'refresh'] as const) {
        expect(families[kind]?.hash.equals(credentials[kind])).toBe(true);
        expect(families[kind]?.client?.equals(client)).toBe(true);
        expect(families[kind]).toMatchObject({ generation: 0, branch: createdAt, inUse: true, previous: null });
      }
      const bare = await store.create({ userId: 'ada' });
      expect(((await store.read(bare.id)) as LiveSession).families).toEqual({ cookie: null, refresh: null });
    });

    describe('expiresAt', () => {
      it('caps the absolute end, as a number or as a Date', async () => {
        const { store } = await open({ absoluteTimeout: HOUR });
        const cap = store.now() + 10 * MINUTE;
        expect((await store.create({ userId: 'ada', expiresAt: cap })).expiresAt).toBe(cap);
        expect((await store.create({ userId: 'ada', expiresAt: new Date(cap) })).expiresAt).toBe(cap);
      });

      it('never extends it (ASVS 7.3.2)', async () => {
        const { store } = await open({ absoluteTimeout: HOUR });
        for (const expiresAt of [store.now() + 2 * HOUR, Number.MAX_SAFE_INTEGER, new Date(8.64e15)]) {
          const session = await store.create({ userId: 'ada', expiresAt });
          expect(session.expiresAt).toBe(session.createdAt + HOUR);
        }
      });

      it('is refused in the past, in seconds, and where it is no instant; nothing is written then', async () => {
        const bed = await open();
        const { store } = bed;
        const seconds = Math.floor((store.now() + HOUR) / 1_000);
        const past = store.now() - (bed.exactTime ? 1 : MINUTE);
        const wrong = [past, 0, -5, seconds, NaN, Infinity, new Date(NaN), 'tomorrow', null, {}];
        for (const expiresAt of wrong as number[]) {
          await expectRefusal(store.create({ userId: 'ada', expiresAt }), 'invalid_argument');
        }
        if (bed.exactTime)
          await expectRefusal(store.create({ userId: 'ada', expiresAt: store.now() }), 'invalid_argument');
        expect(await store.getActiveSessions('ada')).toEqual([]);
        expect(await store.count()).toBe(0);
      });
    });

    it('refuses fields that are not of their type, and writes nothing', async () => {
      const { store } = await open();
      const wrong = [
        { email: 5 },
        { roles: 'admin' },
        { roles: [1] },
        { roles: { length: 1 } },
        { deviceId: '' },
        { deviceId: ['d'] },
        { deviceId: 'd'.repeat(513) },
        { deviceId: '\uD800' },
        { deviceId: 'd', deviceName: '' },
        { deviceId: 'd', deviceType: 'fridge' },
        { metadata: 'text' },
        { metadata: { ip: 5 } },
        { lastLocation: [] },
        { amr: 'pwd' },
        { acr: 2 },
        { actor: { userId: 'root' } },
      ];
      for (const fields of wrong) {
        await expectRefusal(store.create({ userId: 'ada', ...fields } as NewSession), 'invalid_argument');
      }
      expect(await store.count()).toBe(0);
    });

    it('cuts what a request says of itself instead of refusing the sign-in', async () => {
      const { store } = await open();
      const { metadata } = await store.create({ userId: 'ada', metadata: { userAgent: 'x'.repeat(10_000) } });
      expect(metadata?.userAgent?.length).toBeLessThan(1_000);
      expect(metadata?.userAgent?.length).toBeGreaterThan(100);
    });

    it('refuses a record over the maximum, names both sizes, and evicts no session', async () => {
      const { store } = await open({ maxRecordBytes: 2_000, limit: { max: 1, onLimit: 'evict-oldest' } });
      const earlier = await store.create({ userId: 'ada', data: { text: 'x'.repeat(1_500) } });
      const refused = store.create({ userId: 'ada', data: { text: 'ż'.repeat(1_500) } });
      const refusal = (await refusalOf(refused)) as Error & { code?: unknown; size: number; limit: number };
      expect(refusal.code).toBe('session_too_large');
      expect(refusal.limit).toBe(2_000);
      expect(refusal.size).toBeGreaterThan(3_000);
      expect(idsOf(await store.getActiveSessions('ada'))).toEqual([earlier.id]);
    });

    describe('on a device', () => {
      it('replaces the session that is there, of that user alone', async () => {
        const bed = await open();
        const { store } = bed;
        const log = await bed.record();
        const old = await store.create({ userId: 'ada', deviceId: 'shared' });
        const elsewhere = await store.create({ userId: 'ada', deviceId: 'other' });
        const bobs = await store.create({ userId: 'bob', deviceId: 'shared' });
        const fresh = await store.create({ userId: 'ada', deviceId: 'shared' });
        expect(idsOf(await store.getActiveSessions('ada'))).toEqual(idsOf([elsewhere, fresh]));
        expect(await store.read(old.id)).toMatchObject({ state: 'ended', reason: 'replaced' });
        expect(await store.get(bobs.id)).not.toBeNull();
        expect((await store.findByDevice('ada', 'shared'))?.id).toBe(fresh.id);
        expect(await log.endsOf(old)).toEqual(['replaced']);
      });

      it('leaves one session of 20 parallel sign-ins on it', async () => {
        const bed = await open();
        const log = await bed.record();
        const instances = await bed.instances(20);
        await Promise.all(instances.map((store) => store.create({ userId: 'ada', deviceId: 'd' })));
        expect(await bed.store.getActiveSessions('ada')).toHaveLength(1);
        expect((await log.of('ended')).map(({ reason }) => reason)).toEqual(Array(19).fill('replaced'));
      });

      it('does not count the replaced session toward the limit', async () => {
        const { store } = await open({ limit: { max: 2, onLimit: 'reject' } });
        const other = await store.create({ userId: 'ada', deviceId: 'a' });
        await store.create({ userId: 'ada', deviceId: 'b' });
        const again = await store.create({ userId: 'ada', deviceId: 'b' });
        expect(idsOf(await store.getActiveSessions('ada'))).toEqual(idsOf([other, again]));
      });
    });

    describe('with replaces', () => {
      it('ends the named session in the same step, and its place is free', async () => {
        const bed = await open({ limit: { max: 1, onLimit: 'reject' } });
        const { store } = bed;
        const log = await bed.record();
        const old = await store.create({ userId: 'ada' });
        const fresh = await store.create({ userId: 'ada' }, { replaces: old.id });
        expect(idsOf(await store.getActiveSessions('ada'))).toEqual([fresh.id]);
        expect(await store.read(old.id)).toMatchObject({ state: 'ended', reason: 'replaced' });
        expect(await log.endsOf(old)).toEqual(['replaced']);
      });

      it('ignores sessions of other users, and what is no session', async () => {
        const bed = await open();
        const { store } = bed;
        const log = await bed.record();
        const bobs = await store.create({ userId: 'bob' });
        const ended = await store.create({ userId: 'ada' });
        await store.destroy(ended.id);
        for (const replaces of [bobs.id, ended.id, '', '*', 'x'.repeat(32), 'x'.repeat(10_000)]) {
          await store.create({ userId: 'ada' }, { replaces });
        }
        expect(await store.getActiveSessions('ada')).toHaveLength(6);
        expect(await store.get(bobs.id)).toEqual(bobs);
        expect(await log.endsOf(ended)).toEqual(['logout']);
        expect(await log.endsOf(bobs)).toEqual([]);
      });
    });
  });
}
