// eslint-disable-next-line @typescript-eslint/ban-ts-comment -- a script that builds nonsense on purpose; it is run, not compiled
// @ts-nocheck
// Sends seeded nonsense to the built sample on Express and on Fastify: cookies, headers, bodies and session data.
// Nothing may answer 5xx, take longer than a second, reject unhandled, or open a route without a live session.
// Usage: node test/fuzz/fuzz.mjs [--requests 100000] [--seconds 60] [--seed 1]
// TEST_COUNTS_FILE where to write {"passed": n, "failed": n} at the end
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { freePort } from '../../scripts/redis-process.mjs';
import { Connection } from './connection.mjs';
import { Generator } from './generator.mjs';

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '100000' },
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: '1' },
  },
});
const ADAPTERS = ['express', 'fastify'];
const CONNECTIONS = 8;
/** The longest that an answer may take, ms. */
const LONGEST = 1_000;
const root = fileURLToPath(new URL('../..', import.meta.url));
const counts = { passed: 0, failed: 0 };
let total = 0;

for (const [index, adapter] of ADAPTERS.entries()) {
  const app = await startApp(adapter);
  try {
    await fuzz(adapter, app, Number(values.seed) * 2 + index);
  } finally {
    app.process.kill('SIGKILL');
  }
}
console.log(
  `fuzz: ${total} requests with seed ${values.seed}; ${counts.passed} checks passed, ${counts.failed} failed`,
);
if (process.env.TEST_COUNTS_FILE) writeFileSync(process.env.TEST_COUNTS_FILE, JSON.stringify(counts));
process.exit(counts.failed === 0 ? 0 : 1);

async function startApp(adapter) {
  const port = await freePort();
  const { REDIS_URL: _redis, NODE_ENV: _env, ...env } = process.env;
  const child = spawn(process.execPath, ['dist/main.js'], {
    cwd: root,
    env: { ...env, PORT: String(port), HTTP_ADAPTER: adapter, LOG_LEVEL: 'error' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  process.once('exit', () => child.kill('SIGKILL'));
  const app = { process: child, port, url: `http://127.0.0.1:${port}`, log: '', exit: null };
  child.once('exit', (code, signal) => (app.exit = signal ?? code));
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (app.log += chunk));
  const deadline = Date.now() + 60_000;
  while ((await fetch(`${app.url}/health`).catch(() => null))?.status !== 200) {
    if (app.exit !== null || Date.now() > deadline) throw new Error(`${adapter} did not start: ${app.log}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return app;
}

/** Credentials of one session, as a browser and as a client with tokens hold them. */
async function signIn({ url }) {
  const response = await fetch(`${url}/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email: 'user@example.com', password: 'user-password-1' }),
  });
  if (response.status !== 200) throw new Error(`sign-in answered ${response.status}`);
  const { accessToken, refreshToken } = await response.json();
  const cookies = response.headers.getSetCookie().map((line) => line.split(';')[0] ?? '');
  return { accessToken, refreshToken, cookie: cookies.find((line) => line.startsWith('session=')) ?? '' };
}

async function fuzz(adapter, app, seed) {
  const [ended, live] = [await signIn(app), await signIn(app)];
  const bearer = { authorization: `Bearer ${ended.accessToken}` };
  await fetch(`${app.url}/auth/logout`, { method: 'POST', headers: bearer });
  const generator = new Generator(seed, { ended, live });
  const end = Date.now() + (Number(values.seconds) * 1_000) / ADAPTERS.length;
  const budget = Math.ceil(Number(values.requests) / ADAPTERS.length);
  const found = { failing: [], slow: [], open: [] };
  let sent = 0;

  const run = async () => {
    const connection = new Connection(app.port);
    while (sent < budget && Date.now() < end && app.exit === null) {
      sent += 1;
      const request = generator.next();
      const answer = await connection.send(request.bytes, LONGEST);
      if (answer === 'slow') {
        // Sent once more by itself: a busy machine is not a hang.
        const again = await new Connection(app.port).send(request.bytes, 5 * LONGEST);
        if (again === 'slow') found.slow.push(request);
      } else if (answer !== 'closed') {
        if (answer >= 500) found.failing.push({ ...request, answer });
        if (request.isGuarded && answer >= 200 && answer < 300) found.open.push({ ...request, answer });
      }
    }
    connection.close();
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, run));
  total += sent;

  check(adapter, 'no 5xx', found.failing);
  check(adapter, `no answer takes longer than ${LONGEST} ms`, found.slow);
  check(adapter, 'no route opens without a live session', found.open);
  const unhandled = app.exit !== null || /unhandled|uncaught/i.test(app.log);
  check(adapter, 'the process lives, with no unhandled rejection', unhandled ? [{ exit: app.exit, log: app.log }] : []);
  const still = await fetch(`${app.url}/me`, { headers: { authorization: `Bearer ${live.accessToken}` } }).catch(
    () => null,
  );
  check(adapter, 'the live session is still the only one that opens', still?.status === 200 ? [] : [still?.status]);
  console.log(`== fuzz: ${sent} requests on ${adapter}`);
}

function check(adapter, name, findings) {
  if (findings.length === 0) {
    counts.passed += 1;
    return;
  }
  counts.failed += 1;
  console.error(`FAILED on ${adapter}: ${name} (${findings.length})`);
  for (const finding of findings.slice(0, 5)) {
    console.error(
      JSON.stringify(finding, (_key, value) => (Buffer.isBuffer(value) ? value.toString('latin1') : value)),
    );
  }
}
