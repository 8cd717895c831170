import { Body, Controller, Get, HttpCode, Post } from '@nestjs/common';
import { randomBytes } from 'node:crypto';
import {
  Public,
  ReqSession,
  RequestSession,
  SessionModule,
  SessionService,
  type Account,
  type NewSession,
  type SessionModuleOptions,
  type SignInOptions,
} from '../../../src/index.js';
import { AccountController } from '../../support/account.controller.js';
import { closeApps, PLATFORMS, startApp, type TestApp } from '../../support/app.js';
import type { Browser, Reply } from '../../support/browser.js';
import { CountingStore } from '../../support/counting-store.js';
import { testRedisUrl } from '../../support/redis-harness.js';

@Public()
@Controller('accounts')
class AccountsController {
  @Get()
  async list(@ReqSession() session: RequestSession): Promise<unknown> {
    return (await session.accounts()).map(summary);
  }

  @Post()
  @HttpCode(200)
  async add(
    @ReqSession() session: RequestSession,
    @Body() { rememberMe = false, ...input }: NewSession & SignInOptions,
  ): Promise<unknown> {
    return session.addAccount(input, { rememberMe });
  }

  @Post('switch')
  @HttpCode(200)
  async switch(@ReqSession() session: RequestSession, @Body() { id }: { id: string }): Promise<unknown> {
    return { session: await session.switchAccount(id) };
  }

  @Post('sign-out')
  @HttpCode(204)
  async signOut(@ReqSession() session: RequestSession, @Body() { id }: { id: string }): Promise<void> {
    await session.signOutAccount(id);
  }

  @Post('impersonate')
  @HttpCode(200)
  async impersonate(@ReqSession() session: RequestSession): Promise<unknown> {
    return session.impersonate({ userId: 'somebody' });
  }

  @Post('visit')
  @HttpCode(200)
  async visit(@ReqSession() session: RequestSession): Promise<unknown> {
    return session.startAnonymous();
  }
}

const summary = ({ session, current }: Account): object => ({ id: session.id, userId: session.userId, current });

const CHROME_ON_WINDOWS =
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36';
const FIREFOX_ON_LINUX = 'Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0';

const PARKED = 'session-accounts';
const cookie = { name: 'session', secure: false } as const;

afterEach(closeApps);

async function start(
  platform: 'express' | 'fastify',
  options: SessionModuleOptions = {},
): Promise<TestApp & { of(userId: string): Promise<number> }> {
  const app = await startApp({
    platform,
    controllers: [AccountController, AccountsController],
    session: { accounts: true, cookie, ...options },
  });
  const of = async (userId: string): Promise<number> => (await app.app.get(SessionService).list(userId)).length;
  return { ...app, of };
}

/** Signs a browser in as each of them; the last one is in use. */
async function signedIn(browser: Browser, ...users: string[]): Promise<Record<string, string>> {
  const ids: Record<string, string> = {};
  for (const userId of users) {
    const { status, body } = await browser.post('/accounts', { userId });
    expect([userId, status]).toEqual([userId, 200]);
    ids[userId] = body.session.id as string;
  }
  return ids;
}

const usersOf = ({ body }: Reply): string[] => (body as { userId: string }[]).map(({ userId }) => userId).sort();
const me = async (browser: Browser): Promise<unknown> => (await browser.get('/me')).body.user?.id ?? null;

