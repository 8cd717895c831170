import type { RedisOption } from '../options/redis-option.js';
import { RedisConnection } from '../redis/connection/redis-connection.js';
import type { ServersDiagnosis } from '../redis/connection/server-diagnosis.js';
import { RedisKeys } from '../redis/keys.js';
import { lastingKeys, type LastingKeys } from '../redis/lasting-keys.js';
import { RedisSessionStore } from '../redis/redis-session-store.js';
import { SessionAdministration } from '../sessions/session-administration.js';

/** Where the sessions are. */
export interface SessionAdminConnection {
  redis: RedisOption;
  /** As in the application. Default `session:`. */
  keyPrefix?: string;
  /** Default: the sessions without a tenant. */
  tenant?: string;
  /** Longest wait for an answer of Redis, ms. Default 2,000. */
  commandTimeout?: number;
  /** Longest wait for the first connection, ms. Default 5,000. */
  readyTimeout?: number;
}

/** Sessions on Redis, without an application. */
export interface OpenSessionAdmin {
  readonly sessions: SessionAdministration;
  readonly store: RedisSessionStore;
  /**
   * What an operator should know about the servers. A server that does not answer is a finding.
   *
   * @throws {StoreUnavailableError} if none is reachable.
   */
  diagnose(): Promise<ServersDiagnosis>;
  /**
   * The keys that have no deadline although they should, such as after a restore without TTL. Reads the names of all keys of the
   * database, in batches; stops after about `budget` ms. Needs the right to SCAN.
   *
   * @throws {StoreUnavailableError}
   */
  lastingKeys(budget: number): Promise<LastingKeys>;
  /** Waits for pending events to be published, then closes the connection if it was opened here. */
  close(): Promise<void>;
}

/** The stream of an application may be longer, and kept for longer: this process must not shorten it. */
const STREAM = { maxLength: 1_000_000_000, retention: 7 * 24 * 60 * 60_000 };

/**
 * Opens the sessions of an application for an operator: a script, or the command line. Sweeps nothing. Events go to the
 * application's instances, and to its event stream if there is one (not on a Cluster).
 *
 * @throws {ConfigurationError} if ioredis is not installed.
 * @throws {StoreUnavailableError} if Redis is not reachable.
 */
export async function openSessionAdmin({
  redis,
  keyPrefix = 'session:',
  tenant = '',
  commandTimeout = 2_000,
  readyTimeout = 5_000,
}: SessionAdminConnection): Promise<OpenSessionAdmin> {
  const connection = await RedisConnection.open(redis, { commandTimeout, readyTimeout });
  try {
    await connection.ready();
    const keys = new RedisKeys(keyPrefix, tenant);
    const { client } = connection;
    const stream = keys.stream(0, false);
    const hasStream = !client.isCluster && Number(await connection.ask(async () => client.exists(stream))) > 0;
    const left = hasStream ? Number(await connection.ask(async () => client.pttl(stream))) : 0;
    const store = new RedisSessionStore(connection, {
      keyPrefix,
      tenant,
      ...(hasStream && { eventStream: { ...STREAM, retention: Math.max(STREAM.retention, left) } }),
    });
    return {
      store,
      sessions: new SessionAdministration(store, (event) => store.publish(event)),
      diagnose: () => connection.diagnose(keys.probe, connection.channelOf(keys.events)),
      lastingKeys: async (budget) => lastingKeys(connection, keyPrefix, budget),
      close: async () => {
        // Events are sent without waiting; Redis answers in order.
        await connection.ask(async () => client.exists(keys.probe)).catch(() => undefined);
        await store.close();
        await connection.close();
      },
    };
  } catch (error) {
    await connection.close();
    throw error;
  }
}
