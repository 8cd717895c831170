// What idle instances cost Redis: starts a server of its own on loopback, so many instances of an application that does
// nothing, and counts by Redis's own statistics, commands within scripts included.
//   node bench/idle-commands.mjs --seconds 60 --instances 1,3,10 --sessions 1000
import 'reflect-metadata';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { NestFactory } from '@nestjs/core';
import { Redis } from 'ioredis';
import { RedisSessionStore, SessionModule } from 'nestjs-sessions';
import { findServerBinary, startRedisProcess } from '../scripts/redis-process.mjs';

/** The default of `sweeper.interval`: the first minute of a holder includes its reading of all buckets, which is left out. */
const SETTLE = 15_000;
/** Of an instance itself: `set` raises its watermark. */
const UPKEEP = new Set(['ping', 'time', 'info', 'set']);
/** What the counting itself sends. */
const OURS = new Set(['config|resetstat', 'client|setinfo', 'hello']);

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    instances: { type: 'string', default: '1,3,10' },
    sessions: { type: 'string', default: '1000' },
  },
});
const seconds = Number(values.seconds);
const sessions = Number(values.sessions);
const counts = values.instances.split(',').map(Number);
if (!(seconds > 0) || !(sessions >= 0) || !counts.every((count) => count > 0)) throw new Error('give whole numbers');

const binary = findServerBinary();
if (binary === undefined) throw new Error('no redis-server or valkey-server on the PATH; set TEST_REDIS_SERVER to one');

for (const count of counts) {
  const server = await startRedisProcess({ binary });
  const admin = new Redis(server.url);
  const store = new RedisSessionStore(admin, { commandTimeout: 10_000 });
  await store.ready();
  for (let user = 0; user < sessions; user += 1) await store.create({ userId: `user-${user}` });
  await store.close();
  const apps = await Promise.all(
    Array.from({ length: count }, async () => {
      const module = SessionModule.forRoot({
        redis: server.url,
        secrets: 'a secret of the benchmark of idle instances',
        commandTimeout: 5_000,
      });
      return NestFactory.createApplicationContext(module, { logger: ['error'] });
    }),
  );
  await sleep(SETTLE);
  await admin.config('RESETSTAT');
  await sleep(seconds * 1000);
  const by = await commands(admin);
  const upkeep = sum([...by].filter(([name]) => UPKEEP.has(name)));
  const sweep = sum([...by].filter(([name]) => !UPKEEP.has(name)));
  const perInstance = upkeep / count / seconds;
  const kept = sweep / seconds <= 1 && perInstance <= 0.5;
  console.log(
    `${count} instances, ${sessions} sessions, ${seconds} s: ${((upkeep + sweep) / seconds).toFixed(2)} commands/s, ` +
      `sweep ${(sweep / seconds).toFixed(2)}/s, upkeep ${perInstance.toFixed(2)}/s each; ${kept ? 'kept' : 'EXCEEDED'}`,
  );
  console.log(`  ${[...by].map(([name, calls]) => `${name} ${calls}`).join(', ')}`);
  if (!kept) process.exitCode = 1;
  await Promise.all(apps.map((app) => app.close()));
  admin.disconnect();
  await server.stop();
}

async function commands(redis) {
  const info = await redis.info('commandstats');
  const found = [...info.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)].map(([, name, calls]) => [name, Number(calls)]);
  return new Map(found.filter(([name]) => !OURS.has(name)));
}

function sum(entries) {
  return entries.reduce((total, [, calls]) => total + calls, 0);
}
