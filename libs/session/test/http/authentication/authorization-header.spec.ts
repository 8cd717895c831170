import { Controller, Get, Post, UseGuards } from '@nestjs/common';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { CurrentSession, Public, SessionGuard, TokenService, Transport } from '../../../src/index.js';
import { JwtAuthGuard } from '../../../src/passport/index.js';
import { validateToken } from '../../../src/standalone/index.js';
import { AccountController } from '../../support/account.controller.js';
import { closeApps, PLATFORMS, startApp, type TestApp } from '../../support/app.js';

const jwt = { issuer: 'https://issuer.example', audience: 'https://api.example' };

@Controller('by')
class ByController {
  @UseGuards(SessionGuard)
  @Get('session')
  session(): unknown {
    return {};
  }

  @UseGuards(JwtAuthGuard)
  @Get('jwt')
  jwt(): unknown {
    return {};
  }

  @Get('validated')
  validated(): unknown {
    return {};
  }

  @Public()
  @Post('public')
  open(@CurrentSession() session: unknown): unknown {
    return { session };
  }

  @Transport('cookie')
  @UseGuards(SessionGuard)
  @Get('cookie-only')
  cookieOnly(): unknown {
    return {};
  }
}

afterEach(closeApps);

describe.each(PLATFORMS)('an Authorization header that is no string, on %s', (platform) => {
  let app: TestApp;

  /** Stands for gateways and GraphQL contexts that rebuild a request from JSON. */
  const start = async (): Promise<void> => {
    app = await startApp({
      platform,
      session: { jwt },
      controllers: [AccountController, ByController],
      configure: (nest) => {
        const validated = validateToken(nest.get(TokenService));
        nest.use((request: IncomingMessage, response: ServerResponse, next: () => void) => {
          const json = request.headers['x-json'];
          if (json !== undefined)
            Object.assign(request.headers, { authorization: JSON.parse(String(json)) as unknown });
          if (request.url === '/by/validated') validated(request, response, next);
          else next();
        });
      },
    });
  };

  it.each([7, true, {}, { token: 'x' }, [], ['Bearer a.b.c'], [['Bearer a.b.c']]])(
    'GHSA-xmf8-cvqr-rfgj: %j is 400, never 500',
    async (value) => {
      await start();
      const headers = { 'x-json': JSON.stringify(value) };
      for (const path of ['/by/session', '/by/jwt', '/by/validated']) {
        const { status, body } = await app.browser().get(path, headers);
        expect([path, status, body.code]).toEqual([path, 400, 'invalid_request']);
      }
      expect((await app.browser().post('/by/public', {}, headers)).body).toEqual({ session: null });
    },
  );

  it('null counts as none, and on a route of cookies alone none of them counts', async () => {
    await start();
    const browser = app.browser();
    await browser.post('/login', { userId: 'ann' });
    expect((await browser.get('/by/session', { 'x-json': 'null' })).status).toBe(200);
    expect((await app.browser().get('/by/jwt', { 'x-json': 'null' })).body.code).toBe('session_required');
    for (const json of ['7', '["Bearer a.b.c"]', '"Bearer a b"'])
      expect((await browser.get('/by/cookie-only', { 'x-json': json })).status).toBe(200);
  });

  it('a sign-out beside one ends the session of the cookie', async () => {
    await start();
    const browser = app.browser();
    await browser.post('/login', { userId: 'ann' });
    expect((await browser.post('/public-logout', {}, { 'x-json': '7' })).body).toEqual({ ended: true });
    expect(await app.store.getActiveSessions('ann')).toEqual([]);
  });
});
