import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Controller, Get, Module, Post, type Type, UseGuards } from '@nestjs/common';
import { JwtService } from '@nestjs/jwt';
import { Test } from '@nestjs/testing';
import { Redis } from 'ioredis';
import { Public, ReqSession, SessionGuard, SessionModule, SessionService, type RequestSession } from 'nestjs-sessions';
import { SessionFastifyStore } from 'nestjs-sessions/fastify';
import { moduleOf, withExample } from '../docs/support/example.js';
import { codeBlocks, readDocument } from '../docs/support/markdown.js';
import { randomPrefix, redisUrl } from '../e2e/support/sample.js';

const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const blockOf = (page: string, info: string): string => {
  const code = codeBlocks(readDocument(`docs/${page}.md`)).find((block) => block.info === info)?.code;
  if (code === undefined) throw new Error(`docs/${page}.md has no block of ${info}`);
  return code;
};

/** What the first code block of a guide exports. */
async function exportsOf<T>(page: string): Promise<T> {
  const { file, remove } = moduleOf(blockOf(page, 'ts'));
  closing.push(remove);
  return (await import(file)) as T;
}

async function serve(module: Type): Promise<{ url: string; sessions: SessionService; close: () => Promise<void> }> {
  const app = (await Test.createTestingModule({ imports: [module] }).compile()).createNestApplication();
  await app.listen(0, '127.0.0.1');
  closing.push(() => app.close());
  return { url: await app.getUrl(), sessions: app.get(SessionService), close: () => app.close() };
}

const codeIn = async (response: Response): Promise<unknown> => ((await response.json()) as { code?: string }).code;

it('getting started: the application and its commands do what the page says', async () => {
  await withExample(blockOf('getting-started', 'ts'), async (url) => {
    const jars = mkdtempSync(join(tmpdir(), 'guide-jars-'));
    closing.push(() => rmSync(jars, { recursive: true }));
    const script = blockOf('getting-started', 'sh walkthrough').replaceAll('http://localhost:3000', url);
    const { stdout } = await promisify(execFile)('bash', ['-ec', script], { cwd: jars });
    expect(stdout).toMatch(/^\{"welcome":"ada"\}\{"welcome":"ada"\}\[/);
    expect(stdout.match(/"current":true/g)).toHaveLength(1);
    expect(stdout.match(/"current":false/g)).toHaveLength(1);
    expect(stdout).toContain('"code":"session_revoked"');
    expect(stdout).toMatch(/\{"id":"u-1","email":"ada@example\.com","roles":\["user"\]\}$/);
  });
}, 90_000);

it('from passport-jwt alone: an old token is worth a session, and then a session ends it', async () => {
  process.env['OLD_JWT_SECRET'] = 'the secret that the application signed with before';
  const { AppModule } = await exportsOf<{ AppModule: Type }>('migrating-from-passport-jwt');
  const { url, sessions } = await serve(AppModule);
  const signer = new JwtService({ secret: process.env['OLD_JWT_SECRET'] });
  const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });
  const exchange = (token: string) => fetch(`${url}/auth/exchange`, { method: 'POST', ...bearer(token) });

  const old = signer.sign({ sub: 'u-1', email: 'ada@example.com' }, { expiresIn: '1h' });
  expect(await codeIn(await fetch(`${url}/me`, bearer(old)))).toBe('invalid_token');
  const exchanged = await exchange(old);
  expect(exchanged.status).toBe(201);
  const { accessToken } = (await exchanged.json()) as { accessToken: string };
  const me = await fetch(`${url}/me`, bearer(accessToken));
  expect([me.status, await me.json()]).toEqual([200, { id: 'u-1', email: 'ada@example.com', roles: [] }]);
  await sessions.endAll('u-1', { reason: 'revoked' });
  expect(await codeIn(await fetch(`${url}/me`, bearer(accessToken)))).toBe('session_revoked');

  const forged = new JwtService({ secret: 'another' }).sign({ sub: 'u-1' });
  expect((await exchange(forged)).status).toBe(401);
  expect((await exchange(signer.sign({ sub: 'u-1' }, { expiresIn: -1 }))).status).toBe(401);
  // A token of the new kind is none of the old.
  expect((await exchange(accessToken)).status).toBe(401);
});

