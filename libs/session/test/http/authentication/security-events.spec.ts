import { Body, Controller, HttpCode, Post, UnauthorizedException, UseGuards } from '@nestjs/common';
import {
  AllowPending,
  Public,
  ReqSession,
  SessionEvents,
  SessionGuard,
  StepUp,
  type RequestSession,
  type SessionEvent,
} from '../../../src/index.js';
import { JwtAuthGuard } from '../../../src/passport/jwt-auth.guard.js';
import { AccountController } from '../../support/account.controller.js';
import { closeApps, PLATFORMS, startApp, type Platform, type TestApp } from '../../support/app.js';
import type { Browser } from '../../support/browser.js';
import { CapturedLogs } from '../../support/captured-logs.js';

const PASSWORD = 'correct horse';

@Controller('auth')
@UseGuards(SessionGuard)
class AuthController {
  @Public()
  @Post('login')
  @HttpCode(200)
  async login(@Body() { password }: { password: string }, @ReqSession() session: RequestSession): Promise<unknown> {
    if (password !== PASSWORD) {
      await session.signInFailed({ userId: 'ann', failed: ['pwd'] });
      throw new UnauthorizedException();
    }
    return session.start({ userId: 'ann', amr: ['pwd'], pending: true });
  }

  @AllowPending()
  @StepUp()
  @Post('code')
  @HttpCode(200)
  async code(@Body() { code }: { code: string }, @ReqSession() session: RequestSession): Promise<unknown> {
    if (code !== '123456') {
      await session.signInFailed({ failed: ['otp'] });
      throw new UnauthorizedException();
    }
    return session.stepUp({ pending: false, amr: ['pwd', 'otp'] });
  }
}

@Controller('api')
@UseGuards(JwtAuthGuard)
class ApiController {
  @Post()
  any(): unknown {
    return {};
  }
}

const SECURITY = ['authenticated', 'sign-in-failed', 'request-refused', 'hijack-suspected', 'limit-reached'];
const jwt = { issuer: 'https://a.example', audience: 'https://b.example' };

