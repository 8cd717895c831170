import type { LiveSession, RotateOutcome } from '../../ports/session-store.js';
import { anyClient, anyHash, MINUTE, SECOND, type OpenStore } from '../test-bed.js';
import { describe, expect, it } from '../test-api.js';
import { COOKIE_FOR_GOOD, GRACE, REFRESH, RotateScene, summary } from './rotate-scene.js';

export function describeRotate(open: OpenStore): void {
  describe('rotate', () => {
    describe('a refresh token (the table of the design)', () => {
      it('never rotated: rotates at once', async () => {
        const scene = await RotateScene.of(open);
        expect(summary(await scene.present('refresh', 0))).toBe('rotated 1');
        expect(await scene.current('refresh')).toBe(1);
      });

      it('current, rotated within the grace window: the same token again', async () => {
        const scene = await RotateScene.of(open);
        const rotatedAt = await scene.rotateTo('refresh', 1);
        expect(summary(await scene.present('refresh', 1))).toBe('kept 1');
        await scene.bed.goJustBefore(rotatedAt + GRACE);
        expect(summary(await scene.present('refresh', 1))).toBe('kept 1');
        if (scene.bed.exactTime) {
          await scene.bed.advance(1);
          expect(summary(await scene.present('refresh', 1))).toBe('kept 1');
        }
        expect((await scene.family('refresh'))?.branch).toBe(rotatedAt);
      });

      it('current, rotated longer ago: rotates', async () => {
        const scene = await RotateScene.of(open);
        const rotatedAt = await scene.rotateTo('refresh', 1);
        await scene.bed.goPast(rotatedAt + GRACE + 1);
        expect(summary(await scene.present('refresh', 1))).toBe('rotated 2');
        expect(await scene.current('refresh')).toBe(2);
      });
    });

    describe('a cookie (the table of the design)', () => {
      it('current: stays as it is, for as long as the session lives', async () => {
        const scene = await RotateScene.of(open);
        const ageless = { touch: true };
        expect(summary(await scene.present('cookie', 0, COOKIE_FOR_GOOD, ageless))).toBe('kept 0');
        for (let i = 0; i < 20; i += 1) {
          await scene.bed.advance(25 * MINUTE);
          expect(summary(await scene.present('cookie', 0, COOKIE_FOR_GOOD, ageless))).toBe('kept 0');
        }
      });

      it('current: rotates once it is older than the regeneration interval', async () => {
        const scene = await RotateScene.of(open);
        await scene.bed.goJustBefore(scene.session.createdAt + 10 * MINUTE);
        expect(summary(await scene.present('cookie', 0))).toBe('kept 0');
        await scene.bed.goPast(scene.session.createdAt + 10 * MINUTE + 1);
        expect(summary(await scene.present('cookie', 0))).toBe('rotated 1');
        expect(summary(await scene.present('cookie', 1))).toBe('kept 1');
      });
    });

    for (const kind of ['refresh', 'cookie'] as const) {
      describe(`either family: ${kind}`, () => {
        it('wrong secret: unknown, and nothing changes, whatever its number', async () => {
          const scene = await RotateScene.of(open);
          const log = await scene.bed.record();
          await scene.rotateTo(kind, 2);
          await log.all();
          const before = await scene.bed.store.read(scene.session.id);
          const heard = (await log.all()).length;
          const other = kind === 'cookie' ? scene.hashes.refresh : scene.hashes.cookie;
          for (const hash of [anyHash(), other, Buffer.alloc(32), Buffer.alloc(0), scene.hashes[kind].subarray(1)]) {
            for (const n of [0, 1, 2, 3, 999]) {
              expect(await scene.present(kind, n, undefined, { hash })).toEqual({ state: 'unknown' });
            }
          }
          const after = await scene.bed.store.read(scene.session.id);
          expect({ ...after, now: 0 }).toEqual({ ...before, now: 0 });
          expect(await log.all()).toHaveLength(heard);
        });

        it('a family the session has not: unknown', async () => {
          const { store } = await open();
          const session = await store.create({ userId: 'ada' });
          const presented = { hash: anyHash(), generation: 0 };
          expect(await store.rotate(session.id, { ...REFRESH, kind, presented, touch: true })).toEqual({
            state: 'unknown',
          });
          expect(await store.get(session.id)).toEqual(session);
        });

        it('the one before, within the grace window: the current one again', async () => {
          const scene = await RotateScene.of(open);
          const rotatedAt = await scene.rotateTo(kind, 2);
          expect(summary(await scene.present(kind, 1))).toBe('repeated 2');
          await scene.bed.goJustBefore(rotatedAt + GRACE);
          expect(summary(await scene.present(kind, 1))).toBe('repeated 2');
          if (scene.bed.exactTime) {
            await scene.bed.advance(1);
            expect(summary(await scene.present(kind, 1))).toBe('repeated 2');
          }
          expect((await scene.family(kind))?.branch).toBe(rotatedAt);
        });

        it('the one before, after the grace window and the use of its successor: reuse, and the session ends (ASVS 10.4.5)', async () => {
          const scene = await RotateScene.of(open);
          const log = await scene.bed.record();
          const other = await scene.bed.store.create({ userId: 'ada' });
          const rotatedAt = await scene.rotateTo(kind, 2);
          await scene.use(kind);
          await scene.bed.goPast(rotatedAt + GRACE + 1);
          expect(await scene.present(kind, 1)).toEqual({ state: 'reuse' });
          expect(await scene.bed.store.read(scene.session.id)).toMatchObject({ state: 'ended', reason: 'reuse' });
          expect(await scene.present(kind, 2)).toMatchObject({ state: 'ended', reason: 'reuse' });
          expect(await scene.bed.store.get(other.id)).not.toBeNull();
          expect((await log.typesOf(scene.session)).slice(-2)).toEqual(['reuse-detected', 'ended']);
          expect(await log.endsOf(scene.session)).toEqual(['reuse']);
        });

        it('without a grace window the one before is reuse as soon as its successor was used', async () => {
          const scene = await RotateScene.of(open);
          await scene.rotateTo(kind, 1);
          await scene.use(kind);
          await scene.bed.advance(SECOND);
          expect(await scene.present(kind, 0, { ...REFRESH, grace: 0 })).toEqual({ state: 'reuse' });
        });

        it('older than the one before: reuse, grace window or not', async () => {
          for (const n of [0, 1]) {
            const scene = await RotateScene.of(open);
            await scene.rotateTo(kind, 3);
            expect(await scene.present(kind, n)).toEqual({ state: 'reuse' });
            expect(await scene.bed.store.get(scene.session.id)).toBeNull();
          }
        });

        it('newer than the current one: a write was lost, and the token is taken at its word', async () => {
          const scene = await RotateScene.of(open);
          const log = await scene.bed.record();
          await scene.rotateTo(kind, 1);
          expect(summary(await scene.present(kind, 5))).toBe('advanced 5');
          expect(await scene.current(kind)).toBe(5);
          expect(summary(await scene.present(kind, 5))).toBe('kept 5');
          expect(summary(await scene.present(kind, 4))).toBe('repeated 5');
          expect(await log.of('rotation-lost', scene.session.id)).toHaveLength(1);
          expect(await scene.present(kind, 1)).toEqual({ state: 'reuse' });
        });

        it('50 parallel rotations of one token rotate it once, and all get the same number (CVE-2026-53517)', async () => {
          const scene = await RotateScene.of(open);
          const log = await scene.bed.record();
          const due = { grace: GRACE, rotateAfter: GRACE, rotateFirst: true };
          for (const n of [0, 1]) {
            await scene.bed.advance(GRACE + SECOND);
            const instances = await scene.bed.instances(50);
            const outcomes = (await Promise.all(instances.map((by) => scene.present(kind, n, due, { by })))).map(
              summary,
            );
            expect(outcomes.filter((outcome) => outcome === `rotated ${n + 1}`)).toHaveLength(1);
            expect(outcomes.filter((outcome) => outcome === `repeated ${n + 1}`)).toHaveLength(49);
            expect(await scene.current(kind)).toBe(n + 1);
          }
          expect(await log.endsOf(scene.session)).toEqual([]);
        });

        it('20 parallel replays of a stolen token end the session once (CVE-2026-22751)', async () => {
          const scene = await RotateScene.of(open);
          const log = await scene.bed.record();
          await scene.rotateTo(kind, 3);
          const instances = await scene.bed.instances(20);
          const outcomes = (await Promise.all(instances.map((by) => scene.present(kind, 0, undefined, { by })))).map(
            summary,
          );
          expect(outcomes.filter((outcome) => outcome === 'reuse')).toHaveLength(1);
          expect(outcomes.filter((outcome) => outcome === 'ended')).toHaveLength(19);
          expect(await log.endsOf(scene.session)).toEqual(['reuse']);
          expect(await log.of('reuse-detected')).toHaveLength(1);
        });

        it('the one before, within the grace window but from another client: reuse (CVE-2026-53512)', async () => {
          const scene = await RotateScene.of(open);
          const client = anyClient();
          await scene.rotateTo(kind, 1, client);
          expect((await scene.family(kind))?.client?.equals(client)).toBe(true);
          expect(summary(await scene.present(kind, 0, undefined, { client: Buffer.from(client) }))).toBe('repeated 1');
          expect(await scene.present(kind, 0, undefined, { client: anyClient() })).toEqual({ state: 'reuse' });
        });

        it('an unknown client is not a different client', async () => {
          const scene = await RotateScene.of(open);
          await scene.rotateTo(kind, 1);
          expect(summary(await scene.present(kind, 0, undefined, { client: anyClient() }))).toBe('repeated 1');
          const known = await RotateScene.of(open);
          await known.rotateTo(kind, 1, anyClient());
          expect(summary(await known.present(kind, 0, undefined, { client: null }))).toBe('repeated 1');
          expect(summary(await known.present(kind, 0, undefined, {}))).toBe('repeated 1');
        });

        it('a rotation by a client that does not say forgets no client', async () => {
          const scene = await RotateScene.of(open);
          const client = anyClient();
          await scene.rotateTo(kind, 1, client);
          await scene.rotateTo(kind, 2);
          expect((await scene.family(kind))?.client?.equals(client)).toBe(true);
          expect(await scene.present(kind, 1, undefined, { client: anyClient() })).toEqual({ state: 'reuse' });
        });

        it('the current token may come from another client, and the one that rotates is the one remembered', async () => {
          const scene = await RotateScene.of(open);
          const [first, second] = [anyClient(), anyClient()];
          const rotatedAt = await scene.rotateTo(kind, 1, first);
          expect(summary(await scene.present(kind, 1, undefined, { client: second }))).toBe('kept 1');
          expect((await scene.family(kind))?.client?.equals(first)).toBe(true);
          await scene.bed.goPast(rotatedAt + 11 * MINUTE);
          expect(summary(await scene.present(kind, 1, undefined, { client: second }))).toBe('rotated 2');
          expect(summary(await scene.present(kind, 1, undefined, { client: second }))).toBe('repeated 2');
          expect(await scene.present(kind, 1, undefined, { client: first })).toEqual({ state: 'reuse' });
        });

        it('the outcome holds the session after it', async () => {
          const scene = await RotateScene.of(open);
          await scene.bed.advance(MINUTE);
          const due = { grace: GRACE, rotateAfter: 0, rotateFirst: true };
          const outcome = (await scene.present(kind, 0, due)) as Extract<RotateOutcome, { live: LiveSession }>;
          expect(outcome.live.state).toBe('live');
          expect(outcome.live.families[kind]?.generation).toBe(1);
          expect(outcome.live.session).toEqual(await scene.bed.store.get(scene.session.id));
          expect(outcome.live.session).toEqual({ ...scene.session, lastAccess: outcome.live.session.lastAccess });
        });

        it('counts as an access on request only', async () => {
          const scene = await RotateScene.of(open);
          await scene.bed.advance(MINUTE);
          const due = { grace: GRACE, rotateAfter: 0, rotateFirst: true };
          await scene.present(kind, 0, due, { touch: false });
          expect((await scene.bed.store.get(scene.session.id))?.lastAccess).toBe(scene.session.createdAt);
          await scene.present(kind, 1, REFRESH, { touch: true });
          const touched = await scene.bed.store.get(scene.session.id);
          expect(touched?.lastAccess).toBeGreaterThanOrEqual(scene.session.createdAt + MINUTE);
          expect(touched?.expiresAt).toBe(scene.session.expiresAt);
          await scene.bed.advance(MINUTE);
          await scene.present(kind, 0, REFRESH, { hash: anyHash(), touch: true });
          expect(await scene.bed.store.get(scene.session.id)).toEqual(touched);
        });
      });
    }

    it('keeps the two families apart', async () => {
      const scene = await RotateScene.of(open);
      const before = await scene.family('cookie');
      await scene.rotateTo('refresh', 3);
      expect(await scene.family('cookie')).toEqual(before);
      expect(summary(await scene.present('cookie', 0))).toBe('kept 0');
      await scene.rotateTo('cookie', 1);
      expect(await scene.current('refresh')).toBe(3);
      expect(summary(await scene.present('refresh', 3))).toBe('kept 3');
    });

    it('of a session without metadata, device or data leaves all else as it was', async () => {
      const scene = await RotateScene.of(open);
      const { store } = scene.bed;
      await store.update(scene.session.id, { data: { list: [], n: 1 } });
      const before = await store.get(scene.session.id);
      await scene.present('refresh', 0, REFRESH, { touch: false });
      expect(await store.get(scene.session.id)).toEqual(before);
    });

    it('announces that a refresh token was exchanged', async () => {
      const scene = await RotateScene.of(open);
      const log = await scene.bed.record();
      await scene.present('refresh', 0);
      expect(await log.of('refreshed', scene.session.id)).toHaveLength(1);
    });

    it('of an ended session says why it ended', async () => {
      const scene = await RotateScene.of(open);
      await scene.bed.store.destroy(scene.session.id, { reason: 'admin' });
      expect(await scene.present('refresh', 0)).toMatchObject({ state: 'ended', reason: 'admin' });
    });
  });
}
