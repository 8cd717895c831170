// One application for one measurement: `node bench/server.mjs <platform> <variant> <clients>`. Prints its port and, for each client, the
// headers that its route /me accepts. Everything but the guard is the same in every variant.
import 'reflect-metadata';
import { createSecretKey, randomBytes } from 'node:crypto';
import { Controller, Get, Headers, Module, Post, Req, UseGuards } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { AuthGuard, PassportStrategy } from '@nestjs/passport';
import { Redis } from 'ioredis';
import jwt from 'jsonwebtoken';
import { ExtractJwt, Strategy } from 'passport-jwt';
import { Public, ReqSession, SessionGuard, SessionModule } from 'nestjs-sessions';
import { JwtAuthGuard } from 'nestjs-sessions/passport';

const [platform = 'express', variant = 'none', clients = '64'] = process.argv.slice(2);
const redis = process.env.BENCH_REDIS_URL;
const SECRET = 'a secret of the load tests, the same for every server';
const PREFIX = `bench-${process.pid}:`;
const NEAR = { nearCache: true };

/** What a browser or a client of an API sends with each request. */
const CLIENT = {
  'user-agent':
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36',
  accept: 'application/json',
};

class TrueGuard {
  canActivate() {
    return true;
  }
}

/** For the sessions of express-session and @fastify/session, whichever store keeps them. */
class SessionUserGuard {
  canActivate(context) {
    return context.switchToHttp().getRequest().session.user !== undefined;
  }
}

const variants = {
  none: () => ({}),
  true: () => ({ guards: [TrueGuard] }),
  cookie: () => ours({}, SessionGuard),
  bearer: () => ours({}, SessionGuard),
  'jwt-auth-guard': () => ours({}, JwtAuthGuard),
  'near-cookie': () => ours(NEAR, SessionGuard),
  'near-bearer': () => ours(NEAR, SessionGuard),
  'near-jwt-auth-guard': () => ours(NEAR, JwtAuthGuard),
  'passport-string': () => passportJwt(SECRET),
  'passport-key': () => passportJwt(createSecretKey(Buffer.from(SECRET))),
  'session-ours': () => frameworkSession(platform === 'express' ? ourExpressStore : ourFastifyStore),
  'session-connect-redis': () => frameworkSession(connectRedis),
  'better-auth': betterAuth,
};

function ours(options, guard) {
  const isBearer = /bearer|jwt/.test(variant);
  const sessions = SessionModule.forRoot({
    redis,
    secrets: SECRET,
    keyPrefix: PREFIX,
    // On a machine that is busy with other work, an answer may take longer than the half second of the default.
    commandTimeout: '5s',
    jwt: { issuer: 'https://issuer.example', audience: 'api', accessTokenTtl: '1h' },
    ...options,
  });
  class SignInController {
    async signIn(user, request) {
      const { tokens } = await request.start(userOf(user), { transport: isBearer ? 'bearer' : 'cookie' });
      return { token: tokens?.accessToken };
    }
  }
  decorateMethod(SignInController, 'signIn', [Post('sign-in'), Public()]);
  Headers('x-user')(SignInController.prototype, 'signIn', 0);
  ReqSession()(SignInController.prototype, 'signIn', 1);
  return { guards: [guard], imports: [sessions], controllers: [SignInController], credential: signIn };
}

function passportJwt(secretOrKey) {
  class BenchStrategy extends PassportStrategy(Strategy) {
    constructor() {
      super({ jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(), secretOrKey, algorithms: ['HS256'] });
    }
    validate(payload) {
      return { id: payload.sub };
    }
  }
  const credential = (url, user) => {
    const claims = {
      sub: user,
      sid: randomBytes(24).toString('base64url'),
      jti: randomBytes(40).toString('base64url'),
    };
    const token = jwt.sign(claims, SECRET, { expiresIn: '1h', issuer: 'https://issuer.example', audience: 'api' });
    return { authorization: `Bearer ${token}` };
  };
  return { guards: [AuthGuard('jwt')], providers: [BenchStrategy], credential };
}

async function frameworkSession(openStore) {
  const { store, before = [] } = await openStore();
  class SignInController {
    signIn(user, request) {
      request.session.user = userOf(user);
      return {};
    }
  }
  decorateMethod(SignInController, 'signIn', [Post('sign-in')]);
  Headers('x-user')(SignInController.prototype, 'signIn', 0);
  Req()(SignInController.prototype, 'signIn', 1);
  const prepare = async (app) => {
    const cookie = { secure: false, maxAge: 86_400_000 };
    if (platform === 'fastify') {
      await app.register((await import('@fastify/cookie')).default);
      const { default: session } = await import('@fastify/session');
      await app.register(session, { store, secret: SECRET, saveUninitialized: false, rolling: false, cookie });
    } else {
      const { default: session } = await import('express-session');
      app.use(session({ store, secret: SECRET, resave: false, saveUninitialized: false, rolling: false, cookie }));
      for (const middleware of before) app.use(middleware);
    }
  };
  return { guards: [SessionUserGuard], controllers: [SignInController], prepare, credential: signIn };
}

