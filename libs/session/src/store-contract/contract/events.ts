import type { SessionEvent } from '../../model/events.js';
import type { EndReason, Session } from '../../model/session.js';
import { anyHash, HOUR, MINUTE, SECOND, type OpenStore, type TestBed } from '../test-bed.js';
import { describe, expect, it } from '../test-api.js';

interface Path {
  readonly name: string;
  readonly reason: EndReason;
  readonly end: (bed: TestBed, session: Session) => Promise<unknown>;
}

const HASH = anyHash();

/** Every way in which a session can end. */
const PATHS: readonly Path[] = [
  { name: 'destroy', reason: 'logout', end: ({ store }, { id }) => store.destroy(id) },
  {
    name: 'destroy with a reason',
    reason: 'hijack',
    end: ({ store }, { id }) => store.destroy(id, { reason: 'hijack' }),
  },
  { name: 'destroyAll', reason: 'logout', end: ({ store }) => store.destroyAll('ada') },
  {
    name: 'destroyAll of a device',
    reason: 'revoked',
    end: ({ store }) => store.destroyAll('ada', { deviceId: 'd', reason: 'revoked' }),
  },
  { name: 'destroyEverybody', reason: 'admin', end: ({ store }) => store.destroyEverybody() },
  {
    name: 'a sign-in on its device',
    reason: 'replaced',
    end: ({ store }) => store.create({ userId: 'ada', deviceId: 'd' }),
  },
  {
    name: 'a sign-in that replaces it',
    reason: 'replaced',
    end: ({ store }, { id }) => store.create({ userId: 'ada' }, { replaces: id }),
  },
  {
    name: 'a sign-in over the limit',
    reason: 'evicted',
    end: ({ store }) => store.create({ userId: 'ada' }, { limit: { max: 1, onLimit: 'evict-oldest' } }),
  },
  {
    name: 'a token that comes back',
    reason: 'reuse',
    end: async ({ store }, { id }) => {
      const rule = { grace: 0, rotateAfter: 0, rotateFirst: true, touch: false };
      for (const n of [0, 5, 0])
        await store.rotate(id, { ...rule, kind: 'refresh', presented: { hash: HASH, generation: n } });
    },
  },
  {
    name: 'the idle deadline and a sweep',
    reason: 'idle',
    end: async (bed, { createdAt }) => {
      await bed.goPast(createdAt + 30 * MINUTE);
      await bed.store.sweep();
    },
  },
  {
    name: 'the absolute deadline and a sweep',
    reason: 'absolute',
    end: async (bed, { id, expiresAt }) => {
      while (bed.store.now() < expiresAt) {
        await bed.store.touch(id);
        await bed.advance(20 * MINUTE);
      }
      await bed.store.sweep();
    },
  },
  {
    name: 'the idle deadline and another sign-in',
    reason: 'idle',
    end: async (bed, { createdAt }) => {
      await bed.goPast(createdAt + 30 * MINUTE);
      await bed.store.create({ userId: 'ada', deviceId: 'd' }, { limit: { max: 1, onLimit: 'evict-oldest' } });
      await bed.store.destroyAll('ada');
      await bed.store.sweep();
    },
  },
];

