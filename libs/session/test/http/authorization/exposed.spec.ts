import { Controller, Get, Injectable, Req, UseGuards, type CanActivate, type ExecutionContext } from '@nestjs/common';
import express from 'express';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Test } from '@nestjs/testing';
import { ExpressAdapter } from '@nestjs/platform-express';
import { SessionGuard, SessionModule, type Session } from '../../../src/index.js';
import { AccountController } from '../../support/account.controller.js';
import { closeApps, PLATFORMS, startApp } from '../../support/app.js';
import { Browser } from '../../support/browser.js';

interface GuardedRequest {
  user?: unknown;
  session?: Session | string;
  raw?: GuardedRequest;
}

/** A guard of the application, in front of the library's. */
function settingUser(value: unknown): new () => CanActivate {
  @Injectable()
  class Setting implements CanActivate {
    canActivate(context: ExecutionContext): boolean {
      context.switchToHttp().getRequest<GuardedRequest>().user = value;
      return true;
    }
  }
  return Setting;
}

@Controller('exposed')
class ExposedController {
  @UseGuards(SessionGuard)
  @Get('guarded')
  guarded(@Req() request: GuardedRequest): unknown {
    return seen(request);
  }

  @Get('open')
  open(@Req() request: GuardedRequest): unknown {
    return seen(request);
  }

  @UseGuards(settingUser('set before'), SessionGuard)
  @Get('before')
  before(@Req() request: GuardedRequest): unknown {
    return seen(request);
  }

  @UseGuards(settingUser(null), SessionGuard)
  @Get('declared')
  declared(@Req() request: GuardedRequest): unknown {
    return seen(request);
  }

  @UseGuards(SessionGuard)
  @Get('after')
  after(@Req() request: GuardedRequest): unknown {
    request.user = 'set after';
    request.session = 'a session of other code';
    return { user: request.user, session: request.session, keys: Object.keys(request).filter(isOurs).sort() };
  }
}

@Controller('signed-out')
class SignedOutController {
  @UseGuards(SessionGuard)
  @Get()
  out(@Req() request: GuardedRequest): unknown {
    request.user = null;
    delete request.user;
    return seen(request);
  }
}

function isOurs(name: string): boolean {
  return name === 'user' || name === 'session';
}

function seen(request: GuardedRequest): unknown {
  const { user, session } = request;
  const id = typeof user === 'object' && user !== null ? (user as { id: unknown }).id : (user ?? null);
  return { user: id, session: typeof session === 'object' ? session.userId : (session ?? null) };
}

afterEach(closeApps);

describe.each(PLATFORMS)('what the guards expose on requests of %s', (platform) => {
  const start = (nearCache: boolean) =>
    startApp({ platform, session: { nearCache }, controllers: [ExposedController, AccountController] });

  it.each([false, true])('is of this request alone (near cache: %s)', async (nearCache) => {
    const app = await start(nearCache);
    const browsers = ['ann', 'bob'].map((userId) => ({ userId, browser: app.browser() }));
    for (const { userId, browser } of browsers) await browser.post('/login', { userId });
    for (let round = 0; round < 3; round += 1) {
      for (const { userId, browser } of browsers) {
        expect((await browser.get('/exposed/guarded')).body).toEqual({ user: userId, session: userId });
        expect((await browser.get('/exposed/open')).body).toEqual({ user: null, session: null });
      }
    }
    expect((await app.browser().get('/exposed/guarded')).status).toBe(401);
  });

  it('leaves a user that a guard before has set, and fills one that it has declared', async () => {
    const app = await start(false);
    const browser = app.browser();
    await browser.post('/login', { userId: 'ann' });
    expect((await browser.get('/exposed/before')).body).toEqual({ user: 'set before', session: 'ann' });
    expect((await browser.get('/exposed/declared')).body).toEqual({ user: 'ann', session: 'ann' });
  });

  it('can be replaced on a request, and on no other', async () => {
    const app = await start(true);
    const browser = app.browser();
    await browser.post('/login', { userId: 'ann' });
    const replaced = { user: 'set after', session: 'a session of other code', keys: ['session', 'user'] };
    expect((await browser.get('/exposed/after')).body).toEqual(replaced);
    expect((await browser.get('/exposed/guarded')).body).toEqual({ user: 'ann', session: 'ann' });
  });

  it('does not come back once other code has assigned null and deleted it', async () => {
    const app = await startApp({ platform, controllers: [SignedOutController, AccountController] });
    const browser = app.browser();
    await browser.post('/login', { userId: 'ann' });
    expect((await browser.get('/signed-out')).body).toEqual({ user: null, session: 'ann' });
  });
});

describe('requests of an Express application', () => {
  it('get no property of their own, which would cost more than the look-up of a session', async () => {
    let own: string[] | null = null;
    @Controller('own')
    class OwnController {
      @UseGuards(SessionGuard)
      @Get()
      own(@Req() request: GuardedRequest): unknown {
        own = Object.getOwnPropertyNames(request).filter(isOurs);
        return seen(request);
      }
    }
    const app = await startApp({ platform: 'express', controllers: [OwnController, AccountController] });
    const browser = app.browser();
    await browser.post('/login', { userId: 'ann' });
    expect((await browser.get('/own')).body).toEqual({ user: 'ann', session: 'ann' });
    expect(own).toEqual([]);
  });

  it('keep a property that their prototype has already', async () => {
    const instance = express();
    Reflect.defineProperty(instance.request, 'user', { value: 'of the prototype', writable: true });
    const own = await serve(instance);
    expect(await own.get('/exposed/guarded')).toEqual({ user: 'of the prototype', session: 'ann' });
    await own.close();
  });

  it('show them under another application too, in which Nest is mounted', async () => {
    const instance = express();
    const parent = express();
    const own = await serve(instance, createServer(parent.use(instance)));
    expect(await own.get('/exposed/guarded')).toEqual({ user: 'ann', session: 'ann' });
    await own.close();
  });
});

/** A Nest application on an Express application of the user's own, signed in as ann. */
async function serve(
  instance: express.Express,
  server?: Server,
): Promise<{ get(path: string): Promise<unknown>; close(): Promise<void> }> {
  const compiled = await Test.createTestingModule({
    imports: [SessionModule.forRoot()],
    controllers: [ExposedController, AccountController],
  }).compile();
  const app = compiled.createNestApplication(new ExpressAdapter(instance), { logger: false });
  await (server ? app.init() : app.listen(0, '127.0.0.1'));
  if (server) await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = (server ?? (app.getHttpServer() as Server)).address() as AddressInfo;
  const browser = new Browser(`http://127.0.0.1:${port}`);
  await browser.post('/login', { userId: 'ann' });
  return {
    get: async (path) => (await browser.get(path)).body as unknown,
    close: async () => {
      await app.close();
      await new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined)));
    },
  };
}
