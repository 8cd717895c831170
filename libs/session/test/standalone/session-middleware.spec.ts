import {
  All,
  Controller,
  Get,
  Module,
  Req,
  Res,
  Session as NestSession,
  UseGuards,
  type MiddlewareConsumer,
  type NestModule,
} from '@nestjs/common';
import express from 'express';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { NoTouch, SessionGuard, SessionMiddleware, SessionModule, sessionOf, type Session } from '../../src/index.js';
import {
  requireSession,
  sessionMiddleware,
  validateToken,
  type StandaloneSessions,
} from '../../src/standalone/index.js';
import { MOST_REPORTS } from '../../src/events/security-reports.js';
import type { MemorySessionHistory } from '../../src/memory/memory-session-history.js';
import type { HistoryLimits } from '../../src/ports/session-history.js';
import { AccountController } from '../support/account.controller.js';
import { closeApps, PLATFORMS, startApp, type TestApp } from '../support/app.js';
import { Browser } from '../support/browser.js';
import { CapturedLogs } from '../support/captured-logs.js';
import { CountingStore } from '../support/counting-store.js';

const SECRETS = 'a secret of at least thirty-two bytes for these tests';
const MINUTE = 60_000;

const touchesOf = (store: CountingStore): number => store.commands.filter((command) => command === 'touch').length;

afterEach(closeApps);

@Controller('own')
class PageController {
  @Get('page')
  page(
    @Req() request: { session: Session | null; raw?: { session: Session | null } },
    @NestSession() session: Session | null,
  ): unknown {
    const raw = request.raw ?? request;
    return {
      framework: request.session?.userId ?? null,
      raw: raw.session?.userId ?? null,
      decorator: session?.userId ?? null,
      helper: sessionOf(request)?.userId ?? null,
    };
  }

  @Get('open')
  open(): unknown {
    return { open: true };
  }

  @Get('poll')
  @UseGuards(SessionGuard)
  @NoTouch()
  poll(): unknown {
    return {};
  }

  @Get('guarded')
  @UseGuards(SessionGuard)
  guarded(@Req() request: { session: Session | null }): unknown {
    return { userId: request.session?.userId ?? null };
  }

  /** Answered by the middleware before it, or not at all. */
  @All('required')
  required(@Res() response: { send(body: unknown): unknown }): void {
    response.send({ let: 'in' });
  }
}

describe.each(PLATFORMS)('SessionMiddleware, on %s', (platform) => {
  async function start(store = new CountingStore()): Promise<TestApp> {
    @Module({
      imports: [SessionModule.forRoot({ store, secrets: SECRETS, cookie: { name: 'session', secure: false } })],
      controllers: [AccountController, PageController],
    })
    class AppModule implements NestModule {
      configure(consumer: MiddlewareConsumer): void {
        consumer.apply(SessionMiddleware).forRoutes('*path');
        consumer.apply(requireSession).forRoutes('own/required');
        consumer.apply(requireSession({ roles: ['admin'] })).forRoutes('own/admin-only');
      }
    }
    return startApp({ platform, session: { store }, module: { module: AppModule } });
  }

  const signIn = async (browser: Browser): Promise<void> => {
    expect((await browser.post('/login', { userId: 'ann' })).status).toBeLessThan(300);
  };

  it('sets request.session on the raw and on the framework request', async () => {
    const browser = (await start()).browser();
    expect((await browser.get('/own/page')).body).toEqual({
      framework: null,
      raw: null,
      decorator: null,
      helper: null,
    });
    await signIn(browser);
    expect((await browser.get('/own/page')).body).toEqual({
      framework: 'ann',
      raw: 'ann',
      decorator: 'ann',
      helper: 'ann',
    });
  });

  it('refuses nobody, whatever the request brings', async () => {
    const { url } = await start();
    const cookies = [
      'session=made-up',
      'session=',
      'session=a; session=b',
      `session=${'x'.repeat(5_000)}`,
      'session=%00',
    ];
    for (const cookie of cookies) {
      const response = await fetch(`${url}/own/page`, { headers: { cookie } });
      expect([response.status, await response.json()]).toEqual([
        200,
        { framework: null, raw: null, decorator: null, helper: null },
      ]);
    }
  });

  it('reads once, with the guards of the same request', async () => {
    const store = new CountingStore();
    const browser = (await start(store)).browser();
    await signIn(browser);
    store.forget();
    expect((await browser.get('/own/guarded')).body).toEqual({ userId: 'ann' });
    expect(store.reads).toBe(1);
  });

  it('counts as an access only where the session is looked at', async () => {
    const store = new CountingStore();
    const browser = (await start(store)).browser();
    await signIn(browser);
    store.advance(5 * MINUTE);
    store.forget();
    await browser.get('/own/open');
    await browser.get('/own/poll');
    expect(touchesOf(store)).toBe(0);
    await browser.get('/own/page');
    await browser.get('/own/page');
    expect(touchesOf(store)).toBe(1);
  });

  it('where the store cannot be asked, is no hindrance to who does not look, and 503 to who does', async () => {
    const store = new CountingStore();
    const browser = (await start(store)).browser();
    await signIn(browser);
    store.down = true;
    expect((await browser.get('/own/open')).status).toBe(200);
    for (const path of ['/own/page', '/own/required']) {
      const { status, body, headers } = await browser.get(path);
      expect([status, body.code, headers.get('retry-after')]).toEqual([503, 'store_unavailable', '1']);
    }
  });

  it('requireSession answers 401 to who has no session, and lets others in', async () => {
    const browser = (await start()).browser();
    const { status, body, headers } = await browser.get('/own/required');
    expect([status, body.code]).toEqual([401, 'session_required']);
    expect(headers.get('www-authenticate')).toBe('Bearer realm="session"');
    await signIn(browser);
    expect((await browser.get('/own/required')).body).toEqual({ let: 'in' });
  });

  it('requireSession answers 403 to who has not the role', async () => {
    const browser = (await start()).browser();
    await signIn(browser);
    const { status, body } = await browser.get('/own/admin-only');
    expect([status, body.code]).toEqual([403, 'insufficient_scope']);
  });

  it('requireSession refuses what another site sends (ASVS 3.5.1)', async () => {
    const browser = (await start()).browser();
    await signIn(browser);
    const { status, body } = await browser.request('/own/required', {
      method: 'POST',
      headers: { 'sec-fetch-site': 'cross-site' },
    });
    expect([status, body.code]).toEqual([403, 'csrf_rejected']);
  });
});

