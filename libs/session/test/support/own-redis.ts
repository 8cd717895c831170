import { Redis, type RedisOptions } from 'ioredis';
import { startRedis, type RedisServer } from '../../../../test/support/redis-server.js';
import { startProxy, type TcpProxy } from '../../../../test/support/tcp-proxy.js';
import { newSessionId, sidOf } from '../../src/model/ids.js';
import type { SessionEvent } from '../../src/model/events.js';
import type { Session } from '../../src/model/session.js';
import { StoreUnavailableError } from '../../src/model/errors.js';
import type { SessionStore } from '../../src/ports/session-store.js';
import { RedisKeys } from '../../src/redis/keys.js';
import { RedisSessionStore, type RedisSessionStoreOptions } from '../../src/redis/redis-session-store.js';
import { upkeepSent, withoutUpkeep } from './upkeep.js';

export const PREFIX = 'own:';

/** How long a test waits for something that must come, ms: long, as a busy machine is no fault that is tested for. */
const PATIENCE = 20_000;

/** A Redis of a test file's own, to be watched and ill-treated, and what the tests open on it. */
export class OwnRedis {
  readonly keys = new RedisKeys(PREFIX, '');
  /** Straight to the server; not what the stores use. */
  readonly admin: Redis;
  private upkeepBefore = upkeepSent();
  private readonly clients: Redis[] = [];
  private readonly stores: RedisSessionStore[] = [];

  private constructor(
    readonly server: RedisServer,
    /** Between the server and anyone who connects by `viaProxy`. */
    readonly proxy: TcpProxy,
  ) {
    this.admin = new Redis(server.url, { retryStrategy: () => 20, maxRetriesPerRequest: null });
    this.admin.on('error', () => undefined);
  }

  static async start(args: string[] = []): Promise<OwnRedis> {
    const server = await startRedis({ args });
    return new OwnRedis(server, await startProxy({ targetPort: server.port }));
  }

  /** A client as an application would hand in. */
  connect(options: RedisOptions = {}): Redis {
    const client = new Redis({ port: this.server.port, ...options });
    this.clients.push(client);
    return client;
  }

  /** The same behind the proxy; reconnects at once, so that what is sent again comes soon. */
  connectViaProxy(options: RedisOptions = {}): Redis {
    return this.connect({ port: this.proxy.port, retryStrategy: () => 5, ...options });
  }

  /** A store on a client, by default on one of its own. Patient, as a machine under load is no fault that is tested for. */
  open(options: RedisSessionStoreOptions = {}, client: Redis = this.connect()): RedisSessionStore {
    const store = new RedisSessionStore(client, { keyPrefix: PREFIX, commandTimeout: 5_000, ...options });
    this.stores.push(store);
    return store;
  }

  /** Everything that the store's listeners hear from now on. */
  async listen(store: RedisSessionStore): Promise<EventLog> {
    const log = new EventLog(store, this);
    await log.all();
    log.clear();
    return log;
  }

  /** The user's hash, its fields as latin1 text, and its members of the sorted set: all that an operation may change. */
  async stateOf(userKey: string): Promise<Record<string, string>> {
    const { user, expiries } = this.keys.ofUserKey(userKey);
    const flat = (await this.admin.callBuffer('HGETALL', user)) as Buffer[];
    const state: Record<string, string> = {};
    for (let at = 0; at + 1 < flat.length; at += 2) {
      state[String(flat[at])] = flat[at + 1]?.toString('latin1') ?? '';
    }
    const members = await this.admin.zrange(expiries, '0', '-1', 'WITHSCORES');
    for (let at = 0; at + 1 < members.length; at += 2) {
      if (members[at]?.startsWith(userKey) === true) state[`expiry of ${members[at]}`] = members[at + 1] ?? '';
    }
    return state;
  }

  /** A field of a session in its user's hash: the record, or the clock with the credentials. */
  fieldOf(sessionId: string, kind: 'r' | 'c'): [key: string, field: string] {
    return [this.keys.ofSession(sessionId).user, kind + sidOf(sessionId)];
  }

