// What a guard adds to a request: CPU time of the server's process, less that of the same route without a guard. Each variant is a
// process of its own. They are measured in turn, in short rounds, and the route without a guard before and after each of them, so that
// a machine that slows down slows down both.
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
 * @typedef {{ variant: string, rate: number, cpu: number, added: number, share: number }} Cost `rate` in requests a second, `cpu` and
 *   `added` in µs a request, `share` of the throughput of the route without a guard; medians of all rounds.
 * @typedef {{ rate: number, cpu: number }} Run
 * @typedef {{ run: Run, base: Run }} Pair `base` is the route without a guard, measured just before and just after.
 * @typedef {{ variant: string, rate: number, p50: number, p99: number }} Latency in ms, at `rate` requests a second.
 */

/**
 * @param {{ platform: 'express' | 'fastify', variants: readonly string[], redisUrl: string, requests: number, rounds: number,
 *   latencyOf: readonly string[], progress: (done: string) => void }} options The first of `variants` is the one without a guard.
 * @returns {Promise<{ costs: Cost[], latencies: Latency[] }>}
 */
export async function measureCosts({ platform, variants, redisUrl, requests, rounds, latencyOf, progress }) {
  const servers = [];
  try {
    for (const variant of variants) {
      servers.push(await Server.start(platform, variant, redisUrl));
      progress(`${platform}: started ${variant}`);
    }
    for (const server of servers) {
      // Until everything is compiled.
      await server.load({ count: Math.ceil(3 * requests * (SHARES[server.variant] ?? 1)) });
      progress(`${platform}: warmed up ${server.variant}`);
    }
    const [unguarded, ...guarded] = servers;
    if (!unguarded) throw new Error('no variant to measure');
    /** @type {Run[]} */
    const bases = [];
    const pairs = new Map(guarded.map((server) => [server, /** @type {Pair[]} */ ([])]));
    for (let round = 0; round < rounds; round += 1) {
      let before = await unguarded.measure(requests);
      bases.push(before);
      for (let index = 0; index < guarded.length; index += 1) {
        // Each round begins with another variant.
        const server = guarded[(index + round) % guarded.length];
        if (!server) continue;
        const run = await server.measure(requests);
        const after = await unguarded.measure(requests);
        bases.push(after);
        pairs
          .get(server)
          ?.push({ run, base: { rate: mean(before.rate, after.rate), cpu: mean(before.cpu, after.cpu) } });
        before = after;
        progress(`${platform}: round ${round + 1} of ${rounds}, ${server.variant}`);
      }
    }
    const costs = servers.map((server) =>
      costOf(server.variant, pairs.get(server) ?? bases.map((base) => ({ run: base, base }))),
    );
    const latencies = [];
    for (const server of servers.filter(({ variant }) => latencyOf.includes(variant))) {
      const half = Math.round((costs.find(({ variant }) => variant === server.variant)?.rate ?? 0) / 2);
      const { latencies: sorted } = await server.load({ count: 2 * requests, rate: half });
      const at = (/** @type {number} */ part) => sorted[Math.floor(sorted.length * part)] ?? NaN;
      latencies.push({ variant: server.variant, rate: half, p50: at(0.5), p99: at(0.99) });
      progress(`${platform}: latency of ${server.variant}`);
    }
    return { costs, latencies };
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
  }
}

/** @returns {Cost} */
function costOf(/** @type {string} */ variant, /** @type {readonly Pair[]} */ pairs) {
  return {
    variant,
    rate: median(pairs.map(({ run }) => run.rate)),
    cpu: median(pairs.map(({ run }) => run.cpu)),
    added: median(pairs.map(({ run, base }) => run.cpu - base.cpu)),
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

  async measure(/** @type {number} */ most) {
    const count = Math.ceil(most * (SHARES[this.variant] ?? 1));
    // A process that has waited for its turn is slower at first: V8 gives up code that was not used for a while.
    await this.load({ count: Math.ceil(count / 3) });
    const before = await this.#cpu();
    const { requests, perSecond } = await this.load({ count });
    return { rate: perSecond, cpu: ((await this.#cpu()) - before) / requests };
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
