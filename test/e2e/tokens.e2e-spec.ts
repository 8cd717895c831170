import { createHmac, createPublicKey, generateKeyPairSync, verify, type JsonWebKey } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { DpopClient, type Tokens } from '../../libs/session/test/dpop/support/dpop-client.js';
import { ADMIN, type Browser, type Reply, USER } from './support/browser.js';
import { Sample, type SampleSettings, STACKS } from './support/sample.js';

interface Pair {
  accessToken: string;
  refreshToken: string;
  session: { id: string };
}

describe.each(STACKS)('tokens, $adapter on $store', (stack) => {
  let sample: Sample;
  const start = async (settings: SampleSettings = {}): Promise<void> => {
    sample = await Sample.start({ ...stack, ...settings });
  };
  /** Signs in as a client that keeps no cookies. */
  const signIn = async (who = USER): Promise<Pair> => {
    const { body } = await sample.browser().signIn(who);
    return body;
  };
  const bearing = (token: string): Browser => sample.browser({ authorization: `Bearer ${token}` });
  const me = async (token: string): Promise<Reply> => bearing(token).get('/me');
  const refresh = (refreshToken: unknown): Promise<Reply> => sample.browser().post('/auth/refresh', { refreshToken });

  afterEach(() => sample.close());

  it('with DPOP=1 the tokens of a client that sends proofs are bound to its key', async () => {
    await start({ env: { DPOP: '1' } });
    const client = new DpopClient(sample.url);
    const signedIn = await client.call('/auth/login', { method: 'POST', body: USER, token: null });
    expect(signedIn.body).toMatchObject({ tokenType: 'DPoP' });
    client.tokens = signedIn.body as Tokens;
    expect((await client.call('/me')).status).toBe(200);
    expect((await me(client.tokens.accessToken)).body).toMatchObject({ code: 'invalid_token' });
    expect((await refresh(client.tokens.refreshToken)).body).toMatchObject({ code: 'invalid_dpop_proof' });
    const { refreshToken } = client.tokens;
    const renewed = await client.call('/auth/refresh', { method: 'POST', body: { refreshToken }, token: null });
    expect(renewed.body).toMatchObject({ tokenType: 'DPoP' });
    const { accessToken } = await signIn(ADMIN);
    expect((await me(accessToken)).status).toBe(200);
  });

  it('with DEVICE_BOUND=1 a sign-in offers to bind the session to the device', async () => {
    await start({ env: { DEVICE_BOUND: '1' } });
    const browser = sample.browser();
    const { headers } = await browser.signIn();
    expect(headers.get('secure-session-registration')).toContain('path="/session/device/register"');
    // One session at a time: the page shows no further accounts.
    expect((await browser.get('/accounts')).status).toBe(404);
  });

  it('a sign-in answers with a pair of tokens beside the cookie', async () => {
    await start();
    const { status, body, headers } = await sample.browser().signIn();
    expect(status).toBe(200);
    expect(body).toEqual({
      accessToken: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/),
      refreshToken: expect.any(String),
      tokenType: 'Bearer',
      expiresIn: expect.any(Number),
      session: expect.objectContaining({ id: expect.any(String), current: true }),
    });
    expect(body.expiresIn).toBeGreaterThan(14 * 60);
    expect(body.expiresIn).toBeLessThanOrEqual(15 * 60);
    expect(headers.get('cache-control')).toContain('no-store');
    const [header, claims] = (body.accessToken as string).split('.').slice(0, 2).map(decode);
    expect(header).toMatchObject({ typ: 'at+jwt' });
    expect(claims).toMatchObject({
      sub: 'u-1001',
      sid: body.session.id,
      iss: expect.any(String),
      aud: expect.anything(),
    });
  });

  it('the access token opens what the cookie opens, and names the same session', async () => {
    await start();
    const { accessToken, session } = await signIn();
    expect((await me(accessToken)).body).toEqual({ id: 'u-1001', email: USER.email, roles: ['user'] });
    expect((await bearing(accessToken).get('/sessions')).body).toMatchObject([{ id: session.id, current: true }]);
    expect((await bearing(accessToken).patch('/me/preferences', { theme: 'dark' })).body).toEqual({ theme: 'dark' });
    // No browser adds this header by itself, so that it matters not where the request came from.
    const elsewhere = { headers: { 'sec-fetch-site': 'cross-site' } };
    expect((await bearing(accessToken).patch('/me/preferences', { theme: 'light' }, elsewhere)).status).toBe(200);
  });

  it('publishes the public half of a key of its own, and nothing of a secret one (RFC 7517)', async () => {
    await start();
    expect((await sample.browser().get('/.well-known/jwks.json')).body).toEqual({ keys: [] });
    await sample.close();
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
    await start({ env: { JWT_PRIVATE_KEY: pem.replaceAll('\n', '\\n') } });
    const { keys } = (await sample.browser().get('/.well-known/jwks.json')).body as { keys: JsonWebKey[] };
    expect(keys).toEqual([
      {
        kty: 'EC',
        crv: 'P-256',
        x: expect.any(String),
        y: expect.any(String),
        kid: expect.any(String),
        alg: 'ES256',
        use: 'sig',
      },
    ]);
    const { accessToken } = (await sample.browser().signIn()).body as { accessToken: string };
    const [header = '', payload = '', signature = ''] = accessToken.split('.');
    const publicKey = createPublicKey({ key: keys[0] as JsonWebKey, format: 'jwk' });
    const holds = verify(
      'sha256',
      Buffer.from(`${header}.${payload}`),
      { key: publicKey, dsaEncoding: 'ieee-p1363' },
      Buffer.from(signature, 'base64url'),
    );
    expect(holds).toBe(true);
  });

  it('a refresh gives a new pair and no cookie', async () => {
    await start();
    const first = await signIn();
    const { status, body, setCookies, headers } = await refresh(first.refreshToken);
    expect(status).toBe(200);
    expect(setCookies).toEqual([]);
    expect(headers.get('cache-control')).toContain('no-store');
    expect(body.refreshToken).not.toBe(first.refreshToken);
    expect(body.accessToken).not.toBe(first.accessToken);
    expect(body.session.id).toBe(first.session.id);
    expect((await me(body.accessToken)).status).toBe(200);
  });

  it('50 parallel refreshes of one token give one family, and nobody is signed out (CVE-2026-53517)', async () => {
    await start();
    const { refreshToken } = await signIn();
    const replies = await Promise.all(Array.from({ length: 50 }, () => refresh(refreshToken)));
    expect(replies.map(({ status }) => status)).toEqual(Array(50).fill(200));
    const next = new Set(replies.map(({ body }) => body.refreshToken));
    expect(next.size).toBe(1);
    expect((await refresh([...next][0])).status).toBe(200);
  });

  it('10.4.5: a replaced refresh token that comes back after the grace and the use of its successor ends the whole family', async () => {
    await start({ env: { REFRESH_GRACE: '200ms' } });
    const browser = sample.browser();
    const first: Pair = (await browser.signIn()).body;
    const second: Pair = (await refresh(first.refreshToken)).body;
    expect((await me(second.accessToken)).status).toBe(200);
    await sleep(300);
    const reuse = await refresh(first.refreshToken);
    expect(reuse.status).toBe(401);
    expect((await refresh(second.refreshToken)).status).toBe(401);
    expect((await me(second.accessToken)).status).toBe(401);
    expect((await browser.get('/me')).status).toBe(401);
  });

  it('7.2.2, 7.4.1: two sign-ins share no token; after logout cookie, access token and refresh token are 401', async () => {
    await start();
    const browser = sample.browser();
    const mine: Pair = (await browser.signIn()).body;
    const other = await signIn();
    expect(new Set([mine.accessToken, mine.refreshToken, other.accessToken, other.refreshToken]).size).toBe(4);
    const copy = browser.copy();
    expect((await browser.post('/auth/logout')).status).toBe(204);
    expect((await copy.get('/me')).status).toBe(401);
    expect((await me(mine.accessToken)).body.code).toBe('session_ended');
    expect((await refresh(mine.refreshToken)).status).toBe(401);
    expect((await me(other.accessToken)).status).toBe(200);
  });

  it('7.4.1: a logout by access token ends the session of the cookie as well', async () => {
    await start();
    const browser = sample.browser();
    const { accessToken }: Pair = (await browser.signIn()).body;
    expect((await bearing(accessToken).post('/auth/logout')).status).toBe(204);
    expect((await browser.get('/me')).status).toBe(401);
    expect((await bearing(accessToken).post('/auth/logout')).status).toBe(204);
  });

  it('7.2.4: a step-up replaces all three', async () => {
    await start();
    const browser = sample.browser();
    const old: Pair = (await browser.signIn()).body;
    const { body } = await browser.post('/auth/step-up', { password: USER.password });
    expect((await me(old.accessToken)).status).toBe(401);
    expect((await refresh(old.refreshToken)).status).toBe(401);
    expect((await me(body.accessToken)).status).toBe(200);
    expect((await refresh(body.refreshToken)).status).toBe(200);
    expect((await browser.get('/me')).status).toBe(200);
  });

  it('9.1.1: a logout with a forged token is 401 and signs nobody out', async () => {
    await start();
    const victim = await signIn();
    const [header = '', claims = ''] = victim.accessToken.split('.');
    for (const signature of [
      '',
      'x'.repeat(43),
      createHmac('sha256', 'guessed').update(`${header}.${claims}`).digest('base64url'),
    ]) {
      const { status } = await bearing(`${header}.${claims}.${signature}`).post('/auth/logout');
      expect([400, 401]).toContain(status);
    }
    expect((await me(victim.accessToken)).status).toBe(200);
  });

  it('9.1.1, 9.1.2: a token with another algorithm, or with none, is 401', async () => {
    await start();
    const { accessToken } = await signIn();
    const [, claims = ''] = accessToken.split('.');
    const more = encode({ ...(decode(claims) as object), roles: ['admin'], exp: 9_999_999_999 });
    for (const alg of ['none', 'None', 'NONE', 'HS256', 'hs256', 'RS256', ['HS256'], null]) {
      const header = encode({ alg, typ: 'at+jwt' });
      const signature = createHmac('sha256', '').update(`${header}.${more}`).digest('base64url');
      for (const token of [`${header}.${more}.`, `${header}.${more}.${signature}`]) {
        expect((await me(token)).status).toBe(401);
      }
    }
  });

  it('9.2.2: a refresh token is no access token, nor the reverse, nor is either a cookie', async () => {
    await start();
    const browser = sample.browser();
    const { accessToken, refreshToken }: Pair = (await browser.signIn()).body;
    expect((await me(refreshToken)).status).toBe(401);
    expect((await me(browser.token)).status).toBe(401);
    expect((await refresh(accessToken)).status).toBe(401);
    expect((await refresh(browser.token)).status).toBe(401);
    for (const token of [accessToken, refreshToken]) {
      const other = sample.browser();
      other.cookies.set('session', token);
      expect((await other.get('/me')).status).toBe(401);
    }
    expect((await refresh(refreshToken)).status).toBe(200);
  });

  it('8.3.2: roles are those of the session, not of the token', async () => {
    await start();
    const { accessToken } = await signIn(ADMIN);
    const path = '/admin/users/u-1001/sessions';
    expect((await bearing(accessToken).get(path)).status).toBe(200);
    expect((await bearing((await signIn()).accessToken).get(path)).status).toBe(403);
  });

  it('cookie and bearer token of different users are 400', async () => {
    await start();
    const { accessToken } = await signIn(ADMIN);
    const browser = sample.browser({ authorization: `Bearer ${accessToken}` });
    await sample.browser().signedIn();
    const user = sample.browser();
    await user.signedIn();
    browser.cookies.set('session', user.token);
    const { status, body } = await browser.get('/me');
    expect([status, body.code]).toEqual([400, 'invalid_request']);
  });

  it.each([
    ['nothing', undefined, 400],
    ['a number', 5, 400],
    ['an empty one', '', 400],
    ['an oversized one', 'x'.repeat(5_000), 400],
    ['garbage', 'garbage', 401],
    ['a forged one', 'rt_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.0.AAAA', 401],
  ])('a refresh with %s is refused', async (_, refreshToken, expected) => {
    await start();
    const { status, body } = await refresh(refreshToken);
    expect(status).toBe(expected);
    if (expected === 400) expect(JSON.stringify(body.message)).toContain('refreshToken');
  });
});

function decode(part: string): unknown {
  return JSON.parse(Buffer.from(part, 'base64url').toString());
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
