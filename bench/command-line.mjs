// node bench/command-line.mjs: the command line in a terminal (script(1)), against a Redis of its own with 100,000 sessions of 20,000
// users, and the latency of a guarded route on the same Redis before, while and after all of them end.
import 'reflect-metadata';
import { Controller, Get, Module, UseGuards } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Redis } from 'ioredis';
import { fork, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Agent, get } from 'node:http';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { findServerBinary, startRedisProcess } from '../scripts/redis-process.mjs';

const USERS = 20_000;
const PER_USER = 5;

if (process.argv[2] === 'app') await serve();
else await measure();

/** An application on the same Redis and prefix. Its own session is of another tenant, so that it outlives the others. */
async function serve() {
  const { SessionGuard, SessionModule } = await import('nestjs-sessions');
  const { signInAs } = await import('nestjs-sessions/testing');
  class MeController {
    me() {
      return { ok: true };
    }
  }
  Controller()(MeController);
  UseGuards(SessionGuard)(MeController);
  Get('me')(MeController.prototype, 'me', Object.getOwnPropertyDescriptor(MeController.prototype, 'me'));
  class App {}
  const secrets = randomBytes(48).toString('base64');
  const options = { redis: process.env.REDIS_URL, secrets, tenant: 'beside', events: { log: false } };
  Module({ imports: [SessionModule.forRoot(options)], controllers: [MeController] })(App);
  const app = await NestFactory.create(App, { logger: ['error'] });
  await app.listen(0, '127.0.0.1');
  const { headers } = await signInAs(app, 'ann');
  process.send({ url: `${await app.getUrl()}/me`, headers });
  process.once('disconnect', () => process.exit(0));
}

async function measure() {
  const server = await startRedisProcess({ binary: findServerBinary() });
  const env = { ...process.env, REDIS_URL: server.url };
  let app;
  try {
    await fill(server.url);
    await timed('--version', env);
    await timed('stats', env);
    await timed('stats --full', env);
    await timed('list', env);
    await timed('list user-77', env);
    await timed('list --where role=rare', env);
    app = fork(fileURLToPath(import.meta.url), ['app'], { env });
    const [{ url, headers }] = await once(app, 'message');
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const latency = (until) => latencyOf(() => request(url, headers, agent), until);
    // The first requests compile the code.
    await latency(wait(2_000));
    report('route before', await latency(wait(10_000)));
    const ending = timed('end --all --yes --reason bench', env);
    report('route while all end', await latency(ending));
    await ending;
    report('route after', await latency(wait(10_000)));
    const client = new Redis(server.url);
    const keys = await client.keys('*');
    const lives = await Promise.all(keys.map((key) => client.ttl(key)));
    const longest = Math.max(...lives);
    console.log(
      `keys left: ${keys.length}, ${keys.filter((_, n) => lives[n] === -1)} for good, others ${longest} s at most`,
    );
    await timed('list --count', env);
    agent.destroy();
    client.disconnect();
  } finally {
    app?.disconnect();
    await server.stop();
  }
}

async function fill(redis) {
  const { RedisSessionStore } = await import('nestjs-sessions');
  const client = new Redis(redis);
  const store = new RedisSessionStore(client, { commandTimeout: 60_000 });
  await store.ready();
  const start = performance.now();
  for (let first = 0; first < USERS; first += 200) {
    const users = Array.from({ length: 200 }, (_, n) => `user-${first + n}`);
    const sessions = users.flatMap((userId) => Array.from({ length: PER_USER }, () => ({ userId, roles: ['user'] })));
    await Promise.all(sessions.map((session) => store.create(session)));
  }
  console.log(`filled with ${await store.count()} sessions in ${seconds(performance.now() - start)}`);
  await store.close();
  await client.quit();
}

async function timed(command, env) {
  const program = fileURLToPath(new URL('../libs/session-cli/dist/main.js', import.meta.url));
  const start = performance.now();
  const run = `bash -c 'time -p ${process.execPath} ${program} ${command}'`;
  const child = spawn('script', ['-qefc', run, '/dev/null'], { env });
  let seen = '';
  child.stdout.on('data', (chunk) => (seen += String(chunk)));
  const [code] = await once(child, 'close');
  const steps = seen.split('\r\x1b[K').filter((line) => line.includes('%'));
  const [, user, sys] = /user ([\d.]+)\s+sys ([\d.]+)/.exec(seen) ?? [];
  const used = seconds(1_000 * (Number(user) + Number(sys)));
  const took = seconds(performance.now() - start);
  console.log(`${command}: ${took}, ${used} of the processor, exit ${code}, ${steps.length} steps of progress`);
}

async function latencyOf(ask, until) {
  let isOver = false;
  void until.then(() => (isOver = true));
  const times = [];
  while (!isOver) {
    const start = performance.now();
    await ask();
    times.push(performance.now() - start);
    await wait(5);
  }
  return times.sort((a, b) => a - b);
}

function request(url, headers, agent) {
  return new Promise((resolve, reject) => {
    get(url, { headers, agent }, (response) => {
      if (response.statusCode !== 200) reject(new Error(`status ${response.statusCode}`));
      response.resume().once('end', resolve);
    }).once('error', reject);
  });
}

function report(name, times) {
  const at = (share) => times[Math.floor(times.length * share)]?.toFixed(2);
  const mean = times.reduce((sum, time) => sum + time, 0) / times.length;
  console.log(
    `${name}: ${times.length} requests, median ${at(0.5)} ms, mean ${mean.toFixed(2)} ms, p99 ${at(0.99)} ms`,
  );
}

function wait(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function seconds(ms) {
  return `${(ms / 1000).toFixed(2)} s`;
}
