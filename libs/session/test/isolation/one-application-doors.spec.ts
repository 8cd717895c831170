import { Body, Controller, Get, Inject, Post, Req, UseGuards } from '@nestjs/common';
import fastifyCookie from '@fastify/cookie';
import fastifySession from '@fastify/session';
import { SubscribeMessage, WebSocketGateway, type OnGatewayConnection } from '@nestjs/websockets';
import express from 'express';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SessionFastifyStore } from '../../src/frameworks/fastify/index.js';
import {
  CurrentSession,
  DeviceSessionService,
  MemorySessionStore,
  SessionEvents,
  SessionGuard,
  SessionModule,
  SessionService,
  SessionStore,
  SessionTenants,
  type Session,
  type SessionModuleOptions,
  type TenantRequest,
} from '../../src/index.js';
import { MOST_VIEWS, TenantsSessionStore } from '../../src/ports/tenants/tenants-session-store.js';
import { sessionMiddleware, type SessionRequestHandler } from '../../src/standalone/index.js';
import { AccountController } from '../support/account.controller.js';
import { closeApps, PLATFORMS, startApp, type TestApp } from '../support/app.js';
import { Browser, type Reply, type RequestOptions } from '../support/browser.js';
import { CountingStore } from '../support/counting-store.js';
import { until } from '../support/own-redis.js';
import { startSockets, type SocketApp } from '../websockets/support/app.js';
import { closeSockets, KINDS } from '../websockets/support/sockets.js';

const tenant = ({ headers }: TenantRequest): string => headers['x-tenant'] as string;

/** A browser that names its tenant in a header. */
class TenantBrowser extends Browser {
  constructor(
    url: string,
    readonly headers: { 'x-tenant': string },
  ) {
    super(url);
  }

  override async request(path: string, options: RequestOptions = {}): Promise<Reply> {
    return super.request(path, { ...options, headers: { ...this.headers, ...options.headers } });
  }

  /** The cookies of this one at another tenant. */
  crossedTo(name: string, url: string): TenantBrowser {
    const other = new TenantBrowser(url, { 'x-tenant': name });
    for (const [cookie, value] of this.jar) other.jar.set(cookie, value);
    return other;
  }
}

/** A store that can say that events may have been missed. */
class GapStore extends CountingStore {
  readonly gaps: (() => void)[] = [];

  override onGap(listener: () => void): () => void {
    this.gaps.push(listener);
    return () => undefined;
  }
}

@UseGuards(SessionGuard)
@WebSocketGateway()
class TenantGateway implements OnGatewayConnection {
  readonly entered: string[] = [];

  constructor(
    @Inject(SessionService) private readonly sessions: SessionService,
    @Inject(SessionTenants) private readonly tenants: SessionTenants,
  ) {}

  handleConnection(): void {
    this.entered.push(this.tenants.current());
  }

  @SubscribeMessage('list')
  async list(@CurrentSession() session: Session): Promise<object> {
    const own = await this.sessions.list(session.userId);
    return { tenant: this.tenants.current(), sessions: own.length };
  }
}

afterEach(async () => {
  closeSockets();
  await closeApps();
});

describe.each(KINDS.flatMap((kind) => PLATFORMS.map((platform) => [kind, platform] as const)))(
  'sockets of many tenants over %s on %s',
  (kind, platform) => {
    let app: SocketApp;
    let store: GapStore;
    const at = (name: string): TenantBrowser => new TenantBrowser(app.url, { 'x-tenant': name });

    beforeEach(async () => {
      store = new GapStore();
      app = await startSockets(kind, platform, { tenant, store }, [TenantGateway]);
    });

    it('a cookie or ticket of one opens no socket of another', async () => {
      const ann = at('acme');
      await ann.post('/login', { userId: 'ann' });
      const crossed = ann.crossedTo('globex', app.url);
      await expect(app.open(crossed, { headers: crossed.headers }).opened).rejects.toMatchObject({
        code: 'invalid_token',
      });
      const { ticket } = (await ann.post('/socket-ticket')).body as { ticket: string };
      await expect(app.open(null, { ticket, headers: crossed.headers }).opened).rejects.toMatchObject({
        statusCode: 401,
      });
      await app.open(null, { ticket, headers: ann.headers }).opened;
      const lost = ann.crossedTo('', app.url);
      await expect(app.open(lost, { headers: lost.headers }).opened).rejects.toMatchObject({ code: 'unknown_tenant' });
    });

    it('handlers run in the tenant of their socket, and each socket lives by its own session', async () => {
      const browsers = [at('acme'), at('globex')];
      for (const browser of browsers) await browser.post('/login', { userId: 'ann' });
      const [acme, globex] = browsers.map((browser) => app.open(browser, { headers: browser.headers }));
      if (!acme || !globex) throw new Error('two sockets');
      await Promise.all([acme.opened, globex.opened]);
      expect(app.app.get(TenantGateway).entered.sort()).toEqual(['acme', 'globex']);
      expect(await acme.ask('list', {})).toEqual({ tenant: 'acme', sessions: 1 });
      expect(await globex.ask('list', {})).toEqual({ tenant: 'globex', sessions: 1 });
      // What is asked later is asked of each one's own tenant.
      for (const gap of store.gaps) gap();
      await new Promise((resolve) => setImmediate(resolve));
      expect(await acme.ask('list', {})).toEqual({ tenant: 'acme', sessions: 1 });
      expect(await globex.ask('list', {})).toEqual({ tenant: 'globex', sessions: 1 });
      await app.app.get(SessionService).forTenant('acme').endAll('ann');
      expect(await acme.closed).toMatchObject({ code: 4401 });
      expect(await globex.ask('list', {})).toEqual({ tenant: 'globex', sessions: 1 });
    });
  },
);

