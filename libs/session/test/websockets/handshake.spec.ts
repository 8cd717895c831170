import { UseGuards } from '@nestjs/common';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import {
  AllowPending,
  CurrentUser,
  Public,
  Roles,
  SessionGuard,
  SessionService,
  Transport,
  type SessionUser,
} from '../../src/index.js';
import { closeApps, PLATFORMS } from '../support/app.js';
import { ChatGateway, startSockets } from './support/app.js';
import { closeSockets, KINDS } from './support/sockets.js';

afterEach(async () => {
  closeSockets();
  await closeApps();
});

const matrix = KINDS.flatMap((kind) => PLATFORMS.map((platform) => [kind, platform] as const));

describe.each(matrix)('the handshake of %s on %s', (kind, platform) => {
  it('lets in by cookie and by bearer token, and nobody else', async () => {
    const app = await startSockets(kind, platform);
    const browser = app.browser();
    await browser.post('/login', { userId: 'ann', roles: ['admin'] });
    const byCookie = app.open(browser);
    await byCookie.opened;
    expect(await byCookie.ask('me')).toEqual({ id: 'ann', roles: ['admin'] });
    expect(app.app.get(ChatGateway).entered).toEqual(['ann']);

    const { body } = await app.browser().post('/login', { userId: 'bob', transport: 'bearer' });
    const authorization = `Bearer ${body.tokens.accessToken}`;
    await app.open(null, { headers: { authorization } }).opened;
    expect(app.app.get(ChatGateway).entered).toEqual(['ann', 'bob']);

    await expect(app.open(null).opened).rejects.toMatchObject({ code: 'session_required', statusCode: 401 });
    await expect(app.open(null, { headers: { cookie: '__Host-session=garbage' } }).opened).rejects.toMatchObject({
      code: 'invalid_token',
    });
    await expect(app.open(null, { headers: { authorization: 'Bearer a b' } }).opened).rejects.toMatchObject({
      code: 'invalid_request',
      statusCode: 400,
    });
    expect(app.app.get(ChatGateway).entered).toHaveLength(2);
  });

  it('ASVS 3.5.1: refuses a cookie that another site has the browser send', async () => {
    const app = await startSockets(kind, platform);
    const browser = app.browser();
    await browser.post('/login', { userId: 'ann' });
    const evil = app.open(browser, { headers: { origin: 'https://evil.example' } });
    await expect(evil.opened).rejects.toMatchObject({ code: 'csrf_rejected', statusCode: 403 });
    await app.open(browser, { headers: { origin: app.url } }).opened;
  });

  it('checks the client and the state of the session', async () => {
    const app = await startSockets(kind, platform);
    const browser = app.browser();
    await browser.post('/login', { userId: 'ann' });
    const other = app.open(browser, {
      headers: { 'user-agent': 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Safari/604.1' },
    });
    await expect(other.opened).rejects.toMatchObject({ code: 'invalid_token' });
    const waiting = app.browser();
    await waiting.post('/login', { userId: 'ann', pending: true });
    await expect(app.open(waiting).opened).rejects.toMatchObject({ code: 'pending_authentication' });
  });

  it('a ticket opens one socket, on which everything is as for the request that asked for it', async () => {
    const app = await startSockets(kind, platform);
    const { body } = await app.browser().post('/login', { userId: 'bob', roles: ['admin'], transport: 'bearer' });
    const authorization = `Bearer ${body.tokens.accessToken}`;
    const reply = await app.browser().post('/socket-ticket', {}, { authorization });
    expect(reply.body).toEqual({ ticket: expect.any(String) as string, expiresIn: 30 });
    const { ticket } = reply.body as { ticket: string };
    const socket = app.open(null, { ticket });
    await socket.opened;
    expect(await socket.ask('me')).toEqual({ id: 'bob', roles: ['admin'] });
    expect(await socket.ask('admin')).toEqual({ ok: 'admin' });
    await expect(app.open(null, { ticket }).opened).rejects.toMatchObject({ code: 'invalid_token' });
    for (const forged of ['', 'x', `${ticket}0`, ticket.replace(/\.b\./, '.c.')]) {
      await expect(app.open(null, { ticket: forged }).opened).rejects.toMatchObject({ code: 'invalid_token' });
    }
    expect((await app.browser().post('/socket-ticket')).status).toBe(401);
    // An access token itself opens no socket from a URL.
    const path = `/?access_token=${body.tokens.accessToken}&token=${body.tokens.accessToken}`;
    await expect(app.open(null, { path: kind === 'ws' ? path : '/' }).opened).rejects.toMatchObject({
      code: 'session_required',
    });
  });

  it('a ticket of a session that ended meanwhile, or that is too old, opens nothing', async () => {
    const app = await startSockets(kind, platform);
    const browser = app.browser();
    await browser.post('/login', { userId: 'ann' });
    const first = (await browser.post('/socket-ticket')).body as { ticket: string };
    app.store.advance(31_000);
    await expect(app.open(null, first).opened).rejects.toMatchObject({ code: 'invalid_token' });
    const second = (await browser.post('/socket-ticket')).body as { ticket: string };
    await app.app.get(SessionService).endAll('ann', { reason: 'revoked' });
    await expect(app.open(null, second).opened).rejects.toMatchObject({ code: 'session_revoked' });
  });

  it('answers 503 and lets nobody in while the store does not answer', async () => {
    const app = await startSockets(kind, platform);
    const browser = app.browser();
    await browser.post('/login', { userId: 'ann' });
    app.store.down = true;
    await expect(app.open(browser).opened).rejects.toMatchObject({ code: 'store_unavailable', statusCode: 503 });
    app.store.down = false;
    await app.open(browser).opened;
  });
});

describe.each(KINDS)('the rules of a gateway at the handshake of %s', (kind) => {
  @Public()
  @WebSocketGateway()
  class OpenGateway {
    @SubscribeMessage('who')
    who(@CurrentUser() user: SessionUser | null): object {
      return { id: user?.id ?? 'nobody' };
    }
  }

  it('@Public() lets in everybody, and knows who is signed in', async () => {
    const app = await startSockets(kind, 'express', {}, [OpenGateway]);
    const browser = app.browser();
    await browser.post('/login', { userId: 'ann' });
    for (const [who, id] of [
      [null, 'nobody'],
      [browser, 'ann'],
    ] as const) {
      const socket = app.open(who);
      await socket.opened;
      expect(await socket.ask('who')).toEqual({ id });
    }
  });

  it('@Roles(), @Transport() and @AllowPending() of the class count', async () => {
    @Roles('admin')
    @Transport('cookie')
    @UseGuards(SessionGuard)
    @WebSocketGateway()
    class AdminGateway {}
    const app = await startSockets(kind, 'express', {}, [AdminGateway]);
    const [user, admin] = [app.browser(), app.browser()];
    await user.post('/login', { userId: 'ann' });
    await admin.post('/login', { userId: 'eve', roles: ['admin'] });
    await expect(app.open(user).opened).rejects.toMatchObject({ code: 'insufficient_scope', statusCode: 403 });
    await app.open(admin).opened;
    const { body } = await app.browser().post('/login', { userId: 'eve', roles: ['admin'], transport: 'bearer' });
    const headers = { authorization: `Bearer ${body.tokens.accessToken}` };
    await expect(app.open(null, { headers }).opened).rejects.toMatchObject({ code: 'session_required' });
  });

  it('where several gateways share a server, one that would let the client in is enough', async () => {
    @Roles('admin')
    @WebSocketGateway()
    class AdminGateway {}
    @AllowPending()
    @WebSocketGateway()
    class SecondFactorGateway {}
    const app = await startSockets(kind, 'express', {}, [AdminGateway, SecondFactorGateway]);
    const browser = app.browser();
    await browser.post('/login', { userId: 'ann', pending: true });
    await app.open(browser).opened;
    await expect(app.open(null).opened).rejects.toMatchObject({ code: 'session_required' });
  });
});

describe('socket.io', () => {
  it('takes an access token from the body of the handshake', async () => {
    const app = await startSockets('socket.io', 'express');
    const { body } = await app.browser().post('/login', { userId: 'bob', transport: 'bearer' });
    await app.open(null, { token: body.tokens.accessToken as string }).opened;
    expect(app.app.get(ChatGateway).entered).toEqual(['bob']);
    await expect(app.open(null, { token: 'x.y.z' }).opened).rejects.toMatchObject({ code: 'invalid_token' });
  });

  it('checks the origin also where the connection begins as plain requests', async () => {
    const app = await startSockets('socket.io', 'express');
    const browser = app.browser();
    await browser.post('/login', { userId: 'ann' });
    const evil = app.open(browser, { transports: ['polling'], headers: { origin: 'https://evil.example' } });
    await expect(evil.opened).rejects.toMatchObject({ code: 'csrf_rejected' });
    await app.open(browser, { transports: ['polling'], headers: { origin: app.url } }).opened;
  });

  it('asks for a session in every namespace, also in the main one beside others', async () => {
    @WebSocketGateway({ namespace: 'admin' })
    @Roles('admin')
    class AdminGateway {}
    const app = await startSockets('socket.io', 'express', {}, [AdminGateway]);
    const [user, admin] = [app.browser(), app.browser()];
    await user.post('/login', { userId: 'ann' });
    await admin.post('/login', { userId: 'eve', roles: ['admin'] });
    await expect(app.open(null).opened).rejects.toMatchObject({ code: 'session_required' });
    await expect(app.open(user, { path: '/admin' }).opened).rejects.toMatchObject({ code: 'insufficient_scope' });
    await app.open(admin, { path: '/admin' }).opened;
  });
});
