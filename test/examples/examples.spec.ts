import type { INestApplication } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { Redis } from 'ioredis';
import { spawn, type ChildProcess } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { startRedis, type RedisServer } from '../support/redis-server.js';
import { appModule } from '../../examples/nest-express-session/app.module.js';

const examples = join(process.cwd(), 'examples');

/** A client with a cookie jar. */
class Browser {
  private readonly jar = new Map<string, string>();

  constructor(private readonly url: string) {}

  async ask(
    method: string,
    path: string,
    body?: object,
    headers: Record<string, string> = {},
  ): Promise<{ status: number; body: unknown }> {
    const cookie = [...this.jar].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(this.url + path, {
      method,
      headers: { ...(cookie && { cookie }), ...(body && { 'content-type': 'application/json' }), ...headers },
      ...(body && { body: JSON.stringify(body) }),
    });
    for (const line of response.headers.getSetCookie()) {
      const [pair = ''] = line.split(';');
      const at = pair.indexOf('=');
      if (/max-age=0/i.test(line)) this.jar.delete(pair.slice(0, at));
      else this.jar.set(pair.slice(0, at), pair.slice(at + 1));
    }
    const text = await response.text();
    return { status: response.status, body: /^[[{]/.test(text) ? (JSON.parse(text) as unknown) : text };
  }
}

const running: ChildProcess[] = [];
let redis: RedisServer;

beforeAll(async () => {
  redis = await startRedis();
});

afterAll(async () => redis.stop());

afterEach(async () => {
  await Promise.all(
    running.splice(0).map(async (child) => {
      if (child.exitCode !== null) return;
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await ended;
    }),
  );
});

/** Starts an example as a user would; resolves with its address. */
async function start(name: string, backend: string): Promise<string> {
  const child = spawn(process.execPath, [join(examples, name)], {
    env: {
      ...process.env,
      NODE_ENV: 'development',
      PORT: '0',
      ...(backend === 'redis' ? { REDIS_URL: redis.url } : { REDIS_URL: '' }),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.push(child);
  return new Promise((resolve, reject) => {
    let output = '';
    const read = (chunk: Buffer): void => {
      output += chunk.toString();
      const url = /listening (\S+)/.exec(output)?.[1];
      if (url !== undefined) resolve(url);
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.once('exit', (code) => reject(new Error(`${name} ended with ${code}:\n${output}`)));
  });
}

const right = { name: 'ann', username: 'ann', password: 'ann-password' };

describe.each(['memory', 'redis'])('the examples, on %s', (backend) => {
  it.each(['express-session.mjs', 'passport.mjs', 'fastify-session.mjs', 'plain-express.mjs'])(
    '%s: signs in, recognises, signs out here and everywhere',
    async (name) => {
      const url = await start(name, backend);
      const [phone, laptop, stranger] = [new Browser(url), new Browser(url), new Browser(url)];
      expect((await phone.ask('GET', '/me')).status).toBe(401);
      expect((await stranger.ask('POST', '/login', { ...right, password: 'wrong' })).status).toBe(401);
      for (const browser of [phone, laptop]) {
        expect((await browser.ask('POST', '/login', right)).status).toBeLessThan(300);
        expect((await browser.ask('GET', '/me')).status).toBe(200);
      }
      expect((await phone.ask('POST', '/logout')).status).toBe(204);
      expect((await phone.ask('GET', '/me')).status).toBe(401);
      await phone.ask('POST', '/login', right);
      expect(await laptop.ask('POST', '/logout-everywhere')).toEqual({ status: 200, body: { ended: 2 } });
      for (const browser of [phone, laptop]) expect((await browser.ask('GET', '/me')).status).toBe(401);
    },
    30_000,
  );

  it('express-session.mjs lists where a user is signed in', async () => {
    const browser = new Browser(await start('express-session.mjs', backend));
    await browser.ask('POST', '/login', right, { 'user-agent': 'Firefox' });
    expect((await browser.ask('GET', '/sessions')).body).toEqual([
      { id: expect.stringMatching(/^[\w-]{32}$/), createdAt: expect.any(Number), userAgent: 'Firefox' },
    ]);
    await browser.ask('POST', '/logout-everywhere');
  }, 30_000);

  it('plain-express.mjs serves browsers and bearers of tokens', async () => {
    const url = await start('plain-express.mjs', backend);
    const [browser, client] = [new Browser(url), new Browser(url)];
    expect((await browser.ask('GET', '/')).body).toBe('Hello stranger');
    const { body } = await browser.ask('POST', '/login', right);
    expect((await browser.ask('GET', '/')).body).toBe('Hello ann');
    expect((await browser.ask('GET', '/admin')).status).toBe(403);
    const authorization = `Bearer ${(body as { accessToken: string }).accessToken}`;
    expect((await client.ask('GET', '/api/me', undefined, { authorization })).body).toEqual({ name: 'ann' });
    await browser.ask('POST', '/logout-everywhere');
    expect((await client.ask('GET', '/api/me', undefined, { authorization })).status).toBe(401);
  }, 30_000);

  describe('nest-express-session', () => {
    let app: INestApplication;

    beforeEach(async () => {
      if (backend === 'redis') process.env['REDIS_URL'] = redis.url;
      const module = await Test.createTestingModule({ imports: [appModule()] }).compile();
      app = module.createNestApplication({ logger: false });
      await app.listen(0, '127.0.0.1');
    });

    afterEach(async () => {
      delete process.env['REDIS_URL'];
      await app.close();
    });

    it('keeps the cart over the sign-in and ends all sessions of the user', async () => {
      const url = await app.getUrl();
      const [phone, laptop] = [new Browser(url), new Browser(url)];
      expect((await phone.ask('POST', '/cart', { item: 'book' })).body).toEqual(['book']);
      expect((await phone.ask('POST', '/login', { ...right, password: 'wrong' })).status).toBe(401);
      for (const browser of [phone, laptop]) expect((await browser.ask('POST', '/login', right)).status).toBe(204);
      expect((await phone.ask('GET', '/me')).body).toEqual({ name: 'ann', cart: ['book'] });
      expect((await laptop.ask('POST', '/logout-everywhere')).body).toEqual({ ended: 2 });
      expect((await phone.ask('GET', '/me')).status).toBe(401);
    });
  });
});

it('every example is run here', () => {
  const names = readdirSync(examples).filter((name) => !['README.md', 'support.mjs'].includes(name));
  expect(names.sort()).toEqual([
    'express-session.mjs',
    'fastify-session.mjs',
    'nest-express-session',
    'passport.mjs',
    'plain-express.mjs',
    'recipes',
  ]);
});

it('leaves nothing of the examples in Redis but what ends by itself', async () => {
  const client = new Redis(redis.url);
  for (const key of await client.keys('*')) {
    if (!key.endsWith(':expiries')) expect(await client.pttl(key)).toBeGreaterThan(0);
  }
  client.disconnect();
});
