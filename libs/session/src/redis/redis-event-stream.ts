import { InvalidArgumentError } from '../model/errors.js';
import { userKeyOfSession } from '../model/ids.js';
import {
  SessionEventStream,
  type ConsumeOptions,
  type EventConsumer,
  type StopConsuming,
} from '../ports/session-event-stream.js';
import { BUCKETS, bucketOf, type RedisKeys } from './keys.js';
import type { RedisConnection } from './redis-connection.js';
import type { RedisEventChannel } from './redis-event-channel.js';
import { isKept } from './redis-events.js';
import { StreamConsumer } from './stream-consumer.js';

const RETRY_AFTER = 30_000;

/**
 * Hands out what scripts put into streams.
 *
 * | key | type | what |
 * |---|---|---|
 * | `{prefix}stream` | stream | on one server: the events of all users |
 * | `{prefix}{tag}:stream` | stream | on a Cluster: those of one bucket, as a script reaches one slot alone |
 * | `{prefix}stream-groups` | hash | where each consumer group begins |
 *
 * The channel tells when something is there, so that nobody waits on a connection of its own. Beside that each consumer asks
 * once a second on one server, and for each of the 1,024 streams of a Cluster once in 30 seconds.
 */
export class RedisEventStream extends SessionEventStream {
  private readonly consumers = new Map<StreamConsumer, () => void>();

  constructor(
    private readonly connection: RedisConnection,
    private readonly keys: RedisKeys,
    private readonly channel: RedisEventChannel,
  ) {
    super();
  }

  async consume(group: string, consumer: EventConsumer, options: ConsumeOptions = {}): Promise<StopConsuming> {
    if (typeof group !== 'string' || group === '')
      throw new InvalidArgumentError('group', 'must be a non-empty string');
    const { from = 'now', retryAfter = RETRY_AFTER } = options;
    const isCluster = this.connection.client.isCluster;
    const member = new StreamConsumer(
      this.connection,
      {
        group,
        begins: await this.beginOf(group, from),
        retryAfter,
        streams: Array.from({ length: isCluster ? BUCKETS : 1 }, (_, bucket) => this.keys.stream(bucket, isCluster)),
        origin: this.channel.origin,
      },
      consumer,
    );
    const unsubscribe = this.channel.subscribe((event) => {
      const { sessionId } = event;
      if (isKept(event)) member.wake(isCluster ? bucketOf(userKeyOfSession(sessionId)) : 0);
    });
    this.consumers.set(member, unsubscribe);
    return () => this.stop(member);
  }

  async close(): Promise<void> {
    await Promise.all([...this.consumers.keys()].map((member) => this.stop(member)));
  }

  private async stop(member: StreamConsumer): Promise<void> {
    this.consumers.get(member)?.();
    this.consumers.delete(member);
    await member.stop();
  }

  /** The same for all its consumers, now and after a stream has come and gone. */
  private async beginOf(group: string, from: 'now' | 'start'): Promise<string> {
    const { client } = this.connection;
    const clock = await this.connection.clockFor(0);
    // Rather a little too early than too late. Servers of a Cluster may disagree.
    const slack = client.isCluster ? 1_000 : 1;
    const wanted = from === 'start' ? '0' : String(Math.max(0, Math.floor(clock.lowerBound()) - slack));
    return this.connection.ask(async () => {
      await client.hsetnx(this.keys.streamGroups, group, wanted);
      return (await client.hget(this.keys.streamGroups, group)) ?? wanted;
    });
  }
}
