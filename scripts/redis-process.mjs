// Starting and stopping Redis servers: used by `npm test` for the shared one and by test/support for servers of a test's own.
import { spawn, spawnSync } from 'node:child_process';
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

/**
 * Names a directory with the files of the servers and, for each one that runs, an empty file called by its process id.
 * `npm test` sets it and looks in it when jest is done: what still runs was left behind by a test.
 */
const REGISTRY = 'TEST_REDIS_REGISTRY';
const HOST = '127.0.0.1';

/**
 * The server binary: TEST_REDIS_SERVER where set, else redis-server or valkey-server on PATH.
 * @returns {string | undefined}
 */
export function findServerBinary() {
  if (process.env.TEST_REDIS_SERVER) return process.env.TEST_REDIS_SERVER;
  for (const name of ['redis-server', 'valkey-server']) {
    for (const folder of (process.env.PATH ?? '').split(delimiter)) {
      const file = join(folder, name);
      try {
        accessSync(file, constants.X_OK);
        return file;
      } catch {
        continue;
      }
    }
  }
  return undefined;
}

/**
 * Whether a port of 127.0.0.1 can be listened on now.
 * @param {number} port
 * @returns {Promise<boolean>}
 */
export function isPortFree(port) {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen({ port, host: HOST, exclusive: true }, () => probe.close(() => resolve(true)));
  });
}

/**
 * A port of 127.0.0.1 that nobody listens on now.
 * @returns {Promise<number>}
 */
export function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen({ port: 0, host: HOST }, () => {
      const address = probe.address();
      probe.close(() =>
        address !== null && typeof address === 'object' ? resolve(address.port) : reject(new Error('no port')),
      );
    });
  });
}

/** One redis-server process without persistence, in a temporary directory, which answers PING once `start` resolves. */
export class RedisProcess {
  /** @type {import('node:child_process').ChildProcess | undefined} */
  #child;
  #binary;
  #args;
  #config;
  #dir;
  #exited = Promise.resolve();

  /**
   * @param {{ binary: string, port: number, args?: readonly string[], config?: string }} options `args` come last, so they
   * win over ours; `config` is the text of a file that the server may rewrite, as a Sentinel must.
   */
  constructor({ binary, port, args = [], config }) {
    this.#binary = binary;
    this.#args = args;
    this.#config = config;
    this.port = port;
    this.#dir = mkdtempSync(join(process.env[REGISTRY] || tmpdir(), 'sessions-redis-'));
  }

  get url() {
    return `redis://${HOST}:${this.port}`;
  }

