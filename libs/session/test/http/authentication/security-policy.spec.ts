import { SessionEvents, TokenService, type SecurityOptions } from '../../../src/index.js';
import type { HijackSuspectedEvent, SignalAction } from '../../../src/store/index.js';
import { REAL_BROWSERS } from '../../support/user-agents.js';
import { SessionToucher } from '../../../src/sessions/session-toucher.js';
import { AccountController } from '../../support/account.controller.js';
import { closeApps, PLATFORMS, startApp, type TestApp } from '../../support/app.js';
import type { Browser } from '../../support/browser.js';
import { CHROME, CHROME_UPDATED, FIREFOX, SAFARI_ON_IPHONE } from '../../support/clients.js';
import { SecurityController } from '../../support/security.controller.js';

const jwt = { issuer: 'https://issuer.example', audience: 'https://api.example' };
const HOME = { 'user-agent': CHROME, 'x-forwarded-for': '203.0.113.7' };
const ELSEWHERE = { ...HOME, 'x-forwarded-for': '198.51.100.7' };
const OTHER_BROWSER = { ...HOME, 'user-agent': FIREFOX };

afterEach(closeApps);

describe.each(PLATFORMS)('a session that turns up elsewhere, on %s', (platform) => {
  let app: TestApp;
  let heard: HijackSuspectedEvent[];
  const start = async (security: SecurityOptions, more: object = {}): Promise<void> => {
    app = await startApp({
      platform,
      controllers: [AccountController, SecurityController],
      session: { security, jwt, ...more },
      trustProxy: true,
    });
    heard = [];
    app.app.get(SessionEvents).on('hijack-suspected', (event) => heard.push(event));
  };
  const signIn = async (headers: Record<string, string> = HOME, input: object = {}) => {
    const browser = app.browser();
    const reply = await browser.post('/login', { userId: 'ann', ...input }, headers);
    expect(reply.status).toBe(200);
    app.store.forget();
    return { browser, session: reply.body.session, tokens: reply.body.tokens };
  };
  const answerOf = async (browser: Browser, headers: Record<string, string>, path = '/me'): Promise<unknown> => {
    const { status, body } = await browser.get(path, headers);
    return status === 200 ? 200 : [status, body.code];
  };

  it('changes nothing while the signals are off', async () => {
    await start({ useFingerprint: false });
    const { browser } = await signIn();
    expect(await answerOf(browser, { ...OTHER_BROWSER, ...ELSEWHERE })).toBe(200);
    expect(await answerOf(browser, { 'user-agent': '' })).toBe(200);
    expect(heard).toEqual([]);
  });

  it.each([
    ['a browser update', { ...HOME, 'user-agent': CHROME_UPDATED }],
    ['another network', ELSEWHERE],
    [
      'reordered headers and hints',
      { 'sec-ch-ua-platform': '"macOS"', accept: '*/*', ...HOME, 'accept-language': 'de' },
    ],
  ])('%s is no mismatch of the fingerprint', async (_, headers) => {
    await start({ useFingerprint: true });
    const { browser } = await signIn();
    expect(await answerOf(browser, headers)).toBe(200);
    expect(heard).toEqual([]);
    expect(app.store.commands).toEqual(['read']);
  });

  it.each([
    ['another browser', OTHER_BROWSER],
    ['another system', { ...HOME, 'user-agent': SAFARI_ON_IPHONE }],
    ['no user agent at all', { ...HOME, 'user-agent': '' }],
  ])('%s is one: refused under reject, and the session lives on', async (_, headers) => {
    await start({ useFingerprint: 'reject' });
    const { browser, session } = await signIn();
    expect(await answerOf(browser, headers)).toEqual([401, 'invalid_token']);
    expect(app.store.commands).toEqual(['read']);
    expect(await answerOf(browser, HOME)).toBe(200);
    expect(heard).toEqual([
      {
        type: 'hijack-suspected',
        sessionId: session.id,
        userId: 'ann',
        at: app.store.now(),
        remote: false,
        signals: ['fingerprint'],
        action: 'reject',
      },
    ]);
  });

  it('of thirty real browsers each is let in after its updates, and with the session of none of the others', async () => {
    await start({ useFingerprint: 'reject' }, { session: { maxSessionsPerUser: 100 } });
    const [one, ...others] = REAL_BROWSERS;
    const { browser } = await signIn({ 'user-agent': one?.versions[0] ?? '' });
    for (const { versions } of others) {
      for (const version of versions)
        expect(await answerOf(browser, { 'user-agent': version })).toEqual([401, 'invalid_token']);
    }
    for (const { versions } of REAL_BROWSERS) {
      const [before, ...updates] = versions;
      const own = await signIn({ 'user-agent': before });
      for (const update of updates)
        expect([update, await answerOf(own.browser, { 'user-agent': update })]).toEqual([update, 200]);
    }
  });

  it('log: lets in and says so, for each signal of a session once a minute', async () => {
    await start({ useFingerprint: 'log', bindToIP: 'log' });
    const [one, two] = [await signIn(), await signIn()];
    for (let i = 0; i < 3; i += 1) expect(await answerOf(one.browser, OTHER_BROWSER)).toBe(200);
    expect(heard.map(({ signals }) => signals)).toEqual([['fingerprint']]);
    await answerOf(one.browser, { ...OTHER_BROWSER, ...{ 'x-forwarded-for': '198.51.100.7' } });
    expect(heard.map(({ signals, action }) => [signals, action])).toEqual([
      [['fingerprint'], 'log'],
      [['ip'], 'log'],
    ]);
    await answerOf(two.browser, OTHER_BROWSER);
    expect(heard.map(({ sessionId }) => sessionId)).toEqual([one.session.id, one.session.id, two.session.id]);
    app.store.advance(60_000);
    await answerOf(one.browser, OTHER_BROWSER);
    expect(heard).toHaveLength(4);
  });

  it('all guards and parameters of a request evaluate once', async () => {
    await start({ useFingerprint: 'log' });
    const { browser } = await signIn();
    app.store.advance(120_000);
    expect((await browser.get('/session', OTHER_BROWSER)).body.session.userId).toBe('ann');
    expect(heard).toHaveLength(1);
    expect(app.store.commands).toEqual(['read', 'touch']);
  });

  it('step-up: 403 until the user proves who they are, and then the session is of the new client', async () => {
    await start({ useFingerprint: 'step-up', bindToIP: 'step-up' });
    const { browser, session } = await signIn(HOME, { amr: ['pwd'], acr: 'aal1' });
    const old = app.browser();
    for (const [name, value] of browser.jar) old.jar.set(name, value);
    const new_ = { 'user-agent': FIREFOX, 'x-forwarded-for': '198.51.100.7' };

    expect(await answerOf(browser, new_)).toEqual([403, 'step_up_required']);
    const refused = await browser.post('/note', { a: 1 }, new_);
    expect([refused.status, refused.body.code]).toEqual([403, 'step_up_required']);
    expect(refused.headers.get('www-authenticate')).toContain('insufficient_user_authentication');
    expect((await browser.get('/optional', new_)).body).toEqual({ session: null, user: null });
    expect(await answerOf(browser, HOME)).toBe(200);

    const proved = await browser.post('/step-up', undefined, new_);
    expect(proved.status).toBe(200);
    expect(proved.body.session).toMatchObject({
      id: session.id,
      deviceName: 'Firefox on Windows',
      amr: ['pwd', 'otp'],
      acr: 'aal1',
      metadata: { userAgent: FIREFOX, ip: '198.51.100.7', device: 'Firefox on Windows' },
    });
    expect(await answerOf(browser, new_)).toBe(200);
    expect(await answerOf(browser, HOME)).toEqual([403, 'step_up_required']);
    // The token is new, so that anyone who holds the old one is out (7.2.4).
    for (const headers of [HOME, new_]) expect(await answerOf(old, headers)).toEqual([401, 'invalid_token']);
  });

  it('a step-up from another browser takes it over, and keeps the name that a person gave the device', async () => {
    await start({ useFingerprint: 'step-up' });
    const { browser } = await signIn(HOME, { deviceName: 'My laptop' });
    expect(await answerOf(browser, OTHER_BROWSER)).toEqual([403, 'step_up_required']);
    const { session } = (await browser.post('/step-up', undefined, OTHER_BROWSER)).body;
    expect(session).toMatchObject({ deviceName: 'My laptop', metadata: { device: 'Firefox on Windows' } });
    expect(await answerOf(browser, OTHER_BROWSER)).toBe(200);
  });

  it('step-up: signing out is always possible', async () => {
    await start({ useFingerprint: 'step-up' });
    const { browser, session } = await signIn();
    expect((await browser.post('/public-logout', undefined, OTHER_BROWSER)).body).toEqual({ ended: true });
    expect(await app.store.get(session.id)).toBeNull();
  });

  it('end: the session ends with the reason hijack, for everybody', async () => {
    await start({ useFingerprint: 'end' });
    const { browser, session } = await signIn();
    expect(await answerOf(browser, OTHER_BROWSER)).toEqual([401, 'session_revoked']);
    expect(await app.store.read(session.id)).toMatchObject({ state: 'ended', reason: 'hijack' });
    expect(await answerOf(browser, HOME)).toEqual([401, 'session_revoked']);
    expect(heard.map(({ action }) => action)).toEqual(['end']);
  });

  it('end: what could not be ended is 503, and not let in', async () => {
    await start({ useFingerprint: 'end' });
    const { browser } = await signIn();
    app.store.failing.add('destroy');
    expect(await answerOf(browser, OTHER_BROWSER)).toEqual([503, 'store_unavailable']);
  });

  it.each([
    ['log', 'reject', 'reject', 401],
    ['reject', 'log', 'reject', 401],
    ['step-up', 'log', 'step-up', 403],
    ['log', 'step-up', 'step-up', 403],
    ['end', 'reject', 'end', 401],
    ['step-up', 'end', 'end', 401],
  ] as const)(
    'of two signals the graver answer counts: %s and %s',
    async (useFingerprint, bindToIP, graver, status) => {
      await start({ useFingerprint, bindToIP });
      const { browser, session } = await signIn();
      const { status: answered } = await browser.get('/me', { ...OTHER_BROWSER, 'x-forwarded-for': '198.51.100.7' });
      expect(answered).toBe(status);
      expect(heard.map(({ signals, action }) => [signals, action])).toEqual([[['fingerprint', 'ip'], graver]]);
      expect((await app.store.get(session.id)) === null).toBe(graver === 'end');
    },
  );

  it('unless set otherwise, the cookie is refused to another browser and a bearer token is only logged', async () => {
    await start({});
    const { browser } = await signIn();
    const reply = await browser.get('/me', { ...OTHER_BROWSER, ...{ 'x-forwarded-for': '198.51.100.7' } });
    expect([reply.status, reply.body.code]).toEqual([401, 'invalid_token']);
    expect(reply.body.message).toContain('security.useFingerprint');
    expect(reply.body.message).toContain("a server that renders pages must pass on the browser's User-Agent");
    expect(await answerOf(browser, ELSEWHERE)).toBe(200);
    const { tokens } = await signIn(HOME, { transport: 'bearer' });
    const relayed = { ...OTHER_BROWSER, authorization: `Bearer ${tokens.accessToken}` };
    expect(await answerOf(app.browser(), relayed)).toBe(200);
    expect(heard.map(({ action }) => action)).toEqual(['reject', 'log']);
  });

  it.each([
    [{ cookie: 'off', bearer: 'reject' }, 200, 401],
    [{ bearer: 'step-up' }, 401, 403],
    [{ cookie: false }, 200, 200],
    ['reject', 401, 401],
  ] as const)('has an answer for each transport: %j', async (useFingerprint, byCookie, byBearer) => {
    await start({ useFingerprint });
    const [{ browser }, { tokens }] = [await signIn(), await signIn(HOME, { transport: 'bearer' })];
    const authorization = `Bearer ${tokens.accessToken}`;
    const statuses = [
      (await browser.get('/me', OTHER_BROWSER)).status,
      (await app.browser().get('/me', { ...OTHER_BROWSER, authorization })).status,
    ];
    expect(statuses).toEqual([byCookie, byBearer]);
  });

  it.each<[string, string, boolean]>([
    ['203.0.113.7', '203.0.113.7', true],
    ['203.0.113.7', '203.0.113.8', false],
    ['::ffff:203.0.113.7', '203.0.113.7', true],
    ['2001:db8:1:2:3::4', '2001:db8:1:2:ffff::9', true],
    ['2001:db8:1:2:3::4', '2001:db8:1:3:3::4', false],
    ['2001:0DB8:1:2::4', '2001:db8:1:2::5', true],
    ['203.0.113.7', '2001:db8::1', false],
    // No address at all is nothing that could be compared.
    ['203.0.113.7', 'unknown', true],
  ])('bound to its network: from %s to %s (CVE-2026-45364)', async (from, to, same) => {
    await start({ bindToIP: true });
    const { browser } = await signIn({ ...HOME, 'x-forwarded-for': from });
    expect(await answerOf(browser, { ...HOME, 'x-forwarded-for': to })).toEqual(same ? 200 : [401, 'invalid_token']);
  });

  it('bound to what is kept of the address, where that is not all', async () => {
    await start({ bindToIP: true, ipPrivacy: 'truncated' });
    const { browser } = await signIn();
    expect(await answerOf(browser, { ...HOME, 'x-forwarded-for': '203.0.113.250' })).toBe(200);
    expect(await answerOf(browser, { ...HOME, 'x-forwarded-for': '203.0.114.7' })).toEqual([401, 'invalid_token']);
  });

  it('4.1.3: without trust in a proxy nobody gets past the binding, or trips it, by a header', async () => {
    app = await startApp({ platform, controllers: [AccountController], session: { security: { bindToIP: true } } });
    const { browser } = await signIn(HOME);
    expect(await answerOf(browser, ELSEWHERE)).toBe(200);
    expect((await app.store.getActiveSessions('ann'))[0]?.metadata?.ip).toBe('127.0.0.1');
  });

  it('access tokens are bound as well, and refresh tokens, which do not rotate for a wrong client (CVE-2026-53512)', async () => {
    await start({ useFingerprint: 'reject' });
    const { tokens, session } = await signIn(HOME, { transport: 'bearer' });
    const client = app.browser();
    const bearer = { authorization: `Bearer ${tokens.accessToken}` };
    expect(await answerOf(client, { ...OTHER_BROWSER, ...bearer })).toEqual([401, 'invalid_token']);
    expect(await answerOf(client, { ...HOME, ...bearer })).toBe(200);
    app.store.forget();
    const refused = await client.post('/refresh', { refreshToken: tokens.refreshToken }, OTHER_BROWSER);
    expect([refused.status, refused.body.code]).toEqual([401, 'invalid_token']);
    expect(app.store.commands).toEqual(['read']);
    const reply = await client.post('/refresh', { refreshToken: tokens.refreshToken }, HOME);
    expect(reply.status).toBe(200);
    expect(reply.body.session.id).toBe(session.id);
  });

  it('a refresh costs no read more while the signals are off', async () => {
    await start({ useFingerprint: false });
    const { tokens } = await signIn(HOME, { transport: 'bearer' });
    await app.browser().post('/refresh', { refreshToken: tokens.refreshToken }, HOME);
    expect(app.store.commands).toEqual(['rotate']);
  });

  it.each<SignalAction>(['log', 'reject'])(
    'under %s a stolen refresh token that is used after its successor is reuse, no matter who brings it',
    async (action) => {
      await start({ useFingerprint: action });
      const { tokens, session } = await signIn(HOME, { transport: 'bearer' });
      const { body } = await app.browser().post('/refresh', { refreshToken: tokens.refreshToken }, HOME);
      const authorization = `Bearer ${body.tokens.accessToken}`;
      expect((await app.browser().get('/me', { ...HOME, authorization })).status).toBe(200);
      await app.app.get(SessionToucher, { strict: false }).settle();
      app.store.advance(31_000);
      await app.browser().post('/refresh', { refreshToken: tokens.refreshToken }, OTHER_BROWSER);
      expect(await app.store.read(session.id)).toMatchObject({ state: 'ended', reason: 'reuse' });
    },
  );

  it.each<[SignalAction, number]>([
    ['off', 200],
    ['log', 200],
    ['step-up', 401],
    ['reject', 401],
    ['end', 401],
  ])('under %s a token that is repeated within its grace by another browser is %i', async (action, elsewhere) => {
    await start({ useFingerprint: action });
    for (const [other, status] of [
      [{ ...HOME, 'user-agent': CHROME_UPDATED }, 200],
      [ELSEWHERE, 200],
      [OTHER_BROWSER, elsewhere],
    ] as const) {
      const { tokens, session } = await signIn(HOME, { transport: 'bearer' });
      await app.browser().post('/refresh', { refreshToken: tokens.refreshToken }, HOME);
      const repeated = await app.browser().post('/refresh', { refreshToken: tokens.refreshToken }, other);
      expect(repeated.status).toBe(status);
      expect((await app.store.read(session.id)).state).toBe(status === 200 ? 'live' : 'ended');
    }
  });

  it.each<[SignalAction, number]>([
    ['off', 200],
    ['log', 200],
    ['step-up', 401],
    ['reject', 401],
    ['end', 401],
  ])('under %s a cookie that was rotated is %i to another browser', async (action, elsewhere) => {
    await start({ useFingerprint: action }, { session: { rotationInterval: '1m' } });
    for (const [headers, status] of [
      [HOME, 200],
      [OTHER_BROWSER, elsewhere],
    ] as const) {
      const { browser, session } = await signIn();
      const copy = app.browser();
      for (const [name, value] of browser.jar) copy.jar.set(name, value);
      app.store.advance(61_000);
      expect((await browser.get('/me', HOME)).setCookies).toHaveLength(1);
      expect((await copy.get('/me', headers)).status).toBe(status);
      if (status === 401) expect(await app.store.read(session.id)).toMatchObject({ reason: 'reuse' });
    }
  });

  it('a wrong client gets no new cookie though it is due, and takes none from the right one', async () => {
    await start({ useFingerprint: 'reject' }, { session: { rotationInterval: '1m' } });
    const { browser } = await signIn();
    const thief = app.browser();
    for (const [name, value] of browser.jar) thief.jar.set(name, value);
    app.store.advance(61_000);
    app.store.forget();
    const refused = await thief.get('/me', OTHER_BROWSER);
    expect([refused.status, refused.setCookies]).toEqual([401, []]);
    expect(app.store.commands).toEqual(['read']);
    expect((await browser.get('/me', HOME)).setCookies).toHaveLength(1);
    // Not even the current one, for the one before: that one is reuse, and its own copy is cleared.
    expect((await thief.get('/me', OTHER_BROWSER)).setCookies).toMatchObject([{ name: '__Host-session', value: '' }]);
  });

  it('sessions that remember no client, or one of another version, raise nothing', async () => {
    await start({ useFingerprint: 'end', bindToIP: 'end' });
    const { browser, session } = await signIn(HOME, { metadata: { fingerprint: 'f0.of-old', ip: 'somewhere' } });
    expect(await answerOf(browser, { ...OTHER_BROWSER, ...ELSEWHERE })).toBe(200);
    const { accessToken } = app.app.get(TokenService).issue({ ...session });
    expect(await answerOf(app.browser(), { ...OTHER_BROWSER, authorization: `Bearer ${accessToken}` })).toBe(200);
    expect(heard).toEqual([]);
  });

  it('signing in over a session that is refused here ends it', async () => {
    await start({ useFingerprint: 'reject' });
    const { browser, session } = await signIn();
    const reply = await browser.post('/login', { userId: 'ann' }, OTHER_BROWSER);
    expect(reply.status).toBe(200);
    expect(await app.store.read(session.id)).toMatchObject({ state: 'ended', reason: 'replaced' });
    expect(await answerOf(browser, OTHER_BROWSER)).toBe(200);
  });
});
