import { Controller, Get, Injectable, Module, Post, UseGuards, type ExecutionContext } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import {
  AllowPending,
  CurrentSession,
  CurrentUser,
  NoTouch,
  Public,
  RequireFresh,
  Roles,
  RolesGuard,
  SessionGuard,
  SessionService,
  type Session,
} from '../../../src/index.js';
import { AccountController } from '../../support/account.controller.js';
import { closeApps, PLATFORMS, startApp, type TestApp } from '../../support/app.js';

@Roles('staff')
@UseGuards(SessionGuard)
@Controller('class')
class ClassRules {
  @Get()
  staff(): unknown {
    return { ok: true };
  }

  @Roles('user', 'guest')
  @Get('method')
  method(): unknown {
    return { ok: true };
  }

  @Roles()
  @Get('nobody')
  nobody(): unknown {
    return { ok: true };
  }

  @Public()
  @Get('public')
  open(): unknown {
    return { ok: true };
  }
}

@Controller('inherited')
class Inherited extends ClassRules {}

@Roles('admin')
@Controller('overridden')
class Overridden extends ClassRules {}

@UseGuards(RolesGuard)
@Controller('roles')
class RolesOnly {
  @Get()
  free(): unknown {
    return { ok: true };
  }

  @Roles('user')
  @Get('user')
  user(): unknown {
    return { ok: true };
  }

  @Roles('admin')
  @Get('admin')
  admin(): unknown {
    return { ok: true };
  }
}

@UseGuards(RolesGuard, SessionGuard, RolesGuard)
@Controller('many')
class ManyGuards {
  @Roles('user')
  @Get()
  many(@CurrentUser() first: unknown, @CurrentUser() second: unknown, @CurrentSession() session: Session): unknown {
    return { same: first === second || JSON.stringify(first) === JSON.stringify(second), id: session.id };
  }
}

@UseGuards(SessionGuard)
@Controller('pending')
class PendingRoutes {
  constructor(private readonly sessions: SessionService) {}

  @Get()
  closed(): unknown {
    return { ok: true };
  }

  @AllowPending()
  @Post('factor')
  async factor(@CurrentSession() { id }: Session): Promise<unknown> {
    return { session: await this.sessions.update(id, { pending: false }) };
  }
}

@Controller('unguarded')
class Unguarded {
  @Get()
  optional(@CurrentUser() user: unknown): unknown {
    return { user };
  }

  @NoTouch()
  @Get('quiet')
  quiet(@CurrentUser() user: unknown): unknown {
    return { user };
  }
}

@Injectable()
class StrictGuard extends SessionGuard {
  override async canActivate(context: ExecutionContext): Promise<boolean> {
    return (await super.canActivate(context)) && context.getClass() !== Unguarded;
  }
}

afterEach(closeApps);

