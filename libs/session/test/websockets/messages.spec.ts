import { SessionService } from '../../src/index.js';
import { closeApps, PLATFORMS } from '../support/app.js';
import { ChatGateway, startSockets } from './support/app.js';
import { closeSockets, KINDS } from './support/sockets.js';

afterEach(async () => {
  closeSockets();
  await closeApps();
});

const matrix = KINDS.flatMap((kind) => PLATFORMS.map((platform) => [kind, platform] as const));

describe.each(matrix)('messages over %s on %s', (kind, platform) => {
  it('each one is checked, at the price of one look-up', async () => {
    const app = await startSockets(kind, platform);
    const browser = app.browser();
    await browser.post('/login', { userId: 'ann', roles: ['admin'] });
    const socket = app.open(browser);
    await socket.opened;
    expect(await socket.ask('say', { text: 'first' })).toEqual({ said: { text: 'first' } });
    app.store.forget();
    expect(await socket.ask('me', {})).toEqual({ id: 'ann', roles: ['admin'] });
    expect(app.store.commands).toEqual(['read']);
    // A change of roles counts from the next message on.
    await app.app.get(SessionService).updateUser('ann', { roles: [] });
    expect(await socket.ask('admin', {})).toMatchObject({ status: 'error', code: 'insufficient_scope' });
    expect(await socket.ask('me', {})).toEqual({ id: 'ann', roles: [] });
  });

  it('refusals carry the stable code', async () => {
    const app = await startSockets(kind, platform);
    const browser = app.browser();
    await browser.post('/login', { userId: 'ann' });
    const socket = app.open(browser);
    await socket.opened;
    expect(await socket.ask('admin')).toMatchObject({ status: 'error', code: 'insufficient_scope' });
    expect(await socket.ask('fresh')).toEqual({ ok: 'fresh' });
    app.store.advance(6 * 60_000);
    expect(await socket.ask('fresh')).toMatchObject({ status: 'error', code: 'reauthentication_required' });
    app.store.down = true;
    expect(await socket.ask('me')).toMatchObject({ status: 'error', code: 'store_unavailable' });
    expect(await socket.ask('open')).toMatchObject({ code: 'store_unavailable' });
    app.store.down = false;
    expect(await socket.ask('open')).toEqual({ id: 'ann' });
  });

  it('what would need a cookie is refused, with its code', async () => {
    const app = await startSockets(kind, platform);
    const browser = app.browser();
    await browser.post('/login', { userId: 'ann' });
    const socket = app.open(browser);
    await socket.opened;
    expect(await socket.ask('step-up')).toMatchObject({ status: 'error', code: 'headers_sent' });
    expect((await browser.get('/me')).status).toBe(200);
  });

  it('a message moves the idle deadline', async () => {
    const app = await startSockets(kind, platform);
    const browser = app.browser();
    await browser.post('/login', { userId: 'ann' });
    const socket = app.open(browser);
    await socket.opened;
    app.store.advance(20 * 60_000);
    await socket.ask('me');
    app.store.advance(20 * 60_000);
    expect(await socket.ask('me')).toMatchObject({ id: 'ann' });
    app.store.advance(31 * 60_000);
    expect(await socket.ask('me')).toMatchObject({ code: 'session_expired' });
  });

  it('goes on while the cookie that opened it is rotated behind its back', async () => {
    const app = await startSockets(kind, platform, { session: { rotationInterval: '1m' } });
    const browser = app.browser();
    await browser.post('/login', { userId: 'ann' });
    const socket = app.open(browser);
    await socket.opened;
    for (let rotation = 0; rotation < 3; rotation += 1) {
      app.store.advance(2 * 60_000);
      expect((await browser.get('/me')).status).toBe(200);
      app.store.advance(40_000);
      expect((await browser.get('/me')).status).toBe(200);
      expect(await socket.ask('me')).toMatchObject({ id: 'ann' });
    }
    expect((await browser.get('/me')).status).toBe(200);
  });

  it('messages sent at once with the handshake are handled after it', async () => {
    const app = await startSockets(kind, platform);
    const browser = app.browser();
    await browser.post('/login', { userId: 'ann' });
    const socket = app.open(browser);
    const before = app.app.get(ChatGateway).entered.length;
    await socket.opened;
    const answers = await Promise.all(['a', 'b', 'c'].map((text) => socket.ask('say', { text })));
    expect(answers).toEqual(['a', 'b', 'c'].map((text) => ({ said: { text } })));
    expect(before).toBe(0);
    expect(app.app.get(ChatGateway).entered).toEqual(['ann']);
  });
});
