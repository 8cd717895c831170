// One application for one measurement: `node bench/server.mjs <platform> <variant>`. Prints its port and a credential that
// its route /me accepts. Everything but the guard is the same in every variant.
import 'reflect-metadata';
import { createSecretKey, randomBytes } from 'node:crypto';
import { Controller, Get, Module, UseGuards } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { AuthGuard, PassportStrategy } from '@nestjs/passport';
import jwt from 'jsonwebtoken';
import { ExtractJwt, Strategy } from 'passport-jwt';
import { JwtAuthGuard, SessionGuard, SessionModule, SessionService, TokenService } from 'nestjs-sessions';

const [platform = 'express', variant = 'none'] = process.argv.slice(2);
const redis = process.env.BENCH_REDIS_URL;
const SECRET = 'x'.repeat(48);

/** Applies decorators without a compiler. */
function decorate(target, decorators) {
  for (const decorator of decorators) decorator(target);
  return target;
}

class MeController {
  me() {
    return { id: 'user-1', email: 'user@example.com', roles: ['user'] };
  }
}

function controller(guards) {
  decorate(MeController, [Controller()]);
  const descriptor = Object.getOwnPropertyDescriptor(MeController.prototype, 'me');
  Get('me')(MeController.prototype, 'me', descriptor);
  if (guards.length > 0) UseGuards(...guards)(MeController.prototype, 'me', descriptor);
  return MeController;
}

const variants = {
  none: () => ({ guards: [] }),
  'passport-jwt string': () => passportJwt(SECRET),
  'passport-jwt KeyObject': () => passportJwt(createSecretKey(Buffer.from(SECRET))),
  'session cookie': () => ({ guards: [SessionGuard], imports: [sessions({})], credential: cookieOf }),
  'session bearer': () => ({ guards: [SessionGuard], imports: [sessions({})], credential: bearerOf }),
  'JwtAuthGuard bearer': () => ({ guards: [JwtAuthGuard], imports: [sessions({})], credential: bearerOf }),
  'express-session connect-redis': () => ({ guards: [], prepare: expressSession }),
};

function passportJwt(secretOrKey) {
  class BenchStrategy extends PassportStrategy(Strategy) {
    constructor() {
      super({ jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(), secretOrKey, algorithms: ['HS256'] });
    }
    validate(payload) {
      return { id: payload.sub };
    }
  }
  const token = jwt.sign(
    { sub: 'user-1', sid: randomBytes(24).toString('base64url'), jti: randomBytes(40).toString('base64url') },
    SECRET,
    {
      expiresIn: '1h',
      issuer: 'https://issuer.example',
      audience: 'api',
    },
  );
  return {
    guards: [AuthGuard('jwt')],
    providers: [BenchStrategy],
    credential: async () => ({ authorization: `Bearer ${token}` }),
  };
}

function sessions(options) {
  return SessionModule.forRoot({
    redis,
    secrets: SECRET,
    keyPrefix: `bench-${process.pid}:`,
    jwt: { issuer: 'https://issuer.example', audience: 'api', accessTokenTtl: '1h' },
    ...options,
  });
}

const USER = {
  userId: 'user-1',
  email: 'user@example.com',
  roles: ['user'],
  deviceId: randomBytes(12).toString('hex'),
  deviceName: 'Chrome on Windows',
  deviceType: 'desktop',
  metadata: {
    userAgent:
      'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36',
    ip: '127.0.0.1',
  },
};

async function cookieOf(app) {
  const { cookieToken } = await app.get(SessionService).start(USER);
  return { cookie: `__Host-session=${cookieToken}` };
}

async function bearerOf(app) {
  const { session } = await app.get(SessionService).start(USER);
  return { authorization: `Bearer ${app.get(TokenService).issue(session).accessToken}` };
}

async function expressSession(app) {
  const [{ default: session }, { RedisStore }, { Redis }] = await Promise.all([
    import('express-session'),
    import('connect-redis'),
    import('ioredis'),
  ]);
  app.use(
    session({
      store: new RedisStore({ client: new Redis(redis), prefix: `bench-${process.pid}:` }),
      secret: SECRET,
      resave: false,
      saveUninitialized: false,
      rolling: false,
      cookie: { secure: false },
    }),
  );
  app.use((request, response, next) => {
    if (request.path === '/sign-in') {
      request.session.user = USER;
      return response.end('ok');
    }
    return request.session.user ? next() : response.status(401).end();
  });
  return async (url) => {
    const response = await fetch(`${url}/sign-in`);
    return { cookie: response.headers.getSetCookie()[0].split(';')[0] };
  };
}

const setup = variants[variant]();
class AppModule {}
decorate(AppModule, [
  Module({ imports: setup.imports ?? [], providers: setup.providers ?? [], controllers: [controller(setup.guards)] }),
]);
const app =
  platform === 'fastify'
    ? await NestFactory.create(AppModule, new (await import('@nestjs/platform-fastify')).FastifyAdapter(), {
        logger: ['error'],
      })
    : await NestFactory.create(AppModule, { logger: ['error'] });
const signIn = await setup.prepare?.(app);
await app.listen(0, '127.0.0.1');
const url = (await app.getUrl()).replace('[::1]', '127.0.0.1');
const headers = signIn ? await signIn(url) : ((await setup.credential?.(app)) ?? {});
process.stdout.write(`${JSON.stringify({ url, headers })}\n`);
process.on('SIGTERM', () => void app.close().then(() => process.exit(0)));
