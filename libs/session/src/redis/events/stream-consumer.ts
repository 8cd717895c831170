import { randomBytes } from 'node:crypto';
import { settledWithin } from '../../ports/settled-within.js';
import type { EventConsumer } from '../../ports/session-event-stream.js';
import { scripts } from '../lua/scripts.generated.js';
import type { RedisConnection } from '../connection/redis-connection.js';
import { parseMessage } from './wire-format.js';
import { evaluate } from '../script-runner.js';

/** Number of entries per read. */
const BATCH = 100;
/** How often streams are read without a signal, ms. */
const TICK = 1_000;
/** Number of ticks in which every stream is read: one server has one stream, a Cluster one per bucket. */
const ROUND = 30;
/** A consumer without a read for this long is removed, ms. */
const GONE_AFTER = 60 * 60_000;
/** Longest wait for the current event on shutdown, ms. An event that takes longer is delivered again. */
const PATIENCE = 5_000;

export interface StreamConsumerSettings {
  readonly group: string;
  /** Id after which a group starts on a new stream. */
  readonly begins: string;
  readonly retryAfter: number;
  /** The keys of the streams. */
  readonly streams: readonly string[];
  readonly origin: string;
}

type Entry = readonly [id: string, fields: readonly string[] | null] | null;

/**
 * One member of a consumer group: reads new entries on a signal or in turn, and takes over those that others left
 * unfinished.
 */
export class StreamConsumer {
  private readonly name = randomBytes(6).toString('base64url');
  private readonly woken = new Set<number>();
  private readonly used = new Set<string>();
  private readonly claimedAt = new Map<string, number>();
  private readonly running: Promise<void>;
  private cursor = 0;
  private tickAt = 0;
  private stopped = false;
  private stopping: Promise<void> | null = null;
  private rouse: () => void = () => undefined;

  constructor(
    private readonly connection: RedisConnection,
    private readonly settings: StreamConsumerSettings,
    private readonly consumer: EventConsumer,
  ) {
    this.running = this.run();
  }

  /** The stream with this number has a new entry. */
  wake(stream: number): void {
    this.woken.add(stream);
    this.rouse();
  }

  /** Later calls wait for the first one. */
  stop(): Promise<void> {
    return (this.stopping ??= this.leave());
  }

  private async leave(): Promise<void> {
    this.stopped = true;
    this.rouse();
    await settledWithin(this.running, PATIENCE);
    await Promise.all([...this.used].map((key) => this.forget(key, this.name).catch(() => undefined)));
  }

  private async run(): Promise<void> {
    while (!this.stopped) {
      const woken = [...this.woken];
      this.woken.clear();
      const inTurn = this.inTurn();
      for (const [numbers, isTurn] of [[woken, false] as const, [inTurn, true] as const]) {
        for (const number of numbers) await this.visit(this.settings.streams[number] as string, isTurn);
      }
      if (this.woken.size === 0) await this.sleep();
    }
  }

  /** The streams whose turn it is to be read without a signal. */
  private inTurn(): number[] {
    const now = performance.now();
    if (now < this.tickAt) return [];
    this.tickAt = now + TICK;
    const { length } = this.settings.streams;
    const numbers = Array.from({ length: Math.ceil(length / ROUND) }, (_, step) => (this.cursor + step) % length);
    this.cursor = (this.cursor + numbers.length) % length;
    return numbers;
  }

  private async visit(key: string, isTurn: boolean): Promise<void> {
    if (this.stopped) return;
    try {
      if (isTurn && Number(await this.ask((client) => client.exists(key))) === 0) return;
      this.used.add(key);
      await this.readNew(key);
      if (isTurn) await this.claimLeft(key);
    } catch {
      // The connection has logged it; unfinished entries are delivered again.
    }
  }

  private async readNew(key: string): Promise<void> {
    for (;;) {
      const reply = await this.inGroup(key, (client) =>
        client.call('XREADGROUP', 'GROUP', this.settings.group, this.name, 'COUNT', BATCH, 'STREAMS', key, '>'),
      );
      const entries = entriesOf(reply);
      await this.finish(key, entries);
      if (entries.length < BATCH || this.stopped) return;
    }
  }

  /** Takes over entries that no consumer finished in time: the consumer died, or its handler failed. */
  private async claimLeft(key: string): Promise<void> {
    const { group, retryAfter } = this.settings;
    const now = performance.now();
    if (now - (this.claimedAt.get(key) ?? -Infinity) < Math.min(retryAfter, TICK * ROUND)) return;
    this.claimedAt.set(key, now);
    let start = '0-0';
    do {
      const from = start;
      const reply = (await this.inGroup(key, (client) =>
        client.call('XAUTOCLAIM', key, group, this.name, retryAfter, from, 'COUNT', BATCH),
      )) as [string, Entry[]] | null;
      if (!reply) return;
      start = String(reply[0]);
      await this.finish(key, reply[1]);
    } while (start !== '0-0' && !this.stopped);
    await this.forget(key, '');
  }

  private async finish(key: string, entries: readonly Entry[]): Promise<void> {
    for (const entry of entries) {
      if (this.stopped) return;
      // Redis 6.2 still reports deleted entries as unfinished.
      if (!entry?.[1]) continue;
      const [id, fields] = entry;
      const event = parseMessage(fields[1] ?? '', this.settings.origin);
      if (event) {
        try {
          await this.consumer(event, { id: `${key}/${id}` });
        } catch {
          continue;
        }
      }
      await this.ask((client) => client.call('XACK', key, this.settings.group, id));
    }
  }

  /** Creates the group if it does not exist. Null if there is no stream. */
  private async inGroup(
    key: string,
    command: (client: RedisConnection['client']) => Promise<unknown>,
  ): Promise<unknown> {
    const { group, begins } = this.settings;
    try {
      return await this.ask(command, says('NOGROUP'));
    } catch (error) {
      if (!says('NOGROUP')(error)) throw error;
    }
    try {
      await this.ask(
        (client) => client.call('XGROUP', 'CREATE', key, group, begins),
        says('requires the key to exist', 'BUSYGROUP'),
      );
    } catch (error) {
      if (says('requires the key to exist')(error)) return null;
      if (!says('BUSYGROUP')(error)) throw error;
    }
    return this.ask(command);
  }

  private async forget(key: string, leaving: string): Promise<void> {
    await this.ask((client) =>
      evaluate(client, scripts.forgetConsumers, [key], [this.settings.group, GONE_AFTER, leaving]),
    );
  }

  private ask<T>(
    command: (client: RedisConnection['client']) => Promise<T>,
    pass?: (error: unknown) => boolean,
  ): Promise<T> {
    return this.connection.ask(() => command(this.connection.client), pass);
  }

  private async sleep(): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, Math.max(1, this.tickAt - performance.now())).unref();
      this.rouse = () => {
        clearTimeout(timer);
        resolve();
      };
      if (this.stopped) this.rouse();
    });
  }
}

/** The entries of the one stream: in a list of streams (RESP2) or a map (RESP3), flat or not. */
function entriesOf(reply: unknown): readonly Entry[] {
  if (typeof reply !== 'object' || reply === null) return [];
  if (Array.isArray(reply)) {
    const [first, second] = reply as [unknown, Entry[]?];
    return (Array.isArray(first) ? (first as [string, Entry[]])[1] : second) ?? [];
  }
  const streams = reply instanceof Map ? [...reply.values()] : Object.values(reply);
  return (streams[0] ?? []) as readonly Entry[];
}

function says(...texts: readonly string[]): (error: unknown) => boolean {
  return (error) => error instanceof Error && texts.some((each) => error.message.includes(each));
}
