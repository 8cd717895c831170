import { UseGuards } from '@nestjs/common';
import { APP_INTERCEPTOR } from '@nestjs/core';
import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo';
import {
  Field,
  GraphQLModule,
  Mutation,
  ObjectType,
  Parent,
  Query,
  ResolveField,
  Resolver,
  Subscription,
} from '@nestjs/graphql';
import { MercuriusDriver, type MercuriusDriverConfig } from '@nestjs/mercurius';
import { createClient, type Client } from 'graphql-ws';
import { WebSocket } from 'ws';
import {
  CurrentSession,
  CurrentUser,
  MemorySessionStore,
  ReqSession,
  Roles,
  SessionGuard,
  SessionService,
  type RequestSession,
  type Session,
  type SessionModuleOptions,
  type SessionUser,
} from '../../src/index.js';
import { graphqlContext, GraphqlSubscriptionInterceptor } from '../../src/graphql/index.js';
import { JwtAuthGuard } from '../../src/passport/index.js';
import { AccountController } from '../support/account.controller.js';
import { closeApps, startApp, type TestApp } from '../support/app.js';
import type { Browser } from '../support/browser.js';
import { until } from '../support/own-redis.js';
import { DpopClient } from '../dpop/support/dpop-client.js';

@ObjectType()
class Account {
  @Field()
  id!: string;

  @Field()
  seenBy!: string;
}

/** What became of the sources of subscriptions. */
const sources = { open: 0 };

@Resolver(() => Account)
class AccountResolver {
  @UseGuards(SessionGuard)
  @Query(() => Account)
  me(@CurrentUser() user: SessionUser): object {
    return { id: user.id };
  }

  @UseGuards(JwtAuthGuard)
  @Query(() => Account)
  byToken(@CurrentUser() user: SessionUser): object {
    return { id: user.id };
  }

  @Roles('admin')
  @UseGuards(SessionGuard)
  @Query(() => String)
  admin(): string {
    return 'admin';
  }

  @ResolveField(() => String)
  seenBy(@Parent() _parent: Account, @CurrentUser() user: SessionUser | null): string {
    return user?.id ?? 'nobody';
  }

  @UseGuards(SessionGuard)
  @Mutation(() => Boolean)
  async regenerate(@ReqSession() session: RequestSession): Promise<boolean> {
    await session.regenerate();
    return true;
  }

  @Mutation(() => Boolean)
  async signOut(@ReqSession() session: RequestSession): Promise<boolean> {
    return session.end();
  }

  @UseGuards(SessionGuard)
  @Subscription(() => String)
  ticks(@CurrentSession() session: Session): AsyncIterableIterator<{ ticks: string }> {
    return quietAfter({ ticks: session.userId });
  }
}

