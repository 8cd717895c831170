import {
  Body,
  Controller,
  Get,
  HttpCode,
  Injectable,
  Module,
  Post,
  UseGuards,
  type ExecutionContext,
  type INestApplication,
} from '@nestjs/common';
import { AuthGuard, PassportModule, PassportStrategy } from '@nestjs/passport';
import passport from 'passport';
import { ExtractJwt, Strategy } from 'passport-jwt';
import jwt from 'jsonwebtoken';
import {
  CurrentUser,
  Public,
  ReqSession,
  RequestSession,
  Roles,
  SessionGuard,
  TokenService,
  type SessionModuleOptions,
} from '../../../src/index.js';
import { JwtAuthGuard } from '../../../src/passport/index.js';
import { AccountController } from '../../support/account.controller.js';
import { closeApps, PLATFORMS, startApp, type TestApp } from '../../support/app.js';
import type { Browser, Reply } from '../../support/browser.js';

const TOKENS: SessionModuleOptions = { jwt: { issuer: 'https://issuer.example', audience: 'https://api.example' } };

@Controller('api')
@UseGuards(JwtAuthGuard)
class ApiController {
  @Get('me')
  me(@CurrentUser() user: unknown): unknown {
    return { user };
  }

  @Roles('admin')
  @Get('admin')
  admin(): unknown {
    return { ok: true };
  }

  @Public()
  @Get('public')
  open(): unknown {
    return { ok: true };
  }
}

@Controller('tokens')
@UseGuards(SessionGuard)
class TokensController {
  constructor(private readonly tokens: TokenService) {}

  @Public()
  @Post('refresh')
  @HttpCode(200)
  refresh(@ReqSession() session: RequestSession, @Body() body?: { refreshToken?: string }): Promise<unknown> {
    return session.refresh(body?.refreshToken);
  }

  @Post('revoke')
  @HttpCode(200)
  async revoke(@Body() { token }: { token: string }): Promise<unknown> {
    return { revoked: await this.tokens.revoke(token) };
  }

  @Post('revoke-all')
  @HttpCode(200)
  async revokeAll(@CurrentUser() user: { id: string }): Promise<unknown> {
    return { cutoff: await this.tokens.revokeAllFor(user.id) };
  }
}

const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });

interface ClientTokens {
  accessToken: string;
  refreshToken: string;
  expiresIn: number;
}

afterEach(closeApps);

