import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { RedisConnection } from '../../libs/session/src/redis/connection/redis-connection.js';
import { RedisSessionStore } from '../../libs/session/src/redis/redis-session-store.js';
import { CapturedLogs } from '../../libs/session/test/support/captured-logs.js';
import { ClusterTopology } from './cluster.js';
import { Load } from './load.js';
import { SentinelTopology } from './sentinel.js';
import { SingleTopology } from './single.js';
import type { Topology } from './topology.js';

const SECONDS = Number(process.env['SOAK_SECONDS'] ?? 60);
const TOPOLOGY = process.env['SOAK_TOPOLOGY'] ?? 'single';
const INSTANCES = 3;
/** A history is checked and forgotten after this time, so that memory stays bounded, s. */
const EPOCH = 15;
const COMMAND_TIMEOUT = 500;
/** How long the heap may grow by right: what instances remember (ends, accesses) fills up first, s. */
const WARM_UP = Math.min(120, SECONDS / 5);
/**
 * Growth of the heap that is no leak, bytes: 10,000 remembered ends of each instance, and the compiled code and caches of the
 * test runner. A history that was kept by mistake grows by as much in a minute.
 */
const HEAP_FLOOR = 48e6;
/** A connection that died silently is replaced in less, also on a machine five times slower; otherwise after a minute, ms. */
const NEVER_REPLACED = 20_000;

const TOPOLOGIES: Readonly<Record<string, () => Promise<Topology>>> = {
  single: () => SingleTopology.start(),
  sentinel: () => SentinelTopology.start(),
  cluster: () => ClusterTopology.start(),
};

/** Each kind of fault once, in any order. */
function shuffled(names: string[]): string[] {
  for (let last = names.length - 1; last > 0; last -= 1) {
    const other = randomInt(last + 1);
    [names[last], names[other]] = [names[other] as string, names[last] as string];
  }
  return names;
}

/** Bytes in use once everything that can be collected was. */
function heapInUse(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  collect();
  return process.memoryUsage().heapUsed;
}

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
}

it(`soaks for ${SECONDS} s without a wrong answer (${TOPOLOGY})`, async () => {
  const logs = new CapturedLogs();
  const topology = await (TOPOLOGIES[TOPOLOGY] as () => Promise<Topology>)();
  const stores: RedisSessionStore[] = [];
  try {
    const minReplicas = Number(process.env['SOAK_MIN_REPLICAS'] ?? topology.replicas);
    for (let index = 0; index < INSTANCES; index += 1) {
      const connection = await RedisConnection.open(topology.redis, { commandTimeout: COMMAND_TIMEOUT });
      const store = new RedisSessionStore(connection, { minReplicas });
      stores.push(store);
      await store.ready();
    }
    const load = new Load(stores, {
      shardOf: (slot) => topology.shardOf(slot),
      undoneIsWrong: minReplicas >= topology.replicas,
      clockError: COMMAND_TIMEOUT,
    });
    const since = performance.now();
    const until = since + SECONDS * 1_000;
    const heaps: number[] = [];
    let faults = [...topology.first].reverse();
    while (performance.now() < until) {
      const endsAt = Math.min(performance.now() + EPOCH * 1_000, until);
      load.start();
      do {
        if (faults.length === 0) faults = shuffled(Object.keys(topology.faults));
        const name = faults.pop() as string;
        const from = performance.now();
        await topology.faults[name]?.(load);
        load.caused(name, from);
        await sleep(400 + randomInt(1_200));
      } while (performance.now() < endsAt - 2_500);
      await sleep(Math.max(1_000, endsAt - performance.now()));
      await load.stop();
      await load.settle();
      if (performance.now() - since > WARM_UP * 1_000) heaps.push(heapInUse());
      const left = Math.max(0, Math.round((until - performance.now()) / 1_000));
      process.stderr.write(`soak: ${left} s left, ${JSON.stringify(load.counts)}, wrong ${load.wrong.length}\n`);
    }
    const third = Math.max(1, Math.floor(heaps.length / 3));
    const [first, last] = [mean(heaps.slice(0, third)), mean(heaps.slice(-third))];
    const inMegabytes = heaps.map((bytes) => Math.round(bytes / 1e6)).join(' ');
    process.stderr.write(`soak: heap after gc in MB, from ${WARM_UP} s on: ${inMegabytes}\n`);
    for (const { fault, times, median, longest } of load.outages.report)
      process.stderr.write(
        `soak: ${fault}: ${times} times, without an answer for ${median} ms, at most ${longest} ms\n`,
      );
    expect(load.wrong).toEqual([]);
    // A soak in which nothing happened proves nothing.
    expect(load.counts['answers']).toBeGreaterThan(SECONDS * 10);
    expect(load.counts['ends checked']).toBeGreaterThan(0);
    expect(last - first).toBeLessThan(Math.max(first / 10, HEAP_FLOOR));
    const halfOpen = load.outages.report.find(({ fault }) => fault === 'half-open');
    expect(halfOpen?.longest ?? 0).toBeLessThan(NEVER_REPLACED);
  } finally {
    for (const store of stores) await store.close();
    await topology.stop();
    logs.restore();
  }
});
