// What it costs to bind a session to a device, and a token to a key: `node bench/binding.mjs`. Each variant is a process of its own, and
// all take turns. Prints requests a second and µs of CPU of the server's process for each request, medians of the rounds.
import 'reflect-metadata';
import { fork } from 'node:child_process';
import { generateKeyPairSync, hash, randomUUID, sign } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';
import { Controller, Get, Module, Post, Query, UseGuards } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Public, ReqSession, SessionGuard, SessionModule } from 'nestjs-sessions';
import { median } from './median.mjs';
import { startServer } from './redis-server.mjs';

const VARIANTS = {
  cookie: {},
  'cookie, deviceBound': { deviceBound: true },
  bearer: {},
  'bearer, dpop': { dpop: 'required' },
};
const [CONNECTIONS, REQUESTS, ROUNDS] = [
  8,
  Number(process.env.BENCH_REQUESTS ?? 4_000),
  Number(process.env.BENCH_ROUNDS ?? 7),
];

/** The same at the sign-in and after: another client is refused. */
const CLIENT = { 'user-agent': 'bench' };

const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const jwk = keys.publicKey.export({ format: 'jwk' });

function signed(header, payload) {
  const input = [header, payload].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  const signature = sign('sha256', Buffer.from(input), { key: keys.privateKey, dsaEncoding: 'ieee-p1363' });
  return `${input}.${signature.toString('base64url')}`;
}

function dpopProof(htm, htu, token) {
  const iat = Math.floor(Date.now() / 1000);
  const ath = token === undefined ? {} : { ath: hash('sha256', token, 'base64url') };
  return signed({ typ: 'dpop+jwt', alg: 'ES256', jwk }, { jti: randomUUID(), htm, htu, iat, ...ath });
}

/** The application of one variant. */
async function serve(variant) {
  const { deviceBound = false, dpop = 'off' } = VARIANTS[variant];
  class Account {
    me() {
      return { ok: true };
    }
    async login(transport, session) {
      return session.start({ userId: `user-${randomUUID()}` }, { transport });
    }
  }
  const decorate = (name, decorators) => {
    const descriptor = Object.getOwnPropertyDescriptor(Account.prototype, name);
    for (const decorator of decorators) decorator(Account.prototype, name, descriptor);
  };
  decorate('me', [Get('me')]);
  decorate('login', [Post('login'), Public()]);
  Query('transport')(Account.prototype, 'login', 0);
  ReqSession()(Account.prototype, 'login', 1);
  UseGuards(SessionGuard)(Account);
  Controller()(Account);
  class App {}
  const sessions = SessionModule.forRoot({
    redis: process.env.BENCH_REDIS_URL,
    secrets: 'the same secret for every process of this measurement',
    jwt: { issuer: 'i', audience: 'a', accessTokenTtl: '1h', dpop },
    deviceBound,
  });
  Module({ imports: [sessions], controllers: [Account] })(App);
  const app = await NestFactory.create(App, { logger: false });
  await app.listen(0, '127.0.0.1');
  process.on('message', () => process.send({ cpu: process.cpuUsage() }));
  process.send({ url: (await app.getUrl()).replace('localhost', '127.0.0.1') });
}

