import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import type { Session } from '../../../src/index.js';
import { AccountController } from '../../support/account.controller.js';
import { closeApps, PLATFORMS, startApp, type TestApp } from '../../support/app.js';

const COOKIE = '__Host-session';

afterEach(closeApps);

describe.each(PLATFORMS)('authentication on %s', (platform) => {
  let app: TestApp;

  beforeEach(async () => {
    app = await startApp({ platform, controllers: [AccountController] });
  });

  async function signedIn(userId = 'ann') {
    const browser = app.browser();
    const reply = await browser.post('/login', { userId, email: `${userId}@example.com`, roles: ['user'] });
    app.store.forget();
    return { browser, session: reply.body.session as Session, token: browser.jar.get(COOKIE) ?? '' };
  }

  async function statusWith(token: string): Promise<unknown[]> {
    const reply = await app.browser().get('/me', { cookie: `${COOKIE}=${token}` });
    return [reply.status, reply.body.code];
  }

  it('an authenticated request is one read and no write', async () => {
    const { browser } = await signedIn();
    expect((await browser.get('/me')).body).toEqual({ user: { id: 'ann', email: 'ann@example.com', roles: ['user'] } });
    expect(app.store.commands).toEqual(['read']);
    app.store.forget();
    expect((await browser.get('/session')).body.session).toMatchObject({ userId: 'ann', roles: ['user'] });
    expect(app.store.commands).toEqual(['read']);
  });

  it('no credentials: 401, with a challenge that names no error (RFC 6750, 3.1)', async () => {
    const reply = await app.browser().get('/me');
    expect(reply.status).toBe(401);
    expect(reply.body).toEqual({
      statusCode: 401,
      error: 'Unauthorized',
      code: 'session_required',
      message: 'Sign in first.',
    });
    expect(reply.headers.get('www-authenticate')).toBe('Bearer realm="session"');
    expect(reply.headers.get('cache-control')).toBe('no-store');
    expect(app.store.commands).toEqual([]);
  });

  it('a token that does not hold: 401 invalid_token (RFC 6750, 3.1)', async () => {
    const reply = await app.browser().get('/me', { cookie: `${COOKIE}=nonsense` });
    expect(reply.status).toBe(401);
    expect(reply.body.code).toBe('invalid_token');
    expect(reply.headers.get('www-authenticate')).toMatch(
      /^Bearer realm="session", error="invalid_token", error_description="[^"\\]+"$/,
    );
    expect(reply.headers.get('cache-control')).toBe('no-store');
  });

  it('ASVS 7.2.1: forged or malformed tokens are 401, and the store is not asked', async () => {
    const { token, session } = await signedIn();
    const [id = '', secret = '', n = '', tag = ''] = token.split('.');
    const other = randomBytes(32).toString('base64url');
    const forged = [
      '',
      'null',
      'undefined',
      '[object Object]',
      '*',
      '{"userId":"ann"}',
      session.id,
      `st_${session.id}`,
      id,
      `${id}.${secret}.${n}`,
      `${id}.${secret}.${n}.`,
      `${id}.${secret}.${n}.${other}`,
      `${id}.${secret}.${n}.${tag}x`,
      `${id}.${secret}.${n}.${tag.slice(0, -1)}`,
      `${id}.${secret}.${n}.${tag}.${tag}`,
      `${id}.${secret}.1.${tag}`,
      `${id}.${secret}.00.${tag}`,
      `${id}.${secret}.-1.${tag}`,
      `${id}.${secret}.1e3.${tag}`,
      `${id}.${secret.slice(1)}.${n}.${tag}`,
      `${id}.${secret.toLowerCase()}.${n}.${tag}`,
      `${id.replace('st_', 'rt_')}.${secret}.${n}.${tag}`,
      `st_${'A'.repeat(32)}.${secret}.${n}.${tag}`,
      `${token}%00`,
      `%20${token}`,
      token.replaceAll('.', '%2E'),
      `"${token}"`,
      `s:${token}`,
      `${token}${'A'.repeat(7000)}`,
      'A'.repeat(10_000),
      `${token},${token}`,
    ];
    for (const value of forged) {
      expect([value.slice(0, 120), ...(await statusWith(value))]).toEqual([value.slice(0, 120), 401, 'invalid_token']);
    }
    expect(app.store.commands).toEqual([]);
    expect(await statusWith(token)).toEqual([200, undefined]);
  });

  it('a tag in another spelling of the same bits is refused', async () => {
    const { token } = await signedIn();
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const last = alphabet.indexOf(token.at(-1) ?? '');
    const spellings = [1, 2, 3].map((bits) => token.slice(0, -1) + alphabet.charAt((last & ~3) | ((last + bits) & 3)));
    for (const spelling of spellings) expect(await statusWith(spelling)).toEqual([401, 'invalid_token']);
  });

  it('a session id that is well formed and unknown is never adopted (CVE-2022-25896)', async () => {
    const { token } = await signedIn();
    await app.store.destroyEverybody();
    const attacker = app.browser();
    attacker.jar.set(COOKIE, token);
    const reply = await attacker.post('/login', { userId: 'bob' });
    expect(reply.status).toBe(200);
    expect(attacker.jar.get(COOKIE)?.slice(0, 40)).not.toBe(token.slice(0, 40));
    expect(reply.body.session.id).not.toBe(token.slice(3, 35));
  });

  it('two cookies of the name: the one that we signed counts, and no other costs a command', async () => {
    const { token } = await signedIn();
    for (const cookie of [
      `${COOKIE}=${token}; ${COOKIE}=${token}`,
      `${COOKIE}=x; ${COOKIE}=${token}`,
      `${COOKIE}=${token}; theme=dark; ${COOKIE}=`,
      `${COOKIE}=${token};${COOKIE}=${token}`,
    ]) {
      expect((await app.browser().get('/me', { cookie })).status).toBe(200);
    }
    expect(app.store.commands).toEqual(['read', 'read', 'read', 'read']);
    for (const cookie of [
      `a=1; ${COOKIE}=${token}; b=2`,
      `x${COOKIE}=no; ${COOKIE}=${token}`,
      `;;${COOKIE}=${token};=`,
    ]) {
      expect((await app.browser().get('/me', { cookie })).status).toBe(200);
    }
  });

  it('ASVS 7.2.2: two sign-ins have different ids and secrets', async () => {
    const [first, second] = [await signedIn(), await signedIn()];
    expect(first.session.id).not.toBe(second.session.id);
    expect(first.token.split('.')[1]).not.toBe(second.token.split('.')[1]);
    expect((await first.browser.get('/me')).status).toBe(200);
    expect((await second.browser.get('/me')).status).toBe(200);
  });

  it('ASVS 7.3.1: ends when it is not used for the idle timeout, and not before', async () => {
    const { browser } = await signedIn();
    for (let minutes = 0; minutes < 90; minutes += 29) {
      app.store.advance(29 * 60_000);
      expect((await browser.get('/me')).status).toBe(200);
    }
    app.store.advance(30 * 60_000);
    const reply = await browser.get('/me');
    expect([reply.status, reply.body.code]).toEqual([401, 'session_expired']);
  });

  it('ASVS 7.3.2: ends after the absolute timeout however much it is used', async () => {
    const { browser, session } = await signedIn();
    while (app.store.now() + 20 * 60_000 < session.expiresAt) {
      app.store.advance(20 * 60_000);
      expect((await browser.get('/me')).status).toBe(200);
    }
    app.store.advance(session.expiresAt - app.store.now() - 1);
    expect((await browser.get('/me')).status).toBe(200);
    app.store.advance(1);
    expect((await browser.get('/me')).body.code).toBe('session_expired');
  });

  it('ASVS 7.3.2: is refused past its deadline although the user has another that lives', async () => {
    const { browser, session } = await signedIn();
    app.store.advance(29 * 60_000);
    const other = await signedIn();
    app.store.advance(60_000);
    expect((await browser.get('/me')).body.code).toBe('session_expired');
    expect((await other.browser.get('/me')).status).toBe(200);
    expect((await app.store.getActiveSessions('ann')).map(({ id }) => id)).not.toContain(session.id);
  });

  it('an access is recorded at most once per touch interval, and not at all under @NoTouch()', async () => {
    const { browser, session } = await signedIn();
    await browser.get('/me');
    expect(app.store.writes).toBe(0);
    app.store.advance(60_000);
    await browser.get('/poll');
    await browser.get('/public');
    expect(app.store.writes).toBe(0);
    await Promise.all(Array.from({ length: 20 }, () => browser.get('/me')));
    expect(app.store.commands.filter((command) => command !== 'read')).toEqual(['touch']);
    expect((await app.store.get(session.id))?.lastAccess).toBe(session.lastAccess + 60_000);

    for (let minutes = 1; minutes < 30; minutes += 1) {
      app.store.advance(60_000);
      await browser.get('/poll');
    }
    app.store.advance(60_000);
    expect((await browser.get('/poll')).body.code).toBe('session_expired');
  });

  it('under @Public() nothing is read, unless a parameter asks for the session', async () => {
    const { browser, token } = await signedIn();
    expect((await browser.get('/public')).body).toEqual({ ok: true });
    expect(app.store.commands).toEqual([]);
    expect((await browser.get('/optional')).body).toMatchObject({ session: { userId: 'ann' }, user: { id: 'ann' } });
    expect(app.store.commands).toEqual(['read']);

    const nobody = { session: null, user: null };
    expect((await app.browser().get('/optional')).body).toEqual(nobody);
    for (const headers of [
      { cookie: `${COOKIE}=nonsense` },
      { cookie: `${COOKIE}=nonsense; ${COOKIE}=${token.slice(0, -1)}` },
      { authorization: 'Bearer nonsense' },
      { authorization: 'Bearer a b' },
      { authorization: 'Bearer' },
    ]) {
      const reply = await app.browser().get('/optional', headers as unknown as Record<string, string>);
      expect([reply.status, reply.body, reply.setCookies]).toEqual([200, nobody, []]);
    }
  });

  it('GHSA-xmf8-cvqr-rfgj: an Authorization header is a bearer token, malformed (400), or none of ours', async () => {
    const { token } = await signedIn();
    const asked = async (authorization: string, cookie?: string) => {
      const reply = await app.browser().get('/me', { authorization, ...(cookie !== undefined && { cookie }) });
      return [reply.status, reply.body.code];
    };
    for (const malformed of [
      'Bearer',
      'Bearer ',
      'Bearer a b',
      'Bearer a,b',
      'bearer "a"',
      'Bearer =',
      'Bearer a=b',
      'BEARER ü',
      'Bearer\ta',
    ]) {
      expect([malformed, ...(await asked(malformed))]).toEqual([malformed, 400, 'invalid_request']);
    }
    for (const wellFormed of ['Bearer a', 'bearer a.b.c', 'BEARER a==', 'bEaReR   a-._~+/a']) {
      expect([wellFormed, ...(await asked(wellFormed))]).toEqual([wellFormed, 401, 'invalid_token']);
    }
    for (const other of ['Basic dXNlcjpwYXNz', 'Digest x="y"', 'Bearers a', 'Token a', '']) {
      expect([other, ...(await asked(other))]).toEqual([other, 401, 'session_required']);
      expect(await asked(other, `${COOKIE}=${token}`)).toEqual([200, undefined]);
    }
    // Tokens are off here, so that beside a cookie of ours the header is another party's.
    expect(await asked('Bearer a b', `${COOKIE}=${token}`)).toEqual([200, undefined]);
  });

  it('two Authorization headers: 400, though Node shows only the first', async () => {
    const { port } = new URL(app.url);
    const lines = [
      'GET /me HTTP/1.1',
      'host: a',
      'authorization: Basic eA==',
      'authorization: Bearer x',
      'connection: close',
      '',
      '',
    ];
    const text = await new Promise<string>((resolve, reject) => {
      let received = '';
      const socket = connect(Number(port), '127.0.0.1', () => socket.write(lines.join('\r\n')));
      socket.on('data', (chunk) => (received += chunk.toString()));
      socket.on('end', () => resolve(received)).on('error', reject);
    });
    expect(text).toMatch(/^HTTP\/1\.1 400 /);
    expect(text).toContain('invalid_request');
  });

  it('a refresh token is no session token', async () => {
    const jwt = { issuer: 'https://issuer.test', audience: 'https://api.test' };
    app = await startApp({ platform, controllers: [AccountController], session: { jwt } });
    const { body } = await app.browser().post('/login', { userId: 'ann', transport: 'both' });
    app.store.forget();
    const refreshToken: string = body.tokens.refreshToken;
    expect(refreshToken).toMatch(/^rt_/);
    expect(await statusWith(refreshToken)).toEqual([401, 'invalid_token']);
    expect(await statusWith(refreshToken.replace(/^rt_/, 'st_'))).toEqual([401, 'invalid_token']);
    expect(app.store.commands).toEqual([]);
  });

  it('ASVS 7.6.2: a request that nobody signed creates nothing', async () => {
    const browser = app.browser();
    await browser.get('/public');
    await browser.get('/optional');
    await browser.get('/me');
    await browser.post('/public-logout');
    expect(app.store.commands).toEqual([]);
    expect(await app.store.count()).toBe(0);
    expect(browser.jar.size).toBe(0);
  });
});
