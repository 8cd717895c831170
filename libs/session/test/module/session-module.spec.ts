import { jest } from '@jest/globals';
import { Inject, Injectable, Module, type LoggerService, type OnModuleInit } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import {
  ConfigurationError,
  MemorySessionStore,
  MemoryTokenBlacklist,
  SESSION_OPTIONS,
  SessionEvents,
  SessionModule,
  SessionService,
  SessionStore,
  StoreUnavailableError,
  TokenBlacklist,
  type ResolvedSessionOptions,
  type SessionModuleOptions,
  type SessionOptionsFactory,
} from '../../src/index.js';

const SECRET = 'a secret that is long enough for everybody';

class Lines implements LoggerService {
  readonly lines: string[] = [];
  private readonly add = (...parts: unknown[]): void => void this.lines.push(parts.map(String).join(' '));
  log = this.add;
  warn = this.add;
  error = this.add;
}

@Injectable()
class Feature {
  constructor(
    @Inject(SessionService) readonly sessions: SessionService,
    @Inject(SessionStore) readonly store: SessionStore,
    @Inject(TokenBlacklist) readonly blacklist: TokenBlacklist,
    @Inject(SESSION_OPTIONS) readonly options: ResolvedSessionOptions,
  ) {}
}

@Module({ providers: [Feature], exports: [Feature] })
class FeatureModule {}

/** Boots, and closes after the test. */
async function boot(metadata: Parameters<typeof Test.createTestingModule>[0], logger?: LoggerService) {
  const builder = Test.createTestingModule(metadata);
  const compiled = await builder.setLogger(logger ?? new Lines()).compile();
  const app = await compiled.init();
  opened.push(app);
  return app;
}

const opened: { close(): Promise<void> }[] = [];

afterEach(async () => {
  await Promise.all(opened.splice(0).map((app) => app.close()));
  jest.restoreAllMocks();
});

