import { Body, Controller, Get, HttpCode, Injectable, Module, Post, type INestApplication } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import {
  CurrentUser,
  OnSessionEvent,
  Public,
  ReqSession,
  RequireFresh,
  Roles,
  SessionGuard,
  SessionModule,
  type RequestSession,
  type SessionModuleOptions,
  type SessionUser,
} from '../../src/index.js';
import { signInAs, useMemorySessions, type MemorySessions } from '../../src/testing/index.js';
import { PLATFORMS, type Platform } from '../support/app.js';
import { secretOf } from '../support/secrets.js';

const jwt = { issuer: 'https://issuer.example', audience: 'https://api.example' };

@Controller()
class AccountController {
  @Get('me')
  me(@CurrentUser() user: SessionUser): unknown {
    return user;
  }

  @Roles('admin')
  @Get('admin')
  admin(): string {
    return 'admin';
  }

  @RequireFresh('5m')
  @Post('fresh')
  fresh(): string {
    return 'fresh';
  }

  @Post('regenerate')
  @HttpCode(204)
  async regenerate(@ReqSession() session: RequestSession): Promise<void> {
    await session.regenerate();
  }

  @Post('logout')
  @HttpCode(204)
  async logout(@ReqSession() session: RequestSession): Promise<void> {
    await session.end();
  }

  @Public()
  @Post('login')
  async login(@ReqSession() session: RequestSession, @Body() { userId }: { userId: string }): Promise<void> {
    await session.start({ userId });
  }
}

@Injectable()
class Ends {
  readonly reasons: string[] = [];

  @OnSessionEvent('ended')
  note({ reason }: { reason: string }): void {
    this.reasons.push(reason);
  }
}

/** As an application would be: on a Redis that no test has. */
function appModule(options: SessionModuleOptions = {}): new () => object {
  @Module({
    imports: [
      SessionModule.forRootAsync({
        useFactory: () => ({ redis: 'redis://127.0.0.1:1', secrets: secretOf('sign-in-as'), jwt, ...options }),
      }),
    ],
    controllers: [AccountController],
    providers: [Ends, { provide: APP_GUARD, useExisting: SessionGuard }],
  })
  class AppModule {}
  return AppModule;
}

let app: INestApplication;
let sessions: MemorySessions;

async function start(platform: Platform, options?: SessionModuleOptions): Promise<void> {
  const builder = Test.createTestingModule({ imports: [appModule(options)] });
  sessions = useMemorySessions(builder);
  const adapter = platform === 'express' ? new ExpressAdapter() : new FastifyAdapter();
  app = (await builder.compile()).createNestApplication(adapter as ExpressAdapter, { logger: false });
  await app.init();
  if (platform === 'fastify') await (app.getHttpAdapter().getInstance() as { ready(): Promise<unknown> }).ready();
}

afterEach(async () => app.close());

describe.each(PLATFORMS)('signInAs, on %s', (platform) => {
  it('gives an agent that is signed in, without Redis', async () => {
    await start(platform);
    const ann = await signInAs(app, { id: 'ann', email: 'ann@example.com', roles: ['admin'] });
    await ann.agent.get('/me').expect(200, { id: 'ann', email: 'ann@example.com', roles: ['admin'] });
    await ann.agent.get('/admin').expect(200);
    const bob = await signInAs(app, 'bob');
    await bob.agent.get('/admin').expect(403);
    expect((await sessions.store.getActiveSessions('ann')).map(({ id }) => id)).toEqual([ann.session.id]);
  });

  it('signs in to a tenant, in an application that serves many', async () => {
    await start(platform, { tenant: ({ headers }) => headers['x-tenant'] as string });
    const ann = await signInAs(app, 'ann', { tenant: 'acme', transport: 'both' });
    await ann.agent.get('/me').set('x-tenant', 'acme').expect(200);
    await ann.agent.get('/me').set('x-tenant', 'globex').expect(401);
    expect(ann.accessToken).toBeDefined();
    expect(await sessions.store.forTenant('acme').count()).toBe(1);
    await expect(signInAs(app, 'ann')).rejects.toThrow('tenant');
  });

  it('follows the cookies of answers', async () => {
    await start(platform);
    const { agent, cookie } = await signInAs(app, 'ann');
    await agent.post('/regenerate').expect(204);
    await agent.get('/me').expect(200);
    await agent.post('/logout').expect(204);
    await agent.get('/me').expect(401);
    await agent.post('/login').send({ userId: 'bob' }).expect(201);
    await agent.get('/me').expect(200, { id: 'bob', email: '', roles: [] });
    // The cookie of the sign-in is dead since the secrets were replaced.
    await agent
      .get('/me')
      .set('Cookie', cookie ?? '')
      .expect(401);
  });

  it('signs in with access tokens', async () => {
    await start(platform);
    const ann = await signInAs(app, 'ann', { transport: 'bearer' });
    expect(ann).toMatchObject({ headers: { authorization: `Bearer ${ann.accessToken}` } });
    expect(ann.cookie).toBeUndefined();
    expect(ann.refreshToken).toMatch(/^\w/);
    await ann.agent.get('/me').expect(200);
    await sessions.advance('16m');
    const { body } = (await ann.agent.get('/me').expect(401)) as { body: unknown };
    expect(body).toMatchObject({ code: 'invalid_token' });
  });

  it('moves time: freshness, the idle timeout and its event', async () => {
    await start(platform);
    const { agent } = await signInAs(app, 'ann');
    await agent.post('/fresh').expect(201);
    await sessions.advance('6m');
    const { body } = (await agent.post('/fresh').expect(403)) as { body: unknown };
    expect(body).toMatchObject({ code: 'reauthentication_required' });
    await sessions.advance('31m');
    expect(app.get(Ends).reasons).toEqual(['idle']);
    await agent.get('/me').expect(401);
  });

  it('remembers the client where one is named', async () => {
    await start(platform);
    const userAgent = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';
    const ann = await signInAs(app, 'ann', { userAgent });
    expect(ann.session.metadata).toMatchObject({ userAgent });
    await ann.agent.get('/me').expect(200);
    await ann.agent.get('/me').set('User-Agent', 'curl/8').expect(401);
  });
});

it('refuses what is no duration, and says so', async () => {
  await start('express');
  await expect(sessions.advance('soon' as '1s')).rejects.toThrow('advance: "soon"');
});

it('says what to do before the module is compiled', async () => {
  await start('express');
  const early = useMemorySessions(Test.createTestingModule({}));
  expect(() => early.store).toThrow('Call compile() first');
});

it('takes other options where those of the application cannot be made', async () => {
  const failing = SessionModule.forRootAsync({
    useFactory: () => {
      throw new Error('REDIS_URL is not set');
    },
  });
  const builder = Test.createTestingModule({ imports: [failing], controllers: [AccountController] });
  sessions = useMemorySessions(builder, { options: { cookie: { name: 'sid', secure: false } } });
  app = (await builder.compile()).createNestApplication({ logger: false });
  await app.init();
  expect((await signInAs(app, 'ann')).cookie).toMatch(/^sid=/);
});
