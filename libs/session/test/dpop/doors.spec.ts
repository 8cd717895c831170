import { Controller, Get, UseGuards } from '@nestjs/common';
import { MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import {
  CurrentUser,
  MemorySessionStore,
  RequireDpop,
  SessionGuard,
  SessionService,
  TokenService,
  type SessionUser,
} from '../../src/index.js';
import { JwtAuthGuard, JwtStrategy } from '../../src/passport/index.js';
import { closeApps, PLATFORMS, startApp } from '../support/app.js';
import { jwt, startSockets, type SocketApp } from '../websockets/support/app.js';
import { closeSockets, KINDS, type Handshake, type Kind, type TestSocket } from '../websockets/support/sockets.js';
import { codeOf, DpopClient } from './support/dpop-client.js';
import { DpopController } from './support/dpop.controller.js';

@Controller('tokens')
class TokenController {
  @UseGuards(JwtAuthGuard)
  @Get('guarded')
  guarded(@CurrentUser() user: unknown): unknown {
    return { user };
  }

  @RequireDpop()
  @UseGuards(JwtAuthGuard)
  @Get('bound')
  bound(): unknown {
    return { ok: true };
  }
}

/** Goes the way of passport, as it is no class of the library. */
class OwnGuard extends JwtAuthGuard {}

@Controller('passport')
class PassportController {
  @UseGuards(OwnGuard)
  @Get('guarded')
  guarded(@CurrentUser() user: unknown): unknown {
    return { user };
  }
}

afterEach(async () => {
  closeSockets();
  await closeApps();
});

describe.each(PLATFORMS)('DPoP and JwtAuthGuard on %s', (platform) => {
  it.each(['/tokens/guarded', '/passport/guarded'])('%s wants a proof, which counts once', async (path) => {
    const app = await startApp({
      platform,
      controllers: [DpopController, TokenController, PassportController],
      providers: [JwtStrategy],
      session: { store: new MemorySessionStore(), jwt: { ...jwt, dpop: 'optional' } },
    });
    const client = new DpopClient(app.url);
    await client.login();
    const proof = client.proof('GET', app.url + path, client.tokens?.accessToken ?? null);
    expect((await client.call(path, { proof })).body).toEqual({ user: expect.objectContaining({ id: 'ada' }) });
    expect(codeOf(await client.call(path, { proof }))).toBe('invalid_dpop_proof');
    expect(codeOf(await client.call(path, { proof: null }))).toBe('invalid_dpop_proof');
    expect(codeOf(await client.call(path, { scheme: 'Bearer' }))).toBe('invalid_token');
    expect(codeOf(await client.call(path, { payload: { htu: `${app.url}/other` } }))).toBe('invalid_dpop_proof');
    const plain = new DpopClient(app.url);
    await plain.login('bob', { proof: null });
    expect((await plain.call(path, { scheme: 'Bearer', proof: null })).status).toBe(200);
    expect((await client.call('/tokens/bound')).status).toBe(200);
    expect(codeOf(await plain.call('/tokens/bound', { scheme: 'Bearer', proof: null }))).toBe('dpop_required');
  });
});

@UseGuards(SessionGuard)
@WebSocketGateway()
class EchoGateway {
  @SubscribeMessage('me')
  me(@CurrentUser() user: SessionUser, @MessageBody() _body: unknown): object {
    return { id: user.id };
  }
}

@RequireDpop()
@UseGuards(SessionGuard)
@WebSocketGateway()
class BoundGateway {
  @SubscribeMessage('me')
  me(@CurrentUser() user: SessionUser): object {
    return { id: user.id };
  }
}

describe.each(KINDS)('DPoP and sockets of %s', (kind: Kind) => {
  interface Scene {
    app: SocketApp;
    client: DpopClient;
    /** Opens a socket with headers; `proof` for another one than a new one. */
    open(proof?: string | null, scheme?: string): TestSocket;
    handshake(proof?: string | null, scheme?: string): Handshake;
  }

  const start = async (gateway: new (...args: never[]) => object = EchoGateway): Promise<Scene> => {
    const session = { store: new MemorySessionStore(), jwt: { ...jwt, dpop: 'optional' as const } };
    const app = await startSockets(kind, 'express', session, [gateway]);
    const client = new DpopClient(app.url);
    await client.login();
    const path = kind === 'ws' ? '/' : '/socket.io/';
    const handshake = (proof?: string | null, scheme = 'DPoP'): Handshake => {
      const token = client.tokens?.accessToken ?? '';
      const dpop = proof === undefined ? client.proof('GET', app.url + path, token) : proof;
      return { headers: { authorization: `${scheme} ${token}`, ...(dpop !== null && { dpop }) } };
    };
    return { app, client, handshake, open: (proof, scheme) => app.open(null, handshake(proof, scheme)) };
  };

  it('wants a proof of the handshake, which counts once, and for every message', async () => {
    const { app, client, open } = await start();
    const path = kind === 'ws' ? '/' : '/socket.io/';
    const proof = client.proof('GET', app.url + path, client.tokens?.accessToken ?? null);
    const socket = open(proof);
    await socket.opened;
    for (let message = 0; message < 3; message += 1) expect(await socket.ask('me', 'x')).toMatchObject({ id: 'ada' });
    const answers = await Promise.all([1, 2, 3].map((text) => socket.ask('me', String(text))));
    expect(answers).toHaveLength(3);
    await expect(open(proof).opened).rejects.toMatchObject({ code: 'invalid_dpop_proof' });
    await expect(open(null).opened).rejects.toMatchObject({ code: 'invalid_dpop_proof' });
    await expect(open(undefined, 'Bearer').opened).rejects.toMatchObject({ code: 'invalid_token' });
    const elsewhere = client.proof('GET', `${app.url}/me`, client.tokens?.accessToken ?? null);
    await expect(open(elsewhere).opened).rejects.toMatchObject({ code: 'invalid_dpop_proof' });
  });

  it('a revoked token counts in no further message', async () => {
    const { app, client, open } = await start();
    const socket = open();
    await socket.opened;
    await app.app.get(TokenService).revoke(client.tokens?.accessToken ?? '');
    expect((await socket.closed).code).toBeGreaterThan(0);
  });

  it('ends with its session', async () => {
    const { app, open } = await start();
    const socket = open();
    await socket.opened;
    await app.app.get(SessionService).endAll('ada');
    expect((await socket.closed).code).toBe(4401);
  });

  it('a ticket was issued to a request with a proof, and opens a gateway with @RequireDpop()', async () => {
    const { app, client } = await start(BoundGateway);
    const issued = await client.call('/socket-ticket', { method: 'POST' });
    const { ticket } = issued.body as { ticket: string };
    const socket = app.open(null, { ticket });
    await socket.opened;
    expect(await socket.ask('me')).toMatchObject({ id: 'ada' });
    const plain = new DpopClient(app.url);
    await plain.login('bob', { proof: null });
    const other = await plain.call('/socket-ticket', { method: 'POST', scheme: 'Bearer', proof: null });
    await expect(app.open(null, { ticket: (other.body as { ticket: string }).ticket }).opened).rejects.toMatchObject({
      code: 'dpop_required',
    });
  });
});
