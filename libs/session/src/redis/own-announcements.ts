import { LRUCache } from 'lru-cache';

/** How long an announcement may be under way on the channel before it is told without it, ms. */
const PATIENCE = 500;
/** How many that came by one way alone are remembered, in case they still come by the other. */
const REMEMBERED = 10_000;

interface Pending {
  readonly message: string;
  readonly due: number;
}

/**
 * What this instance announced itself comes back twice: with the script's answer and over the channel. The channel's copy
 * is the one that counts, as it stands in the order in which all instances announced; where it does not come (nobody is
 * subscribed, the subscription is broken) the answer's is told instead. Each is told once.
 */
export class OwnAnnouncements {
  private pending: Pending[] = [];
  /** Heard over the channel before the answer was there. */
  private readonly early = new LRUCache<string, number>({ max: REMEMBERED });
  /** Told without the channel. */
  private readonly told = new LRUCache<string, number>({ max: REMEMBERED });
  private timer: NodeJS.Timeout | null = null;

  constructor(
    private readonly tell: (message: string) => void,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** An answer says that these were announced. */
  answered(messages: readonly string[]): void {
    const due = this.now() + PATIENCE;
    for (const message of messages) {
      if (!take(this.early, message)) this.pending.push({ message, due });
    }
    this.watch();
  }

  /** The channel brought one of ours. */
  heard(message: string): void {
    const at = this.pending.findIndex((each) => each.message === message);
    if (at >= 0) this.pending.splice(at, 1);
    else if (take(this.told, message)) return;
    else put(this.early, message);
    this.tell(message);
  }

  /** Tells at once what the channel has not brought yet. */
  flush(): void {
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
    this.tellAll(this.pending.splice(0));
  }

  private watch(): void {
    const [first] = this.pending;
    if (!first || this.timer) return;
    this.timer = setTimeout(() => this.tellDue(), Math.max(1, first.due - this.now())).unref();
  }

  private tellDue(): void {
    this.timer = null;
    const now = this.now();
    const late = this.pending.filter(({ due }) => due <= now);
    this.pending = this.pending.filter(({ due }) => due > now);
    this.tellAll(late);
    this.watch();
  }

  private tellAll(late: readonly Pending[]): void {
    for (const { message } of late) {
      put(this.told, message);
      this.tell(message);
    }
  }
}

function put(counts: LRUCache<string, number>, message: string): void {
  counts.set(message, (counts.get(message) ?? 0) + 1);
}

function take(counts: LRUCache<string, number>, message: string): boolean {
  const count = counts.get(message);
  if (count === undefined) return false;
  if (count === 1) counts.delete(message);
  else counts.set(message, count - 1);
  return true;
}
