// Starts the built sample as a user would (node dist/main.js, nothing set but a port), signs in and reads with the cookie.
// TEST_COUNTS_FILE where to write {"passed": n, "failed": n} at the end
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { freePort } from './redis-process.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const port = await freePort();
const url = `http://localhost:${port}`;
const { NODE_ENV: _env, REDIS_URL: _redis, ...env } = process.env;
const app = spawn(process.execPath, ['dist/main.js'], {
  cwd: root,
  env: { ...env, PORT: String(port) },
  stdio: ['ignore', 'pipe', 'pipe'],
});
let log = '';
app.stdout.on('data', (chunk) => (log += chunk));
app.stderr.on('data', (chunk) => (log += chunk));
/** @type {Promise<string | number | null>} */
const exited = new Promise((resolve) => app.once('exit', (code, signal) => resolve(signal ?? code)));
process.once('exit', () => app.kill('SIGKILL'));

const counts = { passed: 0, failed: 0 };
let cookie = '';

await check('GET /health is 200 once the app has started', async () => {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const response = await fetch(`${url}/health`).catch(() => undefined);
    if (response?.status === 200) return;
    if (app.exitCode !== null) throw new Error(`the app ended with ${app.exitCode}`);
    if (Date.now() > deadline) throw new Error(`no 200 within 30 s, last ${response?.status ?? 'no answer'}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
});

await check('POST /auth/login lets the demo user in and sets a cookie', async () => {
  const response = await fetch(`${url}/auth/login`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ email: 'user@example.com', password: 'user-password-1' }),
  });
  await expectStatus(response, 200);
  cookie = response.headers
    .getSetCookie()
    .map((header) => header.split(';')[0])
    .join('; ');
  if (cookie === '') throw new Error('no Set-Cookie');
});

await check('GET /me knows the user by the cookie, and nobody without', async () => {
  await expectStatus(await fetch(`${url}/me`), 401);
  const response = await fetch(`${url}/me`, { headers: { cookie } });
  await expectStatus(response, 200);
  const body = await response.text();
  if (!body.includes('user@example.com')) throw new Error(`got ${body}`);
});

await check('GET / is the page, and what it loads is there', async () => {
  const page = await (await fetch(`${url}/`)).text();
  const files = [...page.matchAll(/(?:src|href)="(\/[^"]+)"/g)].map(([, file]) => file);
  if (files.length < 4) throw new Error(`got ${page}`);
  for (const file of [...files, '/client/index.js']) await expectStatus(await fetch(url + file), 200);
});

await check('SIGTERM ends it in order', async () => {
  app.kill('SIGTERM');
  const timer = setTimeout(() => app.kill('SIGKILL'), 10_000);
  const how = await exited;
  clearTimeout(timer);
  if (how !== 0 && how !== 'SIGTERM') throw new Error(`it ended with ${how}`);
});

if (counts.failed > 0) console.log(`--- log of the app\n${log}`);
if (process.env.TEST_COUNTS_FILE) writeFileSync(process.env.TEST_COUNTS_FILE, JSON.stringify(counts));
process.exitCode = counts.failed > 0 ? 1 : 0;

/**
 * @param {string} name
 * @param {() => Promise<void>} body
 */
async function check(name, body) {
  try {
    await body();
    counts.passed++;
    console.log(`passed: ${name}`);
  } catch (error) {
    counts.failed++;
    console.log(`FAILED: ${name}: ${error instanceof Error ? error.message : error}`);
  }
}

/**
 * @param {Response} response
 * @param {number} status
 */
async function expectStatus(response, status) {
  if (response.status !== status) throw new Error(`wanted ${status}, got ${response.status}: ${await response.text()}`);
}
