import {
  Catch,
  Controller,
  ForbiddenException,
  Get,
  HttpException,
  Param,
  Post,
  UseGuards,
  type ArgumentsHost,
  type ExceptionFilter,
  type LoggerService,
} from '@nestjs/common';
import { BaseExceptionFilter, HttpAdapterHost } from '@nestjs/core';
import {
  AuthenticationError,
  ConfigurationError,
  HTTP_STATUS,
  Public,
  ReqSession,
  SessionError,
  SessionGuard,
  SessionHttpException,
  SessionService,
  StoreUnavailableError,
  type RequestSession,
  type SessionErrorCode,
} from '../../../src/index.js';
import { endedError } from '../../../src/model/errors.js';
import { AccountController } from '../../support/account.controller.js';
import { closeApps, PLATFORMS, startApp } from '../../support/app.js';

@Public()
@Controller('throw')
class Thrower {
  constructor(private readonly sessions: SessionService) {}

  @Get('down')
  down(): never {
    throw new StoreUnavailableError('connect ECONNREFUSED redis-7.internal:6379');
  }

  @Get('configuration')
  configuration(): never {
    throw new ConfigurationError('secrets: do not show this');
  }

  @Get('ended')
  ended(): never {
    throw endedError('evicted');
  }

  @Get('service')
  async service(): Promise<unknown> {
    return this.sessions.list('');
  }

  @Get('code/:code')
  code(@Param('code') code: SessionErrorCode): never {
    throw new SessionError(code, 'said "so" \\ über\r\nalles');
  }

  @Post('big')
  async big(@ReqSession() session: RequestSession): Promise<unknown> {
    return session.start({ userId: 'ann', data: { big: 'x'.repeat(70_000) } });
  }
}

/** As in the documentation of Nest: all that is no HttpException is a 500. */
@Catch()
class CatchAll implements ExceptionFilter {
  constructor(private readonly adapterHost: HttpAdapterHost) {}

  catch(exception: unknown, host: ArgumentsHost): void {
    const status = exception instanceof HttpException ? exception.getStatus() : 500;
    const code = exception instanceof SessionHttpException ? exception.code : null;
    const isOurs = exception instanceof HttpException && exception.cause instanceof SessionError;
    this.adapterHost.httpAdapter.reply(host.switchToHttp().getResponse(), { own: true, code, isOurs }, status);
  }
}

@Catch()
class Passing extends BaseExceptionFilter {}

@UseGuards(SessionGuard)
@Controller('guarded')
class Guarded {
  @Get()
  get(): unknown {
    return { ok: true };
  }
}

class Lines implements LoggerService {
  readonly lines: string[] = [];
  private readonly add = (...parts: unknown[]): void => void this.lines.push(parts.map(String).join(' '));
  log = this.add;
  warn = this.add;
  error = this.add;
  debug = this.add;
}

afterEach(closeApps);

