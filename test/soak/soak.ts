import { randomBytes, randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Redis } from 'ioredis';
import { AuthenticationError, StoreUnavailableError } from '../../libs/session/src/model/errors.js';
import { RedisConnection } from '../../libs/session/src/redis/connection/redis-connection.js';
import { RedisSessionStore } from '../../libs/session/src/redis/redis-session-store.js';
import { CapturedLogs } from '../../libs/session/test/support/captured-logs.js';
import { checkHistory, type Deed, type HistoryRules, type Recorded } from '../support/history-checker.js';
import { inStep } from '../support/redis-sentinels.js';
import { startRedis, type RedisServer } from '../support/redis-server.js';
import { startProxy, type TcpProxy } from '../support/tcp-proxy.js';

const SECONDS = Number(process.env['SOAK_SECONDS'] ?? 60);
const LIMIT = 3;
const USERS = 40;
const INSTANCES = 3;
const CLIENTS_PER_INSTANCE = 6;
/** A history is checked and forgotten after this time, so that memory stays bounded, s. */
const EPOCH = 15;
const COMMAND_TIMEOUT = 500;
/** A promotion takes up to this long to be seen everywhere, ms. */
const PROMOTION = 15_000;
/** How long the heap may grow by right: what instances remember (ends, accesses) fills up first, s. */
const WARM_UP = Math.min(120, SECONDS / 5);
/**
 * Growth of the heap that is no leak, bytes: 10,000 remembered ends of each instance, and the compiled code and caches of the
 * test runner. A history that was kept by mistake grows by as much in a minute.
 */
const HEAP_FLOOR = 48e6;

interface Known {
  readonly session: string;
  readonly user: string;
  readonly hash: Buffer;
  generation: number;
  branch: number;
  isRefreshing: boolean;
}

/** Instances at full speed on a pair of servers that are killed, frozen, cut off, filled and promoted meanwhile. */
class Soak {
  readonly counts: Record<string, number> = {};
  readonly wrong: string[] = [];
  private history: Recorded[] = [];
  private known: Known[] = [];
  private readonly ended: string[] = [];
  private lost: NonNullable<HistoryRules['lost']>[number][] = [];
  private faults: { fault: string; from: number; to: number }[] = [];
  private epoch = 0;
  private isRunning = false;

  constructor(private readonly stores: readonly RedisSessionStore[]) {}

  /** Deeds of all clients until the time is over, then a check of everything that they learnt. */
  async run(ms: number): Promise<void> {
    this.epoch += 1;
    this.isRunning = true;
    const clients = this.stores.flatMap((store, instance) =>
      Array.from({ length: CLIENTS_PER_INSTANCE }, (_, index) => this.client(`${instance}.${index}`, store)),
    );
    await sleep(ms);
    this.isRunning = false;
    await Promise.all(clients);
  }

  /** Once Redis answers again: every session is read by every instance, and the history is checked. */
  async settle(): Promise<void> {
    for (const store of this.stores) {
      const until = performance.now() + 20_000;
      while ((await store.count().catch(() => null)) === null && performance.now() < until) await sleep(50);
    }
    const sessions = [...new Set([...this.known.map(({ session }) => session), ...this.ended])];
    for (const [index, session] of sessions.entries()) {
      const store = this.stores[index % this.stores.length] as RedisSessionStore;
      await this.record('final', () => this.request(store, session));
    }
    const { wrong, undone } = checkHistory(this.history, { limit: LIMIT, lost: this.lost });
    // Every replica had the ends that were confirmed, so no promotion may undo one.
    const found = [...wrong, ...undone];
    this.wrong.push(...found);
    if (found.length > 0) process.stderr.write(`${this.storyOf(found.join())}\n`);
    this.faults = [];
    this.count('ends checked', this.ended.length);
    this.history = [];
    this.known = [];
    this.ended.length = 0;
    this.lost = [];
  }

  /** A fault that has just ended. */
  caused(fault: string, from: number): void {
    this.count(`fault: ${fault}`);
    this.faults.push({ fault, from, to: performance.now() });
  }

