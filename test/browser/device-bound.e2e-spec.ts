import { randomBytes } from 'node:crypto';
import { request, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  Body,
  Controller,
  Get,
  Header,
  HttpCode,
  Module,
  Post,
  UseGuards,
  type INestApplication,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Redis } from 'ioredis';
import {
  CurrentUser,
  Public,
  RedisSessionStore,
  ReqSession,
  SessionEvents,
  SessionGuard,
  SessionModule,
  type RequestSession,
  type SessionEvent,
} from 'nestjs-sessions';
import type { BrowserContext, Page } from 'playwright-core';
import { describeInChromium } from './support/chromium.js';
import { ChromiumHome } from './support/chromium-home.js';
import { startProxy, type TcpProxy } from '../support/tcp-proxy.js';

/** So short for the test alone: the browser renews it each six seconds. */
const REFRESH = '8s';
const BOUND = '__Host-session-bound';
const SESSION = '__Host-session';
/** How long something may take that must come, ms. */
const PATIENCE = 45_000;

const FEATURES = {
  enable: ['EnableBoundSessionCredentialsSoftwareKeysForManualTesting', 'DeviceBoundSessions'],
  disable: ['DeviceBoundSessionsRefreshQuota'],
};

@Controller()
@UseGuards(SessionGuard)
class ShopController {
  @Public()
  @Get()
  @Header('content-type', 'text/html')
  page(): string {
    return '<!doctype html><title>shop</title><link rel="icon" href="data:,">';
  }

  @Public()
  @Post('login')
  @HttpCode(200)
  async login(@ReqSession() session: RequestSession, @Body() { userId }: { userId: string }): Promise<unknown> {
    return session.start({ userId });
  }

  @Get('me')
  me(@CurrentUser() user: unknown): unknown {
    return user;
  }

  @Post('logout')
  @HttpCode(200)
  async logout(@ReqSession() session: RequestSession): Promise<unknown> {
    return { ended: await session.end() };
  }
}

/** The application on https, on a Redis behind a proxy that can be cut, at a time that the test moves. */
class Shop {
  readonly events: SessionEvent[] = [];

  private constructor(
    readonly app: INestApplication,
    readonly url: string,
    readonly proxy: TcpProxy,
    private readonly store: RedisSessionStore,
    private readonly client: Redis,
    private readonly time: { shift: number },
    readonly exchanges: { path: string; status: number }[],
  ) {
    app.get(SessionEvents).all$.subscribe((event) => this.events.push(event));
  }

  static async open(home: ChromiumHome): Promise<Shop> {
    const { hostname, port } = new URL(process.env['TEST_REDIS_URL'] ?? '');
    const proxy = await startProxy({ targetPort: Number(port || 6379), targetHost: hostname });
    const client = new Redis({ port: proxy.port, retryStrategy: () => 100, maxRetriesPerRequest: null });
    client.on('error', () => undefined);
    const time = { shift: 0 };
    const store = new RedisSessionStore(client, {
      keyPrefix: `test-${randomBytes(6).toString('hex')}:`,
      commandTimeout: 1_000,
      timeShift: () => time.shift,
    });

    @Module({
      imports: [
        SessionModule.forRoot({
          store,
          secrets: 'x9'.repeat(4) + randomBytes(32).toString('hex'),
          deviceBound: { refresh: REFRESH },
        }),
      ],
      controllers: [ShopController],
    })
    class ShopModule {}

    const { cert, key } = home.certificates;
    const app = await NestFactory.create(ShopModule, { httpsOptions: { cert, key }, logger: false });
    const exchanges: { path: string; status: number }[] = [];
    app.use(
      (
        sent: { url: string },
        response: { statusCode: number; once: (event: string, done: () => void) => void },
        next: () => void,
      ) => {
        if (sent.url.startsWith('/session/device/'))
          response.once('finish', () => exchanges.push({ path: sent.url, status: response.statusCode }));
        next();
      },
    );
    await app.listen(0, '127.0.0.1');
    const { port: own } = (app.getHttpServer() as Server).address() as AddressInfo;
    const shop = new Shop(app, `https://localhost:${own}`, proxy, store, client, time, exchanges);
    return shop;
  }

  advance(ms: number): void {
    this.time.shift += ms;
  }

  async close(): Promise<void> {
    (this.app.getHttpServer() as Server).closeAllConnections();
    await this.app.close();
    await this.store.close();
    this.client.disconnect();
    await this.proxy.stop();
  }
}

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + PATIENCE;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`did not come about within ${PATIENCE} ms: ${what}`);
    await sleep(50);
  }
}

