import {
  Catch,
  Controller,
  Get,
  HttpException,
  Injectable,
  Post,
  Req,
  UseGuards,
  type ArgumentsHost,
  type CanActivate,
  type ExceptionFilter,
  type ExecutionContext,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import {
  CurrentUser,
  ReqSession,
  RequestSession,
  Roles,
  SessionGuard,
  sessionOf,
  type Session,
} from '../../../src/index.js';
import { JwtAuthGuard } from '../../../src/passport/index.js';
import { AccountController } from '../../support/account.controller.js';
import { closeApps, PLATFORMS, startApp } from '../../support/app.js';

const jwt = { issuer: 'https://issuer.example', audience: 'https://api.example' };

@Injectable()
class OptionalJwtGuard extends JwtAuthGuard {
  override handleRequest<TUser = unknown>(_error: unknown, user: unknown): TUser {
    return (user || null) as TUser;
  }
}

/** As applications combine guards: either may let in. */
@Injectable()
class SwallowingGuard implements CanActivate {
  constructor(private readonly guard: SessionGuard) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    try {
      await this.guard.canActivate(context);
    } catch {
      return true;
    }
    return true;
  }
}

interface GuardedRequest {
  user?: { id: string };
  session?: Session;
  raw?: GuardedRequest;
}

@Controller('users')
class UsersController {
  handled = 0;

  @UseGuards(SessionGuard)
  @Get('session')
  bySession(@Req() request: GuardedRequest): unknown {
    this.handled += 1;
    const raw = request.raw ?? request;
    return {
      user: request.user,
      raw: raw.user,
      session: request.session?.userId,
      same: sessionOf(request)?.id === raw.session?.id,
    };
  }

  @UseGuards(JwtAuthGuard)
  @Get('jwt')
  byToken(): unknown {
    this.handled += 1;
    return {};
  }

  @UseGuards(OptionalJwtGuard)
  @Get('optional')
  optional(@CurrentUser() user: unknown): unknown {
    return { user };
  }

  @Roles('admin')
  @UseGuards(OptionalJwtGuard)
  @Get('optional-admin')
  optionalAdmin(): unknown {
    return {};
  }

  @UseGuards(SwallowingGuard)
  @Get('either')
  either(): unknown {
    return { ok: true };
  }

  @Get('unguarded')
  unguarded(@Req() request: object): unknown {
    return sessionOf(request);
  }

  @Post('change')
  change(@ReqSession() session: RequestSession): unknown {
    return session.update({ data: { a: 1 } });
  }
}

@Catch()
class CatchAll implements ExceptionFilter {
  constructor(private readonly host: HttpAdapterHost) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const isHttp = error instanceof HttpException;
    const body = { caught: isHttp ? error.getResponse() : 'unknown' };
    this.host.httpAdapter.reply(host.switchToHttp().getResponse(), body, isHttp ? error.getStatus() : 500);
  }
}

afterEach(closeApps);

describe.each(PLATFORMS)('users of sessions on %s', (platform) => {
  it.each([null, undefined])(
    'a user that resolveUser does not find (%s) is 401, before the handler',
    async (nobody) => {
      let found: unknown = { id: 'ann' };
      const app = await startApp({
        platform,
        session: { jwt, resolveUser: () => found },
        controllers: [UsersController, AccountController],
      });
      const browser = app.browser();
      const { body } = await browser.post('/login', { userId: 'ann', transport: 'both' });
      const authorization = `Bearer ${body.tokens.accessToken}`;
      const statuses = async (): Promise<number[]> => [
        (await browser.get('/users/session')).status,
        (await app.browser().get('/users/jwt', { authorization })).status,
        (await app.browser().get('/users/session', { authorization })).status,
      ];
      expect(await statuses()).toEqual([200, 200, 200]);
      found = nobody;
      expect(await statuses()).toEqual([401, 401, 401]);
      expect(app.app.get(UsersController).handled).toBe(3);
      expect((await browser.get('/optional')).body).toMatchObject({ user: null });
    },
  );

  it('request.user and request.session are there behind a guard, on the request of framework and Node', async () => {
    const app = await startApp({ platform, controllers: [UsersController, AccountController] });
    const browser = app.browser();
    await browser.post('/login', { userId: 'ann', roles: ['user'] });
    const user = { id: 'ann', email: '', roles: ['user'] };
    expect((await browser.get('/users/session')).body).toMatchObject({
      user: { ...user, email: expect.any(String) },
      raw: { id: 'ann' },
      session: 'ann',
      same: true,
    });
    // Nothing has looked there: an answer of null would pass for "not signed in".
    expect((await browser.get('/users/unguarded')).status).toBe(500);
  });

  it('an accessor of the application that stands there stays, and is not asked', async () => {
    let asked = 0;
    const get = (): unknown => {
      asked += 1;
      return { own: true };
    };
    const app = await startApp({
      platform,
      controllers: [UsersController, AccountController],
      configure: (nest) =>
        nest.use((request: object, _response: unknown, next: () => void) => {
          Object.defineProperty(request, 'user', { get, configurable: true });
          next();
        }),
    });
    const browser = app.browser();
    await browser.post('/login', { userId: 'ann' });
    asked = 0;
    expect((await browser.get('/users/session')).body).toMatchObject({ raw: { own: true }, session: 'ann' });
    // By the handler alone, whose request is Node's own on Express.
    expect(asked).toBe(platform === 'express' ? 2 : 1);
  });

  it('an optional JwtAuthGuard lets guests pass, but not past roles', async () => {
    const app = await startApp({ platform, session: { jwt }, controllers: [UsersController, AccountController] });
    const { body } = await app.browser().post('/login', { userId: 'ann', transport: 'bearer' });
    const guest = await app.browser().get('/users/optional');
    expect([guest.status, guest.body, guest.headers.get('www-authenticate')]).toEqual([200, { user: null }, null]);
    const forged = await app.browser().get('/users/optional', { authorization: 'Bearer a.b.c' });
    expect([forged.status, forged.body, forged.headers.get('www-authenticate')]).toEqual([200, { user: null }, null]);
    const authorization = `Bearer ${body.tokens.accessToken}`;
    expect((await app.browser().get('/users/optional', { authorization })).body).toMatchObject({ user: { id: 'ann' } });
    expect((await app.browser().get('/users/optional-admin')).status).toBe(401);
    expect((await app.browser().get('/users/optional-admin', { authorization })).status).toBe(403);
  });

  it('a refusal that another guard swallowed leaves no header on the 200', async () => {
    const app = await startApp({ platform, controllers: [UsersController] });
    const reply = await app.browser().get('/users/either');
    expect([reply.status, reply.headers.get('www-authenticate'), reply.headers.get('retry-after')]).toEqual([
      200,
      null,
      null,
    ]);
    expect(reply.headers.get('cache-control')).not.toBe('no-store');
  });

  it('catch-all filters of an application answer 401 and 503 as such, with the headers', async () => {
    const app = await startApp({
      platform,
      controllers: [UsersController],
      configure: (nest) => nest.useGlobalFilters(new CatchAll(nest.get(HttpAdapterHost))),
    });
    for (const [method, path] of [
      ['get', '/users/session'],
      ['post', '/users/change'],
    ] as const) {
      const reply = await app.browser()[method](path);
      expect([reply.status, reply.body]).toMatchObject([
        401,
        { caught: { code: 'session_required', statusCode: 401 } },
      ]);
    }
  });
});
