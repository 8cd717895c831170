import { Controller, Get, Injectable, UseGuards } from '@nestjs/common';
import jwt from 'jsonwebtoken';
import { TokenService } from '../../src/index.js';
import { JwtAuthGuard } from '../../src/passport/index.js';
import type { LiveSession } from '../../src/ports/session-store.js';
import { AccountController } from '../support/account.controller.js';
import { closeApps, PLATFORMS, startApp, type TestApp } from '../support/app.js';
import { secretOf } from '../support/secrets.js';

/** Two keys whose secrets would do for either algorithm. */
const SECRETS = { one: Buffer.from(secretOf('one').repeat(2)), two: Buffer.from(secretOf('two').repeat(2)) };
const TOKENS = {
  issuer: 'https://issuer.example',
  audience: 'https://api.example',
  keys: [
    { kid: 'one', alg: 'HS256' as const, secret: SECRETS.one },
    { kid: 'two', alg: 'HS512' as const, secret: SECRETS.two },
  ],
};

@UseGuards(JwtAuthGuard)
@Controller('by-token')
class ByTokenController {
  @Get()
  open(): unknown {
    return { ok: true };
  }
}

/** A user for every request, as an application may make one up. */
@Injectable()
class GenerousGuard extends JwtAuthGuard {
  override handleRequest<TUser>(_error: unknown, user: unknown): TUser {
    return (user || { id: 'somebody' }) as TUser;
  }
}

@UseGuards(GenerousGuard)
@Controller('generous')
class GenerousController {
  @Get()
  open(): unknown {
    return { ok: true };
  }
}

afterEach(closeApps);

describe.each(PLATFORMS)('JwtAuthGuard on %s', (platform) => {
  let app: TestApp;
  const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });
  const signIn = async () => {
    const browser = app.browser();
    const { body } = await browser.post('/login', { userId: 'ann', transport: 'both' });
    return { browser, id: body.session.id as string, accessToken: body.tokens.accessToken as string };
  };
  /** What each guard answers. */
  const statuses = async (token: string): Promise<number[]> => {
    const client = app.browser();
    return [(await client.get('/me', bearer(token))).status, (await client.get('/by-token', bearer(token))).status];
  };

  beforeEach(async () => {
    const controllers = [AccountController, ByTokenController, GenerousController];
    app = await startApp({ platform, session: { jwt: TOKENS }, controllers });
  });

  it('as SessionGuard, refuses an access token that we signed for another sub than its session’s user (RFC 9068, 4)', async () => {
    const { id } = await signIn();
    const live = (await app.store.read(id)) as LiveSession;
    const issued = (userId: string): string =>
      app.app.get(TokenService).issueFor({ ...live, session: { ...live.session, userId } }).accessToken;
    expect(await statuses(issued('ann'))).toEqual([200, 200]);
    expect(await statuses(issued('bob'))).toEqual([401, 401]);
  });

  it('as SessionGuard, takes a key for its own algorithm alone (RFC 8725, 3.1; ASVS 9.1.2)', async () => {
    const { accessToken } = await signIn();
    const signed = (kid: keyof typeof SECRETS, alg: 'HS256' | 'HS512'): string =>
      jwt.sign(jwt.decode(accessToken) as object, SECRETS[kid], {
        algorithm: alg,
        header: { alg, typ: 'at+jwt', kid },
      });
    expect(await statuses(signed('one', 'HS256'))).toEqual([200, 200]);
    expect(await statuses(signed('two', 'HS512'))).toEqual([200, 200]);
    expect(await statuses(signed('one', 'HS512'))).toEqual([401, 401]);
    expect(await statuses(signed('two', 'HS256'))).toEqual([401, 401]);
  });

  it('takes no cookie, whomever its handleRequest makes up', async () => {
    const { browser, accessToken } = await signIn();
    expect((await browser.get('/me')).status).toBe(200);
    const refused = await browser.get('/generous');
    expect([refused.status, refused.body.code]).toEqual([401, 'session_required']);
    expect((await browser.get('/generous', bearer(accessToken))).status).toBe(200);
  });
});
