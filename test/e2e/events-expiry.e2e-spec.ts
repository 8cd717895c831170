import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { RedisSessionStore } from 'nestjs-sessions';
import { startRedis, type RedisServer } from '../support/redis-server.js';

const SESSIONS = 10_000;
const USERS = 2_500;
const PREFIX = 'expiry:';
const SWEEPER = fileURLToPath(new URL('support/sweeping-process.mjs', import.meta.url));

describe('10,000 sessions expire under three instances that are killed in between', () => {
  let server: RedisServer;
  let admin: Redis;
  let listener: Redis;
  const instances = new Set<ChildProcess>();
  /** Those that have started. */
  const ready = new Set<ChildProcess>();
  /** How often the end of each session was published. */
  const published = new Map<string, number>();
  const reasons = new Set<string>();
  let created = 0;
  /** By which the instance that sweeps says so to the others. */
  let heartbeats = 0;

  beforeAll(async () => {
    server = await startRedis();
    admin = new Redis(server.url);
    // A raw subscriber, so that what is counted is what Redis published and not what the library made of it.
    listener = new Redis(server.url);
    listener.on('message', (_channel: string, message: string) => {
      if (message.startsWith('4 ')) heartbeats += 1;
      const [, , type, sessionId = '', , reason] = message.split('\n')[0]?.split(' ') ?? [];
      if (type === 'created') created += 1;
      if (type !== 'ended') return;
      published.set(sessionId, (published.get(sessionId) ?? 0) + 1);
      reasons.add(reason ?? '');
    });
    await listener.subscribe(`${PREFIX}events`);
  });

  afterAll(async () => {
    for (const instance of instances) instance.kill('SIGKILL');
    for (const client of [admin, listener]) client?.disconnect();
    await server?.stop();
  });

  async function startInstance(): Promise<ChildProcess> {
    const child = spawn(process.execPath, [SWEEPER, server.url, PREFIX, '320ms'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    instances.add(child);
    child.once('exit', () => instances.delete(child));
    await once(child.stdout as NodeJS.ReadableStream, 'data');
    ready.add(child);
    return child;
  }

  async function listed(): Promise<number> {
    const keys = await admin.keys(`${PREFIX}*:expiries`);
    const counts = await Promise.all(keys.map((key) => admin.zcard(key)));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  async function callsOf(command: string): Promise<number> {
    return Number(new RegExp(`^cmdstat_${command}:calls=(\\d+)`, 'm').exec(await admin.info('commandstats'))?.[1] ?? 0);
  }

  it('10,000 removals, 10,000 publishes, no double, and Redis is empty', async () => {
    const running = [startInstance(), startInstance(), startInstance()];
    const client = new Redis(server.url);
    const options = { keyPrefix: PREFIX, idleTimeout: 6_000, tombstoneTtl: 500, commandTimeout: 10_000 };
    const creator = new RedisSessionStore(client, options);
    const ids = new Set<string>();
    // Created without a sweep in between, those of a user together; they expire over as long a time.
    for (let user = 0; user < USERS; user += 50) {
      const batch = Array.from({ length: 50 }, (_, index) => `user-${user + index}`);
      const sessions = await Promise.all(
        batch.flatMap((userId) => Array.from({ length: SESSIONS / USERS }, () => creator.create({ userId }))),
      );
      for (const { id } of sessions) ids.add(id);
    }
    expect(ids.size).toBe(SESSIONS);
    await creator.close();
    client.disconnect();
    await Promise.all(running);

    // As long as something is left, an instance dies now and then, wherever it is, and another takes its place: at first all
    // three, the one that holds the lease among them, then as many as leave one running.
    let killed = 0;
    const replacements: Promise<unknown>[] = [];
    const giveUp = performance.now() + 90_000;
    while ((await listed()) > 0) {
      if (performance.now() > giveUp) throw new Error(`${await listed()} sessions are left`);
      await sleep(300);
      if (published.size === 0) continue;
      const [victim, another] = ready;
      if (!victim || (killed >= 3 && !another)) continue;
      ready.delete(victim);
      victim.kill('SIGKILL');
      killed += 1;
      replacements.push(startInstance());
    }
    await Promise.all(replacements);
    expect(killed).toBeGreaterThanOrEqual(2);

    const waitUntil = performance.now() + 20_000;
    while (published.size < SESSIONS && performance.now() < waitUntil) await sleep(20);
    expect(published.size).toBe(SESSIONS);
    expect([...published.keys()].every((id) => ids.has(id))).toBe(true);
    expect([...published.values()].filter((times) => times !== 1)).toEqual([]);
    expect([...reasons]).toEqual(['idle']);
    expect(created).toBe(SESSIONS);

    // None is left that could publish: what Redis has published is then what the listener has heard.
    const exits = [...instances].map((instance) => once(instance, 'exit'));
    for (const instance of instances) instance.kill('SIGKILL');
    await Promise.all(exits);
    await listener.ping();
    // By Redis's own count: one publish for each beginning, one for each end, one for each heartbeat, and no other.
    expect(heartbeats).toBeGreaterThan(0);
    expect(await callsOf('publish')).toBe(2 * SESSIONS + heartbeats);

    // The lease of the last that swept goes by itself as well.
    // Watermarks stay for an hour: by them an instance notices that the server lost writes.
    const left = async (): Promise<string[]> => (await admin.keys('*')).filter((key) => !key.includes(':watermark:'));
    while ((await left()).length > 0 && performance.now() < waitUntil) await sleep(50);
    expect(await left()).toEqual([]);
  }, 180_000);
});