describeInChromium('device-bound sessions in real Chromium', () => {
  let home: ChromiumHome;
  let shop: Shop;

  beforeAll(() => {
    home = new ChromiumHome();
  }, 60_000);
  beforeEach(async () => {
    shop = await Shop.open(home);
  });
  afterEach(async () => shop.close());
  afterAll(async () => home.close());

  async function visit(context: BrowserContext): Promise<Page> {
    const page = await context.newPage();
    await page.goto(shop.url);
    return page;
  }

  const post = async (page: Page, path: string, body: object = {}): Promise<number> =>
    page.evaluate(
      async ([to, json]) =>
        (await fetch(to, { method: 'POST', body: json, headers: { 'content-type': 'application/json' } })).status,
      [path, JSON.stringify(body)] as const,
    );
  const get = async (page: Page, path: string): Promise<number> =>
    page.evaluate(async (to) => (await fetch(to)).status, path);

  async function cookiesOf(context: BrowserContext): Promise<Record<string, string>> {
    const cookies = await context.cookies(shop.url);
    return Object.fromEntries(cookies.map(({ name, value }) => [name, value]));
  }

  /** Another client, which has copied some cookies. */
  async function statusFor(cookies: Record<string, string>): Promise<{ status: number; code: unknown }> {
    const cookie = Object.entries(cookies)
      .map(([name, value]) => `${name}=${value}`)
      .join('; ');
    return new Promise((resolve, reject) => {
      const sent = request(
        `${shop.url}/me`,
        { ca: home.certificates.ca, headers: { cookie, 'user-agent': userAgent } },
        (response) => {
          let text = '';
          response.on('data', (chunk: Buffer) => (text += chunk.toString()));
          response.on('end', () => resolve({ status: response.statusCode ?? 0, code: JSON.parse(text).code }));
        },
      );
      sent.on('error', reject);
      sent.end();
    });
  }
  let userAgent = '';

  /** Signed in and bound; what was under way at registration is no longer accepted, and the browser has renewed its cookie. */
  async function bound(context: BrowserContext): Promise<Page> {
    const page = await visit(context);
    expect(await post(page, '/login', { userId: 'ada' })).toBe(200);
    await until('the browser has registered', () => shop.events.some(({ type }) => type === 'bound'));
    shop.advance(31_000);
    // The server's time has leapt, and the browser does not know that its cookie is out of date: until it renews it, 401.
    await until('the browser renews the cookie', async () => (await get(page, '/me')) === 200);
    return page;
  }

  it('binds by itself, and renews the cookie while a page polls', async () => {
    const context = await home.launch(FEATURES);
    const page = await bound(context);
    const values = new Set<string | undefined>();
    const statuses: number[] = [];
    await until('a renewal while the page polls', async () => {
      statuses.push(await get(page, '/me'));
      values.add((await cookiesOf(context))[BOUND]);
      return values.size > 1;
    });
    expect(statuses.filter((status) => status !== 200)).toEqual([]);
    expect(shop.events.filter(({ type }) => type === 'bound')).toMatchObject([{ userId: 'ada' }]);
    await context.close();
  }, 120_000);

  // Browsers allow a session but a few signatures in a short time: each test has a browser of its own.
  it('makes copies of the cookies worthless', async () => {
    const context = await home.launch(FEATURES);
    const page = await bound(context);
    userAgent = await page.evaluate<string>('navigator.userAgent');
    const copied = await cookiesOf(context);
    expect((await statusFor(copied)).status).toBe(200);
    const alone = { [SESSION]: copied[SESSION] ?? '' };
    expect(await statusFor(alone)).toEqual({ status: 401, code: 'device_binding_required' });
    await until('the copied cookie has run out', async () => (await statusFor(copied)).status === 401);
    expect((await statusFor(copied)).code).toBe('device_binding_required');
    await until('the browser goes on', async () => (await get(page, '/me')) === 200);
    await context.close();
  }, 120_000);

  it('ends in the browser with a sign-out', async () => {
    const context = await home.launch(FEATURES);
    const page = await visit(context);
    expect(await post(page, '/login', { userId: 'ada' })).toBe(200);
    await until('the browser has registered', () => shop.events.some(({ type }) => type === 'bound'));

    // The browser asks once more, perhaps while it signs out: it learns that the session is over, and asks no more.
    const before = shop.exchanges.length;
    expect(await post(page, '/logout')).toBe(200);
    await until('the browser has heard that the session is over', async () => {
      await get(page, '/me');
      return shop.exchanges.slice(before).some(({ status }) => status === 404);
    });
    const asked = shop.exchanges.length;
    for (let turn = 0; turn < 5; turn += 1) expect(await get(page, '/me')).toBe(401);
    expect(shop.exchanges.length).toBe(asked);
    await context.close();
  }, 120_000);

  it('loses nothing while Redis is away during a renewal', async () => {
    const context = await home.launch(FEATURES);
    const page = await visit(context);
    await post(page, '/login', { userId: 'ada' });
    await until('the browser has registered', () => shop.events.some(({ type }) => type === 'bound'));
    shop.proxy.blackhole(true);
    await until('a renewal fails', async () => {
      await get(page, '/me');
      return shop.exchanges.some(({ status }) => status === 503);
    });
    shop.proxy.blackhole(false);
    await until('the page is served again', async () => (await get(page, '/me')) === 200);
    shop.advance(31_000);
    await until('the browser renews the cookie', async () => (await get(page, '/me')) === 200);
    expect(shop.events.filter(({ type }) => type === 'ended')).toEqual([]);
    await context.close();
  }, 120_000);

  it('a link on another site renews the cookie too', async () => {
    const context = await home.launch(FEATURES);
    const page = await visit(context);
    await post(page, '/login', { userId: 'ada' });
    await until('the browser has registered', () => shop.events.some(({ type }) => type === 'bound'));
    shop.advance(31_000);
    await until('the bound cookie has run out', async () => !(BOUND in (await cookiesOf(context))));
    await page.goto('data:text/html,<title>elsewhere</title>');
    await page.setContent(`<a href="${shop.url}/me">shop</a>`);
    const [response] = await Promise.all([page.waitForNavigation(), page.click('a')]);
    expect(response?.status()).toBe(200);
    await context.close();
  }, 120_000);

  it('a browser without the feature signs in and stays', async () => {
    const context = await home.launch({ disable: ['DeviceBoundSessions', ...FEATURES.disable] });
    const page = await visit(context);
    await post(page, '/login', { userId: 'ada' });
    for (const minutes of [1, 10, 15]) {
      shop.advance(minutes * 60_000);
      expect(await get(page, '/me')).toBe(200);
    }
    expect(shop.exchanges).toEqual([]);
    expect(Object.keys(await cookiesOf(context))).toEqual([SESSION]);
    await context.close();
  }, 60_000);
});