export function describeEvents(open: OpenStore): void {
  describe('events', () => {
    for (const { name, reason, end } of PATHS) {
      it(`one created and one ended (${reason}) for a session that ends by ${name} (ASVS 16.3.1)`, async () => {
        const bed = await open({ absoluteTimeout: HOUR });
        const log = await bed.record();
        const before = bed.store.now();
        const session = await bed.store.create({ userId: 'ada', deviceId: 'd' }, { credentials: { refresh: HASH } });
        await end(bed, session);
        await bed.store.sweep();
        await bed.store.destroy(session.id);
        await bed.store.destroyAll('ada');
        const [created, ...more] = await log.of('created', session.id);
        expect(more).toEqual([]);
        expect(created).toMatchObject({ type: 'created', sessionId: session.id, userId: 'ada' });
        const [ended, ...again] = await log.of('ended', session.id);
        expect(again).toEqual([]);
        expect(ended).toMatchObject({ type: 'ended', sessionId: session.id, userId: 'ada', reason });
        for (const event of [created, ended]) {
          expect(event?.at).toBeGreaterThanOrEqual(before - SECOND);
          expect(event?.at).toBeLessThanOrEqual(bed.store.now() + SECOND);
          expect(typeof event?.remote).toBe('boolean');
        }
      });
    }

    it('every listener receives the start of a session before its end', async () => {
      const bed = await open({ limit: { max: 2, onLimit: 'evict-oldest' } });
      const log = await bed.record();
      const instances = await bed.instances(20);
      await Promise.all(instances.map((store) => store.create({ userId: 'ada' })));
      const started = new Set<string>();
      for (const event of await log.all()) {
        if (event.type === 'created') started.add(event.sessionId);
        if (event.type === 'ended') expect(started.has(event.sessionId)).toBe(true);
      }
      expect(started.size).toBe(20);
    });

    it('each instance receives every event of any instance once', async () => {
      const bed = await open();
      const second = await bed.second();
      const log = await bed.record();
      const [mine, theirs] = [await bed.store.create({ userId: 'ada' }), await second.create({ userId: 'ada' })];
      await second.destroy(mine.id);
      await bed.store.destroy(theirs.id);
      for (const session of [mine, theirs]) expect(await log.typesOf(session)).toEqual(['created', 'ended']);
      if (second !== bed.store) {
        expect((await log.of('created', mine.id)).map(({ remote }) => remote)).toEqual([false]);
        expect((await log.of('created', theirs.id)).map(({ remote }) => remote)).toEqual([true]);
      }
    });

    it('a listener that throws disturbs neither the operation nor the next listener', async () => {
      const bed = await open();
      let calls = 0;
      bed.store.subscribe(() => {
        calls += 1;
        throw new Error('mine');
      });
      const log = await bed.record();
      const session = await bed.store.create({ userId: 'ada' });
      expect(await bed.store.update(session.id, { data: { a: 1 } })).not.toBeNull();
      expect(await bed.store.destroy(session.id)).toBe(true);
      const types = await log.typesOf(session);
      expect([types[0], types[types.length - 1]]).toEqual(['created', 'ended']);
      expect(calls).toBeGreaterThanOrEqual(3);
    });

    it('a listener may call the store, and never finds an operation half done', async () => {
      const bed = await open({ limit: { max: 2, onLimit: 'evict-oldest' } });
      const { store } = bed;
      const log = await bed.record();
      const earlier: Session[] = [];
      for (let i = 0; i < 2; i += 1) {
        earlier.push(await store.create({ userId: 'ada' }));
        await bed.advance(SECOND);
      }
      await log.settle();
      const inner: Promise<unknown>[] = [];
      const found: number[] = [];
      store.subscribe(({ type, userId }: SessionEvent) => {
        if (type !== 'created' || userId !== 'ada') return;
        inner.push(store.getActiveSessions('ada').then((live) => found.push(live.length)));
        for (const { id } of earlier) inner.push(store.destroy(id));
      });
      const third = await store.create({ userId: 'ada' });
      await log.settle();
      await Promise.all(inner);
      expect(found).toHaveLength(1);
      expect(found[0]).toBeLessThanOrEqual(2);
      expect(await store.getActiveSessions('ada')).toEqual([third]);
      const ends = [];
      for (const session of earlier) ends.push(await log.endsOf(session));
      expect(ends).toEqual([['evicted'], ['logout']]);
    });

    it('a listener receives nothing after unsubscribing, and unsubscribing twice is harmless', async () => {
      const bed = await open();
      const heard: SessionEvent[] = [];
      const stop = bed.store.subscribe((event) => heard.push(event));
      const log = await bed.record();
      const session = await bed.store.create({ userId: 'ada' });
      await log.settle();
      expect(heard.filter(({ sessionId }) => sessionId === session.id)).toHaveLength(1);
      stop();
      stop();
      await bed.store.destroy(session.id);
      await log.settle();
      expect(heard.filter(({ sessionId }) => sessionId === session.id)).toHaveLength(1);
      expect(await log.endsOf(session)).toEqual(['logout']);
    });
  });
}
