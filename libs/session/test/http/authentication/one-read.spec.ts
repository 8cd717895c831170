import { Controller, Get, Injectable, Post, UseGuards, type CanActivate, type ExecutionContext } from '@nestjs/common';
import {
  CurrentUser,
  Public,
  ReqSession,
  RequestSession,
  Roles,
  RolesGuard,
  SessionGuard,
  SessionService,
  type SessionModuleOptions,
} from '../../../src/index.js';
import type { SessionSnapshot } from '../../../src/ports/session-store.js';
import { JwtAuthGuard } from '../../../src/passport/index.js';
import { AccountController } from '../../support/account.controller.js';
import { closeApps, PLATFORMS, startApp, type TestApp } from '../../support/app.js';
import { CHROME, FIREFOX } from '../../support/clients.js';
import { CountingStore } from '../../support/counting-store.js';
import { signedIn as signIn, type SignedIn } from '../../support/signed-in.js';

/** Guards that do not wait for each other, as those of GraphQL's parallel fields. */
@Injectable()
class AtOnce implements CanActivate {
  constructor(
    private readonly session: SessionGuard,
    private readonly roles: RolesGuard,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const admitted = await Promise.all([this.session.canActivate(context), this.roles.canActivate(context)]);
    return admitted.every(Boolean);
  }
}

/** Asks for the session and does not wait for the answer. */
@Injectable()
class Impatient implements CanActivate {
  constructor(private readonly session: SessionGuard) {}

  canActivate(context: ExecutionContext): boolean {
    Promise.resolve(this.session.canActivate(context)).catch(() => undefined);
    return true;
  }
}

@Controller('api')
class ApiController {
  @UseGuards(JwtAuthGuard)
  @Get('me')
  me(@CurrentUser() user: unknown): unknown {
    return { user };
  }

  @UseGuards(JwtAuthGuard)
  @Roles('admin')
  @Get('admin')
  admin(): unknown {
    return { ok: true };
  }

  @UseGuards(AtOnce)
  @Roles('user')
  @Get('at-once')
  atOnce(): unknown {
    return { ok: true };
  }

  @UseGuards(Impatient)
  @Public()
  @Post('switch')
  async switch(@ReqSession() session: RequestSession): Promise<unknown> {
    const started = await session.start({ userId: 'bob' });
    return { started: started.session.id, current: (await session.current)?.id };
  }
}

/** Answers reads when told to. */
class HesitantStore extends CountingStore {
  private waiting: (() => void)[] | null = null;

  constructor() {
    super();
    const read = this.read.bind(this);
    this.read = async (...args): Promise<SessionSnapshot> => {
      const snapshot = await read(...args);
      await new Promise<void>((resolve) => (this.waiting ? this.waiting.push(resolve) : resolve()));
      return snapshot;
    };
  }

  hold(): void {
    this.waiting = [];
  }

  release(): void {
    for (const resolve of this.waiting ?? []) resolve();
    this.waiting = null;
  }
}

describe.each(PLATFORMS)('an authenticated request on %s', (platform) => {
  let app: TestApp;
  let store: HesitantStore;
  afterEach(closeApps);

  async function start(session: SessionModuleOptions = {}): Promise<void> {
    store = new HesitantStore();
    app = await startApp({
      platform,
      controllers: [AccountController, ApiController],
      providers: [SessionGuard, RolesGuard],
      session: { store, jwt: { issuer: 'https://issuer.example', audience: 'api' }, telemetry: false, ...session },
    });
  }

  async function signedIn(): Promise<SignedIn> {
    const client = await signIn(app);
    store.forget();
    return client;
  }

  const ROUTES = [
    ['cookie', '/me', '/admin'],
    ['bearer', '/me', '/admin'],
    ['bearer', '/api/me', '/api/admin'],
  ] as const;

  it.each(ROUTES)('takes one read by %s on %s', async (by, path) => {
    await start();
    const reply = await (await signedIn())[by](path);
    expect([reply.status, store.commands]).toEqual([200, ['read']]);
    expect(reply.body.user).toMatchObject({ id: 'ada', roles: ['user'] });
  });

  it.each(ROUTES)('takes one read to be refused for a missing role: by %s on %s', async (by, _, path) => {
    await start();
    const reply = await (await signedIn())[by](path);
    expect([reply.status, store.commands]).toEqual([403, ['read']]);
  });

  it.each(ROUTES)('takes one read to be refused for an ended session: by %s on %s', async (by, path) => {
    await start();
    const { session, ...client } = await signedIn();
    await app.app.get(SessionService).end(session.id);
    store.forget();
    expect([(await client[by](path)).status, store.commands]).toEqual([401, ['read']]);
  });

  it.each(ROUTES)('takes one read to be refused for another client: by %s on %s', async (by, path) => {
    await start({ security: { useFingerprint: { cookie: 'reject', bearer: 'reject' } } });
    const client = await signedIn();
    expect([(await client[by](path, FIREFOX)).status, store.commands]).toEqual([401, ['read']]);
    expect((await client[by](path)).status).toBe(200);
  });

  it.each(ROUTES)('is let in by %s on %s where another client is only logged', async (by, path) => {
    await start({ security: { useFingerprint: { cookie: 'log', bearer: 'log' } } });
    const client = await signedIn();
    expect([(await client[by](path, FIREFOX)).status, store.commands]).toEqual([200, ['read']]);
  });

  it.each(ROUTES)('is refused by %s on %s where `resolveUser` finds no user, after one read', async (by, path) => {
    await start({ resolveUser: () => null });
    const client = await signedIn();
    expect([(await client[by](path)).status, store.commands]).toEqual([401, ['read']]);
  });

  it.each(ROUTES)('gets 503 by %s on %s where the store is down, and asks it once', async (by, path) => {
    await start();
    const client = await signedIn();
    store.down = true;
    const reply = await client[by](path);
    expect([reply.status, store.commands]).toEqual([503, ['read']]);
    expect(reply.headers.get('retry-after')).not.toBeNull();
  });

  it.each(['cookie', 'bearer'] as const)(
    'takes one read for guards that do not wait for each other: %s',
    async (by) => {
      await start();
      const client = await signedIn();
      expect([(await client[by]('/api/at-once')).status, store.commands]).toEqual([200, ['read']]);
    },
  );

  it('keeps the session that it started while the read of the former one was under way', async () => {
    await start();
    const { session, browser } = await signedIn();
    store.hold();
    const asked = browser.post('/api/switch', undefined, { 'user-agent': CHROME });
    await untilCreated();
    store.release();
    const { status, body } = await asked;
    expect(status).toBe(201);
    expect(body.current).toBe(body.started);
    expect(body.current).not.toBe(session.id);
    expect((await browser.get('/me', { 'user-agent': CHROME })).body.user).toMatchObject({ id: 'bob' });
  });

  /** Until the session has been created, or everything waits for a read. */
  async function untilCreated(): Promise<void> {
    for (let turn = 0; turn < 200 && !store.commands.includes('create'); turn += 1) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
});