describe.each(PLATFORMS)('security events on %s', (platform: Platform) => {
  let app: TestApp;
  let heard: SessionEvent[];
  let logs: CapturedLogs;

  beforeEach(async () => {
    const controllers = [AccountController, AuthController, ApiController];
    // The application's logger is set at its start, and would replace the one that collects.
    app = await startApp({
      platform,
      controllers,
      session: { jwt, session: { maxSessionsPerUser: 2, onLimit: 'reject' } },
    });
    logs = new CapturedLogs();
    heard = [];
    app.app.get(SessionEvents).all$.subscribe((event) => {
      if (SECURITY.includes(event.type)) heard.push(event);
    });
  });
  afterEach(async () => {
    await closeApps();
    logs.restore();
  });

  const entries = (): Record<string, string>[] =>
    logs.lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as Record<string, string>);
  const logged = (event: string): Record<string, string>[] => entries().filter((entry) => entry['event'] === event);
  const expectNoSecret = (...secrets: string[]): void => {
    const all = [...logs.lines, JSON.stringify(heard)].join('\n');
    for (const secret of secrets) expect(all).not.toContain(secret);
  };

  async function signedIn(input: object = {}): Promise<Browser> {
    const browser = app.browser();
    expect((await browser.post('/login', { userId: 'ann', ...input })).status).toBe(200);
    heard.length = 0;
    logs.lines.length = 0;
    return browser;
  }

  it('16.3.1: a wrong password, a wrong second factor and a good sign-in, each with its factors', async () => {
    const browser = app.browser();
    expect((await browser.post('/auth/login', { password: 'hunter2' })).status).toBe(401);
    await browser.post('/auth/login', { password: PASSWORD });
    expect((await browser.post('/auth/code', { code: '999999' })).status).toBe(401);
    await browser.post('/auth/code', { code: '123456' });
    const sessionId = expect.stringMatching(/^\S{32}$/);
    expect(heard).toMatchObject([
      { type: 'sign-in-failed', userId: 'ann', sessionId: '', failed: ['pwd'], verified: [], ip: '127.0.0.1' },
      { type: 'authenticated', userId: 'ann', sessionId, step: 'sign-in', amr: ['pwd'], pending: true },
      { type: 'sign-in-failed', userId: 'ann', sessionId, failed: ['otp'], verified: ['pwd'] },
      { type: 'authenticated', userId: 'ann', sessionId, step: 'step-up', amr: ['pwd', 'otp'], pending: false },
    ]);
    expect(logged('authn_login_fail')).toMatchObject([
      { severity: 'WARN', userId: 'ann', failed: 'pwd', verified: '' },
      { severity: 'WARN', userId: 'ann', failed: 'otp', verified: 'pwd' },
    ]);
    expect(logged('authn_login_success')).toMatchObject([
      { step: 'sign-in', amr: 'pwd', pending: 'true' },
      { step: 'step-up', amr: 'pwd,otp' },
    ]);
    expectNoSecret('hunter2', PASSWORD, '999999', '123456');
  });

  it('16.3.2: a missing role, a proof too old and a missing factor, with the route', async () => {
    const browser = await signedIn({ roles: ['user'] });
    expect((await browser.get('/admin')).status).toBe(403);
    expect(logged('authz_fail')).toMatchObject([
      { severity: 'CRITICAL', code: 'insufficient_scope', route: 'AccountController.admin', userId: 'ann' },
    ]);
    const half = await signedIn({ userId: 'eve', pending: true });
    expect((await half.get('/me')).status).toBe(403);
    expect(logged('authz_fail')).toMatchObject([
      { severity: 'INFO', code: 'pending_authentication', route: 'AccountController.me', userId: 'eve' },
    ]);
    expect(heard).toHaveLength(1);
  });

  it('16.3.3: another site, forged and replaced tokens, another client, the session limit', async () => {
    const browser = await signedIn({ transport: 'both' });
    await browser.post('/note', {}, { 'sec-fetch-site': 'cross-site' });
    await browser.post('/login', { userId: 'ann' }, { 'sec-fetch-site': 'cross-site' });
    expect(logged('malicious_cors')).toMatchObject([
      { severity: 'CRITICAL', code: 'csrf_rejected', route: 'AccountController.note' },
      { severity: 'CRITICAL', code: 'csrf_rejected', route: 'AccountController.login' },
    ]);
    const [name = '', token = ''] = [...browser.jar][0] ?? [];
    const forged = `${token.slice(0, -4)}AAAA`;
    const thief = app.browser();
    for (const path of ['/me', '/session']) await thief.get(path, { cookie: `${name}=${forged}` });
    await thief.get('/me', { authorization: 'Bearer e30.e30.AAAA' });
    await thief.post('/api', {}, { authorization: 'Bearer e30.e30.AAAA' });
    expect(logged('session_token_refused')).toMatchObject([
      { severity: 'CRITICAL', reason: 'forged', route: 'AccountController.me', ip: '127.0.0.1' },
      { severity: 'CRITICAL', reason: 'forged', route: 'AccountController.session' },
      { severity: 'CRITICAL', reason: 'forged', route: 'AccountController.me' },
      { severity: 'CRITICAL', reason: 'forged' },
    ]);
    await browser.post('/regenerate');
    await thief.get('/me', { cookie: `${name}=${token}` });
    expect(logged('session_token_refused').at(-1)).toMatchObject({ severity: 'WARN', reason: 'replaced' });
    heard.length = 0;
    await browser.get('/me', { 'user-agent': 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Safari/604.1' });
    expect(heard.map(({ type }) => type)).toEqual(['hijack-suspected']);
    await signedIn();
    await app.browser().post('/login', { userId: 'ann' });
    expect(heard.map(({ type }) => type)).toEqual(['limit-reached']);
    expectNoSecret(token, forged, 'e30.e30.AAAA');
  });

  it('calls the expired access token of an honest client ordinary', async () => {
    await closeApps();
    app = await startApp({
      platform,
      controllers: [AccountController, ApiController],
      session: { jwt: { ...jwt, accessTokenTtl: '1s' } },
    });
    logs.restore();
    logs = new CapturedLogs();
    const { body } = await app.browser().post('/login', { userId: 'ann', transport: 'bearer' });
    const { accessToken } = (body as { tokens: { accessToken: string } }).tokens;
    app.store.advance(5_000);
    const authorization = `Bearer ${accessToken}`;
    expect((await app.browser().get('/me', { authorization })).status).toBe(401);
    expect((await app.browser().post('/api', {}, { authorization })).status).toBe(401);
    expect(logged('session_token_refused')).toMatchObject([
      { severity: 'INFO', reason: 'expired' },
      { severity: 'INFO', reason: 'expired' },
    ]);
    expectNoSecret(accessToken);
  });

  it('says that a session was signed out, and not that it expired', async () => {
    const browser = await signedIn();
    await browser.post('/logout');
    expect(logged('session_logout')).toMatchObject([{ reason: 'logout', userId: 'ann' }]);
    expect(logged('session_expired')).toEqual([]);
  });

  it('16.3.3: a flood of refusals is a hundred lines', async () => {
    const browser = await signedIn();
    for (let i = 0; i < 130; i += 1) await browser.post('/note', {}, { 'sec-fetch-site': 'cross-site' });
    expect(logged('malicious_cors')).toHaveLength(100);
    await app.app.close();
    expect(logged('malicious_cors').at(-1)).toMatchObject({ omitted: '29' });
  });
});
