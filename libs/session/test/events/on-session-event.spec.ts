import { Controller, Injectable, Logger, Module, Scope } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { jest } from '@jest/globals';
import { OnSessionEvent, SessionModule, SessionService, type SessionEvent } from '../../src/index.js';
import type { SessionCreatedEvent, SessionEndedEvent } from '../../src/store/index.js';

const heard: string[] = [];

@Injectable()
class Audit {
  @OnSessionEvent('ended')
  ended({ userId, reason }: SessionEndedEvent): void {
    heard.push(`${this.name} ended ${userId} ${reason}`);
  }

  @OnSessionEvent('created', 'evicted')
  both(event: SessionCreatedEvent | SessionEndedEvent): void {
    heard.push(`${this.name} both ${event.type}`);
  }

  get name(): string {
    return 'audit';
  }
}

@Injectable()
class LateAudit extends Audit {
  override get name(): string {
    return 'inherited';
  }
}

@Injectable()
class Failing {
  @OnSessionEvent('created')
  async created(): Promise<void> {
    await Promise.resolve();
    throw new Error('on purpose');
  }
}

@Injectable({ scope: Scope.REQUEST })
class PerRequest {
  @OnSessionEvent('created')
  created(): void {
    heard.push('per request');
  }
}

@Injectable()
class Touchy {
  get property(): never {
    throw new Error('no accessor is read');
  }
}

@Controller()
class Routes {
  @OnSessionEvent('created')
  created(): void {
    heard.push('controller created');
  }
}

@Module({
  imports: [SessionModule.forRoot({ session: { maxSessionsPerUser: 1 } })],
  controllers: [Routes],
  providers: [
    Failing,
    Audit,
    LateAudit,
    { provide: 'ALIAS', useExisting: Audit },
    PerRequest,
    Touchy,
    { provide: 'VALUE', useValue: 7 },
  ],
})
class App {}

describe('@OnSessionEvent()', () => {
  let logged: unknown[][];
  let start: (userId: string) => Promise<{ id: string }>;
  let end: (id: string) => Promise<unknown>;
  let close: () => Promise<void>;

  beforeEach(async () => {
    heard.length = 0;
    logged = [];
    for (const level of ['error', 'warn', 'log'] as const) {
      jest.spyOn(Logger.prototype, level).mockImplementation((...args) => void logged.push([level, ...args]));
    }
    const app = await Test.createTestingModule({ imports: [App] }).compile();
    await app.init();
    const sessions = app.get(SessionService);
    start = async (userId) => (await sessions.start({ userId })).session;
    end = (id) => sessions.end(id);
    close = () => app.close();
  });
  afterEach(async () => {
    await close();
    jest.restoreAllMocks();
  });

  it('calls methods of providers and controllers, inherited ones too, once each however they are provided', async () => {
    const { id } = await start('ada');
    await end(id);
    expect(heard.sort()).toEqual([
      'audit both created',
      'audit ended ada logout',
      'controller created',
      'inherited both created',
      'inherited ended ada logout',
    ]);
  });

  it('knows kinds of ends', async () => {
    await start('ada');
    heard.length = 0;
    await start('ada');
    expect(heard.filter((line) => line.startsWith('audit')).sort()).toEqual([
      'audit both created',
      'audit both ended',
      'audit ended ada evicted',
    ]);
  });

  it('logs what a method rejects with, under its name', async () => {
    await expect(start('ada')).resolves.toBeDefined();
    await new Promise((resolve) => setImmediate(resolve));
    const errors = logged.filter(([level]) => level === 'error');
    expect(errors).toEqual([
      ['error', expect.stringContaining('Failing.created failed'), expect.stringContaining('on purpose')],
    ]);
  });

  it('warns of methods that nobody could call, as their class is made for each request', async () => {
    expect(logged).toContainEqual(['warn', expect.stringContaining('PerRequest.created is never called')]);
    await start('ada');
    expect(heard).not.toContain('per request');
  });

  it('says nothing any more after shutdown', async () => {
    await close();
    heard.length = 0;
    await start('ada').catch(() => undefined);
    expect(heard).toEqual([]);
  });

  it('refuses a name that there is not, when the class is loaded', () => {
    const decorate = (name: string) => () => OnSessionEvent(name as SessionEvent['type']);
    expect(decorate('endet')).toThrow(/there is no event "endet"; there are created, ended/);
    expect(() => (OnSessionEvent as () => unknown)()).toThrow(/needs a name/);
  });
});
