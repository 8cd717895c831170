import { Body, Controller, Get, Logger, Post, Req, Res, type INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter, type NestExpressApplication } from '@nestjs/platform-express';
import { Module } from '@nestjs/common';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { Request, Response } from 'express';
import passport from 'passport';
import { Strategy } from 'passport-local';
import {
  MemorySessionStore,
  SessionModule,
  SessionService,
  StoreUnavailableError,
  type SessionModuleOptions,
} from '../../../src/index.js';
import { closeApps, startApp, type TestApp } from '../../support/app.js';
import { Browser } from '../../support/browser.js';
import { CountingStore } from '../../support/counting-store.js';

@Controller()
class ShopController {
  @Get()
  read(@Req() request: Request): unknown {
    const { cookie: _cookie, ...data } = { ...request.session };
    return data;
  }

  @Post('set')
  set(@Req() request: Request, @Body() body: object): unknown {
    Object.assign(request.session, body);
    return {};
  }

  @Post('logout')
  logout(@Req() request: Request, @Res() response: Response): void {
    request.session.destroy(() => response.sendStatus(204));
  }
}

const SECRET = 'the secret of the cookies of express-session';

async function start(
  session: SessionModuleOptions = {},
  configure?: (app: INestApplication) => unknown,
): Promise<TestApp> {
  return startApp({
    platform: 'express',
    controllers: [ShopController],
    session: { expressSession: { secret: SECRET }, ...session },
    ...(configure && { configure }),
  });
}

beforeAll(() => Logger.overrideLogger(false));
afterEach(closeApps);