/** Signs in once for each connection, and returns what makes the headers of its next request. */
async function signIn(url, variant) {
  const isCookie = variant.startsWith('cookie');
  const isDpop = variant.endsWith('dpop');
  const path = `/login?transport=${isCookie ? 'cookie' : 'bearer'}`;
  const proof = isDpop ? { dpop: dpopProof('POST', `${url}/login`) } : {};
  const reply = await fetch(url + path, { method: 'POST', headers: { ...CLIENT, ...proof } });
  if (reply.status !== 201) throw new Error(`${variant}: ${reply.status} ${await reply.text()}`);
  const cookies = reply.headers.getSetCookie().map((line) => line.split(';')[0]);
  const { tokens } = await reply.json();
  if (!isCookie) {
    const authorization = `${isDpop ? 'DPoP' : 'Bearer'} ${tokens.accessToken}`;
    return () => ({ authorization, ...(isDpop && { dpop: dpopProof('GET', `${url}/me`, tokens.accessToken) }) });
  }
  if (variant.endsWith('deviceBound')) {
    const challenge = /challenge="([^"]+)"/.exec(reply.headers.get('secure-session-registration'))[1];
    const proved = signed({ typ: 'dbsc+jwt', alg: 'ES256', jwk }, { jti: challenge });
    const headers = {
      ...CLIENT,
      cookie: cookies.join('; '),
      'secure-session-response': `"${proved}"`,
      'sec-fetch-site': 'same-origin',
    };
    const bound = await fetch(`${url}/session/device/register`, { method: 'POST', headers });
    if (bound.status !== 200) throw new Error(`register: ${bound.status} ${await bound.text()}`);
    cookies.push(...bound.headers.getSetCookie().map((line) => line.split(';')[0]));
  }
  return () => ({ cookie: cookies.join('; ') });
}

/** Sends prepared requests, one at a time on each connection. Resolves with the seconds that it took. */
async function load(url, queues) {
  const { hostname, port } = new URL(url);
  const sockets = await Promise.all(
    queues.map(async () => {
      const socket = connect({ host: hostname, port: Number(port), noDelay: true });
      await once(socket, 'connect');
      return socket;
    }),
  );
  const since = performance.now();
  await Promise.all(
    sockets.map(
      (socket, index) =>
        new Promise((resolve, reject) => {
          const queue = queues[index];
          let sent = 0;
          const next = () => (sent === queue.length ? resolve() : socket.write(queue[sent++]));
          socket.on('data', (chunk) => {
            if (chunk.toString('latin1', 9, 12) !== '200') reject(new Error(chunk.toString()));
            else next();
          });
          socket.on('error', reject);
          next();
        }),
    ),
  );
  const seconds = (performance.now() - since) / 1000;
  for (const socket of sockets) socket.destroy();
  return seconds;
}

async function measure({ child, url, makers }) {
  const queues = makers.map((make) =>
    Array.from({ length: REQUESTS / CONNECTIONS }, () => {
      const lines = Object.entries({ host: new URL(url).host, ...CLIENT, ...make() }).map(
        ([name, value]) => `${name}: ${value}\r\n`,
      );
      return `GET /me HTTP/1.1\r\n${lines.join('')}\r\n`;
    }),
  );
  const cpuOf = async () => {
    child.send('cpu');
    const [{ cpu }] = await once(child, 'message');
    return cpu.user + cpu.system;
  };
  const before = await cpuOf();
  const seconds = await load(url, queues);
  return { rate: REQUESTS / seconds, cpu: ((await cpuOf()) - before) / REQUESTS };
}

async function main() {
  const redis = await startServer();
  process.env.BENCH_REDIS_URL = redis.url;
  const servers = [];
  for (const variant of Object.keys(VARIANTS)) {
    const child = fork(fileURLToPath(import.meta.url), [variant]);
    const [{ url }] = await once(child, 'message');
    const makers = [];
    for (let index = 0; index < CONNECTIONS; index += 1) makers.push(await signIn(url, variant));
    servers.push({ variant, child, url, makers, runs: [] });
  }
  for (const server of servers) await measure(server);
  for (let round = 0; round < ROUNDS; round += 1)
    for (const server of round % 2 ? [...servers].reverse() : servers) server.runs.push(await measure(server));
  for (const { variant, runs, child } of servers) {
    const [rate, cpu] = [median(runs.map((run) => run.rate)), median(runs.map((run) => run.cpu))];
    console.log(`${variant.padEnd(20)} ${rate.toFixed(0).padStart(6)} requests/s ${cpu.toFixed(0).padStart(5)} µs`);
    child.kill();
  }
  await redis.stop();
}

if (process.argv[2] === undefined) await main();
else await serve(process.argv[2]);