describe.each(PLATFORMS)('errors on %s', (platform) => {
  const controllers = [AccountController, Thrower, Guarded];

  it('ASVS 16.5.1 to 16.5.3: store down is 503 at once, never 401 or 200, and tells nothing of the inside', async () => {
    const app = await startApp({ platform, controllers });
    const browser = app.browser();
    await browser.post('/login', { userId: 'ann' });
    app.store.down = true;
    const replies = [
      await browser.get('/me'),
      await browser.get('/optional'),
      await browser.get('/admin'),
      await browser.post('/note', { a: 1 }),
      await browser.post('/step-up'),
      await browser.post('/logout'),
      await browser.post('/public-logout'),
      await browser.post('/login', { userId: 'ann' }),
      await app.browser().post('/login', { userId: 'ann' }),
      await browser.get('/throw/down'),
    ];
    for (const reply of replies) {
      expect([reply.status, reply.headers.get('retry-after'), reply.headers.get('cache-control')]).toEqual([
        503,
        '1',
        'no-store',
      ]);
      expect(reply.body).toEqual({
        statusCode: 503,
        error: 'Service Unavailable',
        code: 'store_unavailable',
        message: 'Sessions cannot be checked at the moment. Try again.',
      });
      expect([...reply.headers].flat().join()).not.toMatch(/redis|6379|secretkey/);
      expect(reply.setCookies).toEqual([]);
    }
    expect((await browser.get('/public')).status).toBe(200);
    expect((await app.browser().get('/me')).status).toBe(401);
    app.store.down = false;
    expect((await browser.get('/me')).status).toBe(200);
  });

  it('ASVS 16.5.2: an access that cannot be recorded costs the request nothing', async () => {
    const logger = new Lines();
    const app = await startApp({ platform, controllers, logger });
    const browser = app.browser();
    await browser.post('/login', { userId: 'ann' });
    app.store.failing.add('touch');
    for (let round = 0; round < 3; round += 1) {
      app.store.advance(2 * 60_000);
      expect((await browser.get('/me')).status).toBe(200);
    }
    expect(logger.lines.filter((line) => line.includes('Accesses cannot be recorded'))).toHaveLength(1);
    expect(app.store.commands.filter((command) => command === 'touch')).toHaveLength(3);
  });

  it('answers what services throw in handlers, by the one table', async () => {
    const app = await startApp({ platform, controllers });
    const get = async (path: string) => app.browser().get(`/throw/${path}`);
    expect((await get('ended')).body).toEqual({
      statusCode: 401,
      error: 'Unauthorized',
      code: 'session_evicted',
      message: 'The session ended (evicted). Sign in again.',
    });
    expect((await get('ended')).headers.get('www-authenticate')).toContain('error="invalid_token"');
    expect((await get('service')).body).toMatchObject({ statusCode: 400, code: 'invalid_argument' });
    expect((await app.browser().post('/throw/big')).body).toMatchObject({ statusCode: 413, code: 'session_too_large' });
    for (const [code, status] of Object.entries(HTTP_STATUS)) {
      const reply = await get(`code/${code}`);
      expect([code, reply.status, reply.body.code]).toEqual([code, status, code]);
      expect(reply.headers.get('cache-control')).toBe('no-store');
      expect(reply.headers.has('www-authenticate')).toBe(
        status === 401 || reply.headers.get('www-authenticate')?.includes('error=') === true,
      );
      expect(reply.headers.get('www-authenticate')?.split('error_description=')[1] ?? '""').toMatch(
        /^"[\x20-\x21\x23-\x5b\x5d-\x7e]*"$/,
      );
    }
  });

  it('ASVS 16.3.4, 16.5.1: what is wrong inside goes to the log, not to the client', async () => {
    const logger = new Lines();
    const app = await startApp({ platform, controllers, logger });
    const reply = await app.browser().get('/throw/configuration');
    expect(reply.status).toBe(500);
    expect(reply.body).toEqual({
      statusCode: 500,
      error: 'Internal Server Error',
      code: 'invalid_configuration',
      message: 'Internal Server Error',
    });
    expect(logger.lines.join('\n')).toContain('do not show this');
    // An outage of the store is logged once by the store, not at each request.
    const before = logger.lines.length;
    expect((await app.browser().get('/throw/down')).status).toBe(503);
    expect(logger.lines.slice(before)).toEqual([]);
  });

  it("an application's catch-all filter sees status, code and cause, and the headers stand", async () => {
    const app = await startApp({
      platform,
      controllers,
      configure: (nest) => nest.useGlobalFilters(new CatchAll(nest.get(HttpAdapterHost))),
    });
    const browser = app.browser();
    const denied = await browser.get('/guarded');
    expect([denied.status, denied.body]).toEqual([401, { own: true, code: 'session_required', isOurs: true }]);
    expect(denied.headers.get('www-authenticate')).toBe('Bearer realm="session"');
    await browser.post('/login', { userId: 'ann' });
    expect((await browser.get('/admin')).body).toEqual({ own: true, code: 'insufficient_scope', isOurs: true });
    app.store.down = true;
    const down = await browser.get('/guarded');
    expect([down.status, down.headers.get('retry-after'), down.body.code]).toEqual([503, '1', 'store_unavailable']);
  });

  it("a filter that extends Nest's own answers what handlers threw with the right status, and hides 5xx", async () => {
    const app = await startApp({
      platform,
      controllers,
      configure: (nest) => nest.useGlobalFilters(new Passing(nest.getHttpAdapter())),
    });
    const get = async (path: string) => app.browser().get(`/throw/${path}`);
    expect((await get('ended')).status).toBe(401);
    expect((await get('service')).body.statusCode).toBe(400);
    const down = await get('down');
    expect([down.status, down.text.includes('redis')]).toEqual([503, false]);
    expect((await app.browser().get('/guarded')).body.code).toBe('session_required');
  });

  it('at the limit under "reject" a sign-in is 409 and ends nothing', async () => {
    const session = { session: { maxSessionsPerUser: 2, onLimit: 'reject' } } as const;
    const app = await startApp({ platform, controllers, session });
    const browsers = [app.browser(), app.browser(), app.browser()];
    const replies = await Promise.all(browsers.map((browser) => browser.post('/login', { userId: 'ann' })));
    expect(replies.map(({ status }) => status).sort()).toEqual([200, 200, 409]);
    const refused = replies.find(({ status }) => status === 409);
    expect([refused?.body.code, refused?.setCookies]).toEqual(['session_limit_reached', []]);
    const again = browsers[replies.findIndex(({ status }) => status === 200)];
    expect((await again?.post('/login', { userId: 'ann' }))?.status).toBe(200);
  });

  it('the hook beforeStart vetoes by false or by an exception of its own, before the store is asked', async () => {
    const session = {
      beforeStart: async ({ userId }: { userId: string }) => {
        if (userId === 'banned') throw new ForbiddenException('banned');
        return userId !== 'mallory';
      },
    };
    const app = await startApp({ platform, controllers, session });
    const vetoed = await app.browser().post('/login', { userId: 'mallory' });
    expect([vetoed.status, vetoed.body.code, vetoed.setCookies]).toEqual([403, 'session_vetoed', []]);
    expect((await app.browser().post('/login', { userId: 'banned' })).body).toMatchObject({
      statusCode: 403,
      message: 'banned',
    });
    expect(app.store.commands).toEqual([]);
    expect((await app.browser().post('/login', { userId: 'ann' })).status).toBe(200);
  });
});

it('errors say what they are to anyone who asks', () => {
  const error = new AuthenticationError('invalid_token', 'no');
  expect(error).toMatchObject({
    name: 'AuthenticationError',
    code: 'invalid_token',
    statusCode: 401,
    status: 401,
    expose: true,
  });
  expect(new StoreUnavailableError()).toMatchObject({ statusCode: 503, expose: false });
});
