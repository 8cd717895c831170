import type { EndUnconfirmedEvent, WritesLostEvent } from '../model/events.js';
import type { RedisClient } from '../options/redis-option.js';
import { sidOf, userKeyOfSession } from '../model/ids.js';
import type { StoreWait } from '../ports/store-wait.js';
import { resolveStoreOptions, type ResolvedStoreOptions } from '../options/store-options.js';
import type { OpenConnection } from './connection/open-connection.js';
import { RedisConnection } from './connection/redis-connection.js';
import { ReplicatedWrites } from './connection/replicated-writes.js';
import { RedisEventChannel } from './events/redis-event-channel.js';
import { RedisEventStream } from './events/redis-event-stream.js';
import { ANY_TENANT, bucketOf, BUCKETS, RedisKeys, type UserKeys } from './keys.js';
import { endedIn } from './events/wire-format.js';
import { LostWrites } from './recovery/lost-writes.js';
import { RecentEnds } from './recovery/recent-ends.js';
import { RedisScripts } from './redis-scripts.js';
import type { RedisSessionStoreOptions } from './redis-session-store-options.js';
import { ScriptRunner } from './script-runner.js';
import { ExpiryBuckets } from './sweep/expiry-buckets.js';
import { SharedSweep } from './sweep/shared-sweep.js';
import { SweepLease } from './sweep/sweep-lease.js';
import { UnrecordedAccesses } from './unrecorded-accesses.js';
import { UpdateQueue } from './update-queue.js';

/** Parts that the views of one store share, each of another tenant: the connection, the channel, the scripts. */
export class SharedStoreParts {
  readonly options: ResolvedStoreOptions;
  readonly keyPrefix: string;
  readonly connection: RedisConnection;
  readonly channel: RedisEventChannel;
  readonly stream: RedisEventStream | null;
  readonly scripts: RedisScripts;
  readonly timeShift: () => number;
  /** Null: the servers are not checked. */
  readonly strict: boolean | null;
  readonly replicated: ReplicatedWrites | null;
  readonly buckets: ExpiryBuckets;
  readonly sweep: SharedSweep;
  readonly updates = new UpdateQueue();
  readonly recentEnds = new RecentEnds();
  readonly lostWrites: LostWrites;
  /** Of all tenants: a session id belongs to one. */
  readonly unrecorded = new UnrecordedAccesses((sessionId, at, wait) =>
    this.scripts.recordAccess(this.keys.ofUserKey(userKeyOfSession(sessionId), ANY_TENANT), sidOf(sessionId), at, wait),
  );
  /** The latest instant that a script has stored. */
  latest = 0;
  private readonly keys: RedisKeys;
  private noted: Promise<unknown> | null = null;

  constructor(redis: RedisClient | OpenConnection, options: RedisSessionStoreOptions) {
    const {
      keyPrefix = 'session:',
      commandTimeout = 500,
      readyTimeout,
      minReplicas = 0,
      strictRedis = null,
      onListenerError,
      timeShift = () => 0,
      ...rest
    } = options;
    this.options = resolveStoreOptions(rest);
    this.keyPrefix = keyPrefix;
    this.keys = new RedisKeys(keyPrefix, '');
    this.connection = RedisConnection.of(redis, { commandTimeout, readyTimeout });
    this.channel = new RedisEventChannel(this.connection, this.keys.events, onListenerError);
    this.stream = this.options.eventStream && new RedisEventStream(this.connection, this.keys, this.channel);
    this.timeShift = timeShift;
    this.strict = strictRedis;
    this.replicated =
      minReplicas > 0
        ? new ReplicatedWrites(this.connection, minReplicas, (confirmed) =>
            this.announce({ type: 'end-unconfirmed', confirmed, wanted: minReplicas }),
          )
        : null;
    this.scripts = new RedisScripts(
      new ScriptRunner(this.connection, {
        channel: this.channel.name,
        origin: this.channel.origin,
        tombstoneTtl: this.options.tombstoneTtl,
        timeShift,
        stream: this.streamSettings(),
        replicated: this.replicated,
        onAnnounced: (messages) => {
          this.channel.announced(messages);
          for (const message of messages) this.rememberEnd(message);
        },
      }),
    );
    this.buckets = new ExpiryBuckets(this.connection, this.keys, this.scripts, timeShift);
    const lease = new SweepLease(this.connection, this.channel, this.keys.sweeper);
    this.lostWrites = new LostWrites(this.connection, this.keys, this.channel.origin, this.recentEnds, (found) =>
      this.announce({ type: 'writes-lost', ...found }),
    );
    this.sweep = new SharedSweep(this.connection, this.channel, this.buckets, lease, timeShift);
  }

  /** Marks, once, that a tenant keeps sessions here. Done before its first session, so that no count misses it. */
  async noteTenants(wait: StoreWait): Promise<void> {
    this.noted ??= this.connection.ask(
      async () => this.connection.client.set(this.keys.tenants, '1'),
      undefined,
      undefined,
      wait,
    );
    try {
      await this.noted;
    } catch (error) {
      this.noted = null;
      throw error;
    }
  }

  async close(): Promise<void> {
    this.lostWrites.stop();
    await this.stream?.close();
    this.channel.close();
    await this.replicated?.close();
    await this.connection.close();
  }

  /** To the listeners of this instance: what the servers did. */
  private announce(
    found:
      | Pick<WritesLostEvent, 'type' | 'since' | 'endedAgain'>
      | Pick<EndUnconfirmedEvent, 'type' | 'confirmed' | 'wanted'>,
  ): void {
    const at = this.connection.now() + this.timeShift();
    this.channel.emit({ at, sessionId: '', userId: '', remote: false, ...found });
  }

  /** A session past its deadline stays dead without a record of it. */
  private rememberEnd(message: string): void {
    const ended = endedIn(message);
    if (!ended || ended.reason === 'idle' || ended.reason === 'absolute') return;
    const { sessionId, reason, at } = ended;
    const repeat = async (): Promise<number> => {
      const keys = this.keys.ofUserKey(userKeyOfSession(sessionId), ANY_TENANT);
      return (await this.scripts.endSessions(keys, { reason, sids: [sidOf(sessionId)] })).ended;
    };
    this.recentEnds.remember(`session ${sessionId}`, { at, repeat });
  }

  private streamSettings(): { keyOf: (keys: UserKeys) => string; maxLength: number; retention: number } | null {
    const { eventStream } = this.options;
    if (!eventStream) return null;
    const { isCluster } = this.connection.client;
    const { maxLength, retention } = eventStream;
    return {
      keyOf: ({ userKey }) => this.keys.stream(bucketOf(userKey), isCluster),
      maxLength: isCluster ? Math.max(100, Math.ceil(maxLength / BUCKETS)) : maxLength,
      retention,
    };
  }
}
