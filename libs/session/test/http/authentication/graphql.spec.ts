import { UseGuards } from '@nestjs/common';
import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo';
import { GraphQLModule, Parent, Query, ResolveField, Resolver, Subscription } from '@nestjs/graphql';
import { createClient, type Client } from 'graphql-ws';
import { WebSocket } from 'ws';
import { CurrentUser, SessionGuard, SessionService, type SessionUser } from '../../../src/index.js';
import { AccountController } from '../../support/account.controller.js';
import type { Browser } from '../../support/browser.js';
import { closeApps, PLATFORMS, startApp, type TestApp } from '../../support/app.js';

const typeDefs = `
  type Account { id: String, seenBy: String }
  type Query { me: Account, guest: Account }
  type Subscription { ticks: String }
`;

@Resolver('Account')
class AccountResolver {
  @UseGuards(SessionGuard)
  @Query()
  me(@CurrentUser() user: SessionUser): unknown {
    return { id: user.id };
  }

  @Query()
  guest(): unknown {
    return { id: 'guest' };
  }

  @ResolveField()
  seenBy(@Parent() _parent: unknown, @CurrentUser() user: SessionUser | null): string {
    return user?.id ?? 'nobody';
  }

  @UseGuards(SessionGuard)
  @Subscription()
  async *ticks(@CurrentUser() user: SessionUser): AsyncGenerator<unknown> {
    yield await Promise.resolve({ ticks: user.id });
  }
}

/** How applications give their contexts to resolvers. */
const CONTEXTS: Record<string, ApolloDriverConfig> = {
  'the default context': {},
  'a context with the request': {
    context: (context: { extra?: { request: unknown } }, reply?: unknown) =>
      context.extra ? { req: context.extra.request } : { req: (context as { req?: unknown }).req ?? context, reply },
  },
  'one context for the whole socket': {
    context: (context: { extra?: object }) => context.extra ?? { req: (context as { req?: unknown }).req ?? context },
  },
};

const clients: Client[] = [];

/** What Node's fetch sends, with which the browser of these tests signs in. */
const USER_AGENT = 'node';

afterEach(async () => {
  await Promise.all(clients.splice(0).map(async (client) => client.dispose()));
  await closeApps();
});

describe.each(PLATFORMS)('GraphQL on %s', (platform) => {
  const start = (config: ApolloDriverConfig): Promise<TestApp> =>
    startApp({
      platform,
      controllers: [AccountController],
      providers: [AccountResolver],
      imports: [
        GraphQLModule.forRoot<ApolloDriverConfig>({
          driver: ApolloDriver,
          typeDefs,
          graphiql: false,
          subscriptions: { 'graphql-ws': true },
          ...config,
        }),
      ],
    });

  function connect(app: TestApp, browser: Browser, headers: Record<string, string> = {}): Client {
    const cookie = [...browser.jar].map(([name, value]) => `${name}=${value}`).join('; ');
    class Socket extends WebSocket {
      constructor(address: string, protocols: string) {
        super(address, protocols, { headers: { cookie, 'user-agent': USER_AGENT, ...headers } });
      }
    }
    const url = `${app.url.replace('http', 'ws')}/graphql`;
    const client = createClient({ url, webSocketImpl: Socket, retryAttempts: 0, lazy: false, onNonLazyError: () => 0 });
    clients.push(client);
    return client;
  }

  const run = async (client: Client, query: string): Promise<unknown> => {
    for await (const { data, errors } of client.iterate({ query })) {
      return errors ? errors[0]?.message : data;
    }
    return 'nothing';
  };

  it.each(Object.keys(CONTEXTS))('each operation on a socket is authenticated by itself: %s', async (kind) => {
    const app = await start(CONTEXTS[kind] as ApolloDriverConfig);
    const browser = app.browser();
    await browser.post('/login', { userId: 'ann' });
    const client = connect(app, browser);
    expect(await run(client, '{ me { id seenBy } }')).toEqual({ me: { id: 'ann', seenBy: 'ann' } });
    expect(await run(client, 'subscription { ticks }')).toEqual({ ticks: 'ann' });
    await app.app.get(SessionService).endAll('ann');
    expect(await run(client, '{ me { id } }')).toMatch(/Sign in/);
    expect(await run(client, 'subscription { ticks }')).toMatch(/Sign in/);
    expect(await run(client, '{ guest { id seenBy } }')).toEqual({ guest: { id: 'guest', seenBy: 'nobody' } });
  });

  it('ASVS 3.5.1: a socket that another site opened is refused, although its request is a GET', async () => {
    const app = await start({});
    const browser = app.browser();
    await browser.post('/login', { userId: 'ann' });
    const evil = connect(app, browser, { origin: 'https://evil.example' });
    expect(await run(evil, '{ me { id } }')).toMatch(/another site/);
    const own = connect(app, browser, { origin: app.url });
    expect(await run(own, '{ me { id } }')).toEqual({ me: { id: 'ann' } });
  });

  it('field resolvers, which no global guard covers, read what the root request has', async () => {
    const app = await start({});
    const browser = app.browser();
    await browser.post('/login', { userId: 'ann' });
    app.store.forget();
    const reply = await browser.post('/graphql', { query: '{ me { id seenBy } guest { seenBy } }' });
    expect(reply.body.data).toEqual({ me: { id: 'ann', seenBy: 'ann' }, guest: { seenBy: 'ann' } });
    expect(app.store.commands).toEqual(['read']);
  });
});