@Controller('shop')
class ShopController {
  @Get()
  read(@Req() request: { session: object }): unknown {
    const { cookie: _cookie, ...data } = JSON.parse(JSON.stringify(request.session)) as Record<string, unknown>;
    return data;
  }

  @Post('set')
  set(@Req() request: { session: object }, @Body() body: object): unknown {
    Object.assign(request.session, body);
    return {};
  }
}

const SECRET = 'a secret of at least 32 characters for these tests';

describe.each(PLATFORMS)('framework sessions of many tenants on %s', (platform) => {
  const start = async (): Promise<TestApp> => {
    const options: SessionModuleOptions = { tenant, store: new MemorySessionStore() };
    if (platform === 'express') Object.assign(options, { expressSession: { secret: SECRET } });
    return startApp({
      platform,
      controllers: [ShopController],
      module: SessionModule.forRoot(options),
      configure: async (app) => {
        if (platform === 'express') return;
        const { register } = app as NestFastifyApplication;
        await register.call(app, fastifyCookie as never);
        await register.call(
          app,
          fastifySession as never,
          {
            secret: SECRET,
            cookieName: 'sid',
            cookie: { secure: false },
            store: new SessionFastifyStore({ store: app.get(SessionStore), sweepInterval: false }),
          } as never,
        );
      },
    });
  };

  it('a cookie of one is an empty session in another, and a list names its own alone', async () => {
    const app = await start();
    const acme = new TenantBrowser(app.url, { 'x-tenant': 'acme' });
    expect((await acme.post('/shop/set', { userId: 'ada', cart: 1 })).status).toBe(201);
    expect((await acme.get('/shop')).body).toEqual({ userId: 'ada', cart: 1 });
    const crossed = acme.crossedTo('globex', app.url);
    expect((await crossed.get('/shop')).body).toEqual({});
    const again = acme.crossedTo('globex', app.url);
    await again.post('/shop/set', { userId: 'ada', cart: 2 });
    expect((await acme.get('/shop')).body).toEqual({ userId: 'ada', cart: 1 });
    const sessions = app.app.get(SessionService);
    expect(await sessions.forTenant('acme').list('ada')).toHaveLength(1);
    expect(await sessions.forTenant('acme').endAll('ada')).toBe(1);
    expect((await acme.get('/shop')).body).toEqual({});
    expect(await sessions.forTenant('globex').list('ada')).toHaveLength(1);
  });
});

it('Express without Nest: each request has its tenant', async () => {
  const sessions = await sessionMiddleware({
    store: new MemorySessionStore(),
    tenant,
    cookie: { name: 'session', secure: false },
  });
  const app = express();
  app.use(sessions as SessionRequestHandler as never);
  app.post('/login', (request, response, next) => {
    sessions
      .of(request, response)
      .start({ userId: 'ann' })
      .then(() => response.sendStatus(204), next);
  });
  app.get('/me', (request, response) => {
    const { session } = request as unknown as { session: Session | null };
    sessions.sessions.list('ann').then(
      ({ length }) => response.json({ userId: session?.userId ?? null, sessions: length }),
      () => response.sendStatus(500),
    );
  });
  const server = createServer(app).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    const acme = new TenantBrowser(url, { 'x-tenant': 'acme' });
    expect((await acme.post('/login')).status).toBe(204);
    expect((await acme.get('/me')).body).toEqual({ userId: 'ann', sessions: 1 });
    expect((await acme.crossedTo('globex', url).get('/me')).body).toEqual({ userId: null, sessions: 0 });
  } finally {
    server.close();
    await sessions.close();
  }
});

describe('ten thousand tenants', () => {
  it('cost nothing while idle', async () => {
    const store = new MemorySessionStore();
    const app = await startApp({
      platform: 'express',
      controllers: [AccountController],
      module: SessionModule.forRoot({ store, tenant, nearCache: true, history: true }),
    });
    const sessions = app.app.get(SessionService);
    const devices = app.app.get(DeviceSessionService);
    const kept = app.app.get<TenantsSessionStore>(SessionStore);
    expect(kept).toBeInstanceOf(TenantsSessionStore);
    await sessions.forTenant('first').start({ userId: 'ann' });
    const before = { timers: timers(), subscribers: subscribersOf(store) };
    const ids: string[] = [];
    for (let count = 0; count < 10_000; count += 1) {
      const { session } = await sessions.forTenant(`tenant-${count}`).start({ userId: 'ann' });
      if (count % 1_000 === 0) {
        ids.push(session.id);
        expect(await devices.forTenant(`tenant-${count}`).getDeviceSessions('ann')).toEqual([]);
      }
    }
    expect({ timers: timers(), subscribers: subscribersOf(store) }).toEqual(before);
    expect(kept.size).toBeLessThanOrEqual(MOST_VIEWS);
    // A tenant whose view was dropped is as it was.
    expect(await sessions.forTenant('first').list('ann')).toHaveLength(1);
    expect(await sessions.forTenant('tenant-0').get(ids[0] ?? '')).not.toBeNull();
    const heard: unknown[] = [];
    const stop = app.app.get(SessionEvents).on('ended', (event) => heard.push(event.tenant));
    expect(await sessions.forTenant('tenant-0').endAll('ann')).toBe(1);
    await until(() => heard.length === 1);
    stop();
    expect(heard).toEqual(['tenant-0']);
    expect(await store.allTenants().count()).toBe(10_000);
  }, 60_000);
});

function timers(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
}

function subscribersOf(store: MemorySessionStore): number {
  const { shared } = store as unknown as { shared: { listeners: { size: number } } };
  return shared.listeners.size;
}
