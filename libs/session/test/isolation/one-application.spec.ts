import { Controller, Get, HttpException, Inject, Injectable } from '@nestjs/common';
import { randomBytes } from 'node:crypto';
import {
  MemorySessionStore,
  OnSessionEvent,
  Public,
  SessionAdminService,
  SessionEvents,
  SessionHistory,
  SessionModule,
  SessionService,
  SessionStore,
  SessionTenants,
  TokenBlacklist,
  TokenService,
  type SessionEvent,
  type SessionModuleOptions,
  type TenantRequest,
} from '../../src/index.js';
import { AccountController } from '../support/account.controller.js';
import { closeApps, PLATFORMS, startApp, type TestApp } from '../support/app.js';
import { Browser, type Reply, type RequestOptions } from '../support/browser.js';
import { until } from '../support/own-redis.js';
import { testRedisUrl } from '../support/redis-harness.js';
import { OperationsController } from './support/operations.controller.js';

const SECRETS = randomBytes(48).toString('base64url');
const BY = { actor: 'root', reason: 'test' };

/** By host. What the function returns, or does, for the others is in `tenantOf`. */
const TENANTS: Readonly<Record<string, string>> = { 'acme.test': 'acme', 'globex.test': 'globex' };

function tenantOf({ hostname }: TenantRequest): string | null | Promise<string | null> {
  switch (hostname) {
    case 'later.test':
      return new Promise((resolve) => setImmediate(() => resolve('later')));
    case 'broken.test':
      throw new Error('the database is down');
    case 'broken-later.test':
      return Promise.reject(new Error('the database is down'));
    case 'closed.test':
      throw new HttpException('This shop is closed.', 410);
    case 'number.test':
      // Wrong on purpose, as from code without types.
      return 7 as unknown as string;
    case 'empty.test':
      return '';
    case 'control.test':
      return 'a\nb';
    case 'long.test':
      return 'a'.repeat(257);
    default:
      return TENANTS[hostname] ?? null;
  }
}

/** A browser at one host of the application. */
class HostBrowser extends Browser {
  constructor(
    url: string,
    private readonly host: string,
  ) {
    super(url);
  }

  override async request(path: string, options: RequestOptions = {}): Promise<Reply> {
    return super.request(path, { ...options, headers: { 'x-forwarded-host': this.host, ...options.headers } });
  }
}

/** What a handler's own services see. */
@Public()
@Controller('own')
class OwnController {
  constructor(
    @Inject(SessionTenants) private readonly tenants: SessionTenants,
    @Inject(SessionStore) private readonly store: SessionStore,
    @Inject(SessionHistory) private readonly history: SessionHistory,
    @Inject(TokenBlacklist) private readonly blacklist: TokenBlacklist,
    @Inject(SessionService) private readonly sessions: SessionService,
  ) {}

  @Get('tenant')
  tenant(): unknown {
    return { tenant: this.tenants.current() };
  }

  @Get('seen')
  async seen(): Promise<unknown> {
    await new Promise((resolve) => setTimeout(resolve, 1));
    return {
      count: await this.store.count(),
      history: (await this.history.list('hal')).map(({ type }) => type),
      blacklisted: await this.blacklist.isBlacklisted('one'),
      globex: (await this.sessions.forTenant('globex').list('hal')).length,
    };
  }

  @Get('block')
  async block(): Promise<unknown> {
    await this.blacklist.add('one', Date.now() + 60_000);
    return {};
  }
}

/** Calls a service in the handler of an event. */
@Injectable()
class Listener {
  readonly heard: { event: SessionEvent; current: string; left: number }[] = [];

  constructor(
    @Inject(SessionTenants) private readonly tenants: SessionTenants,
    @Inject(SessionService) private readonly sessions: SessionService,
  ) {}

  @OnSessionEvent('ended')
  async note(event: SessionEvent): Promise<void> {
    const left = (await this.sessions.list(event.userId)).length;
    this.heard.push({ event, current: this.tenants.current(), left });
  }
}