  /** @returns {number} */
  get pid() {
    if (this.#child?.pid === undefined) throw new Error(`the Redis server of port ${this.port} is not running`);
    return this.#child.pid;
  }

  get running() {
    return this.#child !== undefined;
  }

  /** @returns {Promise<void>} */
  async start() {
    if (this.#child) throw new Error(`the Redis server of port ${this.port} is running already`);
    mkdirSync(this.#dir, { recursive: true });
    const log = openSync(join(this.#dir, 'server.log'), 'a');
    const args = ['--dir', this.#dir, ...this.#args];
    const child = spawn(this.#binary, [...this.#configFile(), ...baseArgs(this.#binary, this.port), ...args], {
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    this.#child = child;
    const { pid } = child;
    note(pid);
    // A server that a test forgot must not keep jest from ending; the registry finds it.
    child.unref();
    this.#exited = new Promise((resolve) => {
      const ended = () => {
        forget(pid);
        this.#child = undefined;
        resolve();
      };
      child.once('exit', ended);
      child.once('error', ended);
    });
    await this.#answers();
  }

  /** Ends the server in order and removes its directory. Safe to repeat. */
  async stop() {
    await this.#end('SIGTERM');
    rmSync(this.#dir, { recursive: true, force: true });
  }

  /** Ends the server as a crash would; `start` brings it back on the same port and directory. */
  async kill() {
    await this.#end('SIGKILL');
  }

  /** Ends the server in order and starts it again on the same port and directory. */
  async restart() {
    await this.#end('SIGTERM');
    await this.start();
  }

  /** Stops the process in its tracks: its sockets stay open and nothing answers. */
  pause() {
    process.kill(this.pid, 'SIGSTOP');
  }

  resume() {
    process.kill(this.pid, 'SIGCONT');
  }

  /** @param {'SIGTERM' | 'SIGKILL'} signal */
  async #end(signal) {
    const child = this.#child;
    if (child === undefined) return;
    child.ref();
    child.kill(signal);
    // A paused process gets SIGTERM only once it goes on.
    child.kill('SIGCONT');
    const last = setTimeout(() => child.kill('SIGKILL'), 3_000);
    await this.#exited;
    clearTimeout(last);
  }

  /** Written once: what a server made of it must outlive a restart. */
  #configFile() {
    if (this.#config === undefined) return [];
    const file = join(this.#dir, 'server.conf');
    if (!existsSync(file)) writeFileSync(file, this.#config);
    return [file];
  }

  async #answers() {
    const deadline = Date.now() + 10_000;
    while (Date.now() < deadline) {
      if (this.#child === undefined) throw new Error(`${this.#binary} ended at once:\n${this.#log()}`);
      const answer = await ask(this.port, 'INFO server');
      // Whoever else took the port answers as well.
      if (answer.startsWith('-NOAUTH') || answer.includes(`process_id:${this.#child?.pid}\r`)) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await this.kill();
    throw new Error(`${this.#binary} did not answer on port ${this.port} within 10 s:\n${this.#log()}`);
  }

  #log() {
    return readFileSync(join(this.#dir, 'server.log'), 'utf8').split('\n').slice(-15).join('\n');
  }
}

/**
 * Starts a server on a free port; tries another one when somebody else took the port meanwhile.
 * @param {{ binary: string, args?: readonly string[], config?: string, pickPort?: () => Promise<number> }} options
 * @returns {Promise<RedisProcess>}
 */
export async function startRedisProcess({ binary, args = [], config, pickPort = freePort }) {
  for (let attempt = 1; ; attempt++) {
    const server = new RedisProcess({ binary, args, config, port: await pickPort() });
    try {
      await server.start();
      return server;
    } catch (error) {
      await server.stop();
      if (attempt === 3) throw error;
    }
  }
}

/**
 * @param {string} binary
 * @param {number} port
 */
function baseArgs(binary, port) {
  const args = ['--port', String(port), '--bind', HOST, '--save', '', '--appendonly', 'no'];
  args.push('--maxmemory-policy', 'noeviction', '--daemonize', 'no');
  if (majorVersion(binary) >= 7) args.push('--enable-debug-command', 'yes');
  return args;
}

/** @type {Map<string, number>} */
const versions = new Map();

/** @param {string} binary */
function majorVersion(binary) {
  let major = versions.get(binary);
  if (major === undefined) {
    const { stdout } = spawnSync(binary, ['--version'], { encoding: 'utf8' });
    major = Number(/v=(\d+)\./.exec(stdout ?? '')?.[1] ?? 0);
    versions.set(binary, major);
  }
  return major;
}

/**
 * Whether a Redis answers on a port of 127.0.0.1.
 * @param {number} port
 */
export async function ping(port) {
  return (await ask(port, 'PING')).startsWith('+PONG');
}

/**
 * The beginning of the reply, or an empty string when there is none within a second.
 * @param {number} port
 * @param {string} command
 * @returns {Promise<string>}
 */
function ask(port, command) {
  return new Promise((resolve) => {
    const socket = connect({ port, host: HOST });
    let reply = '';
    const done = () => {
      socket.destroy();
      resolve(reply);
    };
    socket.setTimeout(1_000, done);
    socket.once('error', done);
    socket.once('close', done);
    socket.once('connect', () => socket.end(`${command}\r\n`));
    socket.on('data', (data) => (reply += data.toString()));
  });
}

/** @param {number | undefined} pid */
function note(pid) {
  const registry = process.env[REGISTRY];
  if (registry && pid !== undefined) writeFileSync(join(registry, String(pid)), '');
}

/** @param {number | undefined} pid */
function forget(pid) {
  const registry = process.env[REGISTRY];
  if (registry && pid !== undefined) rmSync(join(registry, String(pid)), { force: true });
}
