import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { startProxy } from '../../../../test/support/tcp-proxy.js';
import { SessionService, TokenService } from '../../src/index.js';
import { closeApps } from '../support/app.js';
import { CountingStore } from '../support/counting-store.js';
import { until } from '../support/own-redis.js';
import { ChatGateway, startSockets, type SocketApp } from './support/app.js';
import { closeSockets, KINDS, type Kind, type TestSocket } from './support/sockets.js';

afterEach(async () => {
  closeSockets();
  await closeApps();
});

describe.each(KINDS)('sockets of %s close with their session', (kind) => {
  const opened = async (app: SocketApp, userId = 'ann'): Promise<TestSocket> => {
    const browser = app.browser();
    await browser.post('/login', { userId });
    const socket = app.open(browser);
    await socket.opened;
    return socket;
  };

  it('4401 and the reason; others stay open', async () => {
    const app = await startSockets(kind, 'express');
    const [ann, bob] = [await opened(app), await opened(app, 'bob')];
    await app.app.get(SessionService).endAll('ann', { reason: 'revoked' });
    expect(await ann.closed).toEqual({ code: 4401, reason: 'revoked' });
    expect(await bob.ask('me')).toMatchObject({ id: 'bob' });
  });

  it('a sign-out over the socket itself closes it', async () => {
    const app = await startSockets(kind, 'fastify');
    const socket = await opened(app);
    socket.send('sign-out');
    expect(await socket.closed).toEqual({ code: 4401, reason: 'logout' });
  });

  it('when secrets are replaced, and when access tokens are revoked', async () => {
    const app = await startSockets(kind, 'express');
    const [first, second] = [await opened(app), await opened(app, 'bob')];
    const [session] = await app.app.get(SessionService).list('ann');
    await app.app.get(SessionService).regenerate(session?.id ?? '');
    expect(await first.closed).toEqual({ code: 4401, reason: 'regenerated' });
    await app.app.get(TokenService).revokeAllFor('bob');
    expect(await second.closed).toEqual({ code: 4401, reason: 'tokens-revoked' });
  });

  it('when the access token expires that opened it', async () => {
    const app = await startSockets(kind, 'express', {
      jwt: { issuer: 'https://issuer.example', audience: 'https://api.example', accessTokenTtl: '2s' },
    });
    const { body } = await app.browser().post('/login', { userId: 'ann', transport: 'bearer' });
    const socket = app.open(null, { headers: { authorization: `Bearer ${body.tokens.accessToken}` } });
    await socket.opened;
    expect(await socket.closed).toEqual({ code: 4401, reason: 'token-expired' });
  });

  it('when an end was missed during a break of the event channel', async () => {
    class Gappy extends CountingStore {
      reconnected: () => void = () => undefined;
      override onGap(listener: () => void): () => void {
        const before = this.reconnected;
        this.reconnected = () => {
          before();
          listener();
        };
        return () => undefined;
      }
    }
    const store = new Gappy();
    const app = await startSockets(kind, 'express', { store, sweeper: false });
    const socket = await opened(app);
    // A store whose event nobody delivers: the session is past its deadline, and nobody sweeps.
    store.advance(31 * 60_000);
    store.reconnected();
    expect(await socket.closed).toEqual({ code: 4401, reason: 'idle' });
  });

  it('the oldest of too many sockets of a session is closed', async () => {
    const app = await startSockets(kind, 'express', {}, undefined, 2);
    const browser = app.browser();
    await browser.post('/login', { userId: 'ann' });
    const sockets: TestSocket[] = [];
    for (let index = 0; index < 3; index += 1) {
      const socket = app.open(browser);
      await socket.opened;
      sockets.push(socket);
    }
    expect(await sockets[0]?.closed).toEqual({ code: 4429, reason: 'too-many-sockets' });
    expect(await sockets[1]?.ask('me')).toMatchObject({ id: 'ann' });
  });

  it.each(['vanished', 'does not read'])(
    'a client that %s is cut off',
    async (way) => {
      const app = await startSockets(kind, 'express');
      const connections: Socket[] = [];
      const server = app.app.getHttpServer() as Server;
      server.on('upgrade', (_request: unknown, connection: Socket) => connections.push(connection));
      const proxy = await startProxy({ targetPort: Number(new URL(app.url).port) });
      try {
        const browser = app.browser();
        await browser.post('/login', { userId: 'ann' });
        const socket = app.open(browser, {}, `http://127.0.0.1:${proxy.port}`);
        await socket.opened;
        if (way === 'vanished') {
          proxy.muteOpenLinks();
        } else {
          socket.stopReading();
          // More than the buffers on the way hold.
          const text = 'x'.repeat(500_000);
          for (let index = 0; index < 40; index += 1) socket.send('say', text);
          await until(() => app.app.get(ChatGateway).heard.length === 40);
        }
        await app.app.get(SessionService).endAll('ann');
        // Left alone, the server would wait for 30 seconds at least.
        await until(() => connections.every(({ destroyed }) => destroyed), 20_000);
        expect(connections.length).toBe(1);
      } finally {
        await proxy.stop();
      }
    },
    60_000,
  );

  it('nothing is kept of sockets that have closed', async () => {
    const app = await startSockets(kind, 'express');
    const { watch } = app.app.get<{ watch: { size: number } }>(await coreToken());
    const sockets = [await opened(app), await opened(app, 'bob')];
    expect(watch.size).toBe(2);
    for (const socket of sockets) socket.close();
    await until(() => watch.size === 0);
  });
});

async function coreToken(): Promise<symbol> {
  return (await import('../../src/core/tokens.js')).SESSION_CORE;
}

it.each(KINDS)('an application with open sockets of %s closes', async (kind: Kind) => {
  const app = await startSockets(kind, 'express');
  const browser = app.browser();
  await browser.post('/login', { userId: 'ann' });
  const socket = app.open(browser);
  await socket.opened;
  await app.close();
  expect((await socket.closed).code).not.toBe(4401);
});
