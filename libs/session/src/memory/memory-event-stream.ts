import { InvalidArgumentError } from '../model/errors.js';
import type { SessionEvent } from '../model/events.js';
import {
  SessionEventStream,
  type ConsumeOptions,
  type EventConsumer,
  type StopConsuming,
} from '../ports/session-event-stream.js';

const RETRY_AFTER = 30_000;
/** How long the event at hand may take when it is time to go, ms. */
const PATIENCE = 5_000;

interface Entry {
  readonly id: string;
  readonly event: SessionEvent;
}

interface Group {
  readonly waiting: Entry[];
  readonly consumers: Set<Consumer>;
}

interface Consumer {
  readonly take: EventConsumer;
  readonly retryAfter: number;
  stopped: boolean;
  running: Promise<void> | null;
}

/** Keeps events for consumers of this process. They end with it, as the sessions beside them do. */
export class MemoryEventStream extends SessionEventStream {
  private readonly kept: Entry[] = [];
  private readonly groups = new Map<string, Group>();
  private count = 0;

  constructor(private readonly maxLength: number) {
    super();
  }

  /** Takes what happened. */
  add(event: SessionEvent): void {
    if (event.type === 'refreshed' || (event.type === 'changed' && event.cause === undefined)) return;
    this.count += 1;
    const entry = { id: String(this.count), event };
    push(this.kept, entry, this.maxLength);
    for (const group of this.groups.values()) {
      push(group.waiting, entry, this.maxLength);
      this.hand(group);
    }
  }

  async consume(name: string, take: EventConsumer, options: ConsumeOptions = {}): Promise<StopConsuming> {
    if (typeof name !== 'string' || name === '') throw new InvalidArgumentError('group', 'must be a non-empty string');
    const { from = 'now', retryAfter = RETRY_AFTER } = options;
    const group = this.groups.get(name) ?? { waiting: from === 'start' ? [...this.kept] : [], consumers: new Set() };
    this.groups.set(name, group);
    const consumer: Consumer = { take, retryAfter, stopped: false, running: null };
    group.consumers.add(consumer);
    this.hand(group);
    return async () => {
      consumer.stopped = true;
      group.consumers.delete(consumer);
      await withinPatience(consumer.running);
    };
  }

  async close(): Promise<void> {
    const consumers = [...this.groups.values()].flatMap((group) => [...group.consumers]);
    for (const consumer of consumers) consumer.stopped = true;
    await withinPatience(Promise.all(consumers.flatMap(({ running }) => running ?? [])));
  }

  /** Sets whoever of the group has nothing to do to work. */
  private hand(group: Group): void {
    for (const consumer of group.consumers) {
      if (group.waiting.length === 0) return;
      consumer.running ??= this.work(group, consumer).finally(() => {
        consumer.running = null;
        if (!consumer.stopped && group.waiting.length > 0) this.hand(group);
      });
    }
  }

  private async work(group: Group, consumer: Consumer): Promise<void> {
    // Not within the operation that announced it.
    await Promise.resolve();
    for (let entry = group.waiting.shift(); entry && !consumer.stopped; entry = group.waiting.shift()) {
      const { id, event } = entry;
      try {
        await consumer.take(event, { id });
      } catch {
        this.again(group, { id, event }, consumer.retryAfter);
      }
    }
  }

  private again(group: Group, entry: Entry, after: number): void {
    setTimeout(() => {
      push(group.waiting, entry, this.maxLength);
      this.hand(group);
    }, after).unref();
  }
}

async function withinPatience(work: Promise<unknown> | null): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const enough = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, PATIENCE);
  });
  await Promise.race([work, enough]);
  clearTimeout(timer);
}

function push(entries: Entry[], entry: Entry, most: number): void {
  entries.push(entry);
  if (entries.length > most) entries.shift();
}