describe.each(PLATFORMS)('tokens on %s', (platform) => {
  const start = (session: SessionModuleOptions = TOKENS): Promise<TestApp> =>
    startApp({ platform, session, controllers: [AccountController, ApiController, TokensController] });

  async function signIn(
    browser: Browser,
    transport: 'bearer' | 'both' = 'bearer',
    userId = 'ann',
  ): Promise<{ reply: Reply; tokens: ClientTokens }> {
    const reply = await browser.post('/login', { userId, email: 'ann@example.com', roles: ['user'], transport });
    expect(reply.status).toBe(200);
    return { reply, tokens: reply.body.tokens as ClientTokens };
  }

  it('signs an API client in with two tokens and no cookie, and lets it in with one read and no write', async () => {
    const app = await start();
    const client = app.browser();
    const { reply, tokens } = await signIn(client);
    expect(reply.setCookies).toEqual([]);
    expect(reply.headers.get('cache-control')).toBe('no-store');
    expect(tokens).toMatchObject({ tokenType: 'Bearer', expiresIn: expect.any(Number) });
    // Jittered by up to 5 % below 15 minutes.
    expect(tokens.expiresIn).toBeLessThanOrEqual(900);
    expect(tokens.expiresIn).toBeGreaterThanOrEqual(854);
    for (const path of ['/me', '/api/me']) {
      app.store.forget();
      const me = await client.get(path, bearer(tokens.accessToken));
      expect(me.body).toEqual({ user: { id: 'ann', email: 'ann@example.com', roles: ['user'] } });
      expect(app.store.commands).toEqual(['read']);
    }
  });

  it('writes tokens after RFC 9068: typ, kid, and iss, sub, aud, sid, jti, iat, exp', async () => {
    const app = await start();
    const { reply, tokens } = await signIn(app.browser());
    const { header, payload } = jwt.decode(tokens.accessToken, { complete: true }) as jwt.Jwt;
    const id = reply.body.session.id as string;
    expect(header).toEqual({ alg: 'HS256', typ: 'at+jwt', kid: expect.any(String) });
    expect(payload).toEqual({
      iss: 'https://issuer.example',
      sub: 'ann',
      aud: 'https://api.example',
      sid: id,
      jti: expect.stringMatching(new RegExp(`^${id}\\.`)),
      iat: expect.any(Number),
      exp: expect.any(Number),
    });
  });

  it.each(['/me', '/api/me'])('answers after RFC 6750 on %s', async (path) => {
    const app = await start();
    const client = app.browser();
    const challenge = async (headers: Record<string, string>): Promise<[number, string | null, unknown]> => {
      const reply = await client.get(path, headers);
      return [reply.status, reply.headers.get('www-authenticate'), reply.body.code];
    };
    expect(await challenge({})).toEqual([401, 'Bearer realm="session"', 'session_required']);
    expect(await challenge({ authorization: 'Basic dXNlcjpwYXNz' })).toEqual([
      401,
      'Bearer realm="session"',
      'session_required',
    ]);
    for (const malformed of [
      'Bearer',
      'Bearer ',
      'Bearer a b',
      'bearer a,b',
      'Bearer "x"',
      'Bearer a=b=c',
      `Bearer ${'é'}`,
    ]) {
      const [status, header, code] = await challenge({
        authorization: Buffer.from(malformed, 'utf8').toString('latin1'),
      });
      expect([malformed, status, code]).toEqual([malformed, 400, 'invalid_request']);
      expect(header).toMatch(/error="invalid_request", error_description="[^"\\]+"$/);
    }
    for (const token of ['x', 'a.b.c', 'null', 'undefined', '....', 'A'.repeat(5000)]) {
      const [status, header, code] = await challenge(bearer(token));
      expect([token.slice(0, 20), status, code]).toEqual([token.slice(0, 20), 401, 'invalid_token']);
      expect(header).toMatch(/^Bearer realm="session", error="invalid_token", error_description="[^"\\]+"$/);
    }
    expect(app.store.commands).toEqual([]);
    const { tokens } = await signIn(client);
    for (const scheme of ['bearer', 'BEARER', 'BeArEr']) {
      expect((await client.get(path, { authorization: `${scheme} ${tokens.accessToken}` })).status).toBe(200);
    }
    expect((await client.get(`${path}?access_token=${tokens.accessToken}`)).status).toBe(401);
  });

  it('ASVS 9.2.2: a refresh token is no access token, nor is a cookie, and the reverse', async () => {
    const app = await start();
    const client = app.browser();
    const { tokens } = await signIn(client, 'both');
    const cookie = [...client.jar.values()][0] ?? '';
    const nobody = app.browser();
    for (const path of ['/me', '/api/me']) {
      for (const token of [tokens.refreshToken, cookie])
        expect((await nobody.get(path, bearer(token))).status).toBe(401);
    }
    for (const token of [tokens.accessToken, cookie]) {
      expect((await nobody.post('/tokens/refresh', { refreshToken: token })).status).toBe(401);
    }
    nobody.jar.set('__Host-session', tokens.accessToken);
    expect((await nobody.get('/me')).status).toBe(401);
    nobody.jar.set('__Host-session', tokens.refreshToken);
    expect((await nobody.get('/me')).status).toBe(401);
  });

  it('ASVS 7.4.1: after logout by cookie or by bearer the cookie, the access token and the refresh token are all 401', async () => {
    const app = await start();
    for (const by of ['cookie', 'bearer'] as const) {
      const client = app.browser();
      const { tokens } = await signIn(client, 'both');
      const jar = new Map(client.jar);
      const reply =
        by === 'cookie'
          ? await client.post('/logout')
          : await app.browser().post('/logout', undefined, bearer(tokens.accessToken));
      expect(reply.body).toEqual({ ended: true });
      const thief = app.browser();
      for (const path of ['/me', '/api/me']) {
        expect((await thief.get(path, bearer(tokens.accessToken))).body).toMatchObject({
          statusCode: 401,
          code: 'session_ended',
        });
      }
      expect((await thief.post('/tokens/refresh', { refreshToken: tokens.refreshToken })).body).toMatchObject({
        statusCode: 401,
        code: 'session_ended',
      });
      for (const [name, value] of jar) thief.jar.set(name, value);
      expect((await thief.get('/me')).status).toBe(401);
    }
  });

  it('ASVS 9.1.1: signing out with a forged token that names a victim ends nothing; an expired one of ours ends its session', async () => {
    const app = await start();
    const client = app.browser();
    const { tokens } = await signIn(client);
    const claims = jwt.decode(tokens.accessToken) as jwt.JwtPayload;
    const forged = jwt.sign(claims, 'f'.repeat(32), { header: { alg: 'HS256', typ: 'at+jwt' } });
    app.store.forget();
    expect((await client.post('/public-logout', undefined, bearer(forged))).status).toBe(401);
    expect((await client.post('/public-logout')).status).toBe(401);
    expect(app.store.commands).toEqual([]);
    expect((await client.get('/me', bearer(tokens.accessToken))).status).toBe(200);
    app.store.advance(16 * 60_000);
    expect((await client.get('/me', bearer(tokens.accessToken))).status).toBe(401);
    expect((await client.post('/public-logout', undefined, bearer(tokens.accessToken))).body).toEqual({ ended: true });
    expect((await client.post('/tokens/refresh', { refreshToken: tokens.refreshToken })).status).toBe(401);
  });

  it('revokes one access token, or all of a user so far, and the sessions live on', async () => {
    const app = await start();
    const client = app.browser();
    const first = (await signIn(client)).tokens;
    const second = (await client.post('/tokens/refresh', { refreshToken: first.refreshToken })).body
      .tokens as ClientTokens;
    expect(
      (await client.post('/tokens/revoke', { token: first.accessToken }, bearer(second.accessToken))).body,
    ).toEqual({ revoked: true });
    expect((await client.get('/me', bearer(first.accessToken))).body).toMatchObject({
      statusCode: 401,
      code: 'session_revoked',
    });
    expect((await client.get('/me', bearer(second.accessToken))).status).toBe(200);
    expect((await client.post('/tokens/revoke-all', undefined, bearer(second.accessToken))).status).toBe(200);
    for (const path of ['/me', '/api/me'])
      expect((await client.get(path, bearer(second.accessToken))).status).toBe(401);
    // In the same millisecond, by a clock that stands still: what is issued after the cutoff lives.
    const third = (await client.post('/tokens/refresh', { refreshToken: second.refreshToken })).body
      .tokens as ClientTokens;
    expect((await client.get('/me', bearer(third.accessToken))).status).toBe(200);
  });

  it('ASVS 7.2.4: step-up kills cookie, refresh token and access token at once, and returns their successors', async () => {
    const app = await start();
    const client = app.browser();
    const { tokens } = await signIn(client, 'both');
    const old = app.browser();
    for (const [name, value] of client.jar) old.jar.set(name, value);
    const stepped = (await client.post('/step-up')).body.tokens as ClientTokens;
    expect((await old.get('/me')).status).toBe(401);
    expect((await old.get('/api/me', bearer(tokens.accessToken))).status).toBe(401);
    expect((await app.browser().post('/tokens/refresh', { refreshToken: tokens.refreshToken })).status).toBe(401);
    expect((await client.get('/me')).status).toBe(200);
    expect((await client.get('/api/me', bearer(stepped.accessToken))).status).toBe(200);
    expect((await client.post('/tokens/refresh', { refreshToken: stepped.refreshToken })).status).toBe(200);
  });

  it('takes a bearer token alone where JwtAuthGuard stands, and either where SessionGuard does', async () => {
    const app = await start();
    const client = app.browser();
    const { tokens } = await signIn(client, 'both');
    expect((await client.get('/me')).status).toBe(200);
    expect((await client.get('/api/me')).status).toBe(401);
    expect((await client.get('/api/me', bearer(tokens.accessToken))).status).toBe(200);
    expect((await client.get('/api/admin', bearer(tokens.accessToken))).body).toMatchObject({
      statusCode: 403,
      code: 'insufficient_scope',
    });
    app.store.forget();
    expect((await client.get('/api/public', bearer('rubbish'))).status).toBe(200);
    expect(app.store.commands).toEqual([]);
  });

  it('refuses a cookie and a bearer token of different users: 400', async () => {
    const app = await start();
    const [ann, bob] = [app.browser(), app.browser()];
    await signIn(ann, 'both', 'ann');
    const { tokens } = await signIn(bob, 'both', 'bob');
    for (const path of ['/me', '/api/me']) {
      expect((await ann.get(path, bearer(tokens.accessToken))).body).toMatchObject({
        statusCode: 400,
        code: 'invalid_request',
      });
    }
  });

  it('ASVS 3.5: another site cannot make a browser use its cookie, and a bearer token needs no such check', async () => {
    const app = await start();
    const client = app.browser();
    const { tokens } = await signIn(client, 'both');
    const foreign = { 'sec-fetch-site': 'cross-site' };
    expect((await client.post('/regenerate', undefined, foreign)).status).toBe(403);
    expect(
      (await app.browser().post('/logout', undefined, { ...foreign, ...bearer(tokens.accessToken) })).status,
    ).not.toBe(403);
  });

  it('carries the refresh token in a path-bound HttpOnly cookie where asked to', async () => {
    const app = await start({ jwt: { issuer: 'i', audience: 'a', refreshCookie: { path: '/tokens/refresh' } } });
    const client = app.browser();
    const { reply, tokens } = await signIn(client, 'both');
    expect(tokens.refreshToken).toBeUndefined();
    expect(reply.setCookies.find(({ name }) => name === '__Secure-refresh')).toMatchObject({
      httpOnly: true,
      secure: true,
      sameSite: 'lax',
      path: '/tokens/refresh',
      maxAge: expect.any(Number),
    });
    const refreshed = await client.post('/tokens/refresh');
    expect(refreshed.body.tokens).toEqual({
      accessToken: expect.any(String),
      tokenType: 'Bearer',
      expiresIn: expect.any(Number),
      tokenId: expect.any(String),
    });
    expect(refreshed.setCookies.map(({ name }) => name)).toEqual(['__Secure-refresh']);
    expect((await client.post('/tokens/refresh', undefined, { 'sec-fetch-site': 'cross-site' })).status).toBe(403);
    expect((await client.post('/logout')).setCookies.map(({ name, maxAge }) => [name, maxAge])).toEqual([
      ['__Host-session', 0],
      ['__Secure-refresh', 0],
    ]);
    expect((await client.post('/tokens/refresh')).status).toBe(401);
  });

  it('says how to switch tokens on where they are off', async () => {
    const app = await start({});
    const client = app.browser();
    expect((await client.post('/login', { userId: 'ann', transport: 'bearer' })).status).toBe(500);
    expect(app.store.commands).toEqual([]);
    await client.post('/login', { userId: 'ann' });
    for (const path of ['/me', '/api/me']) expect((await app.browser().get(path, bearer('a.b.c'))).status).toBe(401);
    expect(() => app.app.get(TokenService).assertEnabled()).toThrow(/Set the option "jwt"/);
  });

  it('answers 503 and never 401 when the store is down (ASVS 16.5.2)', async () => {
    const app = await start();
    const client = app.browser();
    const { tokens } = await signIn(client);
    app.store.down = true;
    for (const path of ['/me', '/api/me']) {
      const reply = await client.get(path, bearer(tokens.accessToken));
      expect([reply.status, reply.headers.get('retry-after')]).toEqual([503, '1']);
      expect(reply.text).not.toMatch(/redis|6379|secretkey/);
    }
    expect((await client.post('/tokens/refresh', { refreshToken: tokens.refreshToken })).status).toBe(503);
  });

  describe('beside other users of passport', () => {
    const SECRET = 'the application has a strategy of its own under the name jwt';

    @Injectable()
    class OwnStrategy extends PassportStrategy(Strategy) {
      constructor() {
        super({ jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(), secretOrKey: SECRET, algorithms: ['HS256'] });
      }
      validate(payload: { sub: string }): unknown {
        return { own: payload.sub };
      }
    }

    @Controller('own')
    @UseGuards(AuthGuard('jwt'))
    class OwnController {
      @Get('me')
      me(): unknown {
        return { ok: 'own' };
      }
    }

    it("an application's own `jwt` strategy and PassportModule default change nothing for ours, under concurrent requests", async () => {
      const app = await startApp({
        platform,
        session: TOKENS,
        imports: [PassportModule.register({ defaultStrategy: 'jwt', property: 'account' })],
        providers: [OwnStrategy],
        controllers: [AccountController, ApiController, OwnController],
      });
      const client = app.browser();
      const { tokens } = await signIn(client);
      const own = jwt.sign({ sub: 'x' }, SECRET);
      const answers = await Promise.all(
        Array.from({ length: 60 }, (_, index) =>
          index % 3 === 0
            ? client.get('/api/me', bearer(tokens.accessToken)).then(({ status }) => ['ours', status])
            : index % 3 === 1
              ? client.get('/own/me', bearer(own)).then(({ status }) => ['own', status])
              : client
                  .get(index % 2 ? '/api/me' : '/own/me', bearer(index % 2 ? own : tokens.accessToken))
                  .then(({ status }) => ['crossed', status]),
        ),
      );
      expect(new Set(answers.map((answer) => answer.join(' ')))).toEqual(
        new Set(['ours 200', 'own 200', 'crossed 401']),
      );
    });

    it('two applications in one process answer each their own, under concurrent requests, and clean up after themselves', async () => {
      const names = (): string[] =>
        Object.keys((passport as unknown as { _strategies: object })._strategies).filter((name) =>
          name.startsWith('session-jwt:'),
        );
      const before = names().length;
      const apps = [await start(), await start()] as const;
      const clients = await Promise.all(
        apps.map(async (app, index) => ({
          client: app.browser(),
          ...(await signIn(app.browser(), 'bearer', `user-${index}`)),
        })),
      );
      const answers = await Promise.all(
        Array.from({ length: 80 }, async (_, index) => {
          const [at, of] = [index % 2, Math.floor(index / 2) % 2];
          const reply = await clients[at]?.client.get('/api/me', bearer(clients[of]?.tokens.accessToken ?? ''));
          return `${at === of ? 'own' : 'foreign'} ${reply?.status} ${reply?.body.user?.id === `user-${at}`}`;
        }),
      );
      expect(new Set(answers)).toEqual(new Set(['own 200 true', 'foreign 401 false']));
      // Each application has one strategy, however many guards and requests asked for it.
      expect(names().length).toBe(before + 2);
      await closeApps();
      expect(names().length).toBe(before);
    });

    it('is extended as Nest users know it: handleRequest decides', async () => {
      @Injectable()
      class Lenient extends JwtAuthGuard {
        override handleRequest<TUser>(error: unknown, user: unknown, info: unknown, context: ExecutionContext): TUser {
          seen.push(user ? 'user' : 'none');
          return super.handleRequest(error, user, info, context);
        }
      }
      const seen: string[] = [];
      @Controller('lenient')
      @UseGuards(Lenient)
      class LenientController {
        @Get()
        get(@CurrentUser() user: unknown): unknown {
          return { user };
        }
      }
      @Module({ controllers: [LenientController] })
      class Feature {}
      const app = await startApp({ platform, session: TOKENS, imports: [Feature], controllers: [AccountController] });
      const { tokens } = await signIn(app.browser());
      expect((await app.browser().get('/lenient')).status).toBe(401);
      expect((await app.browser().get('/lenient', bearer(tokens.accessToken))).status).toBe(200);
      expect(seen).toEqual(['none', 'user']);
    });
  });

  it('works as the guard of a whole application, where its order against other guards does not matter', async () => {
    const { APP_GUARD } = await import('@nestjs/core');
    const { RolesGuard } = await import('../../../src/index.js');
    const app = await startApp({
      platform,
      session: TOKENS,
      controllers: [ApiController, AccountController],
      providers: [
        { provide: APP_GUARD, useExisting: RolesGuard },
        { provide: APP_GUARD, useExisting: SessionGuard },
      ],
    });
    const client = app.browser();
    const { tokens } = await signIn(client);
    app.store.forget();
    expect((await client.get('/api/me', bearer(tokens.accessToken))).status).toBe(200);
    expect((await client.get('/api/admin', bearer(tokens.accessToken))).status).toBe(403);
    // Two requests, however many guards asked.
    expect(app.store.reads).toBe(2);
    const instance: INestApplication = app.app;
    expect(instance.get(JwtAuthGuard)).toBeDefined();
  });
});
