import { connect } from 'node:net';
import { jest } from '@jest/globals';
import { SessionStore } from 'nestjs-sessions';
import { UsersService } from '../../src/users/users.service.js';
import { ADMIN, type Browser, parseSetCookie, USER } from './support/browser.js';
import { ADAPTERS, expectNoTokenInLogs, logs, Sample, SECRET } from './support/sample.js';

const PRODUCTION = { NODE_ENV: 'production', SESSION_SECRET: SECRET, DEMO_USERS: '1' };

describe.each(ADAPTERS)('the browser’s side (ASVS 5.0, V3 and others), %s', (adapter) => {
  let sample: Sample;
  let browser: Browser;

  beforeEach(async () => {
    sample = await Sample.start({ adapter });
    browser = sample.browser();
  });
  afterEach(() => sample.close());

  const signInIn = async (env: Record<string, string>): Promise<string> => {
    const other = await Sample.start({ adapter, env });
    try {
      const { setCookies } = await other.browser().signIn();
      // The other one names the browser and lets nobody in.
      const [session, ...more] = setCookies.filter((line) => !/^(__Host-)?device=d1\./.test(line));
      expect(more).toEqual([]);
      return session as string;
    } finally {
      await other.close();
    }
  };

  describe('the cookie', () => {
    it('3.3.1, 3.3.3: is Secure under the prefix __Host- in production, without Domain', async () => {
      const { name, attributes } = parseSetCookie(await signInIn(PRODUCTION));
      expect(name).toBe('__Host-session');
      expect(attributes).toEqual({ path: '/', httponly: true, secure: true, samesite: 'Lax' });
    });

    it('3.3.1: is named session over plain http during development', async () => {
      const { name, attributes } = parseSetCookie(await signInIn({}));
      expect(name).toBe('session');
      expect(attributes).toEqual({ path: '/', httponly: true, samesite: 'Lax' });
    });

    it('3.3.2, 3.3.4: is SameSite and HttpOnly, and cleared with the attributes it was set with (CVE-2024-31999)', async () => {
      const set = parseSetCookie((await browser.signIn()).setCookies[0] as string);
      const { setCookies, headers } = await browser.post('/auth/logout');
      const cleared = parseSetCookie(setCookies[0] as string);
      const { 'max-age': maxAge, expires, ...rest } = cleared.attributes;
      expect([cleared.name, cleared.value, maxAge]).toEqual([set.name, '', '0']);
      expect(Date.parse(String(expires))).toBe(0);
      expect(rest).toEqual(set.attributes);
      expect(rest['samesite']).toBe('Lax');
      expect(rest['httponly']).toBe(true);
      expect(headers.get('cache-control')).toContain('no-store');
    });

    it('3.3.5: stays far below 4096 bytes', async () => {
      const reply = await browser.signIn(USER, { rememberMe: true, deviceId: 'd'.repeat(128) });
      expect(Buffer.byteLength(reply.setCookies[0] as string)).toBeLessThan(512);
    });

    it('3.3.4: carries the token, and nothing else does: no body, no header, no URL', async () => {
      await browser.signedIn();
      const replies = [
        await browser.post('/auth/step-up', { password: USER.password }),
        await browser.get('/me'),
        await browser.get('/sessions'),
        await browser.get('/me/preferences'),
        await browser.signIn(),
      ];
      const [, secret = '', , , tag = ''] = browser.token.split('.');
      expect(tag).toHaveLength(43);
      for (const { text, headers } of replies) {
        const rest = [...headers].filter(([name]) => name !== 'set-cookie').join('\n');
        for (const part of [secret, tag]) {
          expect(text).not.toContain(part);
          expect(rest).not.toContain(part);
        }
      }
    });

    it('counts once when it comes twice; of two sessions that live neither is taken', async () => {
      await browser.signedIn();
      const twins = `session=${browser.token}; session=${browser.token}`;
      expect((await sample.browser().get('/me', { headers: { cookie: twins } })).status).toBe(200);
      const other = sample.browser();
      await other.signedIn(ADMIN);
      const cookie = `session=${browser.token}; session=${other.token}`;
      const { status, body } = await sample.browser().get('/me', { headers: { cookie } });
      expect(status).toBe(400);
      expect(body.code).toBe('invalid_request');
    });

    it('is evaluated before the store is asked when it is malformed', async () => {
      const read = jest.spyOn(sample.get(SessionStore), 'read');
      for (const value of [
        '*',
        '%00',
        '%0d%0aSet-Cookie: x=y',
        '"quoted"',
        'x'.repeat(10_000),
        'st_',
        '../../etc',
        '{}',
        '[]',
      ]) {
        const { status } = await sample.browser().get('/me', { headers: { cookie: `session=${value}` } });
        expect([value.slice(0, 40), status]).toEqual([value.slice(0, 40), 401]);
      }
      expect(read).not.toHaveBeenCalled();
    });

    it('with a NUL byte in it gets nobody in', async () => {
      const answer = await rawRequest(
        sample.url,
        `GET /me HTTP/1.1\r\nHost: x\r\nConnection: close\r\nCookie: session=a\0b\r\n\r\n`,
      );
      expect(answer).toMatch(/^HTTP\/1\.1 40[01] /);
    });
  });

  describe('requests from another site', () => {
    const forged: [string, Record<string, string>][] = [
      ['Sec-Fetch-Site: cross-site', { 'sec-fetch-site': 'cross-site' }],
      ['Sec-Fetch-Site: same-site', { 'sec-fetch-site': 'same-site' }],
      ['Sec-Fetch-Site: what nobody knows', { 'sec-fetch-site': 'elsewhere' }],
      ['cross-site with an Origin of ours', { 'sec-fetch-site': 'cross-site', origin: 'http://127.0.0.1' }],
    ];
    const withOrigin = ['https://evil.example', 'null', 'http://127.0.0.1.evil.example', 'file://'];

    it.each(forged)('3.5.1: %s is 403 and changes nothing', async (_, headers) => {
      await browser.signedIn();
      for (const [method, path] of [
        ['POST', '/auth/logout'],
        ['POST', '/auth/logout-others'],
        ['POST', '/auth/logout-all'],
        ['POST', '/auth/step-up'],
        ['PATCH', '/me/preferences'],
        ['DELETE', '/sessions/x'],
        ['DELETE', '/devices/x'],
      ] as const) {
        const { status, body } = await browser
          .copy()
          .send(method, path, { body: { password: USER.password }, headers });
        expect([path, status, body.code]).toEqual([path, 403, 'csrf_rejected']);
      }
      expect((await browser.get('/me')).status).toBe(200);
    });

    it.each(withOrigin)('3.5.1: an older browser’s Origin: %s is 403', async (origin) => {
      await browser.signedIn();
      const { status } = await sample.browser().send('POST', '/auth/logout-all', {
        headers: { 'sec-fetch-site': '', origin, cookie: `session=${browser.token}` },
      });
      expect(status).toBe(403);
      expect((await browser.get('/me')).status).toBe(200);
    });

    it('3.5.1: cannot sign anybody in (login CSRF)', async () => {
      const reply = await browser.post('/auth/login', USER, { headers: { 'sec-fetch-site': 'cross-site' } });
      expect(reply.status).toBe(403);
      expect(reply.setCookies).toEqual([]);
      expect(await sample.get(SessionStore).count()).toBe(0);
    });

    it('3.5.1: requests of this site and of no browser pass', async () => {
      await browser.signedIn();
      for (const headers of [{ 'sec-fetch-site': 'same-origin' }, { 'sec-fetch-site': 'none' }]) {
        expect((await browser.patch('/me/preferences', { theme: 'dark' }, { headers })).status).toBe(200);
      }
      const { hostname, port } = new URL(sample.url);
      const raw = (more: string): Promise<string> =>
        rawRequest(
          sample.url,
          `POST /auth/logout-others HTTP/1.1\r\nHost: ${hostname}:${port}\r\nConnection: close\r\nContent-Length: 0\r\nUser-Agent: node\r\n` +
            `Cookie: session=${browser.token}\r\n${more}\r\n`,
        );
      expect(await raw('')).toMatch(/^HTTP\/1\.1 200 /);
      expect(await raw(`Origin: ${sample.url}\r\n`)).toMatch(/^HTTP\/1\.1 200 /);
      expect(await raw(`Origin: http://evil.example\r\n`)).toMatch(/^HTTP\/1\.1 403 /);
    });

    it('3.5.2: get no permission to read or to send JSON', async () => {
      const { headers } = await browser.send('OPTIONS', '/auth/login', {
        headers: { origin: 'https://evil.example', 'access-control-request-method': 'POST' },
      });
      expect([...headers.keys()].filter((name) => name.startsWith('access-control-'))).toEqual([]);
    });

    it('3.5.3: GET and HEAD change nothing', async () => {
      const { id } = await browser.signedIn();
      const other = sample.browser();
      const { id: otherId } = await other.signedIn();
      const before = await sample.get(SessionStore).getActiveSessions('u-1001');
      for (const path of [
        '/auth/logout',
        '/auth/logout-all',
        '/auth/logout-others',
        '/auth/step-up',
        '/me',
        '/me/preferences',
        '/sessions',
        `/sessions/${otherId}`,
        `/sessions/${id}`,
        '/admin/users/u-1001/sessions',
      ]) {
        for (const method of ['GET', 'HEAD']) {
          const { setCookies } = await browser.send(method, path, { headers: { 'sec-fetch-site': 'cross-site' } });
          expect(setCookies).toEqual([]);
        }
      }
      const after = await sample.get(SessionStore).getActiveSessions('u-1001');
      const fixed = ({ lastAccess: _, ...session }: (typeof before)[number]): object => session;
      expect(after.map(fixed)).toEqual(before.map(fixed));
    });
  });

  describe('headers', () => {
    it('4.1.3: a spoofed X-Forwarded-For changes nothing', async () => {
      const spoofing = sample.browser({
        'x-forwarded-for': '203.0.113.9',
        'x-real-ip': '203.0.113.9',
        forwarded: 'for=203.0.113.9',
      });
      expect((await spoofing.signedIn())['ip']).toBe('127.0.0.1');
      for (let i = 0; i < 10; i++) {
        const from = { 'x-forwarded-for': `203.0.113.${i}` };
        expect((await browser.post('/auth/login', { ...USER, password: 'x' }, { headers: from })).status).toBe(401);
      }
      const last = { 'x-forwarded-for': '203.0.113.99' };
      expect((await browser.post('/auth/login', { ...USER, password: 'x' }, { headers: last })).status).toBe(429);
    });

    it('14.2.1: a token in the URL or the body is ignored', async () => {
      await browser.signedIn();
      const token = encodeURIComponent(browser.token);
      const stranger = sample.browser();
      for (const path of [`/me?session=${token}`, `/me?access_token=${token}`, `/me;session=${token}`]) {
        expect([401, 404]).toContain((await stranger.get(path)).status);
      }
      expect((await stranger.post('/auth/logout-all', { session: browser.token })).status).toBe(401);
    });

    it('14.3.2: no answer may be kept by a cache', async () => {
      const replies = [
        await browser.signIn(),
        await browser.get('/me'),
        await browser.get('/sessions'),
        await browser.post('/auth/step-up', { password: USER.password }),
        await browser.get('/nothing'),
        await browser.post('/auth/logout'),
        await browser.get('/me'),
      ];
      for (const { headers } of replies) expect(headers.get('cache-control')).toContain('no-store');
    });

    it('3.4.2, 3.4.3, 3.4.4, 3.4.5, 3.4.6: answers tell a browser to do nothing with them, and not what runs here', async () => {
      for (const path of ['/me', '/health', '/nothing']) {
        const { headers } = await browser.get(path, { headers: { origin: 'https://other.example' } });
        expect(headers.get('access-control-allow-origin')).toBeNull();
        expect(headers.get('referrer-policy')).toBe('no-referrer');
        expect(headers.get('x-content-type-options')).toBe('nosniff');
        expect(headers.get('content-security-policy')).toContain("default-src 'none'");
        expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
        expect(headers.get('strict-transport-security')).toBeNull();
        expect(headers.get('x-powered-by')).toBeNull();
        expect(headers.get('server')).toBeNull();
      }
    });

    it.each([
      ['Bearer a b', 400],
      ['Bearer', 400],
      ['bearer  ', 400],
      ['Bearer a,b', 400],
      ['Bearer ünicode', 400],
      ['bEaReR abc.def.ghi', 401],
      ['Basic dXNlcjpwYXNz', 401],
      ['Bearer null', 401],
      [`Bearer ${'x'.repeat(8_000)}`, 401],
    ])('Authorization: %.40s is %i, never 500 (GHSA-xmf8-cvqr-rfgj)', async (authorization, expected) => {
      const { status, headers } = await browser.get('/me', { headers: { authorization } });
      expect(status).toBe(expected);
      expect(headers.get('www-authenticate')).toMatch(
        /^Bearer realm="[^"\\]+"(, error="[a-z_]+", error_description="[^"\\]*")?$/,
      );
    });

    it('an invalid token on a public route sets no user and stops nobody', async () => {
      browser.cookies.set('session', 'forged');
      expect((await browser.get('/health')).status).toBe(200);
      expect((await browser.signIn()).status).toBe(200);
    });
  });

  it('16.5.4: an error that nobody expected is one 500 without detail, logged, and the next request is served', async () => {
    await browser.signedIn();
    const broken = jest.spyOn(sample.get(UsersService), 'authenticate').mockImplementation(async () => {
      throw new Error('detail-4711');
    });
    const { status, text } = await sample.browser().signIn();
    expect(status).toBe(500);
    expect(text).not.toContain('4711');
    expect(logs.join('\n')).toContain('detail-4711');
    broken.mockRestore();
    expect((await browser.get('/me')).status).toBe(200);
    expect((await sample.browser().signIn()).status).toBe(200);
  });

  it('16.2.5: the logs hold no token, whatever happened', async () => {
    const forged = sample.browser();
    await browser.signedIn();
    forged.cookies.set('session', `${browser.token}x`);
    await forged.get('/me');
    await browser.post('/auth/step-up', { password: USER.password });
    await sample.browser().signIn({ ...USER, password: 'a-wrong-password' });
    await sample.browser().signedIn(ADMIN);
    await browser.post('/auth/logout-all');
    await browser.get('/me');
    expect(logs.length).toBeGreaterThan(10);
    expectNoTokenInLogs();
    for (const password of [USER.password, ADMIN.password, 'a-wrong-password']) {
      expect(logs.join('\n')).not.toContain(password);
    }
  });
});

/** What a server answers to bytes that fetch would not send. */
async function rawRequest(url: string, text: string): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port) });
    let answer = '';
    socket.on('data', (chunk) => (answer += chunk.toString()));
    socket.on('close', () => resolve(answer));
    socket.on('error', reject);
    socket.setTimeout(5_000, () => socket.destroy());
    socket.write(text, 'latin1');
  });
}

describe('in production', () => {
  it('3.4.1: browsers are told to come by https alone, for a year', async () => {
    const sample = await Sample.start({ env: PRODUCTION });
    try {
      const { headers } = await sample.browser().get('/health');
      expect(headers.get('strict-transport-security')).toBe('max-age=31536000; includeSubDomains');
    } finally {
      await sample.close();
    }
  });
});
