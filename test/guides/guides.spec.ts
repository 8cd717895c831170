import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, request as httpRequest, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  Controller,
  type DynamicModule,
  Get,
  type INestApplication,
  Module,
  type ModuleMetadata,
  Post,
  type Type,
  UseGuards,
} from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
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

const blockOf = (page: string, info: string, index = 0): string => {
  const code = codeBlocks(readDocument(`docs/${page}.md`)).filter((block) => block.info === info)[index]?.code;
  if (code === undefined) throw new Error(`docs/${page}.md has no block ${index} of ${info}`);
  return code;
};

/** What a code block of a guide exports, by default the first. Its Redis is the tests' own. */
async function exportsOf<T>(page: string, index = 0): Promise<T> {
  const { file, remove } = moduleOf(blockOf(page, 'ts', index).replaceAll('redis://localhost:6379', redisUrl()));
  closing.push(remove);
  return (await import(file)) as T;
}

interface Served {
  url: string;
  app: INestApplication;
  sessions: SessionService;
}

async function serve(...imports: (Type | DynamicModule)[]): Promise<Served> {
  return serveModule({ imports });
}

/** An application whose routes all need a session, as the guides assume. */
async function serveGuarded(imports: DynamicModule[], controllers: Type[], providers: Type[] = []): Promise<Served> {
  return serveModule({
    imports,
    controllers,
    providers: [...providers, { provide: APP_GUARD, useExisting: SessionGuard }],
  });
}

async function serveModule(metadata: ModuleMetadata): Promise<Served> {
  const app = (await Test.createTestingModule(metadata).compile()).createNestApplication();
  await app.listen(0, '127.0.0.1');
  closing.push(() => app.close());
  return { url: await app.getUrl(), app, sessions: app.get(SessionService) };
}

/** A browser's cookies of one answer, to send back. */
const cookiesOf = (response: Response): string =>
  response.headers
    .getSetCookie()
    .map((line) => line.split(';')[0])
    .join('; ');

const post = (url: string, { body = {}, ...headers }: { body?: object; cookie?: string } = {}) =>
  fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });

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

it('from connect-redis: after the change of the diff, the cookie of before is signed in, and its key is gone', async () => {
  const prefix = randomPrefix();
  const lines = blockOf('migrating-from-connect-redis', 'diff').split('\n');
  /** The program before (`-`) or after (`+`) the change. */
  const program = (sign: '-' | '+'): string => `
    import express from 'express';
    import session from 'express-session';
    import { Redis } from 'ioredis';
    const client = new Redis('${redisUrl()}');
    const [secret, name, app] = ['the secret of the shop, kept', 'shop.sid', express()];
    ${lines
      .filter((line) => line.startsWith(sign) || line.startsWith(' '))
      .map((line) => line.slice(1))
      .join('\n')
      .replaceAll("'shop:'", `'${prefix}'`)}
    app.post('/login', (request, response) => {
      request.session.userId = 'u-1';
      response.end();
    });
    app.get('/me', (request, response) => response.json({ user: request.session.userId ?? null }));
    app.listen(Number(process.env.PORT), '127.0.0.1');`;
  const client = new Redis(redisUrl());
  closing.push(() => client.quit());
  const user = async (url: string): Promise<unknown> =>
    ((await (await fetch(`${url}/me`, { headers: { cookie } })).json()) as { user: unknown }).user;
  let cookie = '';
  await withExample(program('-'), async (url) => {
    cookie = cookiesOf(await post(`${url}/login`));
    expect(await user(url)).toBe('u-1');
    expect(await client.keys(`${prefix}*`)).toHaveLength(1);
  });
  await withExample(program('+'), async (url) => {
    expect(await user(url)).toBe('u-1');
    expect(await client.keys(`${prefix}*`)).toEqual([]);
    expect(await user(url)).toBe('u-1');
  });
}, 120_000);

