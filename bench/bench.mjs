// npm run bench: one table in one run. It takes about twelve minutes; `--quick`, which only shows that everything runs, two.
//
//   npm ci --prefix bench                       once: better-auth, which nothing else here needs
//   npm run bench -- [--quick] [--check] [--platform express|fastify] [--only cookie,bearer] [--stored 1000000]
//
// A whole run rewrites docs/performance.md, the table in README.md and the chart docs/images/bench.svg; --no-write leaves them alone.
// With --check the exit code tells whether every budget is kept; --tolerance 1.5 allows half as much again.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { findServerBinary, startRedisProcess } from '../scripts/redis-process.mjs';
import { budgetsOf } from './budgets.mjs';
import { measureCosts } from './http-cost.mjs';
import { isPinned, keepAway, onServersProcessor } from './processors.mjs';
import { Progress } from './progress.mjs';
import { markdownOf, writeReport } from './report.mjs';
import { VARIANTS } from './variants.mjs';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    check: { type: 'boolean', default: false },
    tolerance: { type: 'string', default: '1' },
    platform: { type: 'string' },
    only: { type: 'string' },
    rounds: { type: 'string' },
    requests: { type: 'string' },
    stored: { type: 'string' },
    'no-write': { type: 'boolean', default: false },
    'no-operations': { type: 'boolean', default: false },
  },
});
const rounds = Number(values.rounds ?? (values.quick ? 1 : 5));
/** In a round, on each platform: about half a second where nobody is signed in. */
const requests = {
  express: Number(values.requests ?? (values.quick ? 500 : 5_000)),
  fastify: Number(values.requests ?? (values.quick ? 1_000 : 15_000)),
};
const stored = Number(values.stored ?? (values.quick ? 1_000 : 100_000));
const isWhole = !values.quick && !values.platform && !values.only && !values['no-operations'];
/** @type {('express' | 'fastify')[]} */
const platforms = ['express', 'fastify'].filter((name) => (values.platform ?? name) === name);
const only = values.only?.split(',');

const binary = findServerBinary();
if (binary === undefined) throw new Error('no redis-server or valkey-server on the PATH; set TEST_REDIS_SERVER to one');
const hasBetterAuth = existsSync(fileURLToPath(new URL('node_modules/better-auth', import.meta.url)));
if (!hasBetterAuth) console.error('better-auth is left out. To measure it: npm ci --prefix bench');
if (!isPinned) console.error('Processes cannot be pinned to processors here: the figures will scatter.');

const chosen = (/** @type {'express' | 'fastify'} */ platform) =>
  VARIANTS.filter(
    ({ key, on }) =>
      (!on || on === platform) &&
      (hasBetterAuth || key !== 'better-auth') &&
      (!only || key === 'none' || only.includes(key)),
  ).map(({ key }) => key);

keepAway(process.pid);
const steps = platforms.reduce((sum, platform) => sum + (chosen(platform).length - 1) * (2 + rounds) + 3, 0);
const progress = new Progress(steps);
const servers = [await startRedisProcess({ binary }), await startRedisProcess({ binary })];
for (const { pid } of servers) keepAway(pid);
try {
  const [first, second] = servers;
  const startedAt = new Date();
  /** @type {import('./report.mjs').Results} */
  const results = { startedAt, rounds, requests, costs: {}, latencies: {}, operations: null };
  for (const platform of platforms) {
    const measured = await measureCosts({
      platform,
      variants: chosen(platform),
      redisUrl: first?.url ?? '',
      requests: requests[platform],
      rounds,
      latencyOf: ['none', 'cookie', 'near-cookie'],
      sharesBase: values.quick,
      progress: (done) => progress.step(done),
    });
    results.costs[platform] = measured.costs;
    results.latencies[platform] = measured.latencies;
  }
  if (!values['no-operations']) {
    const input = {
      redis: [first?.url, second?.url],
      operations: values.quick ? 300 : 10_000,
      stored,
      seconds: values.quick ? 0.1 : 0.35,
      rounds,
    };
    results.operations = await measureOperations(input, (text) => progress.say(text));
  }
  progress.end();
  const budgets = budgetsOf(results, Number(values.tolerance));
  console.log(markdownOf(results, budgets));
  if (isWhole && !values['no-write']) console.error(`written: ${writeReport(results, budgets).join(', ')}`);
  console.error(`${Math.round((Date.now() - startedAt.getTime()) / 1000)} s`);
  if (values.check && budgets.some(({ kept }) => !kept)) process.exitCode = 1;
} finally {
  await Promise.all(servers.map((server) => server.stop()));
}

async function measureOperations(/** @type {object} */ input, /** @type {(text: string) => void} */ onProgress) {
  const file = fileURLToPath(new URL('operations.mjs', import.meta.url));
  const [command, args] = onServersProcessor([file, JSON.stringify(input)]);
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
  child.on('message', onProgress);
  const lines = /** @type {string[]} */ ([]);
  createInterface({ input: /** @type {import('node:stream').Readable} */ (child.stdout) }).on('line', (line) =>
    lines.push(line),
  );
  const [code] = await once(child, 'close');
  const last = lines.at(-1);
  if (code !== 0 || last === undefined) throw new Error('operations.mjs failed');
  return JSON.parse(last);
}
