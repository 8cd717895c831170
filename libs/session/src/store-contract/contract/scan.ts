import type { Session } from '../../model/session.js';
import type { SessionStore } from '../../ports/session-store.js';
import { idsOf, type OpenStore } from '../test-bed.js';
import { describe, expect, it } from '../test-api.js';

/** All batches of a scan, each as small as the store makes them. */
async function batchesOf(store: SessionStore, meanwhile?: () => Promise<unknown>): Promise<Session[][]> {
  const batches: Session[][] = [];
  let before = 0;
  for (let cursor: number | null = 0; cursor !== null;) {
    const scan: Awaited<ReturnType<SessionStore['scanSessions']>> = await store.scanSessions({ cursor, atLeast: 1 });
    expect(scan.progress).toBeGreaterThanOrEqual(before);
    expect(scan.progress).toBeLessThanOrEqual(1);
    before = scan.progress;
    batches.push(scan.sessions);
    cursor = scan.cursor;
    if (batches.length === 1) await meanwhile?.();
  }
  return batches;
}

const bytesOf = ({ id }: Session): string => Buffer.from(id, 'base64url').toString('hex');

export function describeScan(open: OpenStore): void {
  describe('the sessions of all users, in batches', () => {
    it('are each returned once, as `get` returns them, in the order of their ids, and without an access', async () => {
      const bed = await open();
      const { store } = bed;
      const users = Array.from({ length: 12 }, (_, user) => `user-${user % 9}`);
      const sessions: Session[] = [];
      for (const userId of users) sessions.push(await store.create({ userId, roles: [userId], data: { userId } }));
      await bed.advance(1_000);
      const batches = await batchesOf(store);
      expect(idsOf(batches.flat()).sort()).toEqual(idsOf(sessions).sort());
      const byId = (a: Session, b: Session): number => (a.id < b.id ? -1 : 1);
      expect(batches.flat().sort(byId)).toEqual([...sessions].sort(byId));
      const first = batches.map((batch) => batch.map(bytesOf).sort());
      expect(first.flat()).toEqual([...first.flat()].sort());
    });

    it('are not those that ended or expired, nor those that end before their batch', async () => {
      const bed = await open();
      const { store } = bed;
      await store.create({ userId: 'idle' }, { idleTimeout: 1_000 });
      await bed.advance(2_000);
      const gone = await store.create({ userId: 'gone' });
      await store.destroy(gone.id);
      const alive = await store.create({ userId: 'alive' });
      expect((await batchesOf(store)).flat()).toEqual([alive]);
      await batchesOf(store, () => store.destroyAll('alive'));
      expect((await batchesOf(store)).flat()).toEqual([]);
    });

    it('are none where there is no session', async () => {
      const { store } = await open();
      expect(await store.scanSessions()).toEqual({ sessions: [], cursor: null, progress: 1 });
    });
  });
}