  /**
   * How often the server was asked for each command since `resetCommands`, those within scripts included; what instances
   * send by themselves from time to time only on request.
   */
  async commands({ upkeep = false } = {}): Promise<Record<string, number>> {
    const info = await this.admin.info('commandstats');
    const counted: Record<string, number> = {};
    for (const [, name, calls] of info.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)) {
      if (name !== undefined && !/^(info|config.*|client.*|hello)$/.test(name)) counted[name] = Number(calls);
    }
    return upkeep ? counted : withoutUpkeep(counted, this.upkeepBefore);
  }

  async resetCommands(): Promise<void> {
    await this.admin.config('RESETSTAT');
    this.upkeepBefore = upkeepSent();
  }

  /** All keys except the watermarks, of which each open instance keeps one for an hour. */
  async keysLeft(): Promise<string[]> {
    return (await this.admin.keys('*')).filter((key) => !key.includes(':watermark:'));
  }

  /** The server's time, epoch ms. */
  async time(): Promise<number> {
    const [seconds, microseconds] = (await this.admin.time()) as unknown as [number, number];
    return Number(seconds) * 1000 + Number(microseconds) / 1000;
  }

  /** Between tests: closes what was opened, and empties the server. */
  async reset(): Promise<void> {
    this.proxy.blackhole(false);
    this.proxy.setDelay(0);
    await Promise.all(this.stores.splice(0).map((store) => store.close()));
    for (const client of this.clients.splice(0)) discard(client);
    await this.admin.flushall();
  }

  async stop(): Promise<void> {
    for (const client of [...this.clients.splice(0), this.admin]) discard(client);
    await this.proxy.stop();
    await this.server.stop();
  }
}

/** What a store's listeners heard. */
export class EventLog {
  private readonly heard: SessionEvent[] = [];

  constructor(
    private readonly store: RedisSessionStore,
    private readonly redis: OwnRedis,
  ) {
    store.subscribe((event) => this.heard.push(event));
  }

  clear(): void {
    this.heard.length = 0;
  }

  /** All of it, once what was announced until now has arrived. */
  async all(): Promise<SessionEvent[]> {
    const sent = new Set<string>();
    await until(async () => {
      const sessionId = newSessionId(this.redis.keys.ofUser('barrier').userKey);
      sent.add(sessionId);
      await this.redis.admin.publish(this.redis.keys.events, `1 admin changed ${sessionId} 0 -\nbarrier`);
      return this.heard.some((event) => sent.has(event.sessionId));
    });
    return this.heard.filter(({ userId }) => userId !== 'barrier');
  }

  /** Type and, of an end, the reason, in order. */
  async types(sessionId?: string): Promise<string[]> {
    return (await this.all())
      .filter((event) => sessionId === undefined || event.sessionId === sessionId)
      .map((event) => (event.type === 'ended' ? `ended ${event.reason}` : event.type));
  }

  /** The store whose listeners these are. */
  get of(): RedisSessionStore {
    return this.store;
  }
}

/** Waits until it is so, and fails when it does not become so. */
export async function until(isSo: () => boolean | Promise<boolean>, patience = PATIENCE): Promise<void> {
  const giveUp = performance.now() + patience;
  while (!(await isSo())) {
    if (performance.now() > giveUp) throw new Error(`still not so after ${patience} ms: ${isSo.toString()}`);
    await pause(5);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Ends a client with which nothing more is to be done, however it is. */
export function discard(client: Redis): void {
  client.on('error', () => undefined);
  client.disconnect();
}

/** A session that is there in the end: on a busy machine, the first commands may take longer than a test's short timeout. */
export async function createIn(store: Pick<SessionStore, 'create'>, userId = 'ada'): Promise<Session> {
  const created: Session[] = [];
  await until(() =>
    store.create({ userId }).then(
      (session) => created.push(session) > 0,
      (error: unknown) => {
        if (error instanceof StoreUnavailableError) return false;
        throw error;
      },
    ),
  );
  const [session] = created;
  if (!session) throw new Error('no session was created');
  return session;
}
