import type { Session } from '../../model/session.js';
import { anyHash, expectRefusal, HOUR, idsOf, MINUTE, SECOND, type OpenStore, type TestBed } from '../test-bed.js';
import { describe, expect, it } from '../test-api.js';

const HASH = anyHash();
const DEVICE = 'the-device';

interface Probe {
  readonly method: string;
  /** What the method reports about the session. The user has another session, which is live. */
  readonly ask: (bed: TestBed, session: Session) => Promise<unknown>;
  readonly alive: unknown;
  readonly over: unknown;
}

/** Every method that could mistake a session past its deadline for a live one. */
const PROBES: readonly Probe[] = [
  { method: 'get', ask: async ({ store }, { id }) => (await store.get(id)) !== null, alive: true, over: false },
  { method: 'read', ask: async ({ store }, { id }) => (await store.read(id)).state, alive: 'live', over: 'ended' },
  {
    method: 'getActiveSessions',
    ask: async ({ store }, { id }) => (await store.getActiveSessions('ada')).some((session) => session.id === id),
    alive: true,
    over: false,
  },
  {
    method: 'findByDevice',
    ask: async ({ store }) => (await store.findByDevice('ada', DEVICE)) !== null,
    alive: true,
    over: false,
  },
  { method: 'count', ask: ({ store }) => store.count(), alive: 2, over: 1 },
  { method: 'touch', ask: ({ store }, { id }) => store.touch(id), alive: true, over: false },
  {
    method: 'update',
    ask: async ({ store }, { id }) => (await store.update(id, { data: { a: 1 } })) !== null,
    alive: true,
    over: false,
  },
  { method: 'updateUser', ask: ({ store }) => store.updateUser('ada', { roles: ['r'] }), alive: 2, over: 1 },
  {
    method: 'rotate',
    ask: async ({ store }, { id }) => {
      const presented = { hash: HASH, generation: 0 };
      const rule = { grace: 0, rotateAfter: 0, rotateFirst: true };
      return (await store.rotate(id, { kind: 'refresh', presented, touch: true, ...rule })).state;
    },
    alive: 'rotated',
    over: 'ended',
  },
  {
    method: 'rotate with a newer token',
    ask: async ({ store }, { id }) => {
      const rule = { grace: 0, rotateAfter: 0, rotateFirst: true, touch: false };
      return (await store.rotate(id, { kind: 'cookie', presented: { hash: HASH, generation: 2 }, ...rule })).state;
    },
    alive: 'advanced',
    over: 'ended',
  },
  {
    method: 'regenerate',
    ask: async ({ store }, { id }) => {
      const credentials = { cookie: anyHash() };
      return (await store.regenerate(id, { credentials, freshen: true, repeatableFor: 0 })).state;
    },
    alive: 'live',
    over: 'ended',
  },
  { method: 'destroy', ask: ({ store }, { id }) => store.destroy(id), alive: true, over: false },
  { method: 'destroyAll', ask: ({ store }) => store.destroyAll('ada'), alive: 2, over: 1 },
  { method: 'destroyEverybody', ask: async ({ store }) => (await store.destroyEverybody()).ended, alive: 2, over: 1 },
  {
    method: 'revokeToken',
    ask: ({ store }, { id }) => store.revokeToken(id, `${id}.1`, store.now() + HOUR),
    alive: true,
    over: false,
  },
  {
    method: 'the limit',
    ask: async ({ store }) => {
      const limit = { max: 2, onLimit: 'reject' as const };
      return store.create({ userId: 'ada' }, { limit }).then(
        () => 'room',
        () => 'full',
      );
    },
    alive: 'full',
    over: 'room',
  },
  { method: 'sweep', ask: ({ store }) => store.sweep(), alive: 0, over: 1 },
];

const TIMEOUTS = {
  idle: { idleTimeout: 10 * MINUTE, absoluteTimeout: 20 * HOUR },
  absolute: { idleTimeout: 20 * HOUR, absoluteTimeout: 10 * MINUTE },
} as const;

