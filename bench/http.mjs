// What a guarded request costs beside an unguarded one: every variant is its own process, and all are measured in turn,
// several rounds, so that a machine that slows down slows all of them down. The figures to quote are the ratios.
//
//   node bench/http.mjs [--seconds 4] [--rounds 5] [--connections 64] [--platform express|fastify] [--check]
//
// With --check it fails where a budget of PERFORMANCE is missed by more than a fifth, and where any answer is not 200.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import autocannon from 'autocannon';
import { startServer } from './redis-server.mjs';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '5' },
    connections: { type: 'string', default: '64' },
    platform: { type: 'string' },
    check: { type: 'boolean', default: false },
  },
});
const [seconds, rounds, connections] = [values.seconds, values.rounds, values.connections].map(Number);
const COMMON = [
  'none',
  'passport-jwt string',
  'passport-jwt KeyObject',
  'session cookie',
  'session bearer',
  'JwtAuthGuard bearer',
];
const VARIANTS = { express: [...COMMON, 'express-session connect-redis'], fastify: COMMON };

/** Least share of another variant's throughput. */
const BUDGETS = [
  { platform: 'express', variant: 'session cookie', of: 'none', atLeast: 0.7 },
  { platform: 'fastify', variant: 'session cookie', of: 'none', atLeast: 0.35 },
  { platform: 'express', variant: 'session bearer', of: 'passport-jwt string', atLeast: 3 },
  { platform: 'fastify', variant: 'session bearer', of: 'passport-jwt string', atLeast: 3 },
  { platform: 'express', variant: 'session cookie', of: 'express-session connect-redis', atLeast: 2 },
];

const redis = await startServer();
let failed = false;
try {
  for (const platform of values.platform ? [values.platform] : ['express', 'fastify']) await measure(platform);
} finally {
  await redis.stop();
}
process.exit(failed ? 1 : 0);

async function measure(platform) {
  const servers = await Promise.all(VARIANTS[platform].map((variant) => startVariant(platform, variant)));
  try {
    for (const server of servers) await load(server, 1);
    const results = new Map(servers.map(({ variant }) => [variant, []]));
    for (let round = 0; round < rounds; round += 1) {
      for (const server of servers) results.get(server.variant).push(await load(server, seconds));
    }
    report(platform, results);
  } finally {
    for (const { child } of servers) child.kill('SIGTERM');
  }
}

async function startVariant(platform, variant) {
  const child = spawn(process.execPath, [fileURLToPath(new URL('server.mjs', import.meta.url)), platform, variant], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, BENCH_REDIS_URL: redis.url, NODE_ENV: 'production' },
  });
  const line = await new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve);
    child.once('exit', () => reject(new Error(`the server for "${variant}" on ${platform} did not start`)));
  });
  return { variant, child, ...JSON.parse(line) };
}

async function load({ url, headers, variant }, duration) {
  const result = await autocannon({ url: `${url}/me`, headers, connections, duration });
  if (result.non2xx > 0 || result.errors > 0) {
    failed = true;
    process.stderr.write(`${variant}: ${result.non2xx} answers were not 200, ${result.errors} requests failed\n`);
  }
  return result.requests.average;
}

function report(platform, results) {
  const share = (variant, of) => median(results.get(variant).map((rate, round) => rate / results.get(of)[round]));
  const rows = [...results].map(
    ([variant, rates]) =>
      `| ${variant} | ${Math.round(median(rates)).toLocaleString('en')} | ${Math.round(100 * share(variant, 'none'))} % |`,
  );
  process.stdout.write(`\n${platform} (${rounds} rounds of ${seconds} s, ${connections} connections, medians)\n\n`);
  process.stdout.write(`| route | requests/s | of the unguarded route |\n|---|---|---|\n${rows.join('\n')}\n\n`);
  for (const { variant, of, atLeast, platform: on } of BUDGETS) {
    if (on !== platform) continue;
    const reached = share(variant, of);
    // Short runs on a shared machine scatter: the check is for regressions, the table is for quoting.
    const missed = reached < atLeast * 0.8;
    if (values.check && missed) failed = true;
    process.stdout.write(
      `${missed ? 'MISSED' : reached < atLeast ? 'near' : 'ok'}: ${variant} is ${reached.toFixed(2)} of "${of}", budget ${atLeast}\n`,
    );
  }
}

function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}
