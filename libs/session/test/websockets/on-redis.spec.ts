import { randomBytes } from 'node:crypto';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { SessionService, type SessionModuleOptions } from '../../src/index.js';
import { closeApps } from '../support/app.js';
import { testRedisUrl } from '../support/redis-harness.js';
import { secretOf } from '../support/secrets.js';
import { startSockets, type SocketApp } from './support/app.js';
import { closeSockets, KINDS, type TestSocket } from './support/sockets.js';

afterEach(async () => {
  closeSockets();
  await closeApps();
});

/** Options of instances that share one Redis. */
function shared(): SessionModuleOptions {
  return {
    redis: testRedisUrl(),
    secrets: secretOf('sockets'),
    keyPrefix: `sockets-${randomBytes(4).toString('hex')}:`,
    commandTimeout: '5s',
  };
}

describe.each(KINDS)('%s on two instances and one Redis', (kind) => {
  const start = (options: SessionModuleOptions): Promise<SocketApp> =>
    startSockets(kind, 'express', { ...options, store: undefined });

  it('ending a session on one closes its sockets on the other', async () => {
    const options = shared();
    const [here, there] = [await start(options), await start(options)];
    const browser = here.browser();
    await browser.post('/login', { userId: 'ann' });
    const socket = there.open(browser);
    await socket.opened;
    expect(await socket.ask('me')).toMatchObject({ id: 'ann' });
    await here.app.get(SessionService).endAll('ann', { reason: 'admin' });
    expect(await socket.closed).toEqual({ code: 4401, reason: 'admin' });
  });

  it('a ticket of one opens one socket on the other', async () => {
    const options = shared();
    const [here, there] = [await start(options), await start(options)];
    const browser = here.browser();
    await browser.post('/login', { userId: 'ann' });
    const { ticket } = (await browser.post('/socket-ticket')).body as { ticket: string };
    const tries = [there, here, there, here].map((app) =>
      app.open(null, { ticket }).opened.then(
        () => true,
        () => false,
      ),
    );
    expect((await Promise.all(tries)).filter(Boolean)).toHaveLength(1);
  });
});

it('ending all of a user’s sockets lets other work go on', async () => {
  const app = await startSockets('ws', 'express');
  const browser = app.browser();
  await browser.post('/login', { userId: 'ann' });
  const sockets: TestSocket[] = Array.from({ length: 300 }, () => app.open(browser));
  await Promise.all(sockets.map(({ opened }) => opened));
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  await app.app.get(SessionService).endAll('ann');
  const closed = await Promise.all(sockets.map((socket) => socket.closed));
  delay.disable();
  expect(new Set(closed.map(({ code }) => code))).toEqual(new Set([4401]));
});
