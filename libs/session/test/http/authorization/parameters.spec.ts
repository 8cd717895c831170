import {
  Controller,
  Get,
  Injectable,
  Post,
  UseGuards,
  ValidationPipe,
  type ArgumentMetadata,
  type PipeTransform,
} from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';
import { Test } from '@nestjs/testing';
import { IsString } from 'class-validator';
import {
  CurrentSession,
  CurrentUser,
  Public,
  ReqSession,
  RequestSession,
  Roles,
  RolesGuard,
  SessionGuard,
  type Session,
} from '../../../src/index.js';
import { AccountController } from '../../support/account.controller.js';
import { closeApps, PLATFORMS, startApp, type TestApp } from '../../support/app.js';

/** A user class with rules, as an application's own entity may have them. */
class Account {
  @IsString()
  id!: string;
  @IsString({ message: 'a user of a session has no name' })
  name!: string;
}

@Controller('parameters')
class ParametersController {
  @Get()
  async all(
    @CurrentUser() user: Account | null,
    @ReqSession() session: RequestSession,
    @CurrentSession() current: Session | null,
  ): Promise<unknown> {
    return { user: user?.id ?? null, same: (await session.current)?.id === current?.id, id: current?.id ?? null };
  }

  @Get('class')
  single(@CurrentUser() user: Account): unknown {
    return { user: user.id };
  }

  @Post('sign-in')
  async signIn(@ReqSession() session: RequestSession): Promise<unknown> {
    const { userId } = (await session.start({ userId: 'ann' })).session;
    return { userId, current: (await session.current)?.userId };
  }

  @Post('sign-out')
  async signOut(@ReqSession() session: RequestSession): Promise<unknown> {
    return { ended: await session.end() };
  }
}

@UseGuards(SessionGuard, RolesGuard)
@Controller('guarded')
class GuardedController {
  @Roles('user')
  @Get()
  get(@CurrentUser() user: unknown, @ReqSession() session: RequestSession): unknown {
    return { user, session };
  }
}

@Controller('open')
class OpenController {
  @Public()
  @Get()
  get(@CurrentUser() user: unknown): unknown {
    return { user };
  }
}

/** Pipes that applications mount for all parameters: they trim, freeze or convert, and return a copy. */
const COPYING: Record<string, (value: object) => unknown> = {
  spread: (value) => ({ ...value }),
  'Object.assign': (value) => Object.assign({}, value),
  'Object.assign with the prototype': (value) =>
    Object.assign(Object.create(Object.getPrototypeOf(value) as object) as object, value),
  Proxy: (value) => new Proxy(value, {}),
  frozen: (value) => Object.freeze(value),
};

@Injectable()
class CopyPipe implements PipeTransform<unknown> {
  constructor(private readonly copy: (value: object) => unknown) {}

  transform(value: unknown): unknown {
    return typeof value === 'object' && value !== null ? this.copy(value) : value;
  }
}

/** What it was called with is what pipes of an application see. */
class RecordingPipe implements PipeTransform<unknown> {
  readonly seen: [unknown, ArgumentMetadata][] = [];

  transform(value: unknown, metadata: ArgumentMetadata): unknown {
    this.seen.push([value, metadata]);
    return value;
  }
}

afterEach(closeApps);

