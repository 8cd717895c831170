// What one process does in a second beside authenticating, and how that grows with what is stored. Runs on the server's processor:
//   node bench/operations.mjs '{"redis": [url, url], "operations": 10000, "stored": 100000, "seconds": 0.4, "rounds": 7}'
// The second server is filled with so many sessions, one a user; the first holds ten. Prints one line of JSON.
import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { Redis } from 'ioredis';
import { SessionModule, SessionService, SessionStore, TokenService } from 'nestjs-sessions';
import { median } from './median.mjs';

const PARALLEL = 64;
const HARD_LIMIT = 1_000;
const FEW = 10;

const { redis, operations, stored, seconds, rounds } = JSON.parse(process.argv[2] ?? '{}');
const [few, many] = await Promise.all(redis.map(open));
try {
  progress('signing in, refreshing, listing, ending');
  const rates = await everyOperation(few);
  await fill(few, FEW);
  await fill(many, stored);
  const growth = [];
  for (const [name, operation] of /** @type {const} */ ([
    ['authenticate', authenticate],
    ['sign in and end', signInAndEnd],
  ])) {
    progress(`${name}: with ${FEW} and with ${stored} sessions stored`);
    growth.push({
      name,
      few: FEW,
      many: stored,
      ...(await compare(
        () => operation(few),
        () => operation(many),
      )),
    });
  }
  const inUse = await compare(
    () => authenticate(many),
    () => authenticate({ ...many, credentials: many.furtherCredentials }),
  );
  growth.push({ name: 'authenticate, sessions in use', few: FEW, many: HARD_LIMIT, hasBudget: false, ...inUse });
  const [lonely, crowd] = [await userWith(many, 1), await userWith(many, HARD_LIMIT)];
  progress('a user with 1 and with 1,000 sessions');
  const ofUser = await compare(
    () => many.sessions.authenticate(lonely),
    () => many.sessions.authenticate(crowd),
  );
  growth.push({ name: 'authenticate, sessions of the user', few: 1, many: HARD_LIMIT, ...ofUser });
  process.stdout.write(`${JSON.stringify({ rates, growth })}\n`);
} finally {
  for (const { app, admin } of [few, many]) {
    await app.close();
    admin.disconnect();
  }
}

function progress(text) {
  process.send?.(text);
}

async function open(url) {
  const module = SessionModule.forRoot({
    redis: url,
    secrets: 'a secret of the load tests, the same for every server',
    jwt: { issuer: 'https://issuer.example', audience: 'api' },
    session: { maxSessionsPerUser: HARD_LIMIT },
    events: { log: false },
    // Many commands wait behind many others here.
    commandTimeout: 10_000,
  });
  const app = await NestFactory.createApplicationContext(module, { logger: ['error'] });
  const [sessions, tokens, store] = [app.get(SessionService), app.get(TokenService), app.get(SessionStore)];
  return { app, sessions, tokens, store, admin: new Redis(url), credentials: [], furtherCredentials: [] };
}

function userOf(userId) {
  return {
    userId,
    email: `${userId}@example.com`,
    roles: ['user'],
    deviceName: 'Chrome on Windows',
    deviceType: 'desktop',
    metadata: { userAgent: 'Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/131.0.0.0', ip: '203.0.113.7' },
  };
}

