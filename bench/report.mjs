// The results as Markdown and as a chart.
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { fileURLToPath } from 'node:url';
import { chartOf } from './chart.mjs';
import { variantOf } from './variants.mjs';

/**
 * @typedef {'express' | 'fastify'} Platform
 * @typedef {{ perSecond: number, cpu: number, redisCpu: number }} Rate
 * @typedef {{ name: string, few: number, many: number, perSecond: [number, number], ratio: number,
 *   hasBudget?: boolean }} Growth
 * @typedef {{
 *   startedAt: Date, rounds: number, requests: Record<Platform, number>,
 *   costs: Partial<Record<Platform, import('./http-cost.mjs').Cost[]>>,
 *   latencies: Partial<Record<Platform, import('./http-cost.mjs').Latency[]>>,
 *   operations: { rates: Record<string, Rate>, growth: Growth[] } | null,
 * }} Results
 */

const ROOT = new URL('../', import.meta.url);
const PLATFORMS = /** @type {const} */ (['express', 'fastify']);
const NAMES = { express: 'Express', fastify: 'Fastify' };

/**
 * @param {Results} results
 * @param {readonly import('./budgets.mjs').Budget[]} budgets
 */
export function markdownOf(results, budgets) {
  return [
    ...costTables(results),
    ...latencyTable(results),
    ...operationTables(results),
    ...budgetTable(budgets),
    conditionsOf(results),
    '',
  ].join('\n');
}

/**
 * Rewrites the documents between their markers, and the chart.
 *
 * @param {Results} results
 * @param {readonly import('./budgets.mjs').Budget[]} budgets
 * @returns {string[]} The files.
 */
export function writeReport(results, budgets) {
  const files = { 'docs/performance.md': markdownOf(results, budgets), 'README.md': readmeOf(results) };
  for (const [file, markdown] of Object.entries(files)) {
    const path = fileURLToPath(new URL(file, ROOT));
    const text = readFileSync(path, 'utf8');
    const [before, after] = [text.indexOf(BEGIN), text.indexOf(END)];
    if (before === -1 || after < before) throw new Error(`${file} lacks the lines ${BEGIN} and ${END}`);
    writeFileSync(path, `${text.slice(0, before + BEGIN.length)}\n\n${markdown.trim()}\n\n${text.slice(after)}`);
  }
  const chart = fileURLToPath(new URL('docs/images/bench.svg', ROOT));
  writeFileSync(chart, chartOf(results.costs));
  return [...Object.keys(files), 'docs/images/bench.svg'];
}

const BEGIN = '<!-- npm run bench: begin -->';
const END = '<!-- npm run bench: end -->';

/** Lines as long as prettier leaves them. */
function readmeOf(/** @type {Results} */ results) {
  return `What a guard adds to a request, in µs of CPU of the server's process: medians of one run in which each variant took turns with an
unguarded route, with 64 connections, Redis and the load generator on another processor. \`npm run bench\` measures it on your machine;
[performance](docs/performance.md) has the whole table, and [capacity](docs/capacity.md) what one Redis carries.

![Bar chart of the table below](docs/images/bench.svg)

${shortTable(results)}

${conditionsOf(results)}`;
}

/** What the guard adds, of both platforms. */
function shortTable(/** @type {Results} */ { costs }) {
  /** @type {Map<string, { names: Set<string> } & Partial<Record<Platform, number>>>} */
  const rows = new Map();
  for (const platform of PLATFORMS) {
    for (const { variant, added } of costs[platform] ?? []) {
      if (variant === 'none' || variant === 'true') continue;
      const row = rows.get(variant) ?? { names: new Set() };
      row.names.add(variantOf(platform, variant).name);
      rows.set(variant, { ...row, [platform]: added });
    }
  }
  const cells = [...rows.values()].map(({ names, express, fastify }) => [
    [...names].join('; '),
    micro(express),
    micro(fastify),
  ]);
  return table(['µs of CPU that a guard adds to a request', 'Express', 'Fastify'], cells).join('\n');
}

function costTables(/** @type {Results} */ { costs }) {
  return PLATFORMS.flatMap((platform) => {
    const rows = (costs[platform] ?? []).map(({ variant, added, cpu, rate, share }) => [
      variantOf(platform, variant).name,
      variant === 'none' ? '' : micro(added),
      micro(cpu),
      count(rate),
      `${Math.round(100 * share)} %`,
    ]);
    const head = [NAMES[platform], 'added µs', 'µs a request', 'requests/s', 'of the unguarded route'];
    return rows.length > 0 ? [...table(head, rows), ''] : [];
  });
}

function latencyTable(/** @type {Results} */ { latencies }) {
  const rows = PLATFORMS.flatMap((platform) =>
    (latencies[platform] ?? []).map(({ variant, rate, p50, p99 }) => [
      `${NAMES[platform]}, ${variantOf(platform, variant).name}`,
      count(rate),
      p50.toFixed(2),
      p99.toFixed(2),
    ]),
  );
  return rows.length > 0 ? [...table(['at half of that load', 'requests/s', 'median, ms', 'p99, ms'], rows), ''] : [];
}

function operationTables(/** @type {Results} */ { operations }) {
  if (!operations) return [];
  const rates = Object.entries(operations.rates).map(([name, { perSecond, cpu, redisCpu }]) => [
    name,
    count(perSecond),
    micro(cpu),
    micro(redisCpu),
  ]);
  const growth = operations.growth.map(({ name, few, many, perSecond: [with1 = NaN, with2 = NaN], ratio }) => [
    name,
    `${count(few)}: ${count(with1)}/s`,
    `${count(many)}: ${count(with2)}/s`,
    ratio.toFixed(2),
  ]);
  return [
    ...table(['operation, 64 at once', 'a second', 'µs of the process', 'µs of Redis'], rates),
    '',
    ...table(['sessions stored', 'few', 'many', 'times slower'], growth),
    '',
  ];
}

function budgetTable(/** @type {readonly import('./budgets.mjs').Budget[]} */ budgets) {
  if (budgets.length === 0) return [];
  const rows = budgets.map(({ text, reached, budget, kept }) => [
    text,
    reached.toFixed(2),
    budget.toFixed(2),
    kept ? 'kept' : '**missed**',
  ]);
  return [...table(['budget', 'reached', 'at most', ''], rows), ''];
}

function conditionsOf(/** @type {Results} */ { startedAt, rounds, requests }) {
  const [cpu] = cpus();
  return `${startedAt.toISOString().slice(0, 10)}, Node ${process.versions.node}, Linux ${release()}, ${cpus().length} × ${cpu?.model.trim() ?? 'unknown processor'}; ${rounds} rounds of ${count(requests.express)} requests (Fastify: ${count(requests.fastify)}) a variant, 64 connections, 64 sessions.`;
}

/** As prettier writes it. */
function table(/** @type {string[]} */ head, /** @type {string[][]} */ rows) {
  const widths = head.map((title, column) => Math.max(3, ...[head, ...rows].map((row) => (row[column] ?? '').length)));
  const line = (/** @type {string[]} */ row) =>
    `| ${widths.map((width, column) => (row[column] ?? '').padEnd(width)).join(' | ')} |`;
  return [line(head), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...rows.map(line)];
}

function micro(/** @type {number | undefined} */ value) {
  return value === undefined ? '' : value.toFixed(1);
}

function count(/** @type {number} */ value) {
  return Math.round(value).toLocaleString('en');
}