it('devices: a sign-in on a device replaces the one before, the list shows one row a device, ending one leaves the others', async () => {
  const { DevicesController } = await exportsOf<{ DevicesController: Type }>('devices');
  const module = SessionModule.forRoot({ cookie: { name: 'session', secure: false } });
  const { url } = await serveGuarded([module], [DevicesController]);
  const signIn = async (deviceId: string): Promise<string> => {
    const response = await post(`${url}/login`, { body: { deviceId } });
    expect(response.status).toBe(201);
    return cookiesOf(response);
  };
  const list = async (cookie: string): Promise<string[]> => {
    const devices = (await (await fetch(`${url}/devices`, { headers: { cookie } })).json()) as { deviceId: string }[];
    return devices.map(({ deviceId }) => deviceId).sort();
  };
  const former = await signIn('phone');
  const [phone, laptop] = [await signIn('phone'), await signIn('laptop')];
  expect((await fetch(`${url}/devices`, { headers: { cookie: former } })).status).toBe(401);
  expect(await list(laptop)).toEqual(['laptop', 'phone']);
  const end = (id: string) => fetch(`${url}/devices/${id}`, { method: 'DELETE', headers: { cookie: laptop } });
  expect((await end('phone')).status).toBe(200);
  expect((await end('phone')).status).toBe(404);
  expect((await fetch(`${url}/devices`, { headers: { cookie: phone } })).status).toBe(401);
  expect(await list(laptop)).toEqual(['laptop']);
});

it('tokens: sign-in gives no cookie, a refresh gives new tokens, and a session that ended refreshes nothing', async () => {
  process.env['SESSION_SECRET'] = 'the secret of the guide on tokens 11';
  const { withTokens } = await exportsOf<{ withTokens: DynamicModule }>('tokens');
  const { MobileController } = await exportsOf<{ MobileController: Type }>('tokens', 1);
  const { url, sessions } = await serveGuarded([withTokens], [MobileController]);
  interface Tokens {
    accessToken: string;
    refreshToken: string;
  }
  const login = await post(`${url}/auth/login`);
  expect([login.status, login.headers.getSetCookie()]).toEqual([201, []]);
  const first = (await login.json()) as Tokens;
  const refreshed = await post(`${url}/auth/refresh`, { body: { refreshToken: first.refreshToken } });
  const second = (await refreshed.json()) as Tokens;
  expect(refreshed.status).toBe(201);
  expect(second.refreshToken).not.toBe(first.refreshToken);
  await sessions.endAll('u-1', { reason: 'revoked' });
  const ended = await post(`${url}/auth/refresh`, { body: { refreshToken: second.refreshToken } });
  expect([ended.status, await codeIn(ended)]).toEqual([401, 'session_revoked']);
  expect((await post(`${url}/auth/refresh`)).status).toBe(401);
});

it('tenants: the host decides, a cookie opens its own tenant alone, and a tenant is counted and ended as a whole', async () => {
  process.env['SESSION_SECRET'] = 'the secret of the guide on tenants 1';
  const { sessions: module } = await exportsOf<{ sessions: DynamicModule }>('tenants');
  interface Chores {
    close(tenant: string): Promise<{ open: number; ended: number }>;
  }
  const { Chores } = await exportsOf<{ Chores: Type<Chores> }>('tenants', 1);

  @Controller()
  class TenantController {
    @Public()
    @Post('login')
    async login(@ReqSession() session: RequestSession): Promise<void> {
      await session.start({ userId: 'guide-u-1' });
    }

    @Get('me')
    me(): object {
      return { ok: true };
    }
  }
  const { url, app } = await serveGuarded([module], [TenantController], [Chores]);
  const chores = app.get<Chores>(Chores);
  closing.push(() => chores.close('acme'));
  // fetch sets the host itself.
  const ask = (method: string, path: string, host: string, cookie = ''): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const headers = { host, cookie, 'x-forwarded-proto': 'https' };
      httpRequest(`${url}${path}`, { method, headers }, (response) => resolve(response.resume()))
        .once('error', reject)
        .end();
    });
  const login = await ask('POST', '/login', 'acme.example.com');
  expect(login.statusCode).toBe(201);
  const cookie = login.headers['set-cookie']?.[0]?.split(';')[0] ?? '';
  expect((await ask('GET', '/me', 'acme.example.com', cookie)).statusCode).toBe(200);
  expect((await ask('GET', '/me', 'globex.example.com', cookie)).statusCode).toBe(401);
  expect((await ask('GET', '/me', 'unknown.example.com', cookie)).statusCode).toBe(404);
  expect(await chores.close('globex')).toEqual({ open: 0, ended: 0 });
  expect((await ask('GET', '/me', 'acme.example.com', cookie)).statusCode).toBe(200);
  expect(await chores.close('acme')).toEqual({ open: 1, ended: 1 });
  expect((await ask('GET', '/me', 'acme.example.com', cookie)).statusCode).toBe(401);
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
