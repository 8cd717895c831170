import { describe, expect, it } from '../test-api.js';
import { SECOND, type OpenStore } from '../test-bed.js';

/** Stores that remember no proofs pass: the method is optional. */
export function describeSpentProofs(open: OpenStore): void {
  describe('spentProofs', () => {
    const opened = async (): Promise<Awaited<ReturnType<OpenStore>> | null> => {
      const bed = await open();
      return (bed.store.spentProofs?.() ?? null) === null ? null : bed;
    };

    it('of many calls with one digest, on all instances, one is the first', async () => {
      const bed = await opened();
      if (!bed) return;
      const instances = await bed.instances(10);
      const calls = instances.flatMap((store) => [store, store]);
      const first = await Promise.all(calls.map(async (store) => store.spentProofs()?.spend('a', 60 * SECOND)));
      expect(first.filter((isFirst) => isFirst === true)).toHaveLength(1);
      expect(await bed.store.spentProofs()?.spend('b', 60 * SECOND)).toBe(true);
      expect(await bed.store.spentProofs()?.spend('a', 60 * SECOND)).toBe(false);
    });
  });
}
