import { Controller, Get, Injectable, Module, type DynamicModule, type ModuleMetadata } from '@nestjs/common';
import { Resolver, Query } from '@nestjs/graphql';
import { Test } from '@nestjs/testing';
import { WebSocketGateway } from '@nestjs/websockets';
import { randomBytes } from 'node:crypto';
import {
  getSessionToken,
  InjectSession,
  logEntryOf,
  MemorySessionStore,
  OnSessionEvent,
  Realm,
  RedisSessionStore,
  RequireDpop,
  SESSION_OPTIONS,
  SessionEvents,
  SessionModule,
  SessionService,
  type ResolvedSessionOptions,
  type SessionEvent,
  type SessionModuleOptions,
  type SessionRealmOptions,
} from '../../src/index.js';
import { CapturedLogs } from '../support/captured-logs.js';
import { closeApps, PLATFORMS } from '../support/app.js';
import { until } from '../support/own-redis.js';
import { testRedisUrl } from '../support/redis-harness.js';
import { secretOf } from '../support/secrets.js';
import { Redis } from 'ioredis';
import { JWT, STAFF_JWT, startRealms, STORES } from './support.js';

const admin = (options: Partial<SessionRealmOptions> = {}): DynamicModule =>
  SessionModule.forFeature({ realm: 'admin', ...options });

/** The message with which the application does not start; 'started' if it does. */
async function bootOf(
  root: SessionModuleOptions,
  features: DynamicModule[],
  rest: ModuleMetadata = {},
): Promise<string> {
  @Module({ ...rest, imports: [SessionModule.forRoot(root), ...features] })
  class AppModule {}
  try {
    const compiled = await Test.createTestingModule({ imports: [AppModule] }).compile();
    const app = compiled.createNestApplication({ logger: false });
    try {
      await app.init();
    } finally {
      await app.close();
    }
    return 'started';
  } catch (error) {
    return (error as Error).message;
  }
}

afterEach(closeApps);

describe('a realm that does not start', () => {
  it.each<[string, SessionModuleOptions, Partial<SessionRealmOptions>]>([
    [
      'the cookie "session" at the path / overwrites',
      { cookie: { name: 'session', secure: false } },
      { cookie: { name: 'session', secure: false } },
    ],
    [
      'the cookie "s" at the path /admin overwrites',
      { cookie: { name: 's', secure: false } },
      { cookie: { name: 's', secure: false, path: '/admin' } },
    ],
    [
      'the cookie "s" at the path /admin/ overwrites',
      { cookie: { name: 's', secure: false, path: '/shop', former: [{ path: '/admin' }] } },
      { cookie: { name: 's', secure: false, path: '/admin/' } },
    ],
    [
      'the cookie "s-actor" at',
      { cookie: { name: 's', secure: false } },
      { cookie: { name: 's-actor', secure: false } },
    ],
    ['jwt.issuer and jwt.audience are those of', { jwt: JWT }, { jwt: { ...JWT, audience: ['x', JWT.audience] } }],
    ['deviceBound: does not work in a realm', {}, { deviceBound: true } as object],
    ['expressSession: does not work in a realm', {}, { expressSession: { secret: 'x' } } as object],
    ['redis: is shared by all realms', {}, { redis: 'redis://localhost' } as object],
    ['secrets: is shared by all realms', {}, { secrets: secretOf('other') } as object],
    ['tenant: is shared by all realms', {}, { tenant: 'x' } as object],
    ['realm "admin": session.idleTimeout: ', {}, { session: { idleTimeout: 5 } }],
    ['realm "admin": cookies: there is no such option; did you mean "cookie"?', {}, { cookies: {} } as object],
    ['store: required', { store: new MemorySessionStore() }, {}],
  ])('%s', async (message, root, realm) => {
    expect(await bootOf(root, [admin(realm)])).toContain(message);
  });

  it('cookies of one name at paths apart, and of other names, start', async () => {
    const at = (path: string) => ({ name: 's', secure: false, path });
    expect(await bootOf({ cookie: at('/shop') }, [admin({ cookie: at('/shopping') })])).toBe('started');
    expect(
      await bootOf({ device: { cookie: true }, accounts: true }, [admin({ device: { cookie: true }, accounts: true })]),
    ).toBe('started');
    expect(await bootOf({}, [admin(), SessionModule.forFeature({ realm: 'partners' })])).toBe('started');
  });

  it('two of one name, and clashes between two realms', async () => {
    expect(await bootOf({}, [admin(), admin({ cookie: { name: '__Host-other' } })])).toContain(
      'there are two realms of this name',
    );
    const partners = SessionModule.forFeature({ realm: 'partners', cookie: { name: '__Host-session-admin' } });
    expect(await bootOf({}, [admin(), partners])).toMatch(/overwrites that of the realm "(admin|partners)"/);
  });

  it('a store that another one has', async () => {
    const store = new MemorySessionStore();
    expect(await bootOf({ store }, [admin({ store })])).toContain('has the store or blacklist of');
    const client = new Redis(testRedisUrl(), { lazyConnect: true });
    const keyPrefix = `test-${randomBytes(6).toString('hex')}:`;
    const [one, two] = [new RedisSessionStore(client, { keyPrefix }), new RedisSessionStore(client, { keyPrefix })];
    expect(await bootOf({ store: one, secrets: secretOf('a') }, [admin({ store: two })])).toContain(
      `the keyPrefix of its store, "${keyPrefix}", is used by another realm`,
    );
    await Promise.all([one.close(), two.close()]);
    client.disconnect();
  });

  it.each(['', 'Admin', 'a b', 'a{', '1a', 'x'.repeat(33), undefined, null, 5])('the name %p', (realm) => {
    expect(() => SessionModule.forFeature({ realm: realm as string })).toThrow('must name a realm');
    expect(() => Realm(realm as string)).toThrow('must name a realm');
    expect(() => getSessionToken(SessionService, realm as string)).toThrow('must name a realm');
  });

  it('without forRoot, or where forRoot is not global', async () => {
    const compile = (imports: DynamicModule[]): Promise<unknown> => Test.createTestingModule({ imports }).compile();
    await expect(compile([admin()])).rejects.toThrow(/there is no SessionModule.forRoot\(\) here/);
    await expect(compile([SessionModule.forRoot({ isGlobal: false }), admin()])).rejects.toThrow(
      /without isGlobal: false/,
    );
  });
});

