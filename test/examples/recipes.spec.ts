import type { INestApplication } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpRequest, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { SessionEvents, SessionModule, SessionService, type SessionModuleOptions } from 'nestjs-sessions';
import { signInAs } from 'nestjs-sessions/testing';
import request from 'supertest';
import ts from 'typescript';
import { AppleModule, newState } from '../../examples/recipes/apple-form-post.js';
import { abilityFor, ArticlesModule } from '../../examples/recipes/casl.js';
import { ApiClient, MobileApiModule } from '../../examples/recipes/mobile-client.js';
import { allowPage, ApiModule, PAGE } from '../../examples/recipes/other-origin.js';
import { RolesModule } from '../../examples/recipes/role-changes.js';
import { TenantChores, TenantsModule } from '../../examples/recipes/tenants.js';
import { runOnce, SessionChores, workerModule } from '../../examples/recipes/worker.js';
import { compilerOptions } from '../docs/support/compiler.js';
import { closeAfterwards, closeRecipes, startRecipe } from './support/start-recipe.js';

afterEach(closeRecipes);

const server = (app: INestApplication) => app.getHttpServer() as Parameters<typeof request>[0];

describe('mobile-client', () => {
  it('refreshes when the access token has expired, once for all that wait', async () => {
    const { app, sessions } = await startRecipe(MobileApiModule);
    const client = new ApiClient(await app.getUrl());
    expect(await client.login('ann', 'wrong')).toBe(false);
    expect(await client.login('ann', 'ann-password')).toBe(true);
    expect(await (await client.get('/me')).json()).toEqual({ id: 'ann' });
    await sessions.advance('16m');
    const answers = await Promise.all([1, 2, 3, 4].map(async () => (await client.get('/me')).status));
    expect(answers).toEqual([200, 200, 200, 200]);
    await app.get(SessionService).endAll('ann');
    expect((await client.get('/me')).status).toBe(401);
  });
});

