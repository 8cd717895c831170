import { BUCKETS } from '../keys.js';

/** Stands for an unread deadline: earlier than any. */
const UNREAD = -Infinity;

/** The earliest deadline of each bucket, as far as this instance knows: a known deadline is never too late. */
export class SweepPlan {
  private readonly deadlines = new Array<number>(BUCKETS).fill(UNREAD);
  /** When each bucket was last swept because something was due, by this process's monotonic clock. */
  private readonly sweptAt = new Array<number>(BUCKETS).fill(-Infinity);
  private unreadFrom = 0;
  private reviewed = 0;

  /** Messages may have been missed: every bucket must be read again. */
  forget(): void {
    this.deadlines.fill(UNREAD);
  }

  note(bucket: number, deadline: number): void {
    const known = this.deadlines[bucket];
    if (known !== undefined && deadline < known) this.deadlines[bucket] = deadline;
  }

  /**
   * Called before a bucket is read. Deadlines noted until the answer arrives count as well. Returns the known deadline,
   * for `restore`.
   */
  begin(bucket: number): number {
    const known = this.deadlines[bucket] ?? UNREAD;
    this.deadlines[bucket] = Infinity;
    return known;
  }

  /** Called after a read failed: the bucket is due again at once. */
  restore(bucket: number, known: number): void {
    this.note(bucket, known);
    this.sweptAt[bucket] = -Infinity;
  }

  /**
   * Up to `most` unread buckets. Each call continues after the last, so that a bucket that fails does not block the
   * others.
   */
  unread(most: number): number[] {
    const found: number[] = [];
    for (let step = 0; step < BUCKETS && found.length < most; step += 1) {
      const bucket = (this.unreadFrom + step) % BUCKETS;
      if (this.deadlines[bucket] === UNREAD) found.push(bucket);
    }
    this.unreadFrom = ((found.at(-1) ?? this.unreadFrom) + 1) % BUCKETS;
    return found;
  }

  /** The buckets with a deadline before `now` that were not swept within `pause` ms before `at`; counts them as swept. */
  takeDue(now: number, { at, pause }: { at: number; pause: number }): number[] {
    const due: number[] = [];
    this.deadlines.forEach((deadline, bucket) => {
      if (deadline === UNREAD || deadline > now || at - (this.sweptAt[bucket] ?? UNREAD) < pause) return;
      this.sweptAt[bucket] = at;
      due.push(bucket);
    });
    return due;
  }

  /** The next buckets of the endless review, which finds deadlines whose message was lost. */
  review(count: number): number[] {
    const buckets = Array.from({ length: Math.min(count, BUCKETS) }, (_, step) => (this.reviewed + step) % BUCKETS);
    this.reviewed = (this.reviewed + buckets.length) % BUCKETS;
    return buckets.filter((bucket) => this.deadlines[bucket] !== UNREAD);
  }
}