async function connectRedis() {
  const { RedisStore } = await import('connect-redis');
  return { store: new RedisStore({ client: new Redis(redis), prefix: PREFIX }) };
}

async function ourExpressStore() {
  const { saveBeforeAnswer, SessionExpressStore } = await import('nestjs-sessions/express');
  const store = new SessionExpressStore({ client: new Redis(redis), redis: { keyPrefix: PREFIX } });
  return { store, before: [saveBeforeAnswer()] };
}

async function ourFastifyStore() {
  const { SessionFastifyStore } = await import('nestjs-sessions/fastify');
  return { store: new SessionFastifyStore({ client: new Redis(redis), redis: { keyPrefix: PREFIX } }) };
}

async function betterAuth() {
  const [{ betterAuth: create }, { memoryAdapter }, { fromNodeHeaders }] = await Promise.all([
    import('better-auth'),
    import('better-auth/adapters/memory'),
    import('better-auth/node'),
  ]);
  const client = new Redis(redis, { keyPrefix: PREFIX });
  const auth = create({
    database: memoryAdapter({ user: [], session: [], account: [], verification: [] }),
    secondaryStorage: {
      get: (key) => client.get(key),
      set: (key, value, ttl) => (ttl ? client.set(key, value, 'EX', ttl) : client.set(key, value)),
      delete: (key) => client.del(key),
    },
    secret: SECRET,
    baseURL: 'http://127.0.0.1',
    // Nobody measures how long a password takes to be hashed.
    emailAndPassword: { enabled: true, password: { hash: async (text) => text, verify: async () => true } },
    rateLimit: { enabled: false },
    telemetry: { enabled: false },
    logger: { disabled: true },
  });
  class BetterAuthGuard {
    async canActivate(context) {
      const request = context.switchToHttp().getRequest();
      const found = await auth.api.getSession({ headers: fromNodeHeaders(request.headers) });
      request.user = found?.user;
      return found !== null;
    }
  }
  const credential = async (url, user) => {
    const body = { name: user, email: `${user}@example.com`, password: 'a password of the load tests' };
    const headers = new globalThis.Headers(CLIENT);
    return cookieOf(await auth.api.signUpEmail({ body, headers, asResponse: true }));
  };
  return { guards: [BetterAuthGuard], credential };
}

function userOf(userId) {
  return { userId, email: `${userId}@example.com`, roles: ['user'] };
}

/** Signs in by a request, as a client does. */
async function signIn(url, user) {
  const response = await fetch(`${url}/sign-in`, { method: 'POST', headers: { ...CLIENT, 'x-user': user } });
  if (!response.ok) throw new Error(`sign-in: ${response.status} ${await response.text()}`);
  const { token } = await response.clone().json();
  return token === undefined ? cookieOf(response) : { authorization: `Bearer ${token}` };
}

function cookieOf(response) {
  const pairs = response.headers.getSetCookie().map((line) => line.split(';')[0]);
  return { cookie: pairs.join('; ') };
}

/** Applies decorators without a compiler. */
function decorateMethod(target, name, decorators) {
  const descriptor = Object.getOwnPropertyDescriptor(target.prototype, name);
  for (const decorator of decorators) decorator(target.prototype, name, descriptor);
  Controller()(target);
}

class MeController {
  me() {
    return { id: 'user-1', email: 'user@example.com', roles: ['user'] };
  }
}

const { guards = [], imports = [], providers = [], controllers = [], prepare, credential } = await variants[variant]();
decorateMethod(MeController, 'me', [Get('me'), ...(guards.length > 0 ? [UseGuards(...guards)] : [])]);
class AppModule {}
Module({ imports, providers, controllers: [MeController, ...controllers] })(AppModule);
const adapter = platform === 'fastify' && new (await import('@nestjs/platform-fastify')).FastifyAdapter();
const app = await NestFactory.create(AppModule, ...(adapter ? [adapter] : []), { logger: ['error'] });
await prepare?.(app);
await app.listen(0, '127.0.0.1');
const { port } = app.getHttpServer().address();
const headers = [];
for (let client = 0; client < Number(clients); client += 1) {
  headers.push({ ...CLIENT, ...(await credential?.(`http://127.0.0.1:${port}`, `user-${client}`)) });
}
process.stdout.write(`${JSON.stringify({ port, headers })}\n`);
// What the process itself has used: it does not count what others do on the same processor.
process.on('message', () => process.send(process.cpuUsage()));
process.on('SIGTERM', () => void app.close().then(() => process.exit(0)));