describe('other-origin', () => {
  it('lets the page in, and no other site', async () => {
    const { app } = await startRecipe(ApiModule, allowPage);
    const preflight = await request(server(app))
      .options('/note')
      .set({ origin: PAGE, 'access-control-request-method': 'POST' });
    expect(preflight.headers).toMatchObject({
      'access-control-allow-origin': PAGE,
      'access-control-allow-credentials': 'true',
    });
    await request(server(app))
      .post('/login')
      .set({ origin: PAGE, 'sec-fetch-site': 'same-site' })
      .send({ name: 'ann' })
      .expect(204);
    const { agent } = await signInAs(app, 'ann');
    await agent.post('/note').set({ origin: PAGE, 'sec-fetch-site': 'same-site' }).expect(204);
    const evil = { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' };
    expect((await agent.post('/note').set(evil)).body).toMatchObject({ code: 'csrf_rejected' });
    expect((await agent.get('/me').set(evil)).headers['access-control-allow-origin']).not.toBe(evil.origin);
  });
});

describe('worker', () => {
  it('ends the sessions of closed accounts, and hears what other processes do', async () => {
    const redis = process.env['TEST_REDIS_URL'];
    if (redis === undefined) throw new Error('TEST_REDIS_URL is not set');
    const options: SessionModuleOptions = {
      redis,
      secrets: randomBytes(32).toString('base64'),
      keyPrefix: `worker-${randomBytes(4).toString('hex')}:`,
      commandTimeout: '5s',
    };
    const web = await Test.createTestingModule({ imports: [SessionModule.forRoot(options)] }).compile();
    await web.init();
    closeAfterwards(() => web.close());
    const heard: string[] = [];
    web.get(SessionEvents).on('ended', ({ userId, remote }) => heard.push(`${userId} ${remote}`));
    const sessions = web.get(SessionService);
    for (const userId of ['ann', 'ann', 'bob']) await sessions.start({ userId });
    expect(await runOnce(options, ['ann'])).toEqual({ swept: 0, ended: 2 });
    expect([(await sessions.list('ann')).length, (await sessions.list('bob')).length]).toEqual([0, 1]);
    await waitFor(() => heard.length === 2);
    expect(heard).toEqual(['ann true', 'ann true']);

    const worker = await Test.createTestingModule({ imports: [workerModule(options)] }).compile();
    await worker.init();
    closeAfterwards(() => worker.close());
    await sessions.endAll('bob');
    await waitFor(() => worker.get(SessionChores).heard.length > 0);
    expect(worker.get(SessionChores).heard).toEqual(['bob logout elsewhere']);
  });
});

describe('role-changes', () => {
  it('count from the next request on', async () => {
    const { app } = await startRecipe(RolesModule);
    const [phone, laptop] = [await signInAs(app, 'bob'), await signInAs(app, 'bob')];
    const admin = await signInAs(app, { id: 'eve', roles: ['admin'] });
    await phone.agent.get('/drafts').expect(403);
    await phone.agent
      .put('/users/bob/roles')
      .send({ roles: ['admin'] })
      .expect(403);
    await admin.agent
      .put('/users/bob/roles')
      .send({ roles: ['editor'] })
      .expect(200, { sessions: 2 });
    await phone.agent.get('/drafts').expect(200);
    await laptop.agent.get('/me').expect(200, { id: 'bob', roles: ['editor'] });
    await admin.agent.put('/users/bob/roles').send({ roles: [] }).expect(200);
    await phone.agent.get('/drafts').expect(403);
  });
});

describe('throttling', () => {
  // @nestjs/throttler is CommonJS and requires Nest's ES modules: Node can do that, jest before Node 24.9 cannot.
  it('counts by user, over all of their sessions', async () => {
    const folder = mkdtempSync(join(process.cwd(), '.dist-recipe-'));
    closeAfterwards(async () => rmSync(folder, { recursive: true, force: true }));
    const source = readFileSync('examples/recipes/throttling.ts', 'utf8');
    const options = { ...compilerOptions(), module: ts.ModuleKind.ESNext };
    writeFileSync(join(folder, 'throttling.mjs'), ts.transpileModule(source, { compilerOptions: options }).outputText);
    writeFileSync(
      join(folder, 'main.mjs'),
      `import 'reflect-metadata';
       import { Test } from '@nestjs/testing';
       import { signInAs, useMemorySessions } from 'nestjs-sessions/testing';
       import { ThrottledModule } from './throttling.mjs';
       const builder = Test.createTestingModule({ imports: [ThrottledModule] });
       useMemorySessions(builder);
       const app = (await builder.compile()).createNestApplication({ logger: false });
       await app.init();
       const [phone, laptop, bob] = [await signInAs(app, 'ann'), await signInAs(app, 'ann'), await signInAs(app, 'bob')];
       const statuses = [];
       for (const { agent } of [phone, laptop, phone, laptop, bob]) statuses.push((await agent.get('/report')).status);
       console.log(JSON.stringify(statuses));
       await app.close();`,
    );
    const { stdout } = await promisify(execFile)(process.execPath, [join(folder, 'main.mjs')]);
    expect(JSON.parse(stdout)).toEqual([200, 200, 200, 429, 200]);
  }, 60_000);
});

describe('tenants', () => {
  it('keeps the users of each tenant apart, in one application', async () => {
    const names = new Map([
      ['acme.example', 'acme'],
      ['other.example', 'other'],
    ]);
    const module = TenantsModule.forHosts(names, { secrets: randomBytes(32).toString('base64') });
    const app = (await Test.createTestingModule({ imports: [module] }).compile()).createNestApplication({
      logger: false,
    });
    await app.listen(0, '127.0.0.1');
    closeAfterwards(() => app.close());
    const { port } = (app.getHttpServer() as Server).address() as AddressInfo;
    const ask = (
      method: string,
      path: string,
      name: string,
      cookie = '',
    ): Promise<{ status: number; cookie: string }> =>
      new Promise((resolve, reject) => {
        httpRequest(
          { port, method, path, headers: { host: name, ...(cookie && { cookie }) }, agent: false },
          (response) => {
            response.resume();
            const [line = ''] = response.headers['set-cookie'] ?? [];
            resolve({ status: response.statusCode ?? 0, cookie: line.split(';', 1)[0] ?? '' });
          },
        )
          .on('error', reject)
          .end();
      });
    const { status, cookie } = await ask('POST', '/login', 'acme.example');
    expect(status).toBe(204);
    expect((await ask('GET', '/me', 'acme.example', cookie)).status).toBe(200);
    expect((await ask('GET', '/me', 'other.example', cookie)).status).toBe(401);
    expect((await ask('GET', '/me', 'unknown.example', cookie)).status).toBe(404);
    const chores = app.get(TenantChores);
    expect([await chores.close('other'), await chores.close('acme')]).toEqual([0, 1]);
    expect((await ask('GET', '/me', 'acme.example', cookie)).status).toBe(401);
  });
});

describe('casl', () => {
  it('lets authors and administrators delete', async () => {
    const { app } = await startRecipe(ArticlesModule);
    const [ann, admin] = [await signInAs(app, 'ann'), await signInAs(app, { id: 'eve', roles: ['admin'] })];
    await ann.agent.delete('/articles/1').expect(204);
    await ann.agent.delete('/articles/2').expect(403);
    await ann.agent.delete('/articles/3').expect(404);
    await admin.agent.delete('/articles/2').expect(204);
    expect(abilityFor({ id: 'ann', email: '', roles: [] }).can('read', 'Article')).toBe(true);
  });
});

describe('apple-form-post', () => {
  it('takes the form of Apple with a state of ours, and nothing else', async () => {
    const { app, sessions } = await startRecipe(AppleModule);
    const post = (body: object, origin = 'https://appleid.apple.com') =>
      request(server(app))
        .post('/apple/callback')
        .type('form')
        .set({ origin, 'sec-fetch-site': 'cross-site' })
        .send(body);
    const { headers } = await request(server(app)).get('/apple/login').expect(302);
    const state = new URL(String(headers['location'])).searchParams.get('state');
    const good = { code: 'good-code', state };
    const signedIn = await post(good).expect(200);
    expect(String(signedIn.headers['set-cookie'])).toMatch(/^__Host-session=/);
    expect(await sessions.store.getActiveSessions('apple:001234.apple')).toHaveLength(1);
    await post({ ...good, state: `${state}x` }).expect(401);
    await post({ ...good, state: newState(Date.now() - 11 * 60_000) }).expect(401);
    await post({ code: 'bad', state }).expect(401);
    expect((await post(good, 'https://evil.example')).body).toMatchObject({ code: 'csrf_rejected' });
  });
});

async function waitFor(isSo: () => boolean): Promise<void> {
  const giveUp = Date.now() + 10_000;
  while (!isSo()) {
    if (Date.now() > giveUp) throw new Error('it does not become so');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
