// What `npm test` runs: finds or starts a Redis, runs jest against it, and leaves nothing running.
// TEST_REDIS_URL   a Redis to use (its database is written to); otherwise one is started and stopped here
// TEST_COUNTS_FILE where to write {"passed": n, "failed": n} at the end
//
// When a whole run ends with a few failed files, each of them runs once more, alone: on a shared machine, a pause of a second fails a
// test of time. A file that passes then is named in the last lines and counts as passed; a fault of the code fails twice.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { aptInstall } from './apt-install.mjs';
import { findOrInstallChromium } from './chromium.mjs';
import { findServerBinary, ping, startRedisProcess } from './redis-process.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const run = mkdtempSync(join(tmpdir(), 'sessions-test-'));
const registry = join(run, 'servers');
const results = join(run, 'results.json');
/** More failed files than that are no accident. */
const MOST_REPEATED = 4;
/** Files that failed first and passed when they ran again alone. @type {string[]} */
const unstable = [];
mkdirSync(registry);

/** @type {(() => unknown)[]} */
const cleanups = [];
/** @type {import('node:child_process').ChildProcess | undefined} */
let jest;
/** @type {NodeJS.Signals | undefined} */
let interrupted;

for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
  process.on(signal, () => {
    interrupted = signal;
    jest?.kill('SIGTERM');
  });
}

let code = 1;
try {
  const url = await obtainRedis();
  if (process.env.SKIP_BROWSER !== '1' && findOrInstallChromium() === undefined) {
    throw new Error(
      'no Chromium found for the tests in a real browser. Install one (Debian: apt-get install chromium libnss3-tools), ' +
        'name one with TEST_CHROMIUM, or leave these tests out with SKIP_BROWSER=1.',
    );
  }
  if (interrupted === undefined) code = await runAll(url);
} catch (error) {
  console.error(`npm test: ${error instanceof Error ? error.message : error}`);
} finally {
  for (const cleanup of cleanups.reverse()) await cleanup();
  const left = killLeftovers();
  if (left.length > 0 && interrupted === undefined) {
    console.error(
      `npm test: the tests left ${left.length} Redis server(s) running (process ${left.join(', ')}): stop them in afterAll`,
    );
    code = code || 1;
  }
  writeCounts(left.length);
  for (const file of unstable) console.error(`npm test: unstable: ${file} failed in the whole run and passed alone`);
  rmSync(run, { recursive: true, force: true });
}
process.exitCode = interrupted === undefined ? code : interrupted === 'SIGINT' ? 130 : 143;

async function obtainRedis() {
  if (process.env.TEST_REDIS_URL) {
    // Suites with servers of their own need the binary even so.
    if (findServerBinary() === undefined) installRedis();
    return process.env.TEST_REDIS_URL;
  }
  let binary = findServerBinary();
  if (binary === undefined) {
    const url = await startInDocker();
    if (url !== undefined) {
      installRedis();
      return url;
    }
    installRedis();
    binary = findServerBinary();
  }
  if (binary === undefined) {
    throw new Error(
      'no Redis found. Install one (Debian: apt-get install redis-server; macOS: brew install redis), ' +
        'or start Docker, or set TEST_REDIS_URL=redis://host:port to a Redis whose data may be overwritten.',
    );
  }
  const server = await startRedisProcess({ binary });
  cleanups.push(() => server.stop());
  return server.url;
}

