import type { Server } from 'node:http';
import { Controller, Get, Inject, Logger, Res, UseGuards } from '@nestjs/common';
import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo';
import { GraphQLModule } from '@nestjs/graphql';
import { jest } from '@jest/globals';
import {
  CurrentSession,
  NoTouch,
  SessionGuard,
  SessionStreams,
  type Session,
  type StreamableResponse,
} from '../../../src/index.js';
import { AccountController } from '../../support/account.controller.js';
import { closeApps, PLATFORMS, startApp, type AppOptions, type TestApp } from '../../support/app.js';
import { until } from '../../support/own-redis.js';
import { EventSourceClient } from './support/event-source.js';

@Controller()
@UseGuards(SessionGuard)
class StreamController {
  static beforeOpening: () => unknown = () => undefined;

  constructor(@Inject(SessionStreams) private readonly streams: SessionStreams) {}

  @NoTouch()
  @Get('events')
  events(@CurrentSession() session: Session, @Res() response: StreamableResponse): void {
    StreamController.beforeOpening();
    this.streams.open(session, response);
  }
}

const controllers = [AccountController, StreamController];
/** `exp` counts whole seconds and lifetimes are jittered: of one second, nothing may be left when the stream opens. */
const jwt = { issuer: 'https://a.example', audience: 'https://b.example', accessTokenTtl: '4s' } as const;

describe.each(PLATFORMS)('the end of a stream on %s', (platform) => {
  const clients: EventSourceClient[] = [];

  beforeAll(() => {
    jest.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
  });
  afterEach(async () => {
    StreamController.beforeOpening = () => undefined;
    for (const client of clients.splice(0)) client.close();
    await closeApps();
  });

  const start = (more: Partial<AppOptions> = {}): Promise<TestApp> => startApp({ platform, controllers, ...more });

  async function listen(app: TestApp, headers: Record<string, string>): Promise<EventSourceClient> {
    const client = await EventSourceClient.open(`${app.url}/events`, headers);
    clients.push(client);
    return client;
  }

  it('comes with the access token it was opened with, and not with that of a cookie', async () => {
    const app = await start({ session: { jwt } });
    const browser = app.browser();
    const { body } = await browser.post('/login', { userId: 'ada', transport: 'both' });
    const { accessToken } = (body as { tokens: { accessToken: string } }).tokens;
    const byCookie = await listen(app, { cookie: [...browser.jar].map((pair) => pair.join('=')).join('; ') });
    const byToken = await listen(app, { authorization: `Bearer ${accessToken}` });
    expect([byCookie.status, byToken.status]).toEqual([200, 200]);
    expect(byToken.ended).toBe(false);
    await until(() => byToken.ended, 10_000);
    expect(byCookie.ended).toBe(false);
    app.store.advance(4_001);
    expect((await listen(app, { authorization: `Bearer ${accessToken}` })).status).toBe(401);
  });

  it('comes at once where the server takes no more connections by the time it opens', async () => {
    const app = await start();
    const browser = app.browser();
    await browser.post('/login', { userId: 'ada' });
    const server = app.app.getHttpServer() as Server;
    StreamController.beforeOpening = () => server.close();
    const client = await listen(app, { cookie: [...browser.jar].map((pair) => pair.join('=')).join('; ') });
    await until(() => client.ended);
    expect([client.status, client.broken]).toEqual([200, false]);
  });

  it('comes before Apollo has drained the server: the application does not wait ten seconds', async () => {
    const graphql = GraphQLModule.forRoot<ApolloDriverConfig>({
      driver: ApolloDriver,
      typeDefs: 'type Query { ok: Boolean }',
    });
    const app = await start({ imports: [graphql] });
    const browser = app.browser();
    await browser.post('/login', { userId: 'ada' });
    const client = await listen(app, { cookie: [...browser.jar].map((pair) => pair.join('=')).join('; ') });
    expect([client.status, client.ended]).toEqual([200, false]);
    const closing = app.close();
    await until(() => client.ended, 5_000);
    await closing;
    expect(client.broken).toBe(false);
  });
});