/** One after the other, each for as many sessions as there are `operations`. */
async function everyOperation({ sessions, tokens, admin }) {
  const users = Array.from({ length: operations }, (_, index) => `user-${index}`);
  const started = [];
  const both = { credentials: ['cookie', 'refresh'] };
  const startAll = async () => {
    started.length = 0;
    return timed(admin, users, async (user) => started.push(await sessions.start(userOf(user), both)));
  };
  const limit = { limit: { max: 5, onLimit: 'evict-least-recent' } };
  const atLimit = users.slice(0, Math.ceil(operations / 5));
  // Without being measured, until everything is compiled.
  for (const user of users.slice(0, 500)) await sessions.endAll((await sessions.start(userOf(user))).session.userId);
  const result = { 'sign in': await startAll() };
  result['authenticate a cookie'] = await timed(admin, started, ({ cookieToken }) =>
    sessions.authenticate(cookieToken),
  );
  result['refresh'] = await timed(admin, started, ({ refreshToken }) => tokens.refresh(refreshToken));
  result['list'] = await timed(admin, users, (user) => sessions.list(user));
  result['end'] = await timed(admin, started, ({ session }) => sessions.end(session.id));
  for (let count = 0; count < 5; count += 1) await timed(admin, atLimit, (user) => sessions.start(userOf(user)));
  const again = [...atLimit, ...atLimit, ...atLimit, ...atLimit, ...atLimit].slice(0, operations);
  result['sign in at a limit of 5'] = await timed(admin, again, (user) => sessions.start(userOf(user), limit));
  result['end all 5 of a user'] = await timed(admin, atLimit, (user) => sessions.endAll(user));
  return result;
}

/** Per second, and µs of CPU for each: of this process, and of Redis. */
async function timed(admin, inputs, run) {
  const before = { cpu: cpuTime(), redis: await redisTime(admin), at: performance.now() };
  let next = 0;
  const work = async () => {
    while (next < inputs.length) await run(inputs[next++]);
  };
  await Promise.all(Array.from({ length: PARALLEL }, work));
  const elapsed = performance.now() - before.at;
  return {
    perSecond: (inputs.length * 1000) / elapsed,
    cpu: (cpuTime() - before.cpu) / inputs.length,
    redisCpu: ((await redisTime(admin)) - before.redis) / inputs.length,
  };
}

function cpuTime() {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** µs that the server's process has used so far. */
async function redisTime(admin) {
  const info = await admin.info('cpu');
  const used = (field) => Number(new RegExp(`^used_cpu_${field}:([\\d.]+)`, 'm').exec(info)?.[1]);
  return (used('user') + used('sys')) * 1e6;
}

/** Ten of the sessions are used, however many are stored. What more sessions in use cost the process is measured by itself. */
async function fill(server, sessions) {
  const users = Array.from({ length: sessions }, (_, index) => `stored-${index}`);
  let done = 0;
  let next = 0;
  const work = async () => {
    while (next < users.length) {
      const index = next++;
      const { cookieToken } = await server.sessions.start(userOf(users[index]));
      if (index % Math.ceil(sessions / FEW) === 0) server.credentials.push(cookieToken);
      if (server.furtherCredentials.length < HARD_LIMIT) server.furtherCredentials.push(cookieToken);
      done += 1;
      if (done % 5_000 === 0) progress(`stored ${done} of ${sessions} sessions`);
    }
  };
  await Promise.all(Array.from({ length: 4 * PARALLEL }, work));
}

async function authenticate({ sessions, credentials }) {
  return sessions.authenticate(credentials[Math.floor(Math.random() * credentials.length)]);
}

async function signInAndEnd({ sessions }) {
  const { session } = await sessions.start(userOf(`visitor-${Math.floor(Math.random() * 1e9)}`));
  await sessions.end(session.id);
}

/** The token of a user with so many sessions. */
async function userWith({ sessions }, count) {
  const user = `user-of-${count}`;
  let token;
  for (let index = 0; index < count; index += 1) ({ cookieToken: token } = await sessions.start(userOf(user)));
  return token;
}

/** In turn, for several short rounds. `ratio` is how much slower the second is: 1 for the same. */
async function compare(first, second) {
  const rates = [[], []];
  for (const operation of [first, second]) await perSecond(operation);
  for (let round = 0; round < rounds; round += 1) {
    for (const [index, operation] of [first, second].entries()) rates[index].push(await perSecond(operation));
  }
  const ratio = median(rates[0].map((rate, round) => rate / rates[1][round]));
  return { perSecond: rates.map(median), ratio };
}

async function perSecond(operation) {
  const until = performance.now() + seconds * 1000;
  const since = performance.now();
  let count = 0;
  const work = async () => {
    while (performance.now() < until) {
      await operation();
      count += 1;
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, work));
  return (count * 1000) / (performance.now() - since);
}