  /** What happened to the sessions that are named in the text, and the faults meanwhile. */
  private storyOf(text: string): string {
    const at = (ms: number): string => ms.toFixed(0).padStart(8);
    const deeds = this.history
      .filter(({ did }) =>
        'session' in did
          ? did.session !== null && text.includes(did.session)
          : did.kind === 'list' && (text.includes(did.user) || did.sessions?.some((session) => text.includes(session))),
      )
      .map(({ client, invokedAt, completedAt, did }) => ({
        at: invokedAt,
        line: `${at(invokedAt)} ${at(completedAt)} ${client} ${JSON.stringify(did)}`,
      }));
    const faults = this.faults.map(({ fault, from, to }) => ({
      at: from,
      line: `${at(from)} ${at(to)} FAULT ${fault}`,
    }));
    return [...deeds, ...faults]
      .sort((a, b) => a.at - b.at)
      .map(({ line }) => line)
      .join('\n');
  }

  /** Writes since `from` may be lost, except for those that replicas confirm. */
  mayLose(from: number): void {
    this.lost.push({ from, to: performance.now() });
  }

  private async client(name: string, store: RedisSessionStore): Promise<void> {
    while (this.isRunning) {
      const before = this.counts['503'] ?? 0;
      await this.record(name, () => this.deed(store));
      // While the circuit is open refusals come at once, without a turn of the event loop.
      await sleep((this.counts['503'] ?? 0) === before ? randomInt(3) : 10);
    }
  }

  private async record(client: string, act: () => Promise<Deed | null>): Promise<void> {
    const invokedAt = performance.now();
    const did = await act();
    if (!did) return;
    this.history.push({ client, invokedAt, completedAt: performance.now(), did });
    const outcome = 'outcome' in did ? did.outcome : did.sessions ? 'ok' : 'unknown';
    this.count(outcome === 'unknown' ? '503' : 'answers');
  }

  private async deed(store: RedisSessionStore): Promise<Deed | null> {
    const dice = randomInt(100);
    const user = `${this.epoch}-${randomInt(USERS)}`;
    const known = this.known[randomInt(Math.max(1, this.known.length))];
    if (!known || dice < 12) return this.signIn(store, user);
    if (dice < 18) return this.end(store, known);
    if (dice < 20) return this.endAll(store, user);
    if (dice < 30) return this.list(store, user);
    if (dice < 45) return this.refresh(store, known);
    return this.request(store, known.session);
  }

  private async signIn(store: RedisSessionStore, user: string): Promise<Deed> {
    const hash = randomBytes(32);
    const limit = { max: LIMIT, onLimit: 'evict-oldest' } as const;
    // A command that was sent again may find that its session began at the first time, and ended meanwhile.
    const created = store
      .createLive({ userId: user }, { limit, credentials: { refresh: hash } })
      .catch((error: unknown) => {
        if (error instanceof AuthenticationError) return null;
        throw error;
      });
    const live = await answerOf(created);
    if (!live) return { kind: 'sign-in', user, session: null, outcome: 'unknown' };
    const session = live.session.id;
    const { generation = 0, branch = 0 } = live.families.refresh ?? {};
    this.known.push({ session, user, hash, generation, branch, isRefreshing: false });
    if (this.known.length > 400) this.known.shift();
    return { kind: 'sign-in', user, session, outcome: 'ok' };
  }

  private async request(store: RedisSessionStore, session: string): Promise<Deed> {
    const snapshot = await answerOf(store.read(session));
    const outcome = !snapshot ? 'unknown' : snapshot.state === 'live' ? 'accepted' : 'refused';
    return { kind: 'request', session, outcome };
  }

  private async end(store: RedisSessionStore, { session }: Known): Promise<Deed> {
    const done = await answerOf(store.destroy(session));
    if (done !== null) this.ended.push(session);
    return { kind: 'end', session, outcome: done === null ? 'unknown' : 'ok' };
  }

  private async endAll(store: RedisSessionStore, user: string): Promise<Deed> {
    const done = await answerOf(store.destroyAll(user));
    return { kind: 'end-all', user, outcome: done === null ? 'unknown' : 'ok' };
  }

  private async list(store: RedisSessionStore, user: string): Promise<Deed> {
    const sessions = await answerOf(store.getActiveSessions(user));
    return { kind: 'list', user, sessions: sessions && sessions.map(({ id }) => id) };
  }