describe.each(PLATFORMS)('several accounts in one browser, on %s', (platform) => {
  it('adds, lists and switches without another sign-in', async () => {
    const app = await start(platform);
    const browser = app.browser();
    await browser.post('/login', { userId: 'ann' });
    app.store.advance(1);
    const { session } = (await browser.post('/accounts', { userId: 'bob' })).body;
    expect(await me(browser)).toBe('bob');
    const list = (await browser.get('/accounts')).body;
    expect(list).toEqual([
      { id: expect.any(String), userId: 'ann', current: false },
      { id: session.id, userId: 'bob', current: true },
    ]);
    const switched = await browser.post('/accounts/switch', { id: list[0].id });
    expect([switched.status, switched.body.session.userId]).toEqual([200, 'ann']);
    expect(switched.headers.get('cache-control')).toBe('no-store');
    expect(await me(browser)).toBe('ann');
    // The order stays, and each account is one session of its own user.
    expect((await browser.get('/accounts')).body).toEqual([
      { ...list[0], current: true },
      { ...list[1], current: false },
    ]);
    expect([await app.of('ann'), await app.of('bob')]).toEqual([1, 1]);
    for (const name of ['session', PARKED]) {
      const set = switched.setCookies.find((line) => line.name === name);
      expect(set).toMatchObject({ httpOnly: true, sameSite: 'lax', path: '/' });
      expect(set?.maxAge).toBeUndefined();
    }
    // A list changes nothing and moves no deadline; to be the one in use already is no change either.
    expect((await browser.get('/accounts')).setCookies).toEqual([]);
    expect((await browser.post('/accounts/switch', { id: list[0].id })).setCookies).toEqual([]);
  });

  it('signs out of one, of the one in use, and of all', async () => {
    const app = await start(platform);
    const browser = app.browser();
    const ids = await signedIn(browser, 'ann', 'bob', 'cleo');
    expect((await browser.post('/accounts/sign-out', { id: ids['ann'] })).status).toBe(204);
    expect(usersOf(await browser.get('/accounts'))).toEqual(['bob', 'cleo']);
    expect([await me(browser), await app.of('ann')]).toEqual(['cleo', 0]);
    await browser.post('/accounts/sign-out', { id: ids['cleo'] });
    expect([await me(browser), await app.of('cleo'), browser.jar.has('session')]).toEqual([null, 0, false]);
    expect((await browser.get('/accounts')).body).toEqual([{ id: ids['bob'], userId: 'bob', current: false }]);
    expect((await browser.post('/accounts/switch', { id: ids['bob'] })).status).toBe(200);
    expect([await me(browser), browser.jar.has(PARKED)]).toEqual(['bob', false]);
    await signedIn(browser, 'dora');
    expect((await browser.post('/public-logout')).body).toEqual({ ended: true });
    expect([browser.jar.size, await app.of('bob'), await app.of('dora')]).toEqual([0, 0, 0]);
    expect((await browser.get('/accounts')).body).toEqual([]);
  });

  it('signs out of all with parked accounts alone', async () => {
    const app = await start(platform);
    const browser = app.browser();
    const ids = await signedIn(browser, 'ann', 'bob');
    await browser.post('/accounts/sign-out', { id: ids['bob'] });
    const evil = { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' };
    expect((await browser.post('/public-logout', undefined, evil)).status).toBe(403);
    expect((await browser.post('/public-logout')).status).toBe(200);
    expect([browser.jar.size, await app.of('ann')]).toEqual([0, 0]);
  });

  it('a sign-in that adds no account signs the browser out of all others', async () => {
    const app = await start(platform);
    const browser = app.browser();
    await signedIn(browser, 'ann', 'bob');
    await browser.post('/login', { userId: 'cleo' });
    expect([await app.of('ann'), await app.of('bob'), browser.jar.has(PARKED)]).toEqual([0, 0, false]);
    expect(usersOf(await browser.get('/accounts'))).toEqual(['cleo']);
  });

  it('an account of the same user is replaced, parked or in use', async () => {
    const app = await start(platform);
    const browser = app.browser();
    await signedIn(browser, 'ann', 'bob', 'ann');
    expect([await app.of('ann'), await app.of('bob'), await me(browser)]).toEqual([1, 1, 'ann']);
    await signedIn(browser, 'ann');
    expect([await app.of('ann'), await app.of('bob'), await me(browser)]).toEqual([1, 1, 'ann']);
    expect(usersOf(await browser.get('/accounts'))).toEqual(['ann', 'bob']);
  });

  it('is bounded, and the cookie stays small', async () => {
    const app = await start(platform, { security: { idLength: 256 } });
    const browser = app.browser();
    const ids = await signedIn(browser, 'u1', 'u2', 'u3', 'u4', 'u5');
    const refused = await browser.post('/accounts', { userId: 'u6' });
    expect([refused.status, refused.body.code, await app.of('u6')]).toEqual([409, 'too_many_accounts', 0]);
    expect(await me(browser)).toBe('u5');
    expect(browser.jar.get(PARKED)?.length).toBeLessThan(4_000);
    // One that has ended elsewhere takes no place.
    await app.app.get(SessionService).end(ids['u2'] as string);
    await signedIn(browser, 'u6');
    expect(usersOf(await browser.get('/accounts'))).toEqual(['u1', 'u3', 'u4', 'u5', 'u6']);
  });

  it('a parked account that ended vanishes without an error', async () => {
    const store = new CountingStore();
    const app = await start(platform, { store });
    const browser = app.browser();
    const ids = await signedIn(browser, 'ann', 'bob', 'cleo', 'dora');
    const sessions = app.app.get(SessionService);
    await sessions.end(ids['ann'] as string, { reason: 'admin' });
    await sessions.regenerate(ids['bob'] as string);
    expect(usersOf(await browser.get('/accounts'))).toEqual(['cleo', 'dora']);
    for (const user of ['ann', 'bob']) {
      const { status, body } = await browser.post('/accounts/switch', { id: ids[user] });
      expect([status, body.code]).toEqual([404, 'account_not_found']);
    }
    // Time passes for a parked one: being listed is no access.
    for (let minutes = 0; minutes < 30; minutes += 10) {
      store.advance(10 * 60_000 + 1);
      await browser.get('/me');
      await browser.get('/accounts');
    }
    expect(usersOf(await browser.get('/accounts'))).toEqual(['dora']);
    expect(await me(browser)).toBe('dora');
    expect((await browser.post('/accounts/sign-out', { id: ids['cleo'] })).status).toBe(204);
    expect(browser.jar.has(PARKED)).toBe(false);
  });

  it('a store that is down is 503, and no account is lost', async () => {
    const store = new CountingStore();
    const app = await start(platform, { store });
    const browser = app.browser();
    const ids = await signedIn(browser, 'ann', 'bob');
    store.down = true;
    const answers = [
      await browser.get('/accounts'),
      await browser.post('/accounts/switch', { id: ids['ann'] }),
      await browser.post('/accounts/sign-out', { id: ids['ann'] }),
      await browser.post('/accounts', { userId: 'cleo' }),
    ];
    expect(answers.map(({ status, setCookies }) => [status, setCookies])).toEqual(answers.map(() => [503, []]));
    store.down = false;
    expect(usersOf(await browser.get('/accounts'))).toEqual(['ann', 'bob']);
  });

  it('other sites add, switch and sign out nothing', async () => {
    const app = await start(platform);
    const browser = app.browser();
    const ids = await signedIn(browser, 'ann', 'bob');
    const evil = { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' };
    for (const [path, body] of [
      ['/accounts', { userId: 'eve' }],
      ['/accounts/switch', { id: ids['ann'] }],
      ['/accounts/sign-out', { id: ids['ann'] }],
    ] as const) {
      const { status, body: answer, setCookies } = await browser.post(path, body, evil);
      expect([path, status, answer.code, setCookies]).toEqual([path, 403, 'csrf_rejected', []]);
    }
    expect(usersOf(await browser.get('/accounts'))).toEqual(['ann', 'bob']);
    expect(await me(browser)).toBe('bob');
  });

  it('an id opens nothing without its token, and a forged cookie nothing at all', async () => {
    const app = await start(platform);
    const [browser, other] = [app.browser(), app.browser()];
    const ids = await signedIn(browser, 'ann', 'bob');
    await signedIn(other, 'eve');
    expect((await other.post('/accounts/switch', { id: ids['ann'] })).body.code).toBe('account_not_found');
    expect((await other.post('/accounts/sign-out', { id: ids['ann'] })).body.code).toBe('account_not_found');
    const token = browser.jar.get(PARKED) ?? '';
    const tokens = [
      token.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')),
      `${ids['ann']}`,
      '!!!',
      'x'.repeat(3_000),
    ];
    for (const forged of tokens) {
      other.jar.set(PARKED, forged);
      expect(usersOf(await other.get('/accounts'))).toEqual(['eve']);
      expect((await other.post('/accounts/switch', { id: ids['ann'] })).status).toBe(404);
    }
    for (const id of [undefined, null, 3, '', {}, [], 'x'.repeat(10_000)]) {
      expect((await other.post('/accounts/switch', { id })).body.code).toBe('account_not_found');
    }
    expect([await app.of('ann'), await me(other)]).toEqual([1, 'eve']);
  });

  it('a parked account is evaluated by its client: refused, ended, or asked to step up', async () => {
    for (const [action, listed, left] of [
      ['reject', [], 1],
      ['end', [], 0],
      ['step-up', ['ann'], 1],
      ['log', ['ann'], 1],
    ] as const) {
      const app = await start(platform, { security: { useFingerprint: { cookie: action } } });
      const browser = app.browser();
      const windows = { 'user-agent': CHROME_ON_WINDOWS };
      const { session } = (await browser.post('/accounts', { userId: 'ann' }, windows)).body;
      const thief = app.browser();
      thief.jar.set(PARKED, browser.jar.get('session') ?? '');
      const linux = { 'user-agent': FIREFOX_ON_LINUX };
      expect([action, usersOf(await thief.get('/accounts', linux))]).toEqual([action, listed]);
      const { status } = await thief.post('/accounts/switch', { id: session.id }, linux);
      expect([action, status]).toEqual([action, listed.length === 0 ? 404 : 200]);
      if (action === 'step-up') expect((await thief.get('/me', linux)).body.code).toBe('step_up_required');
      expect([action, await app.of('ann')]).toEqual([action, left]);
      if (left > 0) expect((await browser.get('/me', windows)).status).toBe(200);
      await app.close();
    }
  });

  it('a parked token that was stolen and used is found out', async () => {
    const store = new CountingStore();
    const app = await start(platform, { store, session: { rotationInterval: '1m' } });
    const browser = app.browser();
    const ids = await signedIn(browser, 'ann', 'bob');
    const thief = app.browser();
    thief.jar.set('session', browser.jar.get(PARKED) ?? '');
    store.advance(2 * 60_000);
    // The thief's copy is rotated and used, and then the owner shows the token from before.
    await thief.get('/me');
    store.advance(60_000);
    expect((await thief.get('/me')).status).toBe(200);
    store.advance(60_000);
    expect(usersOf(await browser.get('/accounts'))).toEqual(['bob']);
    expect((await thief.get('/me')).status).toBe(401);
    expect((await browser.post('/accounts/switch', { id: ids['ann'] })).status).toBe(404);
    expect(await app.of('ann')).toBe(0);
  });

  it('a parked token is not rotated by a list, and rotates when it is switched to', async () => {
    const store = new CountingStore();
    const app = await start(platform, { store, session: { rotationInterval: '1m' } });
    const browser = app.browser();
    const ids = await signedIn(browser, 'ann', 'bob');
    const parked = browser.jar.get(PARKED);
    store.advance(2 * 60_000);
    await browser.get('/accounts');
    expect(browser.jar.get(PARKED)).toBe(parked);
    await browser.post('/accounts/switch', { id: ids['ann'] });
    expect(browser.jar.get('session')).not.toBe(parked);
    store.advance(60_000);
    expect(await me(browser)).toBe('ann');
    expect(usersOf(await browser.get('/accounts'))).toEqual(['ann', 'bob']);
    // A switch whose answer was lost: the browser still has both cookies from before.
    const before = new Map(browser.jar);
    await browser.post('/accounts/switch', { id: ids['bob'] });
    browser.jar.clear();
    for (const [name, value] of before) browser.jar.set(name, value);
    expect(await me(browser)).toBe('ann');
    await browser.post('/accounts/switch', { id: ids['bob'] });
    expect(await me(browser)).toBe('bob');
  });

  it('sessions that are no accounts are not parked', async () => {
    const app = await start(platform);
    const browser = app.browser();
    await browser.post('/accounts/visit');
    await signedIn(browser, 'ann');
    expect([usersOf(await browser.get('/accounts')), browser.jar.has(PARKED)]).toEqual([['ann'], false]);
    // A second factor is missing: the account is in use, and the other one waits for the user's choice.
    await browser.post('/accounts', { userId: 'bob', pending: true });
    expect(usersOf(await browser.get('/accounts'))).toEqual(['ann']);
    const [{ id }] = (await browser.get('/accounts')).body;
    await browser.post('/accounts/switch', { id });
    expect([await me(browser), browser.jar.has(PARKED), await app.of('bob')]).toEqual(['ann', false, 0]);
  });

  it('an administrator ends the impersonation before anything else', async () => {
    const app = await start(platform);
    const browser = app.browser();
    const ids = await signedIn(browser, 'ann', 'root');
    expect((await browser.post('/accounts/impersonate')).status).toBe(200);
    const codes = [
      (await browser.post('/accounts/switch', { id: ids['ann'] })).body.code,
      (await browser.post('/accounts', { userId: 'cleo' })).body.code,
      (await browser.post('/accounts/sign-out', { id: ids['ann'] })).body.code,
    ];
    expect(codes).toEqual(['invalid_request', 'invalid_request', 'invalid_request']);
    expect((await browser.post('/public-logout')).status).toBe(200);
    expect([await app.of('ann'), await app.of('root'), await app.of('somebody')]).toEqual([0, 0, 0]);
  });

  it('remembered accounts survive closing the browser, unless one of them is not remembered', async () => {
    const app = await start(platform);
    const browser = app.browser();
    await browser.post('/accounts', { userId: 'ann', rememberMe: true });
    const added = await browser.post('/accounts', { userId: 'bob', rememberMe: true });
    const ageOf = ({ setCookies }: Reply): number | undefined => setCookies.find(({ name }) => name === PARKED)?.maxAge;
    expect(ageOf(added)).toBeGreaterThan(29 * 24 * 60 * 60);
    await browser.post('/accounts', { userId: 'cleo' });
    const mixed = await browser.post('/accounts', { userId: 'dora' });
    expect([mixed.status, ageOf(mixed)]).toEqual([200, undefined]);
  });

  it('accounts of another tenant do not exist', async () => {
    const app = await start(platform, { tenant: ({ headers }) => headers['x-tenant'] as string });
    const browser = app.browser();
    const [acme, globex] = [{ 'x-tenant': 'acme' }, { 'x-tenant': 'globex' }];
    const { session } = (await browser.post('/accounts', { userId: 'ann' }, acme)).body;
    await browser.post('/accounts', { userId: 'bob' }, acme);
    expect(usersOf(await browser.get('/accounts', globex))).toEqual([]);
    const crossed = await browser.post('/accounts/switch', { id: session.id }, globex);
    expect(crossed.body.code).toBe('account_not_found');
    expect(usersOf(await browser.get('/accounts', acme))).toEqual(['ann', 'bob']);
  });
});

it('on Redis', async () => {
  const app = await startApp({
    platform: 'express',
    controllers: [AccountController, AccountsController],
    module: SessionModule.forRoot({
      accounts: { max: 3 },
      cookie,
      redis: testRedisUrl(),
      keyPrefix: `accounts-${randomBytes(6).toString('hex')}:`,
      secrets: randomBytes(32).toString('base64'),
      commandTimeout: '15s',
    }),
  });
  const browser = app.browser();
  const ids = await signedIn(browser, 'ann', 'bob', 'cleo');
  expect((await browser.post('/accounts', { userId: 'dora' })).status).toBe(409);
  expect((await browser.post('/accounts/switch', { id: ids['ann'] })).status).toBe(200);
  await app.app.get(SessionService).endAll('bob');
  expect(usersOf(await browser.get('/accounts'))).toEqual(['ann', 'cleo']);
  await browser.post('/public-logout');
  expect((await browser.get('/accounts')).body).toEqual([]);
});

it('without the option there is one account, and with deviceBound the boot stops', async () => {
  const app = await startApp({ platform: 'express', controllers: [AccountsController], session: { cookie } });
  const { status } = await app.browser().get('/accounts');
  expect(status).toBe(500);
  expect(() => SessionModule.forRoot({ accounts: true, deviceBound: true })).not.toThrow();
  await expect(startApp({ platform: 'express', session: { accounts: true, deviceBound: true } })).rejects.toThrow(
    'accounts: does not work with deviceBound',
  );
  await expect(startApp({ platform: 'express', session: { accounts: { max: 11 } } })).rejects.toThrow('accounts.max');
});
