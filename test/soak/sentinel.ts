import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RedisOption } from '../../libs/session/src/options/redis-option.js';
import { startSentinelRedis, type SentinelRedis } from '../support/redis-sentinels.js';
import type { RedisServer } from '../support/redis-server.js';
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

/** A primary and two replicas, watched by three Sentinels; a proxy before each server, none before the Sentinels. */
export class SentinelTopology implements Topology {
  readonly replicas = 2;
  readonly first = ['planned failover', 'kill', 'hang'];
  readonly faults: Readonly<Record<string, Fault>>;

  private constructor(
    private readonly group: SentinelRedis,
    private readonly proxies: ReadonlyMap<string, TcpProxy>,
  ) {
    this.faults = {
      ...commonFaults(() => this.target()),
      'planned failover': (notes) => this.changing(notes, () => this.group.failOver()),
      kill: (notes) =>
        this.changing(notes, async (primary) => {
          await primary.kill();
          await this.untilReplaced(primary);
          await primary.restart();
        }),
      hang: (notes) =>
        this.changing(notes, async (primary) => {
          primary.pause();
          await this.untilReplaced(primary);
          primary.resume();
        }),
      // Too short for the Sentinels on most machines; where they are faster, it is a failover.
      restart: (notes) =>
        this.changing(notes, async (primary) => {
          await primary.kill();
          await primary.restart();
        }),
      pause: (notes) =>
        this.changing(notes, async (primary) => {
          primary.pause();
          await sleep(200 + randomInt(500));
          primary.resume();
        }),
    };
  }

  static async start(): Promise<SentinelTopology> {
    const group = await startSentinelRedis({ args: DURABLE, failoverTimeout: 3_000 });
    return new SentinelTopology(group, await proxiesOf([group.primary, ...group.replicas]));
  }

  get redis(): RedisOption {
    return { ...this.group.options, natMap: natMapOf(this.proxies) };
  }

  shardOf(): number {
    return 0;
  }

  async stop(): Promise<void> {
    await stopAll(this.proxies.values(), this.servers);
    await this.group.stop();
  }

  private get servers(): RedisServer[] {
    return [this.group.primary, ...this.group.replicas];
  }

  private async target(): Promise<Target> {
    const server = await this.group.current();
    return { server, proxy: this.proxies.get(`127.0.0.1:${server.port}`) as TcpProxy };
  }

  /**
   * A fault that may change the primary, until all others follow the new one. Meanwhile the old one confirms writes that
   * are lost: the Sentinels demote it after ten seconds.
   */
  private async changing(notes: FaultNotes, act: (primary: RedisServer) => Promise<unknown>): Promise<void> {
    await this.untilWhole();
    const from = performance.now() - 1_000;
    await act(await this.group.current());
    await this.untilWhole();
    notes.mayLose(from);
  }

  private async untilReplaced(primary: RedisServer): Promise<void> {
    await until('no other server was promoted', async () => (await this.group.current()) !== primary);
  }

  private async untilWhole(): Promise<void> {
    await until('the group was not whole again', async () => {
      const named = await Promise.all(
        this.group.sentinels.map(async (sentinel) => {
          const flat = (await ask(sentinel, 'SENTINEL', 'MASTER', this.group.options.name)) as string[];
          const value = (name: string): string => flat[flat.indexOf(name) + 1] ?? '';
          return value('flags') === 'master' ? value('port') : null;
        }),
      );
      const primary = await this.group.current();
      if (named.some((port) => port !== String(primary.port))) return false;
      const info = await infoOf(primary);
      if (info.get('role') !== 'master' || !isSettled(info)) return false;
      const others = this.servers.filter((server) => server !== primary);
      const followers = await Promise.all(
        others.map(async (server) => isFollowing(await infoOf(server), primary.port)),
      );
      return followers.every(Boolean);
    });
  }
}