  private async refresh(store: RedisSessionStore, known: Known): Promise<Deed | null> {
    // Two holders of one token would be reuse.
    if (known.isRefreshing) return null;
    known.isRefreshing = true;
    const { session, hash, generation, branch } = known;
    try {
      const outcome = await answerOf(
        store.rotate(session, {
          kind: 'refresh',
          presented: { hash, generation, branch },
          grace: 30_000,
          rotateAfter: 0,
          rotateFirst: true,
          touch: true,
        }),
      );
      const base = { kind: 'refresh', session, presented: generation } as const;
      if (!outcome) return { ...base, returned: null, outcome: 'unknown' };
      if (!('generation' in outcome)) return { ...base, returned: null, outcome: 'refused' };
      known.generation = outcome.generation;
      known.branch = outcome.branch;
      return { ...base, returned: outcome.generation, outcome: 'ok' };
    } finally {
      known.isRefreshing = false;
    }
  }

  count(name: string, by = 1): void {
    this.counts[name] = (this.counts[name] ?? 0) + by;
  }
}

/** Null for 503; any other error is a wrong answer and fails the soak. */
async function answerOf<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof StoreUnavailableError) return null;
    throw error;
  }
}

/** A primary and its only replica; instances reach the primary through the proxy. */
class Pair {
  private constructor(
    public primary: RedisServer,
    private replica: RedisServer,
    readonly proxy: TcpProxy,
  ) {}

  static async start(): Promise<Pair> {
    const args = ['--appendonly', 'yes', '--appendfsync', 'always', '--repl-diskless-sync-delay', '0'];
    const [primary, replica] = [await startRedis({ args }), await startRedis({ args })];
    const pair = new Pair(primary, replica, await startProxy({ targetPort: primary.port }));
    await follow(replica, primary);
    await inStep(primary, 1);
    return pair;
  }

