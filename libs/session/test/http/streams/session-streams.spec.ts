import { generateKeyPairSync } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { Controller, Get, Inject, Logger, Res, UseGuards } from '@nestjs/common';
import { jest } from '@jest/globals';
import {
  CurrentSession,
  NoTouch,
  SessionEvents,
  SessionGuard,
  SessionService,
  SessionStreams,
  TokenService,
  type Session,
  type SessionEvent,
  type StreamableResponse,
} from '../../../src/index.js';
import { AccountController } from '../../support/account.controller.js';
import { closeApps, PLATFORMS, startApp, type AppOptions, type TestApp } from '../../support/app.js';
import type { Browser } from '../../support/browser.js';
import { CountingStore } from '../../support/counting-store.js';
import { OwnRedis, pause, until } from '../../support/own-redis.js';
import { EventSourceClient } from './support/event-source.js';
import { secretOf } from '../../support/secrets.js';

@Controller()
@UseGuards(SessionGuard)
class StreamController {
  static beforeOpening: () => Promise<unknown> = async () => undefined;

  constructor(@Inject(SessionStreams) private readonly streams: SessionStreams) {}

  @NoTouch()
  @Get('events')
  async events(@CurrentSession() session: Session, @Res() response: StreamableResponse): Promise<void> {
    await StreamController.beforeOpening();
    this.streams.open(session, response);
  }
}

const redis: { own?: OwnRedis } = {};
const own = (): OwnRedis => redis.own as OwnRedis;

beforeAll(async () => {
  jest.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
  redis.own = await OwnRedis.start();
});
afterAll(() => redis.own?.stop());

