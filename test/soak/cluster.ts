import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RedisOption } from '../../libs/session/src/options/redis-option.js';
import { startRedisCluster, type RedisCluster, type RedisServer } from '../support/redis-server.js';
import type { TcpProxy } from '../support/tcp-proxy.js';
import {
  ask,
  commonFaults,
  DURABLE,
  infoOf,
  isFollowing,
  isSettled,
  natMapOf,
  proxiesOf,
  stopAll,
  until,
  type Fault,
  type FaultNotes,
  type Target,
  type Topology,
} from './topology.js';

const SHARDS = 3;
const SLOTS = 16_384;

interface Shard {
  readonly primary: RedisServer;
  readonly replica: RedisServer;
}

/** Three primaries with a replica each, and a proxy before each of the six. */
export class ClusterTopology implements Topology {
  readonly replicas = 1;
  readonly first = ['planned failover', 'kill', 'hang'];
  readonly faults: Readonly<Record<string, Fault>>;

  private constructor(
    private readonly cluster: RedisCluster,
    private readonly proxies: ReadonlyMap<string, TcpProxy>,
  ) {
    this.faults = {
      ...commonFaults(() => this.target()),
      // The primary stops writes until its replica has everything, so nothing may be lost.
      'planned failover': () =>
        this.onShard(async ({ replica }) => {
          await failOverTo(replica);
        }),
      takeover: (notes) =>
        this.changing(notes, async ({ replica }) => {
          await ask(replica, 'CLUSTER', 'FAILOVER', 'TAKEOVER');
          await untilPromoted(replica);
        }),
      kill: (notes) =>
        this.changing(notes, async ({ primary, replica }) => {
          await primary.kill();
          await untilPromoted(replica);
          await primary.restart();
        }),
      hang: (notes) =>
        this.changing(notes, async ({ primary, replica }) => {
          primary.pause();
          await untilPromoted(replica);
          primary.resume();
        }),
      // Too short for a failover on most machines.
      restart: (notes) =>
        this.changing(notes, async ({ primary }) => {
          await primary.kill();
          await primary.restart();
        }),
      pause: (notes) =>
        this.changing(notes, async ({ primary }) => {
          primary.pause();
          await sleep(200 + randomInt(1_000));
          primary.resume();
        }),
    };
  }

  static async start(): Promise<ClusterTopology> {
    // A failure affects its own slots alone, and pairs stay pairs.
    const own = ['--cluster-require-full-coverage', 'no', '--cluster-allow-replica-migration', 'no'];
    const cluster = await startRedisCluster({ masters: SHARDS, replicas: true, args: [...DURABLE, ...own] });
    return new ClusterTopology(cluster, await proxiesOf(cluster.servers));
  }

  get redis(): RedisOption {
    const nodes = [...this.proxies.values()].map(({ port }) => ({ host: '127.0.0.1', port }));
    return { cluster: { nodes, options: { natMap: natMapOf(this.proxies) } } };
  }

  shardOf(slot: number): number {
    return Math.floor(slot / Math.ceil(SLOTS / SHARDS));
  }

  async stop(): Promise<void> {
    await stopAll(this.proxies.values(), this.cluster.servers);
    await this.cluster.stop();
  }

  private async target(): Promise<Target> {
    const { primary } = await this.anyShard();
    return { server: primary, proxy: this.proxies.get(`127.0.0.1:${primary.port}`) as TcpProxy };
  }

  private async anyShard(): Promise<Shard> {
    return (await this.shards())[randomInt(SHARDS)] as Shard;
  }

  private async shards(): Promise<Shard[]> {
    const { servers } = this.cluster;
    const pairs = servers.slice(0, SHARDS).map((one, index) => [one, servers[SHARDS + index] as RedisServer] as const);
    return Promise.all(
      pairs.map(async ([one, other]) =>
        (await infoOf(one)).get('role') === 'master'
          ? { primary: one, replica: other }
          : { primary: other, replica: one },
      ),
    );
  }

  private async changing(notes: FaultNotes, act: (shard: Shard) => Promise<unknown>): Promise<void> {
    const since = await this.onShard(act);
    notes.mayLose(since - 1_000);
  }

  /** A fault that may change a primary, until every primary has its replica again. Returns when it began. */
  private async onShard(act: (shard: Shard) => Promise<unknown>): Promise<number> {
    await this.untilWhole();
    const shard = await this.anyShard();
    const since = performance.now();
    await act(shard);
    await this.untilWhole();
    return since;
  }

  private async untilWhole(): Promise<void> {
    await until('the cluster was not whole again', async () => {
      for (const server of this.cluster.servers) {
        const state = String(await ask(server, 'CLUSTER', 'INFO'));
        const wanted = ['cluster_state:ok', `cluster_slots_ok:${SLOTS}`];
        if (!wanted.every((line) => state.includes(`${line}\r`))) return false;
      }
      for (const { primary, replica } of await this.shards()) {
        const info = await infoOf(primary);
        if (info.get('role') !== 'master' || !isSettled(info)) return false;
        if (!isFollowing(await infoOf(replica), primary.port)) return false;
      }
      return true;
    });
  }
}

async function untilPromoted(replica: RedisServer): Promise<void> {
  await until('no replica was promoted', async () => (await infoOf(replica)).get('role') === 'master');
}

/** A failover that gets no votes in time is given up by the replica, and asked for again. */
async function failOverTo(replica: RedisServer): Promise<void> {
  let askedAt = -Infinity;
  await until('no planned failover succeeded', async () => {
    if ((await infoOf(replica)).get('role') === 'master') return true;
    if (performance.now() - askedAt < 6_000) return false;
    askedAt = performance.now();
    await ask(replica, 'CLUSTER', 'FAILOVER');
    return false;
  });
}
