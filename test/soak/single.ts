import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { inStep } from '../support/redis-sentinels.js';
import { startRedis, type RedisServer } from '../support/redis-server.js';
import { startProxy, type TcpProxy } from '../support/tcp-proxy.js';
import { ask, commonFaults, DURABLE, infoOf, isFollowing, stopAll, type Fault, type Topology } from './topology.js';

/** A promotion takes up to this long to be seen everywhere, ms. */
const PROMOTION = 15_000;

/** A primary and its only replica; instances reach the primary through one proxy, as through a service address. */
export class SingleTopology implements Topology {
  readonly replicas = 1;
  readonly first: readonly string[] = [];
  readonly faults: Readonly<Record<string, Fault>>;

  private constructor(
    private primary: RedisServer,
    private replica: RedisServer,
    private readonly proxy: TcpProxy,
  ) {
    this.faults = {
      ...commonFaults(() => Promise.resolve({ server: this.primary, proxy: this.proxy })),
      kill: async () => {
        const killed = this.primary;
        await killed.kill();
        await sleep(randomInt(800));
        await killed.restart();
      },
      pause: async () => {
        const paused = this.primary;
        paused.pause();
        await sleep(500 + randomInt(1_500));
        paused.resume();
      },
      failover: async (notes) => {
        if (!(await this.failOver())) notes.count('failovers given up');
      },
      promotion: async (notes) => {
        const from = await this.promote();
        if (from === null) notes.count('promotions given up');
        else notes.mayLose(from);
      },
    };
  }

  static async start(): Promise<SingleTopology> {
    const [primary, replica] = [await startRedis({ args: DURABLE }), await startRedis({ args: DURABLE })];
    const topology = new SingleTopology(primary, replica, await startProxy({ targetPort: primary.port }));
    await follow(replica, primary);
    await inStep(primary, 1);
    return topology;
  }

  get redis(): string {
    return `redis://127.0.0.1:${this.proxy.port}`;
  }

  shardOf(): number {
    return 0;
  }

  async stop(): Promise<void> {
    const servers = [this.primary, this.replica];
    await stopAll([this.proxy], servers);
    for (const server of servers) await server.stop();
  }

  /** Nothing that the primary confirmed is lost: it hands over once the replica has everything. False if it did not. */
  private async failOver(): Promise<boolean> {
    if (!(await this.isPromotable())) return false;
    const { port } = this.replica;
    const asked = ask(this.primary, 'FAILOVER', 'TO', '127.0.0.1', port, 'TIMEOUT', 2_000);
    const isHandedOver = await asked.then(
      () => hasHandedOver(this.primary),
      () => false,
    );
    if (isHandedOver) this.swap();
    return isHandedOver;
  }

  /** By hand, while the old primary goes on: writes that only it has are lost. Returns since when; null if it did not. */
  private async promote(): Promise<number | null> {
    if (!(await this.isPromotable())) return null;
    const from = performance.now() - 1_000;
    await ask(this.replica, 'REPLICAOF', 'NO', 'ONE');
    await sleep(randomInt(300));
    await follow(this.primary, this.replica);
    this.swap();
    return from;
  }

  private async isPromotable(): Promise<boolean> {
    const isInStep = await inStep(this.primary, 1).then(
      () => true,
      () => false,
    );
    const { primary, replica } = this;
    return isInStep && within(PROMOTION, async () => isFollowing(await infoOf(replica), primary.port) || undefined);
  }

  private swap(): void {
    [this.primary, this.replica] = [this.replica, this.primary];
    this.proxy.retarget(this.primary.port);
    this.proxy.reset();
  }
}

async function follow(replica: RedisServer, primary: RedisServer): Promise<void> {
  await ask(replica, 'REPLICAOF', '127.0.0.1', primary.port);
}

async function hasHandedOver(primary: RedisServer): Promise<boolean> {
  return within(PROMOTION, async () => {
    const info = await infoOf(primary);
    if (info.get('role') === 'slave') return true;
    // It gave up, and goes on as before.
    return info.get('master_failover_state') === 'no-failover' ? false : undefined;
  });
}

/** The first answer, or false if there is none within `ms`. */
async function within(ms: number, find: () => Promise<boolean | undefined>): Promise<boolean> {
  const giveUpAt = performance.now() + ms;
  while (performance.now() < giveUpAt) {
    const found = await find();
    if (found !== undefined) return found;
    await sleep(20);
  }
  return false;
}
