/** Shorter pauses between two answers are the rhythm of the load, ms. */
const PAUSE = 100;
/** An answer that arrived by the time of a fault may be seen so much later, ms. */
const LATE = 100;

interface Outage {
  readonly from: number;
  readonly to: number;
}

/** Measures for how long each part of the servers answered an instance nothing, and because of which fault. */
export class Outages {
  private readonly answeredAt = new Map<string, number>();
  private readonly outages: Outage[] = [];
  private readonly faults: { readonly fault: string; readonly from: number; readonly to: number }[] = [];
  private readonly longest = new Map<string, number[]>();

  /** @param part an instance, and the part of the servers that answered it. */
  answered(part: string, now = performance.now()): void {
    const from = this.answeredAt.get(part);
    this.answeredAt.set(part, now);
    if (from !== undefined && now - from > PAUSE) this.outages.push({ from, to: now });
  }

  caused(fault: string, from: number, to: number): void {
    this.faults.push({ fault, from, to });
  }

  /** The load has stopped: what follows is no outage. */
  pause(): void {
    this.answeredAt.clear();
    for (const [index, { fault, from, to }] of this.faults.entries()) {
      const before = this.faults[index - 1]?.to ?? -Infinity;
      // An outage belongs to the first fault that it overlaps.
      const own = this.outages.filter(
        (outage) => outage.to > from && outage.from < to + LATE && outage.from > before + LATE,
      );
      const longest = Math.max(0, ...own.map((outage) => outage.to - outage.from));
      this.longest.set(fault, [...(this.longest.get(fault) ?? []), longest]);
    }
    this.faults.length = 0;
    this.outages.length = 0;
  }

  /** For each kind of fault: how often, and the longest time without an answer, in the middle and at most, ms. */
  get report(): { fault: string; times: number; median: number; longest: number }[] {
    return [...this.longest].sort().map(([fault, all]) => {
      const sorted = [...all].sort((a, b) => a - b);
      const median = sorted[Math.floor(sorted.length / 2)] ?? 0;
      return { fault, times: all.length, median: Math.round(median), longest: Math.round(sorted.at(-1) ?? 0) };
    });
  }
}