describe.each(PLATFORMS)('parameter decorators on %s', (platform) => {
  const start = (pipe: PipeTransform): Promise<TestApp> =>
    startApp({
      platform,
      controllers: [ParametersController, AccountController],
      configure: (app) => app.useGlobalPipes(pipe),
    });

  async function usable(app: TestApp): Promise<void> {
    const browser = app.browser();
    // Unauthenticated first: this request once ended the process (SIGABRT in class-validator).
    expect((await browser.get('/parameters')).body).toEqual({ user: null, same: true, id: null });
    expect((await browser.post('/parameters/sign-in')).body).toEqual({ userId: 'ann', current: 'ann' });
    expect((await browser.get('/parameters')).body).toMatchObject({ user: 'ann', same: true });
    expect((await browser.get('/parameters/class')).body).toEqual({ user: 'ann' });
    expect((await browser.post('/parameters/sign-out')).body).toEqual({ ended: true });
    expect((await browser.get('/parameters')).body).toEqual({ user: null, same: true, id: null });
  }

  it.each([
    {},
    { transform: true },
    { whitelist: true },
    { whitelist: true, forbidNonWhitelisted: true },
    { forbidUnknownValues: true },
    { transform: true, whitelist: true, forbidUnknownValues: true, forbidNonWhitelisted: true },
  ])('leave their values alone under ValidationPipe with validateCustomDecorators and %j', async (options) => {
    await usable(await start(new ValidationPipe({ ...options, validateCustomDecorators: true })));
  });

  it.each(Object.keys(COPYING))('survive a global pipe that copies values by %s', async (kind) => {
    await usable(await start(new CopyPipe(COPYING[kind] as (value: object) => unknown)));
  });

  it('hand no context of Nest and nothing of the library to pipes', async () => {
    const pipe = new RecordingPipe();
    const app = await start(pipe);
    await app.browser().get('/parameters');
    // The request session comes first, as it is no promise.
    expect(pipe.seen.map(([value]) => value)).toEqual([expect.any(RequestSession), null, null]);
    expect(pipe.seen.map(([, { metatype, type }]) => [metatype, type])).toEqual(Array(3).fill([Object, 'custom']));
    const session = pipe.seen[0]?.[0] as object;
    expect(JSON.stringify(session)).not.toContain('cookie');
  });

  it('ask the store nothing before the handler awaits', async () => {
    const app = await start(new CopyPipe(({ ...copy }) => copy));
    const browser = app.browser();
    await browser.post('/parameters/sign-in');
    app.store.forget();
    expect((await browser.post('/parameters/sign-out')).body).toEqual({ ended: true });
    expect(app.store.commands).toEqual(['destroy']);
  });

  it('say which module is missing: 500 by a parameter, no boot with a guard', async () => {
    const lines: string[] = [];
    const keep = (...words: unknown[]) => void lines.push(words.map(String).join(' '));
    const logger = { log: keep, error: keep, warn: keep, fatal: keep };
    class NoModule {}
    const open = await startApp({ platform, controllers: [OpenController], module: { module: NoModule }, logger });
    expect((await open.browser().get('/open')).status).toBe(500);
    expect(lines.join('\n')).toContain('import SessionModule.forRoot()');
    await expect(
      startApp({ platform, controllers: [GuardedController], module: { module: NoModule } }),
    ).rejects.toThrow('SessionGuard: there is no SessionModule here. Import SessionModule.forRoot()');
  });
});

describe('a controller spec as Nest generates it', () => {
  it.each([ParametersController, GuardedController, OpenController, AccountController])(
    'compiles with %p alone',
    async (controller) => {
      const module = await Test.createTestingModule({ controllers: [controller] }).compile();
      expect(module.get<object>(controller)).toBeInstanceOf(controller);
    },
  );

  it('runs with guards overridden, as for any other guard', async () => {
    const module = await Test.createTestingModule({ controllers: [GuardedController] })
      .overrideGuard(SessionGuard)
      .useValue({ canActivate: () => true })
      .overrideGuard(RolesGuard)
      .useValue({ canActivate: () => true })
      .compile();
    const app = module.createNestApplication(new ExpressAdapter(), { logger: false });
    await app.init();
    await app.close();
  });

  it('two applications on one process keep to their own module', async () => {
    const [first, second] = [
      await startApp({ platform: 'express', controllers: [ParametersController] }),
      await startApp({ platform: 'fastify', controllers: [ParametersController] }),
    ];
    await first.browser().post('/parameters/sign-in');
    expect(first.store.commands).toContain('create');
    expect(second.store.commands).toEqual([]);
  });
});