async function startInDocker() {
  if (spawnSync('docker', ['info'], { stdio: 'ignore', timeout: 10_000 }).status !== 0) return undefined;
  const server = ['redis-server', '--save', '', '--maxmemory-policy', 'noeviction', '--enable-debug-command', 'yes'];
  const started = docker(['run', '--rm', '--detach', '--publish', '127.0.0.1::6379', 'redis:7-alpine', ...server]);
  if (started === undefined) return undefined;
  cleanups.push(() => docker(['stop', '--time', '2', started]));
  const port = Number(docker(['port', started, '6379/tcp'])?.split('\n')[0]?.split(':').pop());
  for (let attempt = 0; attempt < 100; attempt++) {
    if (await ping(port)) return `redis://127.0.0.1:${port}`;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return undefined;
}

/** @param {string[]} args */
function docker(args) {
  const { status, stdout, stderr } = spawnSync('docker', args, { encoding: 'utf8', timeout: 120_000 });
  if (status === 0) return stdout.trim();
  console.error(`npm test: docker ${args[0]} failed: ${stderr.trim()}`);
  return undefined;
}

/** Only as root on Debian, where it needs no question asked; everybody else is told what to install. */
function installRedis() {
  const busyBefore = isDefaultPortTaken();
  if (!aptInstall('redis-server', ['redis-server'])) return;
  // The package starts a server of its own where it can; nobody asked for that one.
  if (!busyBefore && isDefaultPortTaken()) {
    spawnSync('service', ['redis-server', 'stop'], { stdio: 'ignore' });
    if (isDefaultPortTaken()) spawnSync('redis-cli', ['-p', '6379', 'shutdown', 'nosave'], { stdio: 'ignore' });
  }
}

function isDefaultPortTaken() {
  const probe =
    "require('net').connect(6379,'127.0.0.1').on('connect',()=>process.exit(0)).on('error',()=>process.exit(1))";
  return spawnSync(process.execPath, ['-e', probe], { timeout: 5_000 }).status === 0;
}

/** @param {string} url */
async function runAll(url) {
  const args = process.argv.slice(2);
  const status = await runJest(url, args);
  if (status === 0 || args.length > 0 || interrupted !== undefined || !existsSync(results)) return status;
  const summary = JSON.parse(readFileSync(results, 'utf8'));
  const failed = summary.testResults.filter((/** @type {{ status: string }} */ file) => file.status === 'failed');
  if (failed.length === 0 || failed.length > MOST_REPEATED) return status;
  let last = 0;
  for (const { name } of failed) {
    if (interrupted !== undefined) return status;
    const file = relative(root, name);
    console.error(`npm test: ${file} failed; once more, alone`);
    rmSync(results, { force: true });
    const again = await runJest(url, ['--runInBand', '--runTestsByPath', file]);
    last ||= again;
    if (!existsSync(results)) continue;
    const { numFailedTests, numRuntimeErrorTestSuites, numPassedTests } = JSON.parse(readFileSync(results, 'utf8'));
    const before = countsOf(summary, name);
    summary.numFailedTests += numFailedTests - before.failed;
    summary.numPassedTests += numPassedTests - before.passed;
    summary.numRuntimeErrorTestSuites += numRuntimeErrorTestSuites - before.broken;
    if (again === 0) unstable.push(file);
  }
  writeFileSync(results, JSON.stringify(summary));
  return last;
}

/**
 * What a file added to the numbers of a whole run.
 *
 * @param {{ testResults: { name: string, assertionResults: { status: string }[] }[] }} summary
 * @param {string} name
 */
function countsOf({ testResults }, name) {
  const tests = testResults.find((file) => file.name === name)?.assertionResults ?? [];
  const of = (/** @type {string} */ status) => tests.filter((test) => test.status === status).length;
  return { passed: of('passed'), failed: of('failed'), broken: tests.length === 0 ? 1 : 0 };
}

/**
 * @param {string} url
 * @param {string[]} args
 * @returns {Promise<number>}
 */
function runJest(url, args) {
  const wantsCounts = !args.some((arg) => /^--(watch|watchAll|outputFile|json|listTests|showConfig|help)\b/.test(arg));
  const flags = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];
  const child = spawn(
    process.execPath,
    [
      ...flags,
      join(root, 'node_modules/jest/bin/jest.js'),
      ...(wantsCounts ? ['--json', `--outputFile=${results}`] : []),
      ...args,
    ],
    {
      cwd: root,
      stdio: 'inherit',
      env: {
        ...process.env,
        TEST_REDIS_URL: url,
        TEST_REDIS_REGISTRY: registry,
        ...(findServerBinary() === undefined ? {} : { TEST_REDIS_SERVER: findServerBinary() }),
      },
    },
  );
  jest = child;
  const watchdog = watchForOpenHandles(child);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (status) => {
      clearInterval(watchdog);
      resolve(status ?? 1);
    });
  });
}

/** Jest waits for ever on a handle a test left open, after it has said so: results written long ago are the sign. */
function watchForOpenHandles(/** @type {import('node:child_process').ChildProcess} */ child) {
  let since = 0;
  return setInterval(() => {
    if (!existsSync(results)) return;
    since ||= Date.now();
    if (Date.now() - since < 15_000) return;
    console.error(
      'npm test: jest cannot end, a test left something open; find it with: npm test -- --detectOpenHandles',
    );
    child.kill('SIGKILL');
  }, 1_000);
}

/** Ends the servers that tests left behind, also those of a killed jest; returns their process ids. */
function killLeftovers() {
  return readdirSync(registry)
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        process.kill(pid, 'SIGKILL');
        return true;
      } catch {
        return false;
      }
    });
}

/** @param {number} leftovers */
function writeCounts(leftovers) {
  const file = process.env.TEST_COUNTS_FILE;
  if (!file) return;
  const counts = { passed: 0, failed: leftovers > 0 ? 1 : 0 };
  if (existsSync(results)) {
    const summary = JSON.parse(readFileSync(results, 'utf8'));
    counts.passed = summary.numPassedTests;
    // A suite that could not even load has no tests to count.
    counts.failed += summary.numFailedTests + summary.numRuntimeErrorTestSuites;
  }
  if (code !== 0 && counts.failed === 0) counts.failed = 1;
  writeFileSync(file, JSON.stringify(counts));
}
