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
  RequireDpop,
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

  @Public()
  @Post('refresh')
  async refresh(
    @ReqSession() session: RequestSession,
    @Body() { refreshToken }: { refreshToken: string },
  ): Promise<unknown> {
    return session.refresh(refreshToken);
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

/** Only where the option `jwt.dpop` is set: an application does not start with such a route otherwise. */
@Controller()
class BoundController {
  @RequireDpop()
  @Get('bound')
  bound(): string {
    return 'bound';
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
    controllers: [AccountController, ...(options.jwt?.dpop === undefined ? [] : [BoundController])],
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

  describe('with tokens that are bound to a key', () => {
    const nonce = { mode: 'required', nonce: true } as const;
    const publicUrl = { mode: 'required', publicUrl: 'https://api.example/v1' } as const;

    it.each([['optional'], [nonce], [publicUrl]] as const)(
      '%j: sends a proof with each request, and renews them',
      async (dpop) => {
        await start(platform, { jwt: { ...jwt, dpop } });
        const ann = await signInAs(app, 'ann', { dpop: true });
        expect(ann.cookie).toBeUndefined();
        for (let request = 0; request < 2; request += 1) await ann.agent.get('/bound?page=2').expect(200, 'bound');
        await sessions.advance('14m');
        await ann.agent.get('/me').expect(200);
        const { refreshToken } = ann;
        const { body } = (await ann.agent.post('/refresh').send({ refreshToken }).expect(201)) as { body: unknown };
        expect(body).toMatchObject({ tokens: { tokenType: 'DPoP' } });
        // The agent proves the token that it sends, also one of a refresh.
        const { tokens } = body as { tokens: { accessToken: string } };
        await ann.agent.get('/bound').set('authorization', `DPoP ${tokens.accessToken}`).expect(200);
      },
    );

    it('counts a proof once, and for its own request', async () => {
      await start(platform, { jwt: { ...jwt, dpop: 'optional' } });
      await app.listen(0, '127.0.0.1');
      const url = (await app.getUrl()) + '/bound';
      const ann = await signInAs(app, 'ann', { dpop: true });
      const statusOf = async (headers: Readonly<Record<string, string>>, asked = url): Promise<number> =>
        (await fetch(asked, { headers })).status;
      const headers = ann.headersFor('get', url);
      expect(await statusOf(headers)).toBe(200);
      expect(await statusOf(headers)).toBe(401);
      expect(await statusOf(ann.headersFor('POST', url))).toBe(401);
      expect(await statusOf(ann.headers)).toBe(401);
      expect(await statusOf({ authorization: `Bearer ${ann.accessToken}` })).toBe(401);
      const bob = await signInAs(app, 'bob', { dpop: true });
      expect(await statusOf(ann.headersFor('GET', url, bob.accessToken))).toBe(401);
      const both = await signInAs(app, 'bob', { dpop: true, transport: 'both' });
      await both.agent.get('/me').expect(200);
      await both.agent.post('/refresh').send({ refreshToken: both.refreshToken }).expect(201);
      await both.agent.get('/bound').set('dpop', 'a.b.c').set('authorization', `DPoP ${both.accessToken}`).expect(401);
      expect(await statusOf(both.headersFor('GET', url))).toBe(401);
      expect(await statusOf(both.headersFor('GET', url, both.accessToken))).toBe(200);
      expect(() => ann.headersFor('GET', '/bound')).toThrow('is no absolute URL');
    });

    it('is the default for tokens where they must be bound', async () => {
      await start(platform, { jwt: { ...jwt, dpop: 'required' } });
      await (await signInAs(app, 'ann', { transport: 'bearer' })).agent.get('/bound').expect(200);
      await (await signInAs(app, 'ann')).agent.get('/me').expect(200);
      const unbound = await signInAs(app, 'ann', { transport: 'bearer', dpop: false });
      const { body } = (await unbound.agent.get('/me').expect(401)) as { body: unknown };
      expect(body).toMatchObject({ code: 'dpop_required' });
    });

    it('in a tenant, by its own nonces', async () => {
      const tenant = ({ headers }: { headers: Record<string, unknown> }): string => headers['x-tenant'] as string;
      await start(platform, { tenant, jwt: { ...jwt, dpop: nonce } });
      const ann = await signInAs(app, 'ann', { tenant: 'acme', dpop: true });
      await ann.agent.get('/bound').set('x-tenant', 'acme').expect(200);
      await ann.agent.get('/bound').set('x-tenant', 'globex').expect(401);
    });

    it('says what is missing', async () => {
      await start(platform);
      await expect(signInAs(app, 'ann', { dpop: true })).rejects.toThrow('needs the option jwt.dpop');
      await app.close();
      await start(platform, { jwt: { ...jwt, dpop: 'optional' } });
      await expect(signInAs(app, 'ann', { dpop: true, transport: 'cookie' })).rejects.toThrow("transport: 'cookie'");
    });
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
