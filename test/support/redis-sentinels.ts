import { Redis, type RedisOptions } from 'ioredis';
import { startRedisProcess } from '../../scripts/redis-process.mjs';
import { requireServerBinary, startRedis, type RedisServer } from './redis-server.js';

const NAME = 'primary';
/** How long a change of roles may take before a test fails, ms. */
const PATIENCE = 20_000;

/** One primary and its replicas. */
export interface ReplicatedRedis {
  readonly primary: RedisServer;
  readonly replicas: RedisServer[];
  stop(): Promise<void>;
}

/** The same, watched by Sentinels. `primary` is the first; who is primary now, `current` says. */
export interface SentinelRedis extends ReplicatedRedis {
  readonly sentinels: RedisServer[];
  /** What a client connects with. */
  readonly options: RedisOptions & { sentinels: { host: string; port: number }[]; name: string };
  /** The server that the Sentinels call the primary. */
  current(): Promise<RedisServer>;
  /** Begins a planned failover, as an operator would. Resolves when the Sentinels name another server. */
  failOver(): Promise<void>;
}

/** Starts a primary with replicas; resolves when all of them are in step. `viaPort` is where the replicas find it. */
export async function startReplicatedRedis({
  replicas = 1,
  args = [],
  viaPort = (port: number): Promise<number> => Promise.resolve(port),
}: {
  replicas?: number;
  args?: string[];
  viaPort?: (primaryPort: number) => Promise<number>;
} = {}): Promise<ReplicatedRedis> {
  const servers: RedisServer[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.stop()));
  };
  try {
    // Without a delay, replicas are in step within moments of their start.
    const own = ['--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1', ...args];
    const primary = await startRedis({ args: own });
    servers.push(primary);
    const port = await viaPort(primary.port);
    for (let index = 0; index < replicas; index += 1) {
      servers.push(await startRedis({ args: [...own, '--replicaof', `127.0.0.1 ${port}`] }));
    }
    await inStep(primary, replicas);
    return { primary, replicas: servers.slice(1), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/**
 * Starts three Sentinels beside a primary with replicas. A primary that is silent for `downAfter` ms counts as down; twice
 * `failoverTimeout` ms must lie between two failovers that the Sentinels begin by themselves.
 */
export async function startSentinelRedis({
  replicas = 2,
  args = [],
  downAfter = 1_000,
  failoverTimeout = 6_000,
}: {
  replicas?: number;
  args?: string[];
  downAfter?: number;
  failoverTimeout?: number;
} = {}): Promise<SentinelRedis> {
  const binary = requireServerBinary();
  const replicated = await startReplicatedRedis({ replicas, args });
  const sentinels: RedisServer[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(sentinels.map((server) => server.stop()));
    await replicated.stop();
  };
  try {
    const config = [
      `sentinel monitor ${NAME} 127.0.0.1 ${replicated.primary.port} 2`,
      `sentinel down-after-milliseconds ${NAME} ${downAfter}`,
      `sentinel failover-timeout ${NAME} ${failoverTimeout}`,
      `sentinel parallel-syncs ${NAME} 2`,
    ].join('\n');
    for (let index = 0; index < 3; index += 1) {
      sentinels.push(await startRedisProcess({ binary, args: ['--sentinel'], config: `${config}\n` }));
    }
    for (const sentinel of sentinels) await known(sentinel, replicas);
  } catch (error) {
    await stop();
    throw error;
  }
  const servers = [replicated.primary, ...replicated.replicas];
  const current = async (): Promise<RedisServer> => {
    const port = await portOfPrimary(sentinels);
    const server = servers.find((each) => each.port === port);
    if (!server) throw new Error(`the Sentinels name a server of port ${port}, which is none of ours`);
    return server;
  };
  return {
    ...replicated,
    sentinels,
    options: { sentinels: sentinels.map(({ port }) => ({ host: '127.0.0.1', port })), name: NAME },
    current,
    failOver: async () => {
      const before = await portOfPrimary(sentinels);
      await until('a failover could not begin', async () =>
        (await ask(sentinels[0] as RedisServer, 'SENTINEL', 'FAILOVER', NAME).catch(() => null)) === 'OK'
          ? true
          : undefined,
      );
      await until('no other server was promoted', async () =>
        (await portOfPrimary(sentinels)) === before ? undefined : true,
      );
    },
    stop,
  };
}

async function portOfPrimary(sentinels: readonly RedisServer[]): Promise<number> {
  const address = (await ask(sentinels[0] as RedisServer, 'SENTINEL', 'GET-MASTER-ADDR-BY-NAME', NAME)) as string[];
  return Number(address[1]);
}

/** Waits until the Sentinel knows the replicas and the two others. */
async function known(sentinel: RedisServer, replicas: number): Promise<void> {
  await until('the Sentinels did not find each other', async () => {
    const flat = (await ask(sentinel, 'SENTINEL', 'MASTER', NAME)) as string[];
    const value = (name: string): number => Number(flat[flat.indexOf(name) + 1]);
    return value('num-slaves') >= replicas && value('num-other-sentinels') >= 2 ? true : undefined;
  });
}

/**
 * Waits until the replicas confirm a write. A primary calls a replica "online" before that one has loaded what it was sent,
 * and confirms nothing until then.
 */
export async function inStep(primary: RedisServer, replicas: number): Promise<void> {
  const client = new Redis({ port: primary.port, host: '127.0.0.1' });
  client.on('error', () => undefined);
  try {
    await until('the replicas did not come in step', async () => {
      await client.set('in-step', '1');
      await client.del('in-step');
      return (await client.wait(replicas, 1_000)) >= replicas ? true : undefined;
    });
  } finally {
    client.disconnect();
  }
}

async function ask(server: RedisServer, command: string, ...args: (string | number)[]): Promise<unknown> {
  // Replies of Sentinels as they were before RESP3.
  const client = new Redis({ port: server.port, host: '127.0.0.1', enableReadyCheck: false, protocol: 2 });
  client.on('error', () => undefined);
  try {
    return await client.call(command, ...args);
  } finally {
    client.disconnect();
  }
}

async function until<T>(problem: string, find: () => Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    const found = await find().catch(() => undefined);
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(`${problem} within ${PATIENCE / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