/** One value, and then nothing, until somebody stops it: as a feed on which nothing happens. */
function quietAfter<T>(value: T): AsyncIterableIterator<T> {
  const waiting: ((result: IteratorResult<T>) => void)[] = [];
  let given = false;
  sources.open += 1;
  return {
    async next() {
      if (given) return new Promise((resolve) => waiting.push(resolve));
      given = true;
      return { value, done: false };
    },
    async return() {
      sources.open -= 1;
      for (const resolve of waiting.splice(0)) resolve({ value: undefined, done: true });
      return { value: undefined, done: true };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

const DOORS = [
  ['Apollo', 'express'],
  ['Apollo', 'fastify'],
  ['Mercurius', 'fastify'],
] as const;

const clients: Client[] = [];

afterEach(async () => {
  await Promise.all(clients.splice(0).map(async (client) => client.dispose()));
  await closeApps();
});

describe.each(DOORS)('%s on %s, code first', (driver, platform) => {
  const start = (session: SessionModuleOptions = {}): Promise<TestApp> =>
    startApp({
      platform,
      controllers: [AccountController],
      session: { jwt: { issuer: 'https://issuer.example', audience: 'https://api.example' }, ...session },
      providers: [AccountResolver, { provide: APP_INTERCEPTOR, useClass: GraphqlSubscriptionInterceptor }],
      imports: [
        driver === 'Apollo'
          ? GraphQLModule.forRoot<ApolloDriverConfig>({
              driver: ApolloDriver,
              autoSchemaFile: true,
              graphiql: false,
              allowBatchedHttpRequests: true,
              subscriptions: { 'graphql-ws': true },
              context: graphqlContext,
            })
          : GraphQLModule.forRoot<MercuriusDriverConfig>({
              driver: MercuriusDriver,
              autoSchemaFile: true,
              graphiql: false,
              allowBatchedQueries: true,
              subscription: { fullWsTransport: true },
              context: graphqlContext,
            }),
      ],
    });

  const query = async (browser: Browser, text: string, headers: Record<string, string> = {}) =>
    (await browser.post('/graphql', { query: text }, headers)).body as {
      data: Record<string, unknown> | null;
      errors?: { message: string; extensions: Record<string, unknown> }[];
    };

  function connect(
    app: TestApp,
    browser: Browser | null,
    connectionParams?: Record<string, unknown>,
    headers: Record<string, string> = {},
  ): Client {
    const cookie = [...(browser?.jar ?? [])].map(([name, value]) => `${name}=${value}`).join('; ');
    class Socket extends WebSocket {
      constructor(address: string, protocols: string) {
        super(address, protocols, {
          headers: { 'user-agent': 'node', ...(cookie !== '' && { cookie }), ...headers },
        });
      }
    }
    const url = `${app.url.replace('http', 'ws')}/graphql`;
    const client = createClient({
      url,
      webSocketImpl: Socket,
      retryAttempts: 0,
      lazy: false,
      onNonLazyError: () => 0,
      ...(connectionParams && { connectionParams }),
    });
    clients.push(client);
    return client;
  }

  it('queries, mutations and field resolvers know who is there', async () => {
    const app = await start();
    const browser = app.browser();
    await browser.post('/login', { userId: 'ann' });
    expect((await query(browser, '{ me { id seenBy } }')).data).toEqual({ me: { id: 'ann', seenBy: 'ann' } });
    const cookie = [...browser.jar.values()];
    expect((await query(browser, 'mutation { regenerate }')).data).toEqual({ regenerate: true });
    // The answer set the new cookie.
    expect([...browser.jar.values()]).not.toEqual(cookie);
    expect((await query(browser, '{ me { id } }')).data).toEqual({ me: { id: 'ann' } });
    expect((await query(browser, 'mutation { signOut }')).data).toEqual({ signOut: true });
    expect(browser.jar.size).toBe(0);
  });

  it('errors keep their code', async () => {
    const app = await start();
    const browser = app.browser();
    const codesOf = async (text: string, headers?: Record<string, string>): Promise<unknown[]> =>
      ((await query(browser, text, headers)).errors ?? []).map(({ extensions }) => extensions['code']);
    expect(await codesOf('{ me { id } }')).toEqual(['session_required']);
    expect(await codesOf('{ byToken { id } }')).toEqual(['session_required']);
    expect(await codesOf('{ byToken { id } }', { authorization: 'Bearer x.y.z' })).toEqual(['invalid_token']);
    await browser.post('/login', { userId: 'ann' });
    expect(await codesOf('{ admin }')).toEqual(['insufficient_scope']);
    app.store.down = true;
    expect(await codesOf('{ me { id } }')).toEqual(['store_unavailable']);
  });

  it('of operations in one request each one is let in or refused by its own rules', async () => {
    const app = await start();
    const browser = app.browser();
    const answersTo = async (...texts: string[]): Promise<unknown[]> => {
      const { body } = await browser.post(
        '/graphql',
        texts.map((text) => ({ query: text })),
      );
      return (body as { data: unknown; errors?: { extensions: { code: string } }[] }[]).map(
        ({ data, errors }) => errors?.[0]?.extensions.code ?? data,
      );
    };
    expect(await answersTo('{ me { id } }', '{ admin }')).toEqual(['session_required', 'session_required']);
    await browser.post('/login', { userId: 'ann' });
    const operations = ['{ me { id } }', '{ admin }', '{ byToken { id } }', '{ me { seenBy } }'];
    expect(await answersTo(...operations)).toEqual([
      { me: { id: 'ann' } },
      'insufficient_scope',
      'session_required',
      { me: { seenBy: 'ann' } },
    ]);
    await app.app.get(SessionService).endAll('ann');
    expect(await answersTo('{ me { id } }', '{ me { id } }')).toEqual(['session_ended', 'session_ended']);
  });

  it('JwtAuthGuard guards resolvers', async () => {
    const app = await start();
    const { body } = await app.browser().post('/login', { userId: 'bob', transport: 'bearer' });
    const authorization = `Bearer ${(body as { tokens: { accessToken: string } }).tokens.accessToken}`;
    const reply = await query(app.browser(), '{ byToken { id seenBy } }', { authorization });
    expect(reply.data).toEqual({ byToken: { id: 'bob', seenBy: 'bob' } });
    const browser = app.browser();
    await browser.post('/login', { userId: 'ann' });
    expect((await query(browser, '{ byToken { id } }')).errors).toHaveLength(1);
  });

  it('a subscription ends with the session that started it', async () => {
    const app = await start();
    const browser = app.browser();
    await browser.post('/login', { userId: 'ann' });
    const iterator = connect(app, browser).iterate({ query: 'subscription { ticks }' });
    expect((await iterator.next()).value).toMatchObject({ data: { ticks: 'ann' } });
    expect(sources.open).toBe(1);
    await app.app.get(SessionService).endAll('ann');
    expect(await iterator.next()).toMatchObject({ done: true });
    await until(() => sources.open === 0);
    const again = connect(app, browser).iterate({ query: 'subscription { ticks }' });
    // Mercurius refuses the operation, Apollo answers it with an error.
    const refused = await again.next().then(
      ({ value }) => (value as { errors: { extensions: { code: string } }[] }).errors,
      (errors: unknown) => errors as { extensions: { code: string } }[],
    );
    expect(refused[0]?.extensions.code).toBe('session_ended');
  });

  it('a subscription that its client left is forgotten', async () => {
    const app = await start();
    const browser = app.browser();
    await browser.post('/login', { userId: 'ann' });
    const client = connect(app, browser);
    const iterator = client.iterate({ query: 'subscription { ticks }' });
    await iterator.next();
    const { watch } = app.app.get<{ watch: { size: number } }>(await coreToken());
    expect(watch.size).toBe(1);
    client.terminate();
    await until(() => watch.size === 0 && sources.open === 0);
  });

  it('a browser sends its access token in the first message of the socket', async () => {
    const app = await start();
    const { body } = await app.browser().post('/login', { userId: 'bob', transport: 'bearer' });
    const { accessToken } = (body as { tokens: { accessToken: string } }).tokens;
    const client = connect(app, null, { authorization: `Bearer ${accessToken}` });
    const iterator = client.iterate({ query: '{ me { id } byToken { id } }' });
    expect((await iterator.next()).value).toMatchObject({ data: { me: { id: 'bob' }, byToken: { id: 'bob' } } });
  });

  it('a token that is bound to a key has a proof beside it, which counts once', async () => {
    const tokens = { issuer: 'https://issuer.example', audience: 'https://api.example', dpop: 'required' } as const;
    const app = await start({ store: new MemorySessionStore(), jwt: tokens });
    const dpop = new DpopClient(app.url);
    await dpop.login('bob');
    const { accessToken = '' } = dpop.tokens ?? {};
    const authorization = `DPoP ${accessToken}`;
    const sent = { method: 'POST', body: { query: '{ me { id } byToken { id } }' } };
    expect((await dpop.call('/graphql', sent)).body).toMatchObject({
      data: { me: { id: 'bob' }, byToken: { id: 'bob' } },
    });

    const ask = async (client: Client): Promise<unknown> =>
      (await client.iterate({ query: '{ me { id } byToken { id } }' }).next()).value;
    const proof = dpop.proof('GET', `${app.url}/graphql`, accessToken);
    const client = connect(app, null, { authorization, dpop: proof });
    const answers = await Promise.all([ask(client), ask(client), ask(client)]);
    for (const answer of answers) expect(answer).toMatchObject({ data: { me: { id: 'bob' }, byToken: { id: 'bob' } } });
    const codes = { errors: [{ extensions: { code: 'invalid_dpop_proof' } }] };
    expect(await ask(connect(app, null, { authorization, dpop: proof }))).toMatchObject(codes);
    expect(await ask(connect(app, null, { authorization }))).toMatchObject(codes);
    expect(await ask(connect(app, null, { authorization: `Bearer ${accessToken}` }))).toMatchObject({
      errors: [{ extensions: { code: 'invalid_token' } }],
    });
  });

  it('a socket has the tenant of the request that opened it', async () => {
    const app = await start({ tenant: ({ headers }) => headers['x-tenant'] as string });
    const [acme, globex] = [{ 'x-tenant': 'acme' }, { 'x-tenant': 'globex' }];
    const browser = app.browser();
    const { body } = await browser.post('/login', { userId: 'ann', transport: 'both' }, acme);
    const { accessToken } = (body as { tokens: { accessToken: string } }).tokens;
    expect((await query(browser, '{ me { id seenBy } }', acme)).data).toEqual({ me: { id: 'ann', seenBy: 'ann' } });
    expect((await query(browser, '{ me { id } }', globex)).errors).toHaveLength(1);
    const bearer = { authorization: `Bearer ${accessToken}` };
    expect((await query(app.browser(), '{ byToken { id } }', { ...bearer, ...acme })).data).not.toBeNull();
    expect((await query(app.browser(), '{ byToken { id } }', { ...bearer, ...globex })).errors).toHaveLength(1);

    const ask = async (client: Client): Promise<unknown> =>
      (await client.iterate({ query: '{ me { id } byToken { id } }' }).next()).value;
    expect(await ask(connect(app, null, bearer, acme))).toMatchObject({ data: { me: { id: 'ann' } } });
    expect(await ask(connect(app, null, bearer, globex))).toMatchObject({
      errors: [{ extensions: { code: 'invalid_token' } }],
    });

    const iterator = connect(app, browser, undefined, acme).iterate({ query: 'subscription { ticks }' });
    expect((await iterator.next()).value).toMatchObject({ data: { ticks: 'ann' } });
    const sessions = app.app.get(SessionService);
    expect(await sessions.forTenant('globex').endAll('ann')).toBe(0);
    expect(sources.open).toBe(1);
    expect(await sessions.forTenant('acme').endAll('ann')).toBe(1);
    expect(await iterator.next()).toMatchObject({ done: true });
    await until(() => sources.open === 0);
  });

  it('a socket goes on while the cookie that opened it is rotated behind its back', async () => {
    const app = await start();
    const browser = app.browser();
    await browser.post('/login', { userId: 'ann' });
    const client = connect(app, browser);
    const ask = async (): Promise<unknown> => (await client.iterate({ query: '{ me { id } }' }).next()).value;
    expect(await ask()).toMatchObject({ data: { me: { id: 'ann' } } });
    await query(browser, 'mutation { regenerate }');
    // Other than a rotation, this ends what the old secret opened.
    expect(await ask()).toMatchObject({ errors: [{ extensions: { code: 'invalid_token' } }] });
    expect((await query(browser, '{ me { id } }')).data).toEqual({ me: { id: 'ann' } });
  });
});

async function coreToken(): Promise<symbol> {
  return (await import('../../src/core/tokens.js')).SESSION_CORE;
}
