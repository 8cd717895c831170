import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { RedisOption } from '../../libs/session/src/options/redis-option.js';
import type { RedisServer } from '../support/redis-server.js';
import { startProxy, type TcpProxy } from '../support/tcp-proxy.js';

/** Where a fault says what it did to the data. */
export interface FaultNotes {
  count(name: string): void;
  /** Writes since `from` may be lost, except for those that all replicas confirmed. */
  mayLose(from: number): void;
}

/** Causes the fault and ends it. */
export type Fault = (notes: FaultNotes) => Promise<unknown>;

/** Servers, how instances reach them, and what can happen to them. */
export interface Topology {
  /** What instances connect with. */
  readonly redis: RedisOption;
  /** Replicas of each primary: with so many as `minReplicas`, no failover may undo an end. */
  readonly replicas: number;
  readonly faults: Readonly<Record<string, Fault>>;
  /** The faults that also a short run must have, in this order. */
  readonly first: readonly string[];
  /** The part of the servers that keeps the slot: one that fails does not affect the others. */
  shardOf(slot: number): number;
  /** Lets go of everything that is still held, and ends the servers. */
  stop(): Promise<void>;
}

/** Each write is on disk before it is confirmed, so that a crash of one server loses nothing. */
export const DURABLE = ['--appendonly', 'yes', '--appendfsync', 'always', '--repl-diskless-sync-delay', '0'];

/** How long servers may take to be in order again before the soak fails, ms. */
const PATIENCE = 60_000;

/** A server that holds sessions, and the proxy through which instances reach it. */
export interface Target {
  readonly server: RedisServer;
  readonly proxy: TcpProxy;
}

/** Faults of the network and of a server's memory, none of which changes roles. */
export function commonFaults(target: () => Promise<Target>): Record<string, Fault> {
  return {
    reset: async () => (await target()).proxy.reset(),
    'half-open': async () => (await target()).proxy.muteOpenLinks(),
    'lost reply': async () => (await target()).proxy.dropNextReply(),
    'black hole': async () => {
      const { proxy } = await target();
      proxy.blackhole(true);
      await sleep(300 + randomInt(1_200));
      proxy.blackhole(false);
    },
    latency: async () => {
      const { proxy } = await target();
      proxy.setDelay(100 + randomInt(300));
      await sleep(1_000);
      proxy.setDelay(0);
    },
    'script flush': async () => ask((await target()).server, 'SCRIPT', 'FLUSH'),
    'out of memory': async () => {
      const { server } = await target();
      await ask(server, 'CONFIG', 'SET', 'maxmemory', '1mb');
      await sleep(300 + randomInt(900));
      await ask(server, 'CONFIG', 'SET', 'maxmemory', '0');
    },
  };
}

/** A proxy before each server, by the address that the servers know of each other. */
export async function proxiesOf(servers: readonly RedisServer[]): Promise<Map<string, TcpProxy>> {
  const proxies = new Map<string, TcpProxy>();
  for (const { port } of servers) proxies.set(`127.0.0.1:${port}`, await startProxy({ targetPort: port }));
  return proxies;
}

/** What ioredis translates addresses of servers with, so that it goes through the proxies. */
export function natMapOf(proxies: ReadonlyMap<string, TcpProxy>) {
  return (address: string): { host: string; port: number } | null => {
    const proxy = proxies.get(address);
    return proxy ? { host: '127.0.0.1', port: proxy.port } : null;
  };
}

export async function ask(server: RedisServer, command: string, ...args: (string | number)[]): Promise<unknown> {
  // Replies of Sentinels as they were before RESP3. A server that is down must not be waited for.
  const admin = new Redis(server.url, {
    enableReadyCheck: false,
    protocol: 2,
    commandTimeout: 5_000,
    connectTimeout: 5_000,
    retryStrategy: () => null,
  });
  admin.on('error', () => undefined);
  try {
    return await admin.call(command, ...args);
  } finally {
    admin.disconnect();
  }
}

export async function infoOf(server: RedisServer): Promise<ReadonlyMap<string, string>> {
  const text = String(await ask(server, 'INFO', 'everything'));
  return new Map([...text.matchAll(/^(\w+):(.*)\r$/gm)].map(([, name = '', value = '']) => [name, value]));
}

/**
 * Whether the replica follows the primary and has everything on its disk: after a full synchronisation it writes its file
 * again, and would lose what is in neither file.
 */
export function isFollowing(replica: ReadonlyMap<string, string>, primaryPort: number): boolean {
  return (
    replica.get('role') === 'slave' &&
    replica.get('master_port') === String(primaryPort) &&
    replica.get('master_link_status') === 'up' &&
    isSettled(replica)
  );
}

export function isSettled(info: ReadonlyMap<string, string>): boolean {
  return info.get('aof_rewrite_in_progress') === '0' && info.get('aof_rewrite_scheduled') === '0';
}

/** Waits until the condition holds; an error counts as not yet. */
export async function until(problem: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE;
  while (!(await holds().catch(() => false))) {
    if (performance.now() > deadline) throw new Error(`soak: ${problem} within ${PATIENCE / 1_000} s`);
    await sleep(50);
  }
}

/** Stops proxies and servers, whatever state the faults left them in. */
export async function stopAll(proxies: Iterable<TcpProxy>, servers: readonly RedisServer[]): Promise<void> {
  for (const proxy of proxies) {
    proxy.blackhole(false);
    await proxy.stop();
  }
  for (const server of servers) {
    try {
      server.resume();
    } catch {
      // It is down.
    }
  }
}