describe.each(PLATFORMS)('server-sent events of a session on %s', (platform) => {
  const clients: EventSourceClient[] = [];
  const sockets: Socket[] = [];

  afterEach(async () => {
    StreamController.beforeOpening = async () => undefined;
    for (const client of clients.splice(0)) client.close();
    for (const socket of sockets.splice(0)) socket.destroy();
    await closeApps();
    await own().reset();
  });

  const start = (session: AppOptions['session'] = {}): Promise<TestApp> =>
    startApp({ platform, controllers: [AccountController, StreamController], session });

  /** A second instance is one with the same secrets on the same Redis. */
  const onRedis = (): AppOptions['session'] => ({ store: own().open(), secrets: secretOf('x') });

  const cookies = (browser: Browser): Record<string, string> => ({
    cookie: [...browser.jar].map(([name, value]) => `${name}=${value}`).join('; '),
  });

  async function listen(app: TestApp, browser: Browser): Promise<EventSourceClient> {
    const client = await EventSourceClient.open(`${app.url}/events`, cookies(browser));
    clients.push(client);
    return client;
  }

  async function signedIn(app: TestApp, userId = 'ada'): Promise<{ browser: Browser; id: string }> {
    const browser = app.browser();
    const { body } = await browser.post('/login', { userId });
    return { browser, id: body.session.id as string };
  }

  const streamsOf = (app: TestApp): SessionStreams => app.app.get(SessionStreams);
  // Private, and called by a timer that no test waits for.
  const beat = (app: TestApp): void => (streamsOf(app) as unknown as { beat(): void }).beat();

  it('are a stream that nobody caches or transforms, and 401 without a session', async () => {
    const app = await start();
    const refused = await listen(app, app.browser());
    expect(refused.status).toBe(401);
    const { browser } = await signedIn(app);
    const client = await listen(app, browser);
    expect(client.status).toBe(200);
    expect(client.header('content-type')).toMatch(/^text\/event-stream/);
    expect(client.header('cache-control')).toBe('no-store, no-transform');
    expect(streamsOf(app).size).toBe(1);
    client.close();
    await until(() => streamsOf(app).size === 0);
  });

  it('tell what happens to the session and to no other, without a secret', async () => {
    const app = await start();
    const [ada, bob] = [await signedIn(app, 'ada'), await signedIn(app, 'bob')];
    const client = await listen(app, ada.browser);
    await bob.browser.post('/note', { theme: 'dark' });
    await ada.browser.post('/note', { theme: 'dark' });
    await until(() => client.events.length > 0);
    expect(client.events).toEqual([
      { event: 'changed', data: { type: 'changed', at: expect.any(Number), sessionId: ada.id } },
    ]);
  });

  it('tell that the browser has bound the session to its device', async () => {
    const store = own().open();
    const app = await start({ store, secrets: secretOf('x') });
    const { id, browser } = await signedIn(app, 'ada');
    const client = await listen(app, browser);
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const key = {
      algorithm: 'ES256',
      thumbprint: 'A'.repeat(43),
      publicKey: publicKey.export({ format: 'der', type: 'spki' }).toString('base64url'),
    } as const;
    await store.bindDevice(id, { key, challengedAt: store.now() });
    await until(() => client.events.length > 0);
    expect(client.events).toEqual([{ event: 'bound', data: { type: 'bound', at: expect.any(Number), sessionId: id } }]);
  });

  it('do not tell a thief that he was noticed', async () => {
    const app = await start();
    const { browser, id } = await signedIn(app);
    const client = await listen(app, browser);
    const events = app.app.get(SessionEvents);
    const of = { at: 1, sessionId: id, userId: 'ada', remote: false } as const;
    events.publish({ ...of, type: 'hijack-suspected', signals: ['ip'], action: 'log' });
    events.publish({ ...of, type: 'new-device' });
    await browser.post('/note', { a: 1 });
    await until(() => client.events.length > 0);
    expect(client.types).toEqual(['changed']);
  });

  it.each(['logout', 'idle', 'evicted', 'replaced', 'revoked', 'reuse', 'hijack', 'admin'] as const)(
    'tell of an end by %s and close',
    async (reason) => {
      const app = await start();
      const { browser, id } = await signedIn(app);
      const client = await listen(app, browser);
      await app.app.get(SessionService).end(id, { reason });
      await until(() => client.ended);
      expect(client.types).toEqual([`ended ${reason}`]);
      expect(streamsOf(app).size).toBe(0);
      expect((await listen(app, browser)).status).toBe(401);
    },
  );

  it('close once the secrets are new, so that anyone who comes again shows them', async () => {
    const app = await start();
    const { browser } = await signedIn(app);
    const old = cookies(browser);
    const client = await listen(app, browser);
    await browser.post('/regenerate');
    await until(() => client.ended);
    expect(client.types).toEqual(['regenerated']);
    const late = await EventSourceClient.open(`${app.url}/events`, old);
    clients.push(late);
    expect(late.status).toBe(401);
    expect((await listen(app, browser)).status).toBe(200);
  });

  it('close once the access tokens of the user are revoked, and stay closed to them', async () => {
    const app = await start();
    const { browser } = await signedIn(app);
    const client = await listen(app, browser);
    await app.app.get(TokenService).revokeAllFor('ada');
    await until(() => client.ended);
    expect(client.types).toEqual(['changed']);
  });

  it('close at the next look where nobody told of the revocation', async () => {
    class DeafStore extends CountingStore {
      override subscribe(listener: (event: SessionEvent) => void): () => void {
        return super.subscribe((event) => (event.type === 'changed' ? undefined : listener(event)));
      }
    }
    const store = new DeafStore();
    const app = await start({ store });
    const { browser } = await signedIn(app);
    const client = await listen(app, browser);
    await app.app.get(TokenService).revokeAllFor('ada');
    for (let beats = 0; beats < 4; beats += 1) beat(app);
    await until(() => client.ended);
    expect(client.types).toEqual([]);
    expect((await listen(app, browser)).status).toBe(200);
  });

  it('tell of an end that happens on another instance, on every instance', async () => {
    const [here, there] = [await start(onRedis()), await start(onRedis())];
    const { browser, id } = await signedIn(here);
    const open = [await listen(here, browser), await listen(there, browser)];
    await there.app.get(SessionService).end(id, { reason: 'admin' });
    await until(() => open.every(({ ended }) => ended));
    expect(open.map(({ types }) => types)).toEqual([['ended admin'], ['ended admin']]);
  });

  it('close where the session ended while the subscription was broken', async () => {
    const [here, there] = [await start(onRedis()), await start(onRedis())];
    const { browser, id } = await signedIn(here);
    const client = await listen(here, browser);
    await until(() => streamsOf(here).size === 1);
    await own().admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await there.app.get(SessionService).end(id, { reason: 'revoked' });
    await until(() => client.ended);
    expect(client.types).toEqual(['ended revoked']);
  });

  it('close where the session ended between the guard and the stream', async () => {
    const store = new CountingStore();
    const app = await start({ store });
    const { browser, id } = await signedIn(app);
    StreamController.beforeOpening = () => store.destroy(id, { reason: 'evicted' });
    const client = await listen(app, browser);
    await until(() => client.ended);
    expect(client.types).toEqual(['ended evicted']);
  });

  it('do not keep the session alive, and find an end that nobody announced', async () => {
    const store = new CountingStore();
    const app = await start({ store });
    const { browser, id } = await signedIn(app);
    store.advance(20 * 60_000);
    const client = await listen(app, browser);
    expect((await store.get(id))?.lastAccess).toBe((await store.get(id))?.createdAt);
    store.advance(11 * 60_000);
    beat(app);
    await until(() => client.comments === 1);
    expect(client.ended).toBe(false);
    for (let beats = 0; beats < 3; beats += 1) beat(app);
    await until(() => client.ended);
    expect(client.types).toEqual(['ended idle']);
  });

  it('stay open while the store cannot say whether the session lives', async () => {
    const store = new CountingStore();
    const app = await start({ store });
    const { browser } = await signedIn(app);
    const client = await listen(app, browser);
    store.down = true;
    for (let beats = 0; beats < 4; beats += 1) beat(app);
    await until(() => client.comments === 4);
    expect(client.ended).toBe(false);
    store.down = false;
  });

  it('bring the cookie that the request exchanged', async () => {
    const store = new CountingStore();
    const app = await start({ store, session: { rotationInterval: '1m' } });
    const { browser } = await signedIn(app);
    store.advance(2 * 60_000);
    const client = await listen(app, browser);
    expect(client.header('set-cookie')).toMatch(/^__Host-session=/);
  });

  it('are cut off for a client that does not read', async () => {
    const app = await start();
    const { browser, id } = await signedIn(app);
    const reader = await listen(app, browser);
    const { port, hostname } = new URL(app.url);
    const slow = connect(Number(port), hostname);
    sockets.push(slow);
    const closed = new Promise((resolve) => slow.once('close', resolve));
    slow.on('error', () => undefined);
    slow.write(`GET /events HTTP/1.1\r\nHost: x\r\nUser-Agent: node\r\nCookie: ${cookies(browser)['cookie']}\r\n\r\n`);
    await until(() => streamsOf(app).size === 2);
    slow.pause();
    const events = app.app.get(SessionEvents);
    const event = { type: 'changed', at: 1, sessionId: id, userId: 'ada', remote: false } as const;
    let sent = 0;
    while (streamsOf(app).size === 2 && sent < 200_000) {
      for (let each = 0; each < 200; each += 1) events.publish(event);
      sent += 200;
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until(() => streamsOf(app).size === 1);
    slow.resume();
    await closed;
    await until(() => reader.events.length === sent, 10_000);
    expect(reader.ended || reader.broken).toBe(false);
  });

  it('are at most twenty for a session: of more, the oldest is closed', async () => {
    const app = await start();
    const { browser } = await signedIn(app);
    const open: EventSourceClient[] = [];
    for (let count = 0; count < 22; count += 1) open.push(await listen(app, browser));
    await until(() => streamsOf(app).size === 20);
    expect(open.map(({ ended }) => ended)).toEqual([true, true, ...Array<boolean>(20).fill(false)]);
  });

  it('are over at once for HEAD, which has no body', async () => {
    const app = await start();
    const { browser } = await signedIn(app);
    const response = await fetch(`${app.url}/events`, { method: 'HEAD', headers: cookies(browser) });
    expect([200, 404]).toContain(response.status);
    expect(streamsOf(app).size).toBe(0);
  });

  it('end when the application stops, and do not keep it from that', async () => {
    const app = await start();
    const { browser } = await signedIn(app);
    const client = await listen(app, browser);
    const startedAt = performance.now();
    await app.close();
    await pause(20);
    expect(client.ended).toBe(true);
    expect(performance.now() - startedAt).toBeLessThan(4_000);
  });
});
