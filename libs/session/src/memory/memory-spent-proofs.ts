import { SpentProofs } from '../ports/spent-proofs.js';

export interface MemorySpentProofsOptions {
  /** Epoch ms. Default: the system clock. */
  clock?: () => number;
}

/** Number of marks checked per write: expired ones go faster than new ones arrive. */
const SWEPT_PER_WRITE = 4;

/** Remembers proofs in this process, beside a `MemorySessionStore`. */
export class MemorySpentProofs extends SpentProofs {
  private readonly spent = new Map<string, number>();
  private readonly clock: () => number;

  constructor({ clock = Date.now }: MemorySpentProofsOptions = {}) {
    super();
    this.clock = clock;
  }

  /** Number of marks, including expired ones. */
  get size(): number {
    return this.spent.size;
  }

  async spend(digest: string, lifetime: number): Promise<boolean> {
    const now = this.clock();
    this.sweep(now);
    if ((this.spent.get(digest) ?? now) > now) return false;
    this.spent.set(digest, now + lifetime);
    return true;
  }

  /** Takes marks from the front and moves those that stay to the back, so that every one is checked in turn. */
  private sweep(now: number): void {
    let looked = 0;
    for (const [digest, until] of this.spent) {
      if (looked++ === SWEPT_PER_WRITE) return;
      this.spent.delete(digest);
      if (until > now) this.spent.set(digest, until);
    }
  }
}
