import { MemorySpentProofs } from '../../src/memory/memory-spent-proofs.js';

describe('MemorySpentProofs', () => {
  it('forgets a proof once its lifetime has passed, and not before', async () => {
    const time = { now: 1_000 };
    const proofs = new MemorySpentProofs({ clock: () => time.now });
    expect(await proofs.spend('a', 100)).toBe(true);
    time.now += 99;
    expect(await proofs.spend('a', 100)).toBe(false);
    time.now += 1;
    expect(await proofs.spend('a', 100)).toBe(true);
  });

  it('stays as small as the number of proofs that still count', async () => {
    const time = { now: 1_000 };
    const proofs = new MemorySpentProofs({ clock: () => time.now });
    for (let index = 0; index < 5_000; index += 1) {
      time.now += 1;
      expect(await proofs.spend(`digest-${index}`, 100)).toBe(true);
    }
    expect(proofs.size).toBeLessThan(250);
  });
});
