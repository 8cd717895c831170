import { randomBytes } from 'node:crypto';
import type { EventConsumer } from '../ports/session-event-stream.js';
import { scripts } from './lua/scripts.generated.js';
import type { RedisConnection } from './redis-connection.js';
import { parseMessage } from './redis-events.js';
import { evaluate } from './script-runner.js';

/** How many entries are asked for at once. */
const BATCH = 100;
/** How often streams are looked at without a hint that something is there, ms. */
const TICK = 1_000;
/** In how many ticks every stream has been looked at: one server has one stream, a Cluster one a bucket. */
const ROUND = 30;
/** Consumers that asked for nothing for so long are gone, ms. */
const GONE_AFTER = 60 * 60_000;
/** How long the event at hand may take when it is time to go, ms. It is delivered again where it takes longer. */
const PATIENCE = 5_000;

export interface StreamConsumerSettings {
  readonly group: string;
  /** Id behind which a group begins whose stream is new. */
  readonly begins: string;
  readonly retryAfter: number;
  /** The keys of the streams. */
  readonly streams: readonly string[];
  readonly origin: string;
}

type Entry = readonly [id: string, fields: readonly string[] | null] | null;

/** One member of a consumer group: reads what is new when it is woken or in turn, and what others left unfinished. */
export class StreamConsumer {
  private readonly name = randomBytes(6).toString('base64url');
  private readonly woken = new Set<number>();
  private readonly used = new Set<string>();
  private readonly claimedAt = new Map<string, number>();
  private readonly running: Promise<void>;
  private cursor = 0;
  private tickAt = 0;
  private stopped = false;
  private rouse: () => void = () => undefined;

  constructor(
    private readonly connection: RedisConnection,
    private readonly settings: StreamConsumerSettings,
    private readonly consumer: EventConsumer,
  ) {
    this.running = this.run();
  }

  /** Something is in the stream of this number. */
  wake(stream: number): void {
    this.woken.add(stream);
    this.rouse();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.rouse();
    await withinPatience(this.running);
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

  /** The streams to look at unasked, if it is time for some. */
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
      // Said by the connection; what was not finished comes again.
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

  /** What was delivered and not finished in time, by whomever: a consumer that died, or a handler that failed. */
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
      // One that was dropped since is still known to Redis 6.2 as unfinished.
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

  /** Makes the group where it is not there yet. Null where there is no stream. */
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

/** The entries of the one stream that was asked for: in a list of streams (RESP2), or in a map (RESP3), flat or not. */
function entriesOf(reply: unknown): readonly Entry[] {
  if (typeof reply !== 'object' || reply === null) return [];
  if (Array.isArray(reply)) {
    const [first, second] = reply as [unknown, Entry[]?];
    return (Array.isArray(first) ? (first as [string, Entry[]])[1] : second) ?? [];
  }
  const streams = reply instanceof Map ? [...reply.values()] : Object.values(reply);
  return (streams[0] ?? []) as readonly Entry[];
}

async function withinPatience(work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const enough = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, PATIENCE);
  });
  await Promise.race([work, enough]);
  clearTimeout(timer);
}

function says(...texts: readonly string[]): (error: unknown) => boolean {
  return (error) => error instanceof Error && texts.some((each) => error.message.includes(each));
}