describe('a route that does not start', () => {
  it('in a realm that does not exist, on class or method', async () => {
    @Realm('staff')
    @Controller()
    class OfClass {
      @Get()
      open(): void {}
    }
    @Controller()
    class OfMethod {
      @Realm('staff')
      @Get()
      open(): void {}
    }
    @Injectable()
    class OfListener {
      @Realm('staff')
      @OnSessionEvent('ended')
      hear(): void {}
    }
    const problem = /@Realm\('staff'\): there is no such realm, only "admin". Import SessionModule.forFeature/;
    expect(await bootOf({}, [admin()], { controllers: [OfClass] })).toMatch(problem);
    expect(await bootOf({}, [admin()], { controllers: [OfMethod] })).toMatch(problem);
    expect(await bootOf({}, [admin()], { providers: [OfListener] })).toMatch(problem);
    expect(await bootOf({}, [], { controllers: [OfClass] })).toMatch(/there is no such realm. Import/);
  });

  it('on a gateway or a resolver', async () => {
    @Realm('admin')
    @WebSocketGateway()
    class Gateway {}
    @Resolver()
    class OfResolver {
      @Realm('admin')
      @Query(() => String)
      open(): string {
        return '';
      }
    }
    for (const provider of [Gateway, OfResolver])
      expect(await bootOf({}, [admin()], { providers: [provider] })).toContain('not on gateways and resolvers');
  });

  it('with a rule that the options of its realm do not provide', async () => {
    @Realm('admin')
    @Controller()
    class Bound {
      @RequireDpop()
      @Get()
      open(): void {}
    }
    expect(await bootOf({ jwt: { ...JWT, dpop: 'optional' } }, [admin()], { controllers: [Bound] })).toContain(
      '@RequireDpop() lets nobody in without the option jwt.dpop',
    );
    expect(await bootOf({}, [admin({ jwt: { ...STAFF_JWT, dpop: 'optional' } })], { controllers: [Bound] })).toBe(
      'started',
    );
  });
});

@Injectable()
class Listener {
  readonly heard: string[] = [];

  constructor(@InjectSession(SessionService, 'admin') readonly staff: SessionService) {}

  @OnSessionEvent('created')
  customer({ userId, realm }: SessionEvent): void {
    this.heard.push(`${userId} of ${realm ?? 'none'}`);
  }

  @Realm('admin')
  @OnSessionEvent('created')
  clerk({ userId, realm }: SessionEvent): void {
    this.heard.push(`${userId} of ${realm ?? 'none'}`);
  }
}