describe('SessionModule', () => {
  it('needs no options, and is global', async () => {
    const app = await boot({ imports: [SessionModule.forRoot(), FeatureModule] });
    const feature = app.get(Feature, { strict: false });
    expect(feature.store).toBeInstanceOf(MemorySessionStore);
    expect(feature.blacklist).toBeInstanceOf(MemoryTokenBlacklist);
    const { session } = await feature.sessions.start({ userId: 'ann' });
    expect(await app.get(SessionService).get(session.id)).toEqual(session);
  });

  it('where it is not global, modules that import it have it, all the same one, and others do not', async () => {
    const sessions = SessionModule.forRoot({ isGlobal: false });

    @Module({ imports: [sessions], providers: [Feature] })
    class One {}
    @Module({ imports: [sessions], providers: [Feature] })
    class Two {}
    const app = await boot({ imports: [One, Two] });
    const [one, two] = [One, Two].map((module) => app.select(module).get(Feature, { strict: true }));
    expect(one).not.toBe(two);
    expect(one?.store).toBe(two?.store);
    await expect(boot({ imports: [sessions, FeatureModule] })).rejects.toThrow(/SessionService/);
  });

  it('takes its options from a factory, a class or an existing provider', async () => {
    @Injectable()
    class Config implements SessionOptionsFactory {
      readonly tenant = 'from-config';
      createSessionOptions(): SessionModuleOptions {
        return { tenant: this.tenant };
      }
    }
    @Module({ providers: [Config], exports: [Config] })
    class ConfigModule {}

    const factory = async (config: Config) => ({ tenant: `${config.tenant}-by-factory` });
    for (const [module, tenant] of [
      [
        SessionModule.forRootAsync({ imports: [ConfigModule], inject: [Config], useFactory: factory }),
        'from-config-by-factory',
      ],
      [SessionModule.forRootAsync({ useClass: Config }), 'from-config'],
      [SessionModule.forRootAsync({ imports: [ConfigModule], useExisting: Config }), 'from-config'],
      [SessionModule.forRootAsync({ useFactory: () => ({}) }), ''],
    ] as const) {
      const app = await boot({ imports: [module, FeatureModule] });
      expect(app.get(Feature, { strict: false }).options.tenant).toBe(tenant);
    }
    const local = SessionModule.forRootAsync({ isGlobal: false, useFactory: () => ({}) });
    await expect(boot({ imports: [local, FeatureModule] })).rejects.toThrow(/SessionService/);
  });

  it('a wrong option stops the boot', async () => {
    const wrong = { session: { idleTimeout: 'soon' as '1s' } };
    for (const module of [
      SessionModule.forRoot(wrong),
      SessionModule.forRootAsync({ useFactory: () => wrong }),
      SessionModule.forRootAsync({ useFactory: async () => wrong }),
    ]) {
      const failed = await boot({ imports: [module] }).catch((error: unknown) => error);
      expect(failed).toBeInstanceOf(ConfigurationError);
      expect((failed as Error).message).toContain('session.idleTimeout');
    }
  });

  it.each([
    [null, /options: must be an object, not null; omit it/],
    [
      'redis://:hidden@localhost',
      /options: must be an object, not text; a Redis URL is the option redis: forRoot\(\{ redis/,
    ],
    [[], /options: must be an object, not a list/],
    [5, /options: must be an object, not a number/],
  ])('options that are no object are refused: %j', async (options, message) => {
    const wrong = options as unknown as SessionModuleOptions;
    const failed = await boot({ imports: [SessionModule.forRootAsync({ useFactory: () => wrong })] }).catch(
      (error: unknown) => error as Error,
    );
    expect(failed).toBeInstanceOf(ConfigurationError);
    expect((failed as Error).message).toMatch(message);
    expect((failed as Error).message).not.toContain('hidden');
    expect(() => SessionModule.forRoot(wrong)).toThrow(message);
  });

  it('a factory that forgets its return does not silently keep sessions in memory', async () => {
    const useFactory = (() => undefined) as unknown as () => SessionModuleOptions;
    await expect(boot({ imports: [SessionModule.forRootAsync({ useFactory })] })).rejects.toThrow(
      'options: the factory returned undefined; return {} for the defaults.',
    );
  });

  it('a second forRoot in one application is refused, and the message says what to do instead', async () => {
    @Module({ imports: [SessionModule.forRoot({ isGlobal: false })] })
    class OrdersModule {}
    @Module({ imports: [SessionModule.forRootAsync({ useFactory: () => ({}) })] })
    class UsersModule {}
    const failed = await boot({ imports: [OrdersModule, UsersModule] }).catch((error: unknown) => error as Error);
    expect(failed).toBeInstanceOf(ConfigurationError);
    expect((failed as Error).message).toMatch(
      /forRoot\(\) is imported 2 times in this application\. Import it once, in the root module/,
    );
  });

  it('has its store and blacklist replaced by tests, and then connects to nothing', async () => {
    const [store, blacklist] = [new MemorySessionStore(), new MemoryTokenBlacklist()];
    const compiled = await Test.createTestingModule({
      imports: [SessionModule.forRoot({ redis: 'redis://127.0.0.1:1', secrets: SECRET }), FeatureModule],
    })
      .overrideProvider(SessionStore)
      .useValue(store)
      .overrideProvider(TokenBlacklist)
      .useValue(blacklist)
      .compile();
    opened.push(await compiled.init());
    const feature = compiled.get(Feature, { strict: false });
    expect([feature.store, feature.blacklist]).toEqual([store, blacklist]);
    const { session } = await feature.sessions.start({ userId: 'ann' });
    expect(await store.get(session.id)).toEqual(session);
  });

  it('two applications in one process have nothing in common', async () => {
    const [short, long] = await Promise.all(
      (['1m', '2h'] as const).map((idleTimeout) =>
        boot({ imports: [SessionModule.forRoot({ session: { idleTimeout } }), FeatureModule] }),
      ),
    );
    const [one, two] = [short, long].map((app) => (app as NonNullable<typeof app>).get(Feature, { strict: false }));
    const started = await one?.sessions.start({ userId: 'ann' });
    expect(started?.session.idleTimeout).toBe(60_000);
    expect((await two?.sessions.start({ userId: 'ann' }))?.session.idleTimeout).toBe(7_200_000);
    expect(await two?.sessions.list('ann')).toHaveLength(1);
    expect(await two?.sessions.get(started?.session.id ?? '')).toBeNull();
  });

  it('is ready before the applications own modules start', async () => {
    const order: string[] = [];
    class SlowStore extends MemorySessionStore {
      override async ready(): Promise<void> {
        await new Promise((resolve) => setTimeout(resolve, 20));
        order.push('ready');
      }
    }
    @Module({})
    class Early implements OnModuleInit {
      onModuleInit(): void {
        order.push('application');
      }
    }
    await boot({ imports: [Early, SessionModule.forRoot({ store: new SlowStore() })] });
    expect(order).toEqual(['ready', 'application']);
  });

  it('does not start when the store does not answer', async () => {
    class DeadStore extends MemorySessionStore {
      override async ready(): Promise<void> {
        throw new StoreUnavailableError('nobody there');
      }
    }
    await expect(boot({ imports: [SessionModule.forRoot({ store: new DeadStore() })] })).rejects.toThrow(
      'nobody there',
    );
  });

  it('closes the store it made where the boot fails: its connection would keep the process alive', async () => {
    const close = jest.spyOn(MemorySessionStore.prototype, 'close');
    jest.spyOn(MemorySessionStore.prototype, 'ready').mockRejectedValue(new StoreUnavailableError('nobody there'));
    await expect(boot({ imports: [SessionModule.forRoot()] })).rejects.toThrow('nobody there');
    expect(close).toHaveBeenCalledTimes(1);
  });

  it('closes the store it made and never one that was handed in', async () => {
    const close = jest.spyOn(MemorySessionStore.prototype, 'close');
    await (await boot({ imports: [SessionModule.forRoot()] })).close();
    expect(close).toHaveBeenCalledTimes(1);
    const store = new MemorySessionStore();
    await (await boot({ imports: [SessionModule.forRoot({ store })] })).close();
    expect(close).toHaveBeenCalledTimes(1);
  });

  it('records the accesses it owes before it closes, and tells its listeners nothing more', async () => {
    const order: string[] = [];
    class SlowStore extends MemorySessionStore {
      override async touch(sessionId: string): Promise<boolean> {
        await new Promise((resolve) => setTimeout(resolve, 30));
        order.push('touched');
        return super.touch(sessionId);
      }
    }
    let now = 1_800_000_000_000;
    const store = new SlowStore({ clock: () => now });
    const app = await boot({ imports: [SessionModule.forRoot({ store }), FeatureModule] });
    const { toucher, read } = await accessParts(app, store);
    const heard: string[] = [];
    app.get(SessionEvents).on('ended', ({ sessionId }) => heard.push(sessionId));
    now += 60_000;
    toucher.noteAccess(await read());
    await app.close();
    order.push('closed');
    expect(order).toEqual(['touched', 'closed']);
    await store.destroyAll('ann');
    expect(heard).toEqual([]);
  });

  it('warns at boot of what must not go to production, and only there', async () => {
    const said = async (environment: string, options: SessionModuleOptions): Promise<string> => {
      const before = process.env['NODE_ENV'];
      process.env['NODE_ENV'] = environment;
      const logger = new Lines();
      try {
        await boot({ imports: [SessionModule.forRoot(options)] }, logger);
      } finally {
        process.env['NODE_ENV'] = before;
      }
      return logger.lines.filter((line) => line.endsWith(' SessionModule')).join('\n');
    };
    const insecure = { cookie: { name: 'session', secure: false } };
    expect(await said('production', {})).toMatch(/memory of this process/);
    expect(await said('production', { store: new MemorySessionStore(), ...insecure })).toMatch(/plain http/);
    expect(await said('production', { store: new MemorySessionStore() })).toBe('');
    expect(await said('development', insecure)).toBe('');
    expect(await said('development', { redis: undefined })).toMatch(/redis: is undefined, so .* set the variable/);
    await expect(said('production', { redis: undefined })).rejects.toThrow(/redis: is undefined/);
    expect(await said('production', { redis: undefined, store: new MemorySessionStore() })).toBe('');
    expect(await said('development', { store: foreignStore() })).toMatch(/No secrets/);
    expect(await said('development', { store: foreignStore(), secrets: SECRET })).toBe('');
  });
});

/** A store that is not ours. */
function foreignStore(): SessionStore {
  const inner = new MemorySessionStore();
  const methods = new Proxy({}, { get: (_, name) => (inner as never)[name] });
  return Object.create(methods) as SessionStore;
}

async function accessParts(app: { get: (token: never) => unknown }, store: MemorySessionStore) {
  const { SessionToucher } = await import('../../src/sessions/session-toucher.js');
  const session = await store.create({ userId: 'ann' });
  return {
    toucher: app.get(SessionToucher as never) as InstanceType<typeof SessionToucher>,
    read: async () => {
      const live = await store.read(session.id);
      if (live.state !== 'live') throw new Error('expected a live session');
      return live;
    },
  };
}