const BACKENDS: Record<string, () => SessionModuleOptions> = {
  memory: () => ({ store: new MemorySessionStore() }),
  'Redis and a near cache': () => ({
    redis: testRedisUrl(),
    keyPrefix: `one-app-${randomBytes(6).toString('hex')}:`,
    commandTimeout: 15_000,
    nearCache: true,
  }),
};

const CASES = PLATFORMS.flatMap((platform) => Object.keys(BACKENDS).map((backend) => [platform, backend] as const));

describe.each(CASES)('many tenants of one application on %s with %s', (platform, backend) => {
  let app: TestApp;
  const at = (host: string): Browser => new HostBrowser(app.url, host);
  const of = (tenant: string): SessionService => app.app.get(SessionService).forTenant(tenant);

  beforeAll(async () => {
    app = await startApp({
      platform,
      trustProxy: true,
      controllers: [AccountController, OperationsController, OwnController],
      providers: [Listener],
      module: SessionModule.forRoot({
        ...BACKENDS[backend]?.(),
        tenant: tenantOf,
        secrets: SECRETS,
        jwt: { issuer: 'https://example.com', audience: 'https://api.example.com' },
        cookie: { name: 'session', secure: false },
        device: { cookie: true },
        session: { maxSessionsPerUser: 2 },
        history: true,
      }),
    });
  }, 60_000);

  afterEach(async () => {
    for (const tenant of ['acme', 'globex', 'later']) {
      await app.app.get(SessionAdminService).forTenant(tenant).endEverybody(BY);
    }
  });
  afterAll(closeApps);

  it('a cookie, access token, refresh token and device cookie of one open nothing in the others', async () => {
    const browser = at('acme.test');
    const signedIn = await browser.post('/login', { userId: 'ada', roles: ['admin'], transport: 'both' });
    expect(signedIn.status).toBe(200);
    const { tokens, session } = signedIn.body;
    expect((await browser.get('/admin')).status).toBe(200);
    const device = [...browser.jar.keys()].find((name) => name !== 'session');
    expect(device).toBeDefined();
    let accepted = 0;
    for (const host of ['globex.test', 'later.test']) {
      // The same user there: nothing of the one is the other's.
      const there = at(host);
      const own = await there.post('/login', { userId: 'ada', roles: ['admin'], transport: 'both' });
      expect(own.body.session.id).not.toBe(session.id);
      expect(own.body.session.deviceId).not.toBe(session.deviceId);
      for (const [from, to, loot] of [
        [browser, host, tokens],
        [there, 'acme.test', own.body.tokens],
      ] as const) {
        const thief = at(to);
        for (const [name, value] of from.jar) thief.jar.set(name, value);
        const bearer = { authorization: `Bearer ${loot.accessToken}` };
        const answers = [
          await thief.get('/admin'),
          await thief.get('/me'),
          await thief.post('/step-up'),
          await at(to).get('/admin', bearer),
          await at(to).post('/ops/refresh', { refreshToken: loot.refreshToken }),
        ];
        expect(answers.map(({ status }) => status)).toEqual([401, 401, 401, 401, 401]);
        accepted += answers.filter(({ status }) => status < 400).length;
        expect((await thief.get('/optional')).body).toEqual({ session: null, user: null });
        expect((await at(to).post('/ops/revoke', { token: loot.accessToken })).body).toEqual({ code: 'invalid_token' });
        // Signed for another tenant, it names no device here.
        const visitor = at(to);
        visitor.jar.set(device as string, from.jar.get(device as string) as string);
        expect((await visitor.post('/login', { userId: 'eve' })).body.session.deviceId).not.toBe(session.deviceId);
      }
      expect((await there.get('/me')).status).toBe(200);
      const refreshed = await at(host).post('/ops/refresh', { refreshToken: own.body.tokens.refreshToken });
      expect(refreshed.status).toBe(200);
    }
    expect(accepted).toBe(0);
    expect((await browser.get('/me')).status).toBe(200);
    const bearer = { authorization: `Bearer ${tokens.accessToken}` };
    expect((await at('acme.test').get('/me', bearer)).status).toBe(200);
    expect((await at('acme.test').post('/ops/refresh', { refreshToken: tokens.refreshToken })).status).toBe(200);
  });

  it('an id of one is no session in the others: not to read, list, count or end', async () => {
    const browser = at('acme.test');
    const { session } = (await browser.post('/login', { userId: 'bob', roles: ['admin'], deviceId: 'd' })).body;
    for (const host of ['globex.test', 'later.test']) {
      const other = at(host);
      expect((await other.get(`/ops/sessions/${session.id}`)).body).toEqual({ session: null });
      expect((await other.get('/ops/users/bob')).body).toEqual({ ids: [], devices: [] });
      expect((await other.get('/ops/count')).body).toEqual({ count: 0 });
      const ended = await other.request(`/ops/sessions/${session.id}/bob`, { method: 'DELETE' });
      expect(ended.body).toEqual({ ended: [false, false, false] });
      expect((await other.request('/ops/everybody', { method: 'DELETE' })).body).toEqual({ ended: 0 });
    }
    expect((await browser.get('/me')).status).toBe(200);
    expect((await at('acme.test').get('/ops/users/bob')).body).toMatchObject({ ids: [session.id] });
  });

  it('limits, lists, counts, the audit trail and the blacklist are those of the tenant of the request', async () => {
    const [acme, globex] = [at('acme.test'), at('globex.test')];
    await acme.post('/login', { userId: 'hal' });
    const signedIn: Browser[] = [];
    for (let count = 0; count < 3; count += 1) {
      const browser = at('globex.test');
      await browser.post('/login', { userId: 'hal' });
      signedIn.push(browser);
    }
    // Two is the limit of a user, and each tenant has a user of this name.
    expect(await Promise.all(signedIn.map(async (browser) => (await browser.get('/me')).status))).toEqual([
      401, 200, 200,
    ]);
    expect((await acme.get('/me')).status).toBe(200);
    await acme.get('/own/block');
    await until(async () => ((await globex.get('/own/seen')).body as { history: string[] }).history.includes('ended'));
    expect((await acme.get('/own/seen')).body).toMatchObject({ count: 1, blacklisted: true, globex: 2 });
    expect((await globex.get('/own/seen')).body).toMatchObject({ count: 2, blacklisted: false, globex: 2 });
    expect((await acme.get('/own/seen')).body.history).not.toContain('ended');
  });

  it('parallel requests of several tenants keep theirs', async () => {
    const hosts = ['acme.test', 'globex.test', 'later.test'];
    const answers = await Promise.all(
      Array.from({ length: 60 }, async (_, index) => at(hosts[index % 3] ?? '').get('/own/tenant')),
    );
    const names = ['acme', 'globex', 'later'];
    expect(answers.map(({ body }) => body.tenant)).toEqual(answers.map((_, index) => names[index % 3]));
  });

  it('events name their tenant, and their handlers run in it', async () => {
    const listener = app.app.get(Listener);
    listener.heard.splice(0);
    const all: SessionEvent[] = [];
    const subscription = app.app.get(SessionEvents).all$.subscribe((event) => all.push(event));
    for (const host of ['acme.test', 'later.test']) {
      const browser = at(host);
      await browser.post('/login', { userId: 'cleo' });
      await browser.post('/logout');
    }
    await until(() => listener.heard.length === 2);
    subscription.unsubscribe();
    expect(listener.heard.map(({ event, current, left }) => [event.tenant, current, left])).toEqual([
      ['acme', 'acme', 0],
      ['later', 'later', 0],
    ]);
    expect(new Set(all.map(({ tenant }) => tenant))).toEqual(new Set(['acme', 'later']));
  });

  it('ends and counts the sessions of one tenant as a whole', async () => {
    const [acme, globex] = [at('acme.test'), at('globex.test')];
    for (const browser of [acme, globex]) await browser.post('/login', { userId: 'dora' });
    const admin = app.app.get(SessionAdminService);
    expect(await admin.forTenant('acme').countSessions()).toBe(1);
    expect(await admin.forTenant('acme').endEverybody(BY)).toBe(1);
    expect([await admin.forTenant('acme').countSessions(), await admin.forTenant('globex').countSessions()]).toEqual([
      0, 1,
    ]);
    expect([(await acme.get('/me')).status, (await globex.get('/me')).status]).toEqual([401, 200]);
  });

  it('a request of no tenant is 404, of one that cannot be found 503, and neither is signed out', async () => {
    const browser = at('acme.test');
    await browser.post('/login', { userId: 'finn' });
    const jar = new Map(browser.jar);
    const answers: Record<string, unknown> = {};
    for (const host of ['nobody', 'empty', 'control', 'long', 'broken', 'broken-later', 'closed', 'number']) {
      const lost = at(`${host}.test`);
      for (const [name, value] of jar) lost.jar.set(name, value);
      const me = await lost.get('/me');
      expect([host, me.headers.get('set-cookie')]).toEqual([host, null]);
      expect((await lost.get('/public')).status).toBe(200);
      const others = [await lost.get('/optional'), await lost.post('/login', { userId: 'eve' })];
      expect([host, ...others.map(({ status }) => status)]).toEqual([host, me.status, me.status]);
      expect([host, (await lost.get('/own/tenant')).status]).toEqual([host, me.status]);
      answers[host] = me.body.code ?? me.status;
      if (me.status === 503) expect(me.headers.get('retry-after')).not.toBeNull();
    }
    expect(answers).toEqual({
      nobody: 'unknown_tenant',
      empty: 'unknown_tenant',
      control: 'unknown_tenant',
      long: 'unknown_tenant',
      broken: 'store_unavailable',
      'broken-later': 'store_unavailable',
      closed: 410,
      number: 'invalid_configuration',
    });
    expect((await browser.get('/me')).status).toBe(200);
  });

  it('a call outside of a request needs a tenant', async () => {
    const sessions = app.app.get(SessionService);
    await expect(sessions.list('ada')).rejects.toThrow('Call forTenant(tenant)');
    await expect(sessions.start({ userId: 'ada' })).rejects.toThrow('Call forTenant(tenant)');
    await expect(app.app.get(SessionStore).count()).rejects.toThrow('Call forTenant(tenant)');
    expect(() => sessions.forTenant('')).toThrow('tenant');
    const { session, live } = await of('acme').start({ userId: 'gus' });
    expect(await of('globex').get(session.id)).toBeNull();
    expect(await of('globex').end(session.id)).toBe(false);
    expect(await of('acme').get(session.id)).toMatchObject({ userId: 'gus' });
    const { accessToken } = app.app.get(TokenService).forTenant('acme').issueFor(live);
    expect((await at('acme.test').get('/me', { authorization: `Bearer ${accessToken}` })).status).toBe(200);
    expect((await at('globex.test').get('/me', { authorization: `Bearer ${accessToken}` })).status).toBe(401);
    const tenants = app.app.get(SessionTenants);
    expect(await tenants.run('acme', async () => sessions.list('gus'))).toHaveLength(1);
    expect(await tenants.run('globex', async () => sessions.list('gus'))).toHaveLength(0);
  });
});

it('an application of one tenant serves no other', async () => {
  const app = await startApp({ platform: 'express', session: { tenant: 'acme', store: new MemorySessionStore() } });
  const sessions = app.app.get(SessionService);
  expect(sessions.forTenant('acme')).toBe(sessions);
  expect(() => sessions.forTenant('globex')).toThrow('this application serves one tenant');
  expect(() => app.app.get(SessionTenants).run('globex', () => 1)).toThrow('this application serves one tenant');
  expect(app.app.get(SessionTenants).run('acme', () => app.app.get(SessionTenants).current())).toBe('acme');
  await closeApps();
});
