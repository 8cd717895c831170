import { InvalidArgumentError } from '../../model/errors.js';
import { userKeyOfSession } from '../../model/ids.js';
import {
  SessionEventStream,
  type ConsumeOptions,
  type EventConsumer,
  type StopConsuming,
} from '../../ports/session-event-stream.js';
import { BUCKETS, bucketOf, type RedisKeys } from '../keys.js';
import type { RedisConnection } from '../connection/redis-connection.js';
import type { RedisEventChannel } from './redis-event-channel.js';
import { isKept } from './wire-format.js';
import { StreamConsumer } from './stream-consumer.js';

const RETRY_AFTER = 30_000;

/**
 * Delivers the events that scripts write to streams.
 *
 * On a Cluster each bucket has its own stream, as a script can reach only one slot. `docs/redis.md` lists the keys.
 *
 * The channel signals new entries, so that no consumer needs a blocking connection. In addition each consumer polls:
 * once a second on one server, and each of the 1,024 streams of a Cluster once in 30 seconds.
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

  /** The same position for all consumers of the group, even after a stream was deleted and created again. */
  private async beginOf(group: string, from: 'now' | 'start'): Promise<string> {
    const { client } = this.connection;
    const clock = await this.connection.clockFor(0);
    // Too early is better than too late. The clocks of a Cluster's servers may differ.
    const slack = client.isCluster ? 1_000 : 1;
    const wanted = from === 'start' ? '0' : String(Math.max(0, Math.floor(clock.lowerBound()) - slack));
    return this.connection.ask(async () => {
      await client.hsetnx(this.keys.streamGroups, group, wanted);
      return (await client.hget(this.keys.streamGroups, group)) ?? wanted;
    });
  }
}
