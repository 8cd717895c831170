import { Controller, Get, Injectable, UseGuards, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { Public, RequireFresh, Roles, RolesGuard, SessionGuard, Transport } from '../../../src/index.js';
import { JwtAuthGuard } from '../../../src/passport/index.js';
import { APP_GUARD } from '@nestjs/core';
import { closeApps, PLATFORMS, startApp } from '../../support/app.js';

/** As a throttler's: it asks for no session. */
@Injectable()
class OtherGuard implements CanActivate {
  canActivate(): boolean {
    return true;
  }
}

@Injectable()
class OwnGuard extends SessionGuard {
  override canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    return super.canActivate(context);
  }
}

@Public()
@Controller('open')
class OpenController {
  @Get()
  open(): string {
    return 'open';
  }

  @UseGuards(OtherGuard)
  @Get('throttled')
  throttled(): string {
    return 'open';
  }

  @UseGuards(SessionGuard, RolesGuard)
  @Roles('admin')
  @Get('roles')
  roles(): string {
    return 'guarded';
  }

  @UseGuards(SessionGuard)
  @Get('session')
  session(): string {
    return 'guarded';
  }

  @UseGuards(JwtAuthGuard)
  @Get('jwt')
  jwt(): string {
    return 'guarded';
  }

  @UseGuards(OwnGuard)
  @Get('own')
  own(): string {
    return 'guarded';
  }
}

@Controller('inherited')
class InheritedController extends OpenController {}

@UseGuards(SessionGuard)
@Controller('closed')
class ClosedController extends OpenController {}

@Public()
@UseGuards(SessionGuard)
@Controller('rules')
class RulesController {
  @Roles('admin')
  @Get('roles')
  roles(): string {
    return 'guarded';
  }

  @RequireFresh()
  @Get('fresh')
  fresh(): string {
    return 'guarded';
  }

  @Transport('bearer')
  @Get('transport')
  transport(): string {
    return 'guarded';
  }

  @Get()
  open(): string {
    return 'open';
  }
}

afterEach(closeApps);

describe.each(PLATFORMS)('@Public() on a class and a guard on a method, on %s', (platform) => {
  const jwt = { issuer: 'https://issuer.example', audience: 'https://api.example' };

  it('ASVS 8.3.1: what stands nearer to the method counts', async () => {
    const app = await startApp({
      platform,
      session: { jwt },
      controllers: [OpenController, InheritedController, ClosedController, RulesController],
    });
    const statusOf = async (path: string): Promise<number> => (await app.browser().get(path)).status;
    for (const base of ['/open', '/inherited']) {
      expect([await statusOf(base), await statusOf(`${base}/throttled`)]).toEqual([200, 200]);
      for (const guarded of ['roles', 'session', 'jwt', 'own']) {
        expect([guarded, await statusOf(`${base}/${guarded}`)]).toEqual([guarded, 401]);
      }
    }
    // The class itself asks for a session, and stands nearer than the base class.
    expect(await statusOf('/closed')).toBe(401);
    expect(await statusOf('/rules')).toBe(200);
    for (const rule of ['roles', 'fresh', 'transport']) expect(await statusOf(`/rules/${rule}`)).toBe(401);
  });

  it.each([UseGuards(SessionGuard), UseGuards(OwnGuard), UseGuards(new SessionGuard()), Roles('a'), RequireFresh()])(
    'both on one method stop the boot (%#)',
    async (decorator) => {
      class Contradicting {
        both(): void {
          return;
        }
      }
      const method = Reflect.getOwnPropertyDescriptor(Contradicting.prototype, 'both') as PropertyDescriptor;
      for (const decorate of [Get('both'), Public(), decorator]) {
        decorate(Contradicting.prototype, 'both', method);
      }
      Controller('contradicting')(Contradicting);
      await expect(startApp({ platform, controllers: [Contradicting] })).rejects.toThrow(
        'Contradicting.both: @Public() lets every request in, but a guard or rule on the same method requires a session.',
      );
    },
  );

  it('a class that is public and has a rule stops the boot', async () => {
    @Public()
    @Roles('admin')
    @Controller('contradicting')
    class ContradictingController {
      @Get()
      nothing(): void {
        return;
      }
    }
    await expect(startApp({ platform, controllers: [ContradictingController] })).rejects.toThrow(
      'ContradictingController: @Public() lets every request in, but a rule on the same class requires a session.',
    );
  });
});

describe('a rule that no guard applies', () => {
  @Controller('unguarded')
  class UnguardedController {
    @Roles('admin')
    @Get()
    roles(): string {
      return 'let in';
    }

    @UseGuards(OwnGuard)
    @RequireFresh()
    @Get('guarded')
    guarded(): string {
      return 'guarded';
    }

    @Get('open')
    open(): string {
      return 'open';
    }
  }

  @RequireFresh()
  @Controller('class')
  class UnguardedClassController {
    @Get()
    fresh(): string {
      return 'let in';
    }

    @Public()
    @Get('public')
    open(): string {
      return 'open';
    }
  }

  const controllers = [UnguardedController, UnguardedClassController, OpenController, InheritedController];
  const global = { provide: APP_GUARD, useExisting: SessionGuard };

  async function warningsOf(options: Partial<Parameters<typeof startApp>[0]>): Promise<string[]> {
    const lines: string[] = [];
    const keep = (line: unknown): number => lines.push(String(line));
    const logger = { log: keep, error: keep, warn: keep, fatal: keep };
    await startApp({ platform: 'express', controllers, logger, ...options });
    return lines.filter((line) => line.includes('no guard that applies it'));
  }

  it('is named at boot, and nothing else is', async () => {
    expect(await warningsOf({})).toEqual([
      expect.stringContaining('UnguardedController.roles has a rule'),
      expect.stringContaining('UnguardedClassController.fresh has a rule'),
    ]);
  });

  it.each<[string, Partial<Parameters<typeof startApp>[0]>]>([
    ['APP_GUARD', { providers: [global] }],
    ['APP_GUARD with a subclass', { providers: [{ provide: APP_GUARD, useClass: OwnGuard }] }],
    ['useGlobalGuards', { configure: (app) => app.useGlobalGuards(app.get(SessionGuard)) }],
  ])('a guard by %s applies it', async (_, options) => {
    expect(await warningsOf(options)).toEqual([]);
  });
});
