import { LRUCache } from 'lru-cache';

/** How long an announcement may take on the channel before it is delivered without it, ms. */
const PATIENCE = 500;
/** How many announcements that arrived by one way only are remembered, in case they still arrive by the other. */
const REMEMBERED = 10_000;

interface Pending {
  readonly message: string;
  readonly due: number;
}

/**
 * An announcement of this instance arrives twice: with the script's answer and over the channel. The channel's copy
 * counts, because it arrives in the order of all instances; if it does not arrive (no subscriber, broken subscription),
 * the copy in the answer is delivered. Each is delivered once.
 */
export class EchoFilter {
  private pending: Pending[] = [];
  /** Received over the channel before the answer. */
  private readonly early = new LRUCache<string, number>({ max: REMEMBERED });
  /** Delivered without the channel. */
  private readonly told = new LRUCache<string, number>({ max: REMEMBERED });
  private timer: NodeJS.Timeout | null = null;

  constructor(
    private readonly tell: (message: string) => void,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Takes the announcements in a script's answer. */
  answered(messages: readonly string[]): void {
    const due = this.now() + PATIENCE;
    for (const message of messages) {
      if (!take(this.early, message)) this.pending.push({ message, due });
    }
    this.watch();
  }

  /** Takes an announcement of this instance from the channel. */
  heard(message: string): void {
    const at = this.pending.findIndex((each) => each.message === message);
    if (at >= 0) this.pending.splice(at, 1);
    else if (take(this.told, message)) return;
    else put(this.early, message);
    this.tell(message);
  }

  /** Delivers at once what the channel has not brought yet. */
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