it('from @fastify/session: sessions that connect-redis wrote are taken over', async () => {
  const client = new Redis(redisUrl());
  const [prefix, keyPrefix] = [randomPrefix(), randomPrefix()];
  const store = new SessionFastifyStore({ client, prefix, redis: { keyPrefix } });
  closing.push(async () => {
    await store.close();
    await client.quit();
  });
  const former = { cookie: { maxAge: 60_000, expires: new Date(Date.now() + 60_000) }, userId: 'u-1', cart: [1] };
  await client.set(`${prefix}former-id`, JSON.stringify(former), 'EX', 60);
  type Stored = Parameters<typeof store.set>[1];
  const read = (): Promise<Stored | null | undefined> =>
    new Promise((resolve, reject) => {
      store.get('former-id', (error: unknown, session) =>
        error ? reject(error as Error) : resolve(session as Stored),
      );
    });
  const found = await read();
  expect(found).toMatchObject({ userId: 'u-1', cart: [1] });
  // What @fastify/session does after each request of the browser.
  await promisify(store.set.bind(store) as (id: string, session: Stored, done: (error?: unknown) => void) => void)(
    'former-id',
    found as Stored,
  );
  expect(await client.exists(`${prefix}former-id`)).toBe(0);
  expect(await store.sessions.getActiveSessions('u-1')).toHaveLength(1);
  expect(await store.sessions.destroyAll('u-1')).toBe(1);
  expect(await read()).toBeFalsy();
});

describe('server-side rendering', () => {
  @UseGuards(SessionGuard)
  @Controller()
  class ApiController {
    @Public()
    @Post('login')
    async login(@ReqSession() session: RequestSession): Promise<void> {
      await session.start({ userId: 'u-1' });
    }

    @Get('me')
    me(): object {
      return { ok: true };
    }
  }

  @Module({
    imports: [SessionModule.forRoot({ cookie: { name: 'session', secure: false } })],
    controllers: [ApiController],
  })
  class ApiModule {}

  const CHROME =
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36';

  it('passes the browser on to the API, and its cookies back', async () => {
    type ApiAs = (request: unknown, response: unknown, url: string, init?: RequestInit) => Promise<Response>;
    const { apiAs } = await exportsOf<{ apiAs: ApiAs }>('server-side-rendering');
    const { url, sessions } = await serve(ApiModule);
    const renderer: Server = createServer((request, response) => {
      const method = request.url === '/login' ? 'POST' : 'GET';
      void apiAs(request, response, `${url}${request.url}`, { method }).then((answer) => {
        response.statusCode = answer.status;
        response.end();
      });
    });
    await new Promise<void>((resolve) => renderer.listen(0, '127.0.0.1', resolve));
    closing.push(() => new Promise((resolve) => renderer.close(resolve)));
    const page = `http://127.0.0.1:${(renderer.address() as AddressInfo).port}`;

    const login = await fetch(`${page}/login`, { headers: { 'user-agent': CHROME } });
    const cookie = login.headers.getSetCookie()[0]?.split(';')[0] ?? '';
    expect([login.status, cookie]).toEqual([201, expect.stringMatching(/^session=/)]);
    const [session] = await sessions.list('u-1');
    expect(session?.deviceName).toBe('Chrome on Windows');
    // The same browser, straight to the API and by way of the renderer.
    for (const place of [page, url])
      expect((await fetch(`${place}/me`, { headers: { cookie, 'user-agent': CHROME } })).status).toBe(200);
    // A renderer that kept the browser's user agent to itself would look like a thief.
    expect((await fetch(`${url}/me`, { headers: { cookie, 'user-agent': 'node' } })).status).toBe(401);
    expect((await fetch(`${page}/me`)).status).toBe(401);
  });
});
