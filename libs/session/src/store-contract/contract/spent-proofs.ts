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

    it('each of many digests counts once, wherever a store keeps it', async () => {
      const bed = await opened();
      if (!bed) return;
      const digests = Array.from({ length: 60 }, (_, index) => `digest-${index}`);
      const proofs = (await bed.instances(3)).map((store) => store.spentProofs());
      for (const digest of digests) {
        const answers = await Promise.all(proofs.map(async (each) => each?.spend(digest, 60 * SECOND)));
        expect(answers.filter((isFirst) => isFirst === true)).toHaveLength(1);
      }
    });

    it('remembers a proof as long as told, and no longer', async () => {
      const bed = await opened();
      if (!bed) return;
      const proofs = bed.store.spentProofs();
      expect(await proofs?.spend('long', 600 * SECOND)).toBe(true);
      expect(await proofs?.spend('short', 1)).toBe(true);
      let turns = 0;
      // The time of these marks may be that of the server, which a harness cannot move.
      while (turns < 10_000 && (await proofs?.spend('short', 1)) !== true) {
        turns += 1;
        await bed.advance(1);
      }
      expect(turns).toBeLessThan(10_000);
      expect(await proofs?.spend('long', 600 * SECOND)).toBe(false);
    });
  });
}