describe('sessionMiddleware in plain Express', () => {
  let store: CountingStore;
  let sessions: StandaloneSessions;
  let server: Server;
  let url: string;

  beforeEach(async () => {
    store = new CountingStore();
    sessions = await sessionMiddleware({
      store,
      secrets: SECRETS,
      cookie: { name: 'session', secure: false },
      jwt: { issuer: 'https://here.example', audience: 'https://api.example' },
    });
    const app = express();
    app.use(express.json());
    app.use('/api', validateToken(sessions.tokens));
    app.get('/api/me', (request, response) => {
      response.json((request as unknown as { user: unknown }).user);
    });
    app.use(sessions);
    app.post('/login', async (request, response) => {
      const { userId, transport, pending } = request.body as { userId: string; transport?: 'both'; pending?: boolean };
      const { tokens } = await sessions
        .of(request, response)
        .start(
          { userId, roles: userId === 'admin' ? ['admin'] : [], pending: pending === true },
          { transport: transport ?? 'cookie' },
        );
      response.json(tokens ?? {});
    });
    app.post('/logout', async (request, response) => {
      await sessions.of(request, response).end();
      response.sendStatus(204);
    });
    app.get('/page', (request, response) => {
      response.json({ userId: sessionOf(request)?.userId ?? null });
    });
    app.get('/open', (_request, response) => response.sendStatus(204));
    app.all('/required', requireSession, (request, response) => {
      response.json({ userId: sessionOf(request)?.userId });
    });
    app.get('/also', requireSession(), (_request, response) => response.sendStatus(204));
    app.get('/admin', requireSession({ roles: ['admin'] }), (_request, response) => response.sendStatus(204));
    app.get('/pending', requireSession({ allowPending: true }), (_request, response) => response.sendStatus(204));
    app.get('/quiet', requireSession({ noTouch: true }), (_request, response) => response.sendStatus(204));
    server = app.listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });

  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await sessions.close();
  });

  it('signs in, recognises, lists and signs out', async () => {
    const browser = new Browser(url);
    expect((await browser.get('/page')).body).toEqual({ userId: null });
    const { setCookies } = await browser.post('/login', { userId: 'ann' });
    expect(setCookies).toEqual([
      expect.objectContaining({ name: 'session', httpOnly: true, sameSite: 'lax', path: '/' }),
    ]);
    expect((await browser.get('/page')).body).toEqual({ userId: 'ann' });
    expect(await sessions.sessions.list('ann')).toEqual([
      expect.objectContaining({ metadata: expect.objectContaining({ ip: '127.0.0.1' }) }),
    ]);
    const stolen = new Browser(url);
    stolen.jar.set('session', browser.jar.get('session') ?? '');
    expect((await browser.post('/logout')).status).toBe(204);
    expect((await stolen.get('/page')).body).toEqual({ userId: null });
  });

  it('requireSession: 401 without a session, 403 where it does not suffice, 503 when it cannot be known', async () => {
    const [nobody, ann, admin, pending] = [new Browser(url), new Browser(url), new Browser(url), new Browser(url)];
    await ann.post('/login', { userId: 'ann' });
    await admin.post('/login', { userId: 'admin' });
    await pending.post('/login', { userId: 'bob', pending: true });
    for (const path of ['/required', '/also', '/admin', '/pending']) {
      const { status, headers, body } = await nobody.get(path);
      expect([status, body.code]).toEqual([401, 'session_required']);
      expect(headers.get('www-authenticate')).toBe('Bearer realm="session"');
      expect(headers.get('cache-control')).toBe('no-store');
    }
    expect((await ann.get('/required')).body).toEqual({ userId: 'ann' });
    expect((await ann.get('/also')).status).toBe(204);
    expect((await ann.get('/admin')).body).toMatchObject({ statusCode: 403, code: 'insufficient_scope' });
    expect((await admin.get('/admin')).status).toBe(204);
    expect((await pending.get('/required')).body).toMatchObject({ statusCode: 403, code: 'pending_authentication' });
    expect((await pending.get('/page')).body).toEqual({ userId: null });
    expect((await pending.get('/pending')).status).toBe(204);
    const forged = await ann.request('/required', { method: 'POST', headers: { origin: 'https://evil.example' } });
    expect(forged.body).toMatchObject({ statusCode: 403, code: 'csrf_rejected' });
    const own = await ann.request('/required', { method: 'POST', headers: { origin: url } });
    expect(own.status).toBe(200);

    store.down = true;
    expect((await ann.get('/open')).status).toBe(204);
    for (const path of ['/required', '/page']) {
      const { status, headers } = await ann.get(path);
      expect([status, headers.get('retry-after')]).toEqual([503, '1']);
    }
  });

  it('records accesses, and none for polling', async () => {
    const browser = new Browser(url);
    await browser.post('/login', { userId: 'ann' });
    store.advance(5 * MINUTE);
    store.forget();
    await browser.get('/quiet');
    await browser.get('/open');
    expect(touchesOf(store)).toBe(0);
    await browser.get('/required');
    expect(touchesOf(store)).toBe(1);
  });

  it('closes once the accesses it owes are recorded', async () => {
    const browser = new Browser(url);
    await browser.post('/login', { userId: 'ann' });
    store.advance(5 * MINUTE);
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const { touch } = store;
    store.touch = async (...args: Parameters<typeof touch>) => {
      await held;
      return touch.apply(store, args);
    };
    await browser.get('/required');
    let isClosed = false;
    const closing = sessions.close().then(() => (isClosed = true));
    await new Promise((resolve) => setImmediate(resolve));
    expect(isClosed).toBe(false);
    release();
    await closing;
    const [session] = await sessions.sessions.list('ann');
    expect(session?.lastAccess).toBe(store.now());
  });

  it('tells what it held back of a flood of refusals before it closes (ASVS 16.3.3)', async () => {
    const logs = new CapturedLogs();
    try {
      const omitted = (): number => logs.lines.filter((line) => line.includes('"omitted"')).length;
      const forger = new Browser(url);
      for (let request = 0; request < MOST_REPORTS + 2; request += 1) {
        expect((await forger.get('/required', { cookie: 'session=forged' })).status).toBe(401);
      }
      expect(omitted()).toBe(0);
      await sessions.close();
      expect(omitted()).toBe(1);
    } finally {
      logs.restore();
    }
  });

  it('closes once the entries it owes to the audit trail are written', async () => {
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const written: string[] = [];
    class SlowHistoryStore extends CountingStore {
      override history(limits: HistoryLimits): MemorySessionHistory {
        const history = super.history(limits);
        const add = history.add.bind(history);
        history.add = async (userId, entry) => {
          await held;
          await add(userId, entry);
          written.push(`${userId} ${entry.type}`);
        };
        return history;
      }
    }
    const audited = await sessionMiddleware({ store: new SlowHistoryStore(), secrets: SECRETS, history: true });
    await audited.sessions.start({ userId: 'ann' });
    let isClosed = false;
    const closing = audited.close().then(() => (isClosed = true));
    await new Promise((resolve) => setImmediate(resolve));
    expect(isClosed).toBe(false);
    release();
    await closing;
    expect(written).toEqual(['ann created']);
  });

  it('leaves a session alone that somebody else put on the request', async () => {
    const request = { session: { own: true }, headers: {}, socket: {}, rawHeaders: [] };
    await new Promise<void>((resolve) => sessions(request as never, {} as never, () => resolve()));
    expect(request.session).toEqual({ own: true });
  });

  it('validateToken lets in our own tokens and sets request.user', async () => {
    const browser = new Browser(url);
    const { body } = await browser.post('/login', { userId: 'admin', transport: 'both' });
    const bearer = { authorization: `Bearer ${body.accessToken as string}` };
    const client = new Browser(url);
    expect((await client.get('/api/me', bearer)).body).toEqual({ id: 'admin', email: '', roles: ['admin'] });
    await sessions.sessions.endAll('admin');
    const refused = await client.get('/api/me', bearer);
    expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([
      401,
      expect.stringContaining('error="invalid_token"'),
    ]);
  });

  it('says what is missing', async () => {
    await expect(sessionMiddleware({ secrets: SECRETS } as never)).rejects.toThrow('store: required here');
    await expect(sessionMiddleware({ store, secrets: 'short' })).rejects.toThrow('secrets: has 5 bytes');
    await expect(sessionMiddleware({ store, secrets: SECRETS, deviceBound: true } as never)).rejects.toThrow(
      'deviceBound: not supported without Nest',
    );
    const errors: unknown[] = [];
    requireSession({ headers: {}, socket: {} } as never, {} as never, (error) => errors.push(error));
    expect(errors).toEqual([expect.objectContaining({ code: 'invalid_configuration' })]);
  });
});