export function describeDeadlines(open: OpenStore): void {
  describe('deadlines (ASVS 7.3.1, 7.3.2)', () => {
    for (const reason of ['idle', 'absolute'] as const) {
      const start = async (): Promise<[TestBed, Session]> => {
        const bed = await open();
        await bed.store.create({ userId: 'ada' }, { idleTimeout: 20 * HOUR });
        const credentials = { cookie: HASH, refresh: HASH };
        const session = await bed.store.create(
          { userId: 'ada', deviceId: DEVICE },
          { ...TIMEOUTS[reason], credentials },
        );
        return [bed, session];
      };
      for (const { method, ask, alive, over } of PROBES) {
        it(`${method}: before the ${reason} deadline the session lives`, async () => {
          const [bed, session] = await start();
          await bed.goJustBefore(session.createdAt + 10 * MINUTE);
          expect(await ask(bed, session)).toEqual(alive);
        });

        it(`${method}: at the ${reason} deadline it is over, though another session of its user lives`, async () => {
          const [bed, session] = await start();
          const log = await bed.record();
          await bed.goPast(session.createdAt + 10 * MINUTE);
          expect(await ask(bed, session)).toEqual(over);
          await bed.store.sweep();
          expect(await bed.store.get(session.id)).toBeNull();
          expect(await log.endsOf(session)).toEqual([reason]);
        });
      }
    }

    it('touch moves the idle deadline, and only that', async () => {
      const bed = await open();
      const { store } = bed;
      const session = await store.create({ userId: 'ada' }, { idleTimeout: 10 * MINUTE });
      await bed.goJustBefore(session.createdAt + 10 * MINUTE);
      const before = store.now();
      expect(await store.touch(session.id)).toBe(true);
      const touched = await store.get(session.id);
      expect(touched).toEqual({ ...session, lastAccess: touched?.lastAccess });
      expect(touched?.lastAccess).toBeGreaterThanOrEqual(before - SECOND);
      expect(touched?.lastAccess).toBeLessThanOrEqual(store.now() + SECOND);
      const deadline = (touched?.lastAccess ?? 0) + 10 * MINUTE;
      await bed.goJustBefore(deadline);
      expect(await store.get(session.id)).toEqual(touched);
      await bed.goPast(deadline);
      expect(await store.read(session.id)).toMatchObject({ state: 'ended', reason: 'idle' });
    });

    it('touch may set another idle timeout, which holds from then on and no longer than the absolute end', async () => {
      const bed = await open();
      const { store } = bed;
      const timeouts = { idleTimeout: 10 * MINUTE, absoluteTimeout: 2 * HOUR };
      const session = await store.create({ userId: 'ada' }, timeouts);
      const neighbour = await store.create({ userId: 'ada' }, timeouts);
      expect(await store.touch(session.id, { idleTimeout: HOUR })).toBe(true);
      expect(await store.get(session.id)).toMatchObject({ idleTimeout: HOUR, expiresAt: session.expiresAt });
      await bed.goPast(neighbour.createdAt + 10 * MINUTE);
      expect(await store.get(neighbour.id)).toBeNull();
      expect(await store.touch(session.id)).toBe(true);
      expect((await store.get(session.id))?.idleTimeout).toBe(HOUR);
      expect(await store.touch(session.id, { idleTimeout: MINUTE })).toBe(true);
      await bed.goPast(((await store.get(session.id))?.lastAccess ?? 0) + MINUTE);
      expect(await store.touch(session.id, { idleTimeout: HOUR })).toBe(false);
      expect(await store.count()).toBe(0);
    });

    it('touch refuses an idle timeout that is none, and records no access then', async () => {
      const bed = await open();
      const session = await bed.store.create({ userId: 'ada' });
      await bed.advance(MINUTE);
      for (const idleTimeout of [0, -1, 0.5, NaN, Infinity, '5' as unknown as number]) {
        await expectRefusal(bed.store.touch(session.id, { idleTimeout }), 'invalid_argument');
      }
      expect(await bed.store.get(session.id)).toEqual(session);
    });

    it('touching again and again never passes the absolute end', async () => {
      const bed = await open();
      const { store } = bed;
      const timeouts = { idleTimeout: 10 * MINUTE, absoluteTimeout: 35 * MINUTE };
      const session = await store.create({ userId: 'ada' }, timeouts);
      for (let touches = 0; touches < 4; touches += 1) {
        await bed.advance(8 * MINUTE);
        expect(await store.touch(session.id)).toBe(true);
        expect((await store.get(session.id))?.expiresAt).toBe(session.expiresAt);
      }
      await bed.goJustBefore(session.expiresAt);
      expect(await store.touch(session.id)).toBe(true);
      await bed.goPast(session.expiresAt);
      expect(await store.touch(session.id)).toBe(false);
      expect(await store.read(session.id)).toMatchObject({ state: 'ended', reason: 'absolute' });
    });

    it('reading is not accessing: no read and no change slides the idle deadline', async () => {
      const bed = await open();
      const { store } = bed;
      const credentials = { cookie: HASH };
      const input = { userId: 'ada', deviceId: DEVICE };
      const session = await store.create(input, { idleTimeout: 10 * MINUTE, credentials });
      await bed.advance(6 * MINUTE);
      await store.get(session.id);
      await store.read(session.id, { tokenId: `${session.id}.1` });
      await store.getActiveSessions('ada');
      await store.findByDevice('ada', DEVICE);
      await store.count();
      await store.sweep();
      await store.update(session.id, { data: { a: 1 } });
      await store.updateUser('ada', { roles: ['user'] });
      await store.revokeToken(session.id, `${session.id}.1`, store.now() + HOUR);
      await store.revokeTokens('ada');
      const rule = { grace: 0, rotateAfter: 0, rotateFirst: true };
      const rotation = { kind: 'cookie', presented: { hash: HASH, generation: 0 }, touch: false, ...rule } as const;
      expect((await store.rotate(session.id, rotation)).state).toBe('rotated');
      expect((await store.get(session.id))?.lastAccess).toBe(session.createdAt);
      await bed.goPast(session.createdAt + 10 * MINUTE);
      expect(await store.get(session.id)).toBeNull();
    });

    it('the reason is the deadline that came first, whenever it is read', async () => {
      const bed = await open();
      const { store } = bed;
      const log = await bed.record();
      const idle = await store.create({ userId: 'ada' }, { idleTimeout: 10 * MINUTE, absoluteTimeout: HOUR });
      const absolute = await store.create({ userId: 'bob' }, { idleTimeout: HOUR, absoluteTimeout: 10 * MINUTE });
      await bed.advance(3 * HOUR);
      await store.sweep();
      expect(await log.endsOf(idle)).toEqual(['idle']);
      expect(await log.endsOf(absolute)).toEqual(['absolute']);
    });

    it('a store that is asked late revives nothing, and time does not run backwards', async () => {
      const bed = await open();
      const { store } = bed;
      const session = await store.create({ userId: 'ada' }, { idleTimeout: MINUTE });
      let last = store.now();
      for (let step = 0; step < 5; step += 1) {
        await bed.advance(MINUTE);
        expect(store.now()).toBeGreaterThanOrEqual(last + MINUTE - SECOND);
        last = store.now();
        expect(await store.touch(session.id)).toBe(false);
        expect(await store.update(session.id, {})).toBeNull();
      }
      expect(await store.getActiveSessions('ada')).toEqual([]);
    });

    it('a second instance goes by the same time', async () => {
      const bed = await open();
      const second = await bed.second();
      const session = await bed.store.create({ userId: 'ada' }, TIMEOUTS.idle);
      expect((await second.get(session.id))?.id).toBe(session.id);
      await bed.goPast(session.createdAt + 10 * MINUTE);
      expect(await second.get(session.id)).toBeNull();
      expect(await second.getActiveSessions('ada')).toEqual([]);
      const fresh = await second.create({ userId: 'ada' });
      expect(idsOf(await bed.store.getActiveSessions('ada'))).toEqual([fresh.id]);
    });
  });
}
