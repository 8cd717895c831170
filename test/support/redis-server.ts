import { Redis } from 'ioredis';
import { findServerBinary, isPortFree, RedisProcess, startRedisProcess } from '../../scripts/redis-process.mjs';

export interface RedisServer {
  readonly url: string;
  readonly port: number;
  /** Throws while the server is down. */
  readonly pid: number;
  /** Ends the server in order and removes its files. Safe to repeat. */
  stop(): Promise<void>;
  /** Ends it as a crash would. */
  kill(): Promise<void>;
  /** Freezes it: connections stay open, nothing answers. */
  pause(): void;
  resume(): void;
  /** Brings it back on the same port and directory, whether it runs or was killed. Data survives only with `--appendonly yes`. */
  restart(): Promise<void>;
}

export interface RedisCluster {
  readonly nodes: { host: string; port: number }[];
  readonly servers: RedisServer[];
  stop(): Promise<void>;
}

const SLOTS = 16_384;

/** Starts a server of a test's own. Without a `port` it takes a free one; `args` are further arguments of redis-server. */
export async function startRedis({ args = [], port }: { args?: string[]; port?: number } = {}): Promise<RedisServer> {
  const binary = requireServerBinary();
  if (port === undefined) return startRedisProcess({ binary, args });
  const server = new RedisProcess({ binary, args, port });
  try {
    await server.start();
    return server;
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/**
 * Starts a cluster of masters which share all slots, with at most one replica each; resolves once every node calls the cluster
 * ok. `servers` has the masters first; with replicas, that of the first master is the first of the others.
 */
export async function startRedisCluster({
  masters = 3,
  replicas = false,
  args = [],
}: { masters?: number; replicas?: boolean; args?: string[] } = {}): Promise<RedisCluster> {
  const binary = requireServerBinary();
  const clusterArgs = [
    '--cluster-enabled',
    'yes',
    '--cluster-node-timeout',
    '2000',
    '--cluster-require-full-coverage',
    'yes',
  ];
  const servers: RedisServer[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.stop()));
  };
  try {
    for (let i = 0; i < masters * (replicas ? 2 : 1); i++) {
      servers.push(await startRedisProcess({ binary, args: [...clusterArgs, ...args], pickPort: pickClusterPort }));
    }
    await join(
      servers.map(({ port }) => port),
      masters,
    );
  } catch (error) {
    await stop();
    throw error;
  }
  return { nodes: servers.map(({ port }) => ({ host: '127.0.0.1', port })), servers, stop };
}

export function requireServerBinary(): string {
  const binary = findServerBinary();
  if (binary === undefined) {
    throw new Error(
      'this suite starts Redis servers of its own and found no redis-server or valkey-server: ' +
        'install one (Debian: apt-get install redis-server), or set TEST_REDIS_SERVER to the path of its binary',
    );
  }
  return binary;
}

/** The cluster bus listens on port + 10000. Both lie below the range from which the kernel gives ports to clients. */
async function pickClusterPort(): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const port = 12_000 + Math.floor(Math.random() * 10_000);
    if ((await isPortFree(port)) && (await isPortFree(port + 10_000))) return port;
  }
  throw new Error('found no pair of free ports for a cluster node and its bus');
}

/** The first nodes share the slots; each other one is the replica of one of them. */
async function join(ports: number[], masters: number): Promise<void> {
  const clients = ports.map((port) => new Redis({ port, host: '127.0.0.1' }));
  try {
    const share = Math.ceil(SLOTS / masters);
    for (const [i, client] of clients.entries()) {
      const from = i * share;
      const slots = Array.from({ length: Math.max(0, Math.min(share, SLOTS - from)) }, (_, n) => from + n);
      // Nodes that meet with equal epochs first have to settle who is right, which takes seconds.
      await client.call('CLUSTER', 'SET-CONFIG-EPOCH', i + 1);
      if (i < masters) await client.call('CLUSTER', 'ADDSLOTS', ...slots);
    }
    for (const port of ports.slice(1)) await clients[0]?.call('CLUSTER', 'MEET', '127.0.0.1', port);
    await Promise.all(clients.map((client) => untilOk(client, ports.length)));
    for (const [i, replica] of clients.slice(masters).entries()) {
      const id = String(await clients[i]?.call('CLUSTER', 'MYID'));
      await replica.call('CLUSTER', 'REPLICATE', id);
    }
    // Every node must know who replicates whom, or a failover would lack votes.
    for (const client of clients) await untilTold(client, ports.length - masters);
    for (const replica of clients.slice(masters)) await untilLinked(replica);
  } finally {
    for (const client of clients) client.disconnect();
  }
}

async function untilOk(client: Redis, nodes: number): Promise<void> {
  const deadline = Date.now() + 15_000;
  let info = '';
  while (Date.now() < deadline) {
    info = String(await client.call('CLUSTER', 'INFO'));
    if (info.includes('cluster_state:ok') && info.includes(`cluster_known_nodes:${nodes}\r`)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`the cluster did not come up within 15 s:\n${info}`);
}

async function untilTold(client: Redis, replicas: number): Promise<void> {
  await untilSays(client, ['CLUSTER', 'NODES'], (text) => (text.match(/\bslave\b/g) ?? []).length === replicas);
}

async function untilLinked(replica: Redis): Promise<void> {
  await untilSays(replica, ['INFO', 'replication'], (text) => text.includes('master_link_status:up\r'));
}

async function untilSays(client: Redis, command: [string, string], isDone: (text: string) => boolean): Promise<void> {
  const deadline = Date.now() + 15_000;
  let text = '';
  while (Date.now() < deadline) {
    text = String(await client.call(...command));
    if (isDone(text)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`the replicas of the cluster did not come up within 15 s:\n${text}`);
}