  /** Nothing that the primary confirmed is lost: it hands over once the replica has everything. False if it did not. */
  async failOver(): Promise<boolean> {
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
  async promote(): Promise<number | null> {
    if (!(await this.isPromotable())) return null;
    const from = performance.now() - 1_000;
    await ask(this.replica, 'REPLICAOF', 'NO', 'ONE');
    await sleep(randomInt(300));
    await follow(this.primary, this.replica);
    this.swap();
    return from;
  }

  async stop(): Promise<void> {
    await this.proxy.stop();
    for (const server of [this.primary, this.replica]) {
      try {
        server.resume();
      } catch {
        // It is down.
      }
      await server.stop();
    }
  }

  /** Whether the replica has all and keeps it: after a full synchronisation it writes its file again. */
  private async isPromotable(): Promise<boolean> {
    const isInStep = await inStep(this.primary, 1).then(
      () => true,
      () => false,
    );
    return (
      isInStep &&
      within(PROMOTION, async () => {
        const info = String(await ask(this.replica, 'INFO', 'everything'));
        const wanted = ['master_link_status:up', 'aof_rewrite_in_progress:0', 'aof_rewrite_scheduled:0'];
        return wanted.every((line) => info.includes(`${line}\r`)) || undefined;
      })
    );
  }

  private swap(): void {
    [this.primary, this.replica] = [this.replica, this.primary];
    this.proxy.retarget(this.primary.port);
    this.proxy.reset();
  }
}

async function ask(server: RedisServer, command: string, ...args: (string | number)[]): Promise<unknown> {
  const admin = new Redis(server.url);
  admin.on('error', () => undefined);
  try {
    return await admin.call(command, ...args);
  } finally {
    admin.disconnect();
  }
}

async function follow(replica: RedisServer, primary: RedisServer): Promise<void> {
  await ask(replica, 'REPLICAOF', '127.0.0.1', primary.port);
}

async function hasHandedOver(primary: RedisServer): Promise<boolean> {
  return within(PROMOTION, async () => {
    const info = String(await ask(primary, 'INFO', 'replication'));
    if (info.includes('role:slave')) return true;
    // It gave up, and goes on as before.
    return info.includes('master_failover_state:no-failover') ? false : undefined;
  });
}

/** The first answer, or false if there is none within `ms`. */
async function within(ms: number, find: () => Promise<boolean | undefined>): Promise<boolean> {
  const until = performance.now() + ms;
  while (performance.now() < until) {
    const found = await find();
    if (found !== undefined) return found;
    await sleep(20);
  }
  return false;
}

const FAULTS: Readonly<Record<string, (pair: Pair, soak: Soak) => Promise<unknown>>> = {
  kill: async ({ primary }) => {
    await primary.kill();
    await sleep(randomInt(800));
    await primary.restart();
  },
  pause: async ({ primary }) => {
    primary.pause();
    await sleep(500 + randomInt(1_500));
    primary.resume();
  },
  reset: async ({ proxy }) => proxy.reset(),
  'half-open': async ({ proxy }) => proxy.muteOpenLinks(),
  'lost reply': async ({ proxy }) => proxy.dropNextReply(),
  'black hole': async ({ proxy }) => {
    proxy.blackhole(true);
    await sleep(300 + randomInt(1_200));
    proxy.blackhole(false);
  },
  latency: async ({ proxy }) => {
    proxy.setDelay(100 + randomInt(300));
    await sleep(1_000);
    proxy.setDelay(0);
  },
  'script flush': async ({ primary }) => ask(primary, 'SCRIPT', 'FLUSH'),
  'out of memory': async ({ primary }) => {
    await ask(primary, 'CONFIG', 'SET', 'maxmemory', '1mb');
    await sleep(300 + randomInt(900));
    await ask(primary, 'CONFIG', 'SET', 'maxmemory', '0');
  },
  failover: async (pair, soak) => {
    if (!(await pair.failOver())) soak.count('failovers given up');
  },
  promotion: async (pair, soak) => {
    const from = await pair.promote();
    if (from === null) soak.count('promotions given up');
    else soak.mayLose(from);
  },
};

/** Each kind of fault once, in any order. */
function shuffled(): string[] {
  const names = Object.keys(FAULTS);
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

it(`soaks for ${SECONDS} s without a wrong answer`, async () => {
  const logs = new CapturedLogs();
  const pair = await Pair.start();
  const stores: RedisSessionStore[] = [];
  try {
    for (let index = 0; index < INSTANCES; index += 1) {
      const url = `redis://127.0.0.1:${pair.proxy.port}`;
      const connection = await RedisConnection.open(url, { commandTimeout: COMMAND_TIMEOUT });
      const store = new RedisSessionStore(connection, { minReplicas: 1 });
      stores.push(store);
      await store.ready();
    }
    const soak = new Soak(stores);
    const since = performance.now();
    const until = since + SECONDS * 1_000;
    const heaps: number[] = [];
    let faults: string[] = [];
    while (performance.now() < until) {
      const ms = Math.min(EPOCH * 1_000, Math.max(1_000, until - performance.now()));
      const running = soak.run(ms);
      const stopAt = performance.now() + ms - 2_500;
      while (performance.now() < stopAt) {
        if (faults.length === 0) faults = shuffled();
        const name = faults.pop() as string;
        const from = performance.now();
        await FAULTS[name]?.(pair, soak);
        soak.caused(name, from);
        await sleep(400 + randomInt(1_200));
      }
      await running;
      await soak.settle();
      if (performance.now() - since > WARM_UP * 1_000) heaps.push(heapInUse());
      const left = Math.max(0, Math.round((until - performance.now()) / 1_000));
      process.stderr.write(`soak: ${left} s left, ${JSON.stringify(soak.counts)}, wrong ${soak.wrong.length}\n`);
    }
    const third = Math.max(1, Math.floor(heaps.length / 3));
    const [first, last] = [mean(heaps.slice(0, third)), mean(heaps.slice(-third))];
    const inMegabytes = heaps.map((bytes) => Math.round(bytes / 1e6)).join(' ');
    process.stderr.write(`soak: heap after gc in MB, from ${WARM_UP} s on: ${inMegabytes}\n`);
    expect(soak.wrong).toEqual([]);
    // A soak in which nothing happened proves nothing.
    expect(soak.counts['answers']).toBeGreaterThan(SECONDS * 10);
    expect(soak.counts['ends checked']).toBeGreaterThan(0);
    expect(last - first).toBeLessThan(Math.max(first / 10, HEAP_FLOOR));
  } finally {
    pair.proxy.blackhole(false);
    for (const store of stores) await store.close();
    await pair.stop();
    logs.restore();
  }
});
