import { settledWithin } from '../ports/settled-within.js';
import { InvalidArgumentError } from '../model/errors.js';
import type { SessionEvent } from '../model/events.js';
import {
  SessionEventStream,
  type ConsumeOptions,
  type EventConsumer,
  type StopConsuming,
} from '../ports/session-event-stream.js';

const RETRY_AFTER = 30_000;
/** Longest wait for the current event on shutdown, ms. */
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

/** Keeps events for consumers of this process. They are lost with it, like its sessions. */
export class MemoryEventStream extends SessionEventStream {
  private readonly kept: Entry[] = [];
  private readonly groups = new Map<string, Group>();
  private count = 0;

  constructor(private readonly maxLength: number) {
    super();
  }

  /** Adds an event. */
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
      await settledWithin(consumer.running, PATIENCE);
    };
  }

  async close(): Promise<void> {
    const consumers = [...this.groups.values()].flatMap((group) => [...group.consumers]);
    for (const consumer of consumers) consumer.stopped = true;
    await settledWithin(Promise.all(consumers.flatMap(({ running }) => running ?? [])), PATIENCE);
  }

  /** Starts every idle consumer of the group. */
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
    // Not inside the operation that announced it.
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

function push(entries: Entry[], entry: Entry, most: number): void {
  entries.push(entry);
  if (entries.length > most) entries.shift();
}
