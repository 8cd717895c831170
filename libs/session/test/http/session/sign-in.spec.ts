import { Body, Controller, HttpCode, Inject, Post } from '@nestjs/common';
import { Redis } from 'ioredis';
import { randomBytes } from 'node:crypto';
import {
  Public,
  RedisSessionStore,
  ReqSession,
  RequestSession,
  SessionService,
  type NewSession,
} from '../../../src/index.js';
import { SecurityController } from '../../support/security.controller.js';
import { testRedisUrl } from '../../support/redis-harness.js';
import { secretOf } from '../../support/secrets.js';
import { Gate } from '../../frameworks/express/support/site.js';
import { AccountController } from '../../support/account.controller.js';
import { closeApps, PLATFORMS, startApp } from '../../support/app.js';

const COOKIE = '__Host-session';
const jwt = { issuer: 'https://issuer.example', audience: 'https://api.example' };

afterEach(closeApps);

describe.each(PLATFORMS)('a sign-in over a cookie, on %s', (platform) => {
  it.each(['ann', 'bob'])('by bearer leaves no cookie behind (ASVS 7.2.4), of ann, by %s', async (userId) => {
    const app = await startApp({ platform, session: { jwt }, controllers: [AccountController] });
    const [browser, old] = [app.browser(), app.browser()];
    await browser.post('/login', { userId: 'ann' });
    for (const [name, value] of browser.jar) old.jar.set(name, value);
    const reply = await browser.post('/login', { userId, transport: 'bearer' });
    expect(reply.status).toBe(200);
    expect(reply.setCookies).toMatchObject([{ name: COOKIE, value: '', maxAge: 0 }]);
    expect(browser.jar.has(COOKIE)).toBe(false);
    expect((await old.get('/me')).body.code).toBe('session_replaced');
    const headers = { authorization: `Bearer ${reply.body.tokens.accessToken as string}` };
    expect((await browser.get('/me', headers)).body.user.id).toBe(userId);
  });
});

/** A sign-in as the documentation has it, whose check of the password takes a while. */
@Controller('slow-login')
@Public()
class SlowLoginController {
  static gate: Gate;

  constructor(@Inject(SessionService) private readonly sessions: SessionService) {}

  @Post()
  @HttpCode(200)
  async login(@ReqSession() session: RequestSession, @Body() user: NewSession): Promise<unknown> {
    const verifiedAt = this.sessions.now();
    await SlowLoginController.gate.pass();
    return session.start(user, { verifiedAt });
  }
}

describe.each(PLATFORMS.flatMap((platform) => [[platform, 'memory'] as const, [platform, 'Redis'] as const]))(
  'a slow sign-in with the old password, on %s and %s',
  (platform, backend) => {
    it.each(['/password', '/logout-all'])('does not get in once %s is answered', async (path) => {
      const client = backend === 'Redis' ? new Redis(testRedisUrl()) : null;
      const keyPrefix = `test-${randomBytes(6).toString('hex')}:`;
      const store = client && new RedisSessionStore(client, { keyPrefix, commandTimeout: 5_000 });
      try {
        const app = await startApp({
          platform,
          session: { secrets: secretOf('s'), ...(store && { store }) },
          controllers: [AccountController, SecurityController, SlowLoginController],
        });
        const [owner, other] = [app.browser(), app.browser()];
        await owner.post('/login', { userId: 'ann' });
        const slowLogin = async (meanwhile: () => Promise<{ status: number }>) => {
          SlowLoginController.gate = new Gate();
          const signingIn = other.post('/slow-login', { userId: 'ann' });
          await SlowLoginController.gate.reached;
          expect((await meanwhile()).status).toBe(200);
          SlowLoginController.gate.open();
          return signingIn;
        };
        const refused = await slowLogin(() => owner.post(path));
        expect([refused.status, refused.body.code, refused.setCookies]).toEqual([401, 'session_revoked', []]);
        expect((await other.get('/me')).status).toBe(401);
        // Nobody has changed anything since.
        expect((await slowLogin(() => app.browser().post('/login', { userId: 'ann' }))).status).toBe(200);
        expect((await other.get('/me')).body.user.id).toBe('ann');
      } finally {
        await closeApps();
        await store?.close();
        client?.disconnect();
      }
    });
  },
);