describe.each(STORES)('realms on %s', (store) => {
  it.each(PLATFORMS)('events reach the listeners of their realm and name it, on %s', async (platform) => {
    const app = await startRealms(platform, store, { providers: [Listener] });
    const listener = app.app.get(Listener);
    const all: SessionEvent[] = [];
    app.service(SessionEvents, 'admin').all$.subscribe((event) => all.push(event));
    await app.customers.start({ userId: 'ann' });
    await listener.staff.start({ userId: 'bob' });
    await until(() => listener.heard.length === 2);
    expect(listener.heard.sort()).toEqual(['ann of none', 'bob of admin']);
    expect(all.length).toBeGreaterThan(0);
    for (const event of all) {
      expect([event.userId, event.realm]).toEqual(['bob', 'admin']);
      expect(logEntryOf(event)).toMatchObject({ userId: 'bob', realm: 'admin' });
    }
  });

  it('many tenants: each request has one, asked for once, in all realms', async () => {
    let asked = 0;
    const app = await startRealms('express', store, {
      root: {
        tenant: ({ headers }) => {
          asked += 1;
          return headers['x-tenant'] as string;
        },
      },
    });
    const acme = { 'x-tenant': 'acme' };
    const browser = app.browser();
    await browser.post('/staff/login', { userId: 'bob' }, acme);
    expect((await browser.get('/staff/me', acme)).status).toBe(200);
    expect(asked).toBe(2);
    expect((await browser.get('/staff/me', { 'x-tenant': 'globex' })).status).toBe(401);
    expect(await app.staff.forTenant('acme').list('bob')).toHaveLength(1);
    expect(await app.customers.forTenant('acme').list('bob')).toHaveLength(0);
  });
});

it('names its cookies, prefix and keys by itself', async () => {
  const app = await startRealms('express', 'memory', {
    features: [
      SessionModule.forFeatureAsync({
        realm: 'admin',
        inject: [SESSION_OPTIONS],
        useFactory: async ({ keyPrefix }: ResolvedSessionOptions) => {
          expect(keyPrefix).toBe('session:');
          return { jwt: { ...STAFF_JWT, refreshCookie: { path: '/staff/refresh' } } };
        },
      }),
      SessionModule.forFeature({ realm: 'partners', cookie: { path: '/partners' } }),
      SessionModule.forFeature({ realm: 'dev', cookie: { secure: false } }),
    ],
  });
  const of = (realm: string) =>
    app.app.get<ResolvedSessionOptions>(getSessionToken(SESSION_OPTIONS, realm), { strict: false });
  expect(['admin', 'partners', 'dev'].map((realm) => of(realm).cookie.name)).toEqual([
    ...['__Host-session-admin', '__Secure-session-partners', 'session-dev'],
  ]);
  expect(of('admin').jwt?.refreshCookie?.name).toBe('__Secure-refresh-admin');
  expect(of('admin').keyPrefix).toBe('session:realm:admin:');
  const root = app.app.get<ResolvedSessionOptions>(SESSION_OPTIONS);
  const [own, ofAdmin, ofDev] = [root, of('admin'), of('dev')].map(({ keys }) =>
    keys.credential[0]?.export().toString('hex'),
  );
  expect(new Set([own, ofAdmin, ofDev]).size).toBe(3);
});

it('shares the connection to Redis, and closes after the last work of every realm', async () => {
  const client = new Redis(testRedisUrl());
  const name = `realms-${randomBytes(6).toString('hex')}`;
  const connections = async (): Promise<number> =>
    String(await client.client('LIST'))
      .split('\n')
      .filter((line) => line.includes(` name=${name} `)).length;
  const url = new URL(testRedisUrl());
  const redis = { host: url.hostname, port: Number(url.port), connectionName: name };
  const errors = new CapturedLogs();
  try {
    const app = await startRealms('express', 'redis', { root: { redis } });
    await app.customers.start({ userId: 'ann' });
    const { session } = await app.staff.start({ userId: 'bob' });
    expect(session.userId).toBe('bob');
    const { keyPrefix } = app.app.get<ResolvedSessionOptions>(getSessionToken(SESSION_OPTIONS, 'admin'));
    // What the command line does with the prefix.
    const reader = new RedisSessionStore(client, { keyPrefix, commandTimeout: 10_000 });
    expect(await reader.getActiveSessions('bob')).toHaveLength(1);
    expect(await reader.getActiveSessions('ann')).toHaveLength(0);
    await reader.close();
    // One for commands, and those that listen: one for each realm.
    expect(await connections()).toBeLessThanOrEqual(3);
    await app.close();
    await until(async () => (await connections()) === 0);
  } finally {
    errors.restore();
    client.disconnect();
  }
});
