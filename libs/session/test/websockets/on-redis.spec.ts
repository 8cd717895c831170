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

it('ending 2,000 sockets of a user lets other work go on in between', async () => {
  const app = await startSockets('ws', 'express', {}, undefined, 2_000);
  const browser = app.browser();
  await browser.post('/login', { userId: 'ann' });
  const sockets: TestSocket[] = [];
  while (sockets.length < 2_000) {
    const some = Array.from({ length: 100 }, () => app.open(browser));
    await Promise.all(some.map(({ opened }) => opened));
    sockets.push(...some);
  }
  let closed = 0;
  let mostInOneTurn = 0;
  let isOver = false;
  const counting = (async () => {
    for (let before = 0; !isOver; before = closed) {
      await new Promise((resolve) => setImmediate(resolve));
      mostInOneTurn = Math.max(mostInOneTurn, closed - before);
    }
  })();
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  const codes = sockets.map(async (socket) => {
    const { code } = await socket.closed;
    closed += 1;
    return code;
  });
  await app.app.get(SessionService).endAll('ann');
  expect(new Set(await Promise.all(codes))).toEqual(new Set([4401]));
  isOver = true;
  await counting;
  delay.disable();
  process.stdout.write(
    `ending 2,000 sockets: at most ${mostInOneTurn} in one turn, longest delay of the event loop ${Math.round(delay.max / 1e6)} ms\n`,
  );
  expect(mostInOneTurn).toBeLessThan(1_000);
}, 120_000);