describe.each(PLATFORMS)('guards on %s', (platform) => {
  const controllers = [
    AccountController,
    ClassRules,
    Inherited,
    Overridden,
    RolesOnly,
    ManyGuards,
    PendingRoutes,
    Unguarded,
  ];
  let app: TestApp;

  beforeEach(async () => {
    app = await startApp({ platform, controllers });
  });

  async function signedIn(input: Record<string, unknown> = {}) {
    const browser = app.browser();
    await browser.post('/login', { userId: 'ann', roles: ['user'], ...input });
    app.store.forget();
    return {
      browser,
      get: async (path: string) => {
        const reply = await browser.get(path);
        return reply.status === 200 ? 200 : [reply.status, reply.body.code];
      },
    };
  }

  const FORBIDDEN = [403, 'insufficient_scope'];

  it('any of the roles lets in; others get 403 insufficient_scope (RFC 6750, 3.1)', async () => {
    const user = await signedIn();
    expect(await user.get('/admin')).toEqual(FORBIDDEN);
    expect(await (await signedIn({ roles: ['owner'] })).get('/admin')).toBe(200);
    expect(await (await signedIn({ roles: ['x', 'admin'] })).get('/admin')).toBe(200);
    expect(await (await signedIn({ roles: [] })).get('/admin')).toEqual(FORBIDDEN);
    expect(await (await signedIn({ roles: ['Admin', 'admin '] })).get('/admin')).toEqual(FORBIDDEN);
    const reply = await user.browser.get('/admin');
    expect(reply.headers.get('www-authenticate')).toMatch(/^Bearer realm="session", error="insufficient_scope"/);
    expect(reply.headers.get('cache-control')).toBe('no-store');
  });

  it('roles on a method count before those on the class', async () => {
    const user = await signedIn();
    expect(await user.get('/class')).toEqual(FORBIDDEN);
    expect(await user.get('/class/method')).toBe(200);
    expect(await user.get('/class/nobody')).toEqual(FORBIDDEN);
    expect((await app.browser().get('/class/public')).status).toBe(200);
    const staff = await signedIn({ roles: ['staff'] });
    expect(await staff.get('/class')).toBe(200);
    expect(await staff.get('/class/method')).toEqual(FORBIDDEN);
  });

  it('a controller that inherits routes has the rules of its own class', async () => {
    const [staff, admin] = [await signedIn({ roles: ['staff'] }), await signedIn({ roles: ['admin'] })];
    for (let round = 0; round < 2; round += 1) {
      expect([await staff.get('/class'), await staff.get('/inherited'), await staff.get('/overridden')]).toEqual([
        200,
        200,
        FORBIDDEN,
      ]);
      expect([await admin.get('/overridden'), await admin.get('/inherited')]).toEqual([200, FORBIDDEN]);
    }
  });

  it('RolesGuard alone asks for a session only where there are roles', async () => {
    expect((await app.browser().get('/roles')).status).toBe(200);
    expect((await app.browser().get('/roles/user')).body.code).toBe('session_required');
    const user = await signedIn();
    expect(await user.get('/roles')).toBe(200);
    expect(app.store.commands).toEqual([]);
    expect([await user.get('/roles/user'), await user.get('/roles/admin')]).toEqual([200, FORBIDDEN]);
  });

  it('all guards and parameters of a request share one read', async () => {
    const { browser } = await signedIn();
    expect((await browser.get('/many')).body).toMatchObject({ same: true });
    expect(app.store.commands).toEqual(['read']);
  });

  it('a session that waits for its second factor is refused everywhere but under @AllowPending()', async () => {
    const waiting = await signedIn({ pending: true });
    const pending = [403, 'pending_authentication'];
    expect(await waiting.get('/pending')).toEqual(pending);
    expect(await waiting.get('/me')).toEqual(pending);
    expect(await waiting.get('/roles/user')).toEqual(pending);
    expect((await waiting.browser.get('/optional')).body).toEqual({ session: null, user: null });
    expect((await waiting.browser.post('/note', { a: 1 })).status).toBe(403);
    const reply = await waiting.browser.post('/pending/factor');
    expect(reply.body.session).not.toHaveProperty('pending');
    expect(await waiting.get('/pending')).toBe(200);
  });

  it('the current user is asked for without a guard, and counts as an access', async () => {
    const { browser } = await signedIn();
    expect((await browser.get('/unguarded')).body.user).toMatchObject({ id: 'ann' });
    expect((await app.browser().get('/unguarded')).body).toEqual({ user: null });
    app.store.advance(2 * 60_000);
    app.store.forget();
    await browser.get('/unguarded/quiet');
    expect(app.store.commands).toEqual(['read']);
    await browser.get('/unguarded');
    expect(app.store.commands).toEqual(['read', 'read', 'touch']);
  });

  it('stands as APP_GUARD by useExisting, alone or as a class of the application', async () => {
    const everywhere = await startApp({
      platform,
      controllers: [ClassRules, Unguarded],
      providers: [{ provide: APP_GUARD, useExisting: SessionGuard }],
    });
    expect((await everywhere.browser().get('/unguarded')).status).toBe(401);
    expect((await everywhere.browser().get('/class/public')).status).toBe(200);

    @Module({ providers: [StrictGuard], exports: [StrictGuard] })
    class StrictModule {}
    const strict = await startApp({
      platform,
      controllers: [AccountController, Unguarded],
      imports: [StrictModule],
      providers: [{ provide: APP_GUARD, useExisting: StrictGuard }],
    });
    const browser = strict.browser();
    await browser.post('/login', { userId: 'ann' });
    expect((await browser.get('/me')).status).toBe(200);
    expect((await browser.get('/unguarded')).status).toBe(403);
  });
});

describe('guards where there is no HTTP request', () => {
  it('refuse, and never crash open', async () => {
    const { app } = await startApp({ platform: 'express', controllers: [RolesOnly] });
    const contextOf = (type: string, args: unknown[]) =>
      ({
        getType: () => type,
        getArgByIndex: (index: number) => args[index],
        getClass: () => RolesOnly,
        getHandler: () => RolesOnly.prototype.admin,
      }) as unknown as ExecutionContext;
    const request = { headers: {}, rawHeaders: [], method: 'POST' };
    for (const guard of [app.get(SessionGuard), app.get(RolesGuard)]) {
      for (const [type, args] of [
        ['ws', [{ handshake: request }, {}]],
        ['rpc', [{}, {}]],
        ['graphql', [{}, {}, {}, {}]],
        ['graphql', [{}, {}, undefined, {}]],
        ['graphql', [{}, {}, { req: null }, {}]],
        ['graphql', [{}, {}, { req: request }, {}]],
        ['http', [undefined, undefined]],
        ['http', [{}, {}]],
        ['carrier-pigeon', []],
      ] as const) {
        await expect(guard.canActivate(contextOf(type, [...args]))).rejects.toMatchObject({ code: 'session_required' });
      }
    }
  });

  it('RequireFresh refuses a value that is not a duration when the class is loaded', () => {
    expect(() => RequireFresh('soon' as '1s')).toThrow('RequireFresh: "soon" is not a duration');
  });
});
