// What a session costs in Redis: fills a server of its own on loopback with production-like sessions, one a user, through
// the built package, and divides the growth of used_memory by their number.
//   node bench/redis-memory.mjs --sessions 1000000
import { createHash, randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { Redis } from 'ioredis';
import { RedisSessionStore } from 'nestjs-sessions';
import { findServerBinary, startRedisProcess } from '../scripts/redis-process.mjs';

/** docs: at most 1.1 KiB a session. */
const BUDGET = 1.1 * 1024;
/** Bytes of the record, as JSON. */
const RECORD_BYTES = 300;
/** Requests under way at once. */
const PARALLEL = 256;

const { values } = parseArgs({ options: { sessions: { type: 'string', default: '100000' } } });
const sessions = Number(values.sessions);
if (!Number.isSafeInteger(sessions) || sessions < 1) throw new Error('--sessions: give a whole number above 0');

const binary = findServerBinary();
if (binary === undefined) throw new Error('no redis-server or valkey-server on the PATH; set TEST_REDIS_SERVER to one');
const server = await startRedisProcess({ binary });
const redis = new Redis(server.url);
const store = new RedisSessionStore(redis, { commandTimeout: 10_000 });
try {
  await store.ready();
  // A first session brings scripts and buffers into memory, which are not to be counted.
  await store.create(input(-1));
  const before = await usedMemory();
  const startedAt = performance.now();
  let next = 0;
  await Promise.all(
    Array.from({ length: PARALLEL }, async () => {
      while (next < sessions) await store.create(input(next++), options());
    }),
  );
  const seconds = (performance.now() - startedAt) / 1000;
  const perSession = ((await usedMemory()) - before) / sessions;
  const { record, key } = await sizes();
  console.log(
    `${sessions} sessions, one a user, record of ${record} bytes, both families (${binary}, ${await version()})`,
  );
  console.log(`created in ${seconds.toFixed(1)} s, ${Math.round(sessions / seconds)} a second from one process`);
  console.log(
    `memory: ${perSession.toFixed(0)} bytes a session = ${(perSession / 1024).toFixed(2)} KiB, of these ${key} by MEMORY USAGE of one user's hash`,
  );
  console.log(`budget: ${BUDGET.toFixed(0)} bytes: ${perSession <= BUDGET ? 'kept' : 'EXCEEDED'}`);
  if (perSession > BUDGET) process.exitCode = 1;
} finally {
  await store.close();
  redis.disconnect();
  await server.stop();
}

/** A user id like a UUID, and the fields that the sample application fills in. */
function input(/** @type {number} */ index) {
  const id = createHash('sha256').update(String(index)).digest('hex');
  const session = {
    userId: [id.slice(0, 8), id.slice(8, 12), id.slice(12, 16), id.slice(16, 20), id.slice(20, 32)].join('-'),
    email: `user-${id.slice(0, 7)}@example.com`,
    roles: ['user'],
    deviceId: id.slice(32, 54),
    deviceName: 'Chrome on Windows',
    deviceType: /** @type {const} */ ('desktop'),
    metadata: {
      ip: `203.0.113.${Math.abs(index) % 256}`.padEnd(13, '0'),
      device: 'Chrome',
      fingerprint: `v1.${id.slice(40)}`,
    },
    data: { note: '' },
  };
  const missing = RECORD_BYTES - Buffer.byteLength(JSON.stringify({ v: 1, ...session, userId: undefined }));
  return { ...session, data: { note: 'x'.repeat(Math.max(0, missing)) } };
}

function options() {
  return { credentials: { cookie: randomBytes(32), refresh: randomBytes(32) }, client: randomBytes(8) };
}

async function usedMemory() {
  return Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1]);
}

async function version() {
  return /(?:valkey|redis)_version:(\S+)/.exec(await redis.info('server'))?.[1];
}

async function sizes() {
  const [, keys] = await redis.scan(0, 'MATCH', '*:user:*', 'COUNT', 10_000);
  const user = keys.find(Boolean);
  if (user === undefined) throw new Error('no user was written');
  const fields = await redis.hkeys(user);
  const field = fields.find((name) => name.startsWith('r') && name.length === 17) ?? 'r';
  return { record: await redis.hstrlen(user, field), key: await redis.memory('USAGE', user) };
}
