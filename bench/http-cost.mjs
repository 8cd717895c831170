// What a guard adds to a request: CPU time of the server's process, less that of the same route without a guard. Each variant is a
// process of its own, beside another one without a guard. The two take turns, so that a machine that slows down slows down both, and
// nobody else is there: a process that waits long for its turn is slower in it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { getRequest, load } from './load.mjs';
import { median } from './median.mjs';
import { onServersProcessor } from './processors.mjs';

const CLIENTS = 64;
/** Variants so slow that fewer requests do. @type {Record<string, number>} */
const SHARES = { 'passport-string': 1 / 5, 'better-auth': 1 / 2 };

/**
 * @typedef {{ variant: string, rate: number, cpu: number, added: number, unguarded: number, share: number }} Cost `rate` in requests
 *   a second, `cpu`, `added` and `unguarded` (the route without a guard, meanwhile) in µs a request, `share` of that route's
 *   throughput; medians of all rounds.
 * @typedef {{ rate: number, cpu: number }} Run
 * @typedef {{ run: Run, base: Run }} Pair `base` is the route without a guard, measured just before and just after.
 * @typedef {{ variant: string, rate: number, p50: number, p99: number }} Latency in ms, at `rate` requests a second.
 */

/**
 * @param {{ platform: 'express' | 'fastify', variants: readonly string[], redisUrl: string, requests: number, rounds: number,
 *   latencyOf: readonly string[], sharesBase: boolean, progress: (done: string) => void }} options The first of `variants` is the one
 *   without a guard; with `sharesBase` one process of it stands beside all others, which starts faster.
 * @returns {Promise<{ costs: Cost[], latencies: Latency[] }>}
 */
export async function measureCosts(options) {
  const { platform, variants, redisUrl, requests, rounds, latencyOf, sharesBase, progress } = options;
  const [unguarded = '', ...guarded] = variants;
  /** @type {Run[]} */
  const bases = [];
  /** @type {Cost[]} */
  const costs = [];
  /** @type {Latency[]} */
  const latencies = [];
  const latency = async (/** @type {Server} */ server, /** @type {number} */ rate) => {
    const half = Math.round(rate / 2);
    const { latencies: sorted } = await server.load({ count: 2 * requests, rate: half });
    const at = (/** @type {number} */ part) => sorted[Math.floor(sorted.length * part)] ?? NaN;
    latencies.push({ variant: server.variant, rate: half, p50: at(0.5), p99: at(0.99) });
    progress(`${platform}: latency of ${server.variant}`);
  };
  /** @type {Set<Server>} */
  const running = new Set();
  const start = async (/** @type {string} */ variant) => {
    const server = await Server.start(platform, variant, redisUrl);
    running.add(server);
    return server;
  };
  const stop = async (/** @type {Server} */ server) => {
    running.delete(server);
    await server.stop();
  };
  /** @type {Server | null} */
  let base = null;
  try {
    for (const variant of guarded) {
      base ??= await start(unguarded);
      const server = await start(variant);
      progress(`${platform}: started ${variant}`);
      // Until everything is compiled.
      for (const each of [base, server]) await each.warmUp(requests);
      progress(`${platform}: warmed up ${variant}`);
      /** @type {Pair[]} */
      const pairs = [];
      let before = await base.measure(requests);
      bases.push(before);
      for (let round = 0; round < rounds; round += 1) {
        const run = await server.measure(requests);
        const after = await base.measure(requests);
        bases.push(after);
        pairs.push({ run, base: { rate: mean(before.rate, after.rate), cpu: mean(before.cpu, after.cpu) } });
        before = after;
        progress(`${platform}: round ${round + 1} of ${rounds}, ${variant}`);
      }
      const cost = costOf(variant, pairs);
      costs.push(cost);
      if (variant === guarded[0] && latencyOf.includes(unguarded)) await latency(base, before.rate);
      if (latencyOf.includes(variant)) await latency(server, cost.rate);
      await stop(server);
      if (!sharesBase) {
        await stop(base);
        base = null;
      }
    }
  } finally {
    await Promise.all([...running].map(stop));
  }
  const none = costOf(
    unguarded,
    bases.map((run) => ({ run, base: run })),
  );
  return { costs: [none, ...costs], latencies };
}

/** @returns {Cost} */
function costOf(/** @type {string} */ variant, /** @type {readonly Pair[]} */ pairs) {
  return {
    variant,
    rate: median(pairs.map(({ run }) => run.rate)),
    cpu: median(pairs.map(({ run }) => run.cpu)),
    added: median(pairs.map(({ run, base }) => run.cpu - base.cpu)),
    unguarded: median(pairs.map(({ base }) => base.cpu)),
    share: median(pairs.map(({ run, base }) => run.rate / base.rate)),
  };
}

function mean(/** @type {number} */ a, /** @type {number} */ b) {
  return (a + b) / 2;
}

class Server {
  #child;
  #port;
  #requests;

  /**
   * @param {string} variant
   * @param {import('node:child_process').ChildProcess} child
   * @param {{ port: number, headers: Record<string, string>[] }} started
   */
  constructor(variant, child, { port, headers }) {
    this.variant = variant;
    this.#child = child;
    this.#port = port;
    this.#requests = headers.map((each) => getRequest('/me', each));
  }

  /** @returns {Promise<Server>} */
  static async start(/** @type {string} */ platform, /** @type {string} */ variant, /** @type {string} */ redisUrl) {
    const file = fileURLToPath(new URL('server.mjs', import.meta.url));
    const [command, args] = onServersProcessor([
      ...(process.env.BENCH_NODE_ARGS?.split(' ') ?? []),
      file,
      platform,
      variant,
      String(CLIENTS),
    ]);
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
      env: { ...process.env, BENCH_REDIS_URL: redisUrl, NODE_ENV: 'production' },
    });
    /** @type {string} */
    const line = await new Promise((resolve, reject) => {
      createInterface({ input: /** @type {import('node:stream').Readable} */ (child.stdout) }).once('line', resolve);
      child.once('exit', () => reject(new Error(`the server for "${variant}" on ${platform} did not start`)));
    });
    return new Server(variant, child, JSON.parse(line));
  }

  /**
   * @param {{ count: number, rate?: number }} options
   * @throws {Error} where an answer is not 200: then it is not the request that was measured.
   */
  async load(options) {
    const result = await load({ port: this.#port, requests: this.#requests, ...options });
    if (result.failed > 0) throw new Error(`${this.variant}: ${result.failed} of ${result.requests} requests failed`);
    return result;
  }

  async warmUp(/** @type {number} */ most) {
    await this.load({ count: this.#share(3 * most) });
  }

  async measure(/** @type {number} */ most) {
    const count = this.#share(most);
    // A process that has waited for its turn is slower at first: V8 gives up code that was not used for a while.
    await this.load({ count: Math.ceil(count / 3) });
    const before = await this.#cpu();
    const { requests, perSecond } = await this.load({ count });
    return { rate: perSecond, cpu: ((await this.#cpu()) - before) / requests };
  }

  #share(/** @type {number} */ most) {
    return Math.ceil(most * (SHARES[this.variant] ?? 1));
  }

  async stop() {
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await ended;
  }

  /** µs that the process has used so far. */
  async #cpu() {
    const answer = once(this.#child, 'message');
    this.#child.send('cpu');
    const [{ user, system }] = await answer;
    return user + system;
  }
}