describe('SessionModule with the option expressSession', () => {
  it('mounts express-session with its sessions in the store of the module', async () => {
    const { app, browser: open, store } = await start();
    const browser = open();
    expect((await browser.get('/')).setCookies).toEqual([]);
    const { setCookies, status } = await browser.post('/set', { userId: 'ann', theme: 'dark' });
    expect(status).toBe(201);
    expect(setCookies).toEqual([
      expect.objectContaining({
        name: 'connect.sid',
        httpOnly: true,
        sameSite: 'lax',
        path: '/',
        expires: expect.any(Date),
      }),
    ]);
    expect((setCookies[0]?.expires?.getTime() ?? 0) - Date.now()).toBeGreaterThan(23.9 * 60 * 60_000);
    expect(setCookies[0]?.secure).toBeFalsy();
    expect((await browser.get('/')).body).toEqual({ userId: 'ann', theme: 'dark' });
    // Rolling.
    expect((await browser.get('/')).setCookies).toHaveLength(1);
    const sessions = app.get(SessionService);
    expect(await sessions.list('ann')).toHaveLength(1);
    expect(await sessions.endAll('ann')).toBe(1);
    expect((await browser.get('/')).body).toEqual({});
    expect(await store.count()).toBe(0);
  });

  it('logs out for good', async () => {
    const { browser: open, store } = await start();
    const browser = open();
    await browser.post('/set', { userId: 'ann' });
    expect((await browser.post('/logout')).status).toBe(204);
    expect((await browser.get('/')).body).toEqual({});
    expect(await store.count()).toBe(0);
  });

  it('shows as much of an address as the module says', async () => {
    const { app, browser: open } = await start({ security: { ipPrivacy: 'none' } });
    await open().post('/set', { userId: 'ann' });
    const [listed] = await app.get(SessionService).list('ann');
    expect(listed?.metadata).not.toHaveProperty('ip');
  });

  it('counts toward the limit of the module, also where that is a function', async () => {
    const { app, browser: open } = await start({ session: { maxSessionsPerUser: async () => 2 } });
    for (let n = 0; n < 4; n += 1) await open().post('/set', { userId: 'ann' });
    expect(await app.get(SessionService).list('ann')).toHaveLength(2);
  });

  it('takes options of express-session and of its store', async () => {
    const { app, browser: open } = await start({
      expressSession: {
        secret: [SECRET, 'an older one'],
        name: 'shop',
        rolling: false,
        cookie: { maxAge: null, sameSite: 'strict', path: '/', domain: '127.0.0.1' },
        store: { userOf: ({ owner }) => owner as string },
      },
    });
    const browser = open();
    const { setCookies } = await browser.post('/set', { owner: 'ann' });
    expect(setCookies).toEqual([expect.objectContaining({ name: 'shop', sameSite: 'strict', domain: '127.0.0.1' })]);
    expect(setCookies[0]?.expires).toBeUndefined();
    expect((await browser.get('/')).setCookies).toEqual([]);
    expect(await app.get(SessionService).list('ann')).toHaveLength(1);
  });

  it('keeps the cookie for 400 days at most, as browsers do (RFC 6265bis, 5.5)', async () => {
    const { browser: open } = await start({
      expressSession: { secret: [SECRET, 'old'], cookie: { maxAge: '2y', secure: 'auto', sameSite: 'none' } },
    });
    const { setCookies } = await open().post('/set', { owner: 'ann' });
    const days = ((setCookies[0]?.expires?.getTime() ?? 0) - Date.now()) / 86_400_000;
    expect([setCookies[0]?.sameSite, Math.round(days)]).toEqual(['none', 400]);
  });

  it('is secure in production, and only there', async () => {
    const before = process.env['NODE_ENV'];
    process.env['NODE_ENV'] = 'production';
    try {
      const { url } = await start({ expressSession: { secret: SECRET, proxy: true } });
      const over = async (proto: string): Promise<string[]> => {
        const response = await fetch(`${url}/set`, {
          method: 'POST',
          headers: { 'x-forwarded-proto': proto, 'content-type': 'application/json' },
          body: '{"a":1}',
        });
        return response.headers.getSetCookie();
      };
      expect(await over('http')).toEqual([]);
      expect(await over('https')).toEqual([expect.stringMatching(/; Secure/)]);
    } finally {
      process.env['NODE_ENV'] = before;
    }
  });

  it('answers 503 when the store cannot be asked, for reading and for saving', async () => {
    const store = new CountingStore();
    const { browser: open } = await start({ store });
    const browser = open();
    await browser.post('/set', { userId: 'ann' });
    const down = async (): Promise<never> => {
      throw new StoreUnavailableError();
    };
    Object.assign(store, { read: down, create: down });
    for (const reply of [await browser.get('/'), await open().post('/set', { userId: 'bob' })]) {
      expect([reply.status, reply.body.code, reply.headers.get('retry-after')]).toEqual([
        503,
        'store_unavailable',
        '1',
      ]);
      expect(reply.setCookies).toEqual([]);
    }
  });

  it('is there for what main.ts mounts, such as passport.session()', async () => {
    const own = new passport.Passport();
    own.use(new Strategy((name, _password, done) => done(null, { id: name })));
    own.serializeUser((user, done) => done(null, (user as { id: string }).id));
    own.deserializeUser((id, done) => done(null, { id }));

    @Controller()
    class PassportController {
      @Get('me')
      me(@Req() request: Request): unknown {
        return { user: (request.user as { id: string } | undefined)?.id ?? null };
      }
    }

    const store = new MemorySessionStore();

    @Module({
      imports: [SessionModule.forRoot({ store, expressSession: { secret: SECRET } })],
      controllers: [PassportController],
    })
    class AppModule {}

    const app = await NestFactory.create<NestExpressApplication>(AppModule, new ExpressAdapter(), { logger: false });
    app.use(own.session());
    app.useBodyParser('json');
    app.use('/login', own.authenticate('local'), (_request: Request, response: Response) => response.sendStatus(204));
    await app.listen(0, '127.0.0.1');
    try {
      const browser = new Browser(await app.getUrl());
      expect((await browser.get('/me')).body).toEqual({ user: null });
      expect((await browser.post('/login', { username: 'ann', password: 'x' })).status).toBe(204);
      expect((await browser.get('/me')).body).toEqual({ user: 'ann' });
      expect(await store.getActiveSessions('ann')).toHaveLength(1);
    } finally {
      await app.close();
    }
  });

  it('refuses to boot on Fastify, with the mend', async () => {
    @Module({ imports: [SessionModule.forRoot({ expressSession: { secret: SECRET } })] })
    class AppModule {}
    await expect(
      NestFactory.create(AppModule, new FastifyAdapter(), { logger: false, abortOnError: false }),
    ).rejects.toThrow(
      'expressSession: works on Express, and this application runs on fastify. On Fastify register @fastify/session with a SessionFastifyStore.',
    );
  });

  it('does nothing in an application that serves nothing', async () => {
    @Module({ imports: [SessionModule.forRoot({ expressSession: { secret: SECRET } })] })
    class AppModule {}
    const context = await NestFactory.createApplicationContext(AppModule, { logger: false });
    await context.close();
  });

  it.each([
    [{}, 'expressSession.secret: must be text, or a list of texts'],
    [{ secret: '' }, 'expressSession.secret: '],
    [{ secret: 'x' }, 'expressSession.secret: has 1 bytes, at least 32 are needed; `openssl rand -base64 48`'],
    [{ secret: 'x'.repeat(40) }, 'expressSession.secret: repeats itself'],
    [{ secret: ['keyboard cat', SECRET] }, 'expressSession.secret[0]: has 12 bytes'],
    [{ secret: SECRET, cookie: { httpOnly: false } }, 'expressSession.cookie.httpOnly: cannot be switched off'],
    [{ secret: SECRET, cookie: { sameSite: 'none' } }, 'expressSession.cookie.sameSite: "none" needs secure: true'],
    [{ secret: SECRET, cookie: { partitioned: true } }, 'expressSession.cookie.partitioned: needs secure: true'],
    [
      { secret: SECRET, name: '__Host-sid', cookie: { secure: true, domain: 'a.example' } },
      'expressSession.cookie.domain: a cookie named __Host-sid cannot have a domain',
    ],
    [{ secret: SECRET, name: '__Host-sid' }, 'expressSession.cookie.secure: a cookie named __Host-sid must be secure'],
    [{ secret: SECRET, name: 'a b' }, 'expressSession.name: "a b" cannot name a cookie'],
    [{ secret: SECRET, rollin: true }, 'expressSession.rollin: there is no such option; did you mean "rolling"?'],
    [{ secret: SECRET, cookie: { maxAge: 'long' } }, 'expressSession.cookie.maxAge: "long" is not a duration'],
    [{ secret: SECRET, store: { ttll: 5 } }, 'expressSession.store.ttll: there is no such option; did you mean "ttl"?'],
  ])('refuses %p', async (expressSession, message) => {
    await expect(start({ expressSession: expressSession as never })).rejects.toThrow(message);
  });
});
