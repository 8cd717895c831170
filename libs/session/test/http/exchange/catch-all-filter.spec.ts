import {
  Catch,
  Controller,
  HttpException,
  Post,
  UseGuards,
  type ArgumentsHost,
  type ExceptionFilter,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import {
  Public,
  ReqSession,
  RequestSession,
  SessionGuard,
  SessionService,
  type SessionErrorBody,
} from '../../../src/index.js';
import { AccountController } from '../../support/account.controller.js';
import { closeApps, PLATFORMS, startApp, type TestApp } from '../../support/app.js';

@UseGuards(SessionGuard)
@Controller('handlers')
class HandlersController {
  constructor(private readonly sessions: SessionService) {}

  @Public()
  @Post('list-of-nobody')
  async listOfNobody(): Promise<unknown> {
    return this.sessions.list('');
  }

  @Public()
  @Post('update')
  async update(@ReqSession() session: RequestSession): Promise<unknown> {
    return session.update({ data: { a: 1 } });
  }

  @Post('cyclic')
  async cyclic(@ReqSession() session: RequestSession): Promise<unknown> {
    const data: Record<string, unknown> = {};
    data['self'] = data;
    return session.update({ data });
  }

  @Post('large')
  async large(@ReqSession() session: RequestSession): Promise<unknown> {
    return session.update({ data: { text: 'x'.repeat(70_000) } });
  }

  @Post('nested')
  async nested(@ReqSession() session: RequestSession): Promise<unknown> {
    return session.impersonate({ userId: 'eve' });
  }
}

/** As the documentation of Nest has it, and as most applications copy it: what is no HttpException is 500. */
@Catch()
class CatchAll implements ExceptionFilter {
  constructor(private readonly host: HttpAdapterHost) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const known = error instanceof HttpException;
    const body = known ? error.getResponse() : { code: 'unknown' };
    this.host.httpAdapter.reply(host.switchToHttp().getResponse(), body, known ? error.getStatus() : 500);
  }
}

afterEach(closeApps);

describe.each(PLATFORMS)('under a catch-all filter of the application, on %s', (platform) => {
  let app: TestApp;
  const start = async (session: object = {}): Promise<void> => {
    app = await startApp({
      platform,
      session,
      controllers: [AccountController, HandlersController],
      configure: (nest) => nest.useGlobalFilters(new CatchAll(nest.get(HttpAdapterHost))),
    });
  };
  const signIn = async () => {
    const browser = app.browser();
    expect((await browser.post('/login', { userId: 'ann', roles: ['user'] })).status).toBe(200);
    return browser;
  };
  const answerOf = (reply: { status: number; body: SessionErrorBody }): unknown => {
    // Only what a client may read: nothing of cause, stack or the store's address.
    expect(Object.keys(reply.body).sort()).toEqual(
      ['code', 'error', 'message', 'statusCode', ...('sessions' in reply.body ? ['sessions'] : [])].sort(),
    );
    return [reply.status, reply.body.statusCode, reply.body.code];
  };

  it('400 and 401: what handlers get from services and the session of the request', async () => {
    await start();
    const browser = await signIn();
    expect(answerOf(await browser.post('/handlers/list-of-nobody'))).toEqual([400, 400, 'invalid_argument']);
    expect(answerOf(await browser.post('/handlers/cyclic'))).toEqual([400, 400, 'invalid_argument']);
    expect(answerOf(await browser.post('/login', { userId: 7 }))).toEqual([400, 400, 'invalid_argument']);
    expect(answerOf(await app.browser().post('/handlers/update'))).toEqual([401, 401, 'session_required']);
  });

  it('403: another site, a missing role, a session that acts as somebody else', async () => {
    await start();
    const browser = await signIn();
    const evil = { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' };
    expect(answerOf(await browser.post('/handlers/update', undefined, evil))).toEqual([403, 403, 'csrf_rejected']);
    expect(answerOf(await browser.post('/login', { userId: 'eve' }, evil))).toEqual([403, 403, 'csrf_rejected']);
    expect(answerOf(await browser.get('/admin'))).toEqual([403, 403, 'insufficient_scope']);
    expect((await browser.post('/handlers/nested')).status).toBe(201);
    expect(answerOf(await browser.post('/handlers/nested'))).toEqual([403, 403, 'insufficient_scope']);
  });

  it('409 with the sessions to choose from, and 413', async () => {
    await start({ session: { maxSessionsPerUser: 1, onLimit: 'reject' } });
    const browser = await signIn();
    const refused = await app.browser().post('/login', { userId: 'ann' });
    expect(answerOf(refused)).toEqual([409, 409, 'session_limit_reached']);
    expect(refused.body.sessions).toHaveLength(1);
    expect(answerOf(await browser.post('/handlers/large'))).toEqual([413, 413, 'session_too_large']);
  });

  it('503 with Retry-After, in a guard and in a handler', async () => {
    await start();
    const browser = await signIn();
    app.store.down = true;
    for (const path of ['/note', '/handlers/update']) {
      const reply = await browser.post(path, {});
      expect([path, answerOf(reply)]).toEqual([path, [503, 503, 'store_unavailable']]);
      expect(reply.text).not.toContain('redis');
    }
    expect((await browser.get('/me')).headers.get('retry-after')).toBe('1');
    app.store.down = false;
    app.store.failing.add('update');
    expect(answerOf(await browser.post('/note', {}))).toEqual([503, 503, 'store_unavailable']);
  });
});
