import { request } from 'node:http';
import type { SessionModuleOptions } from '../../src/index.js';
import { AccountController } from '../support/account.controller.js';
import { closeApps, startApp, type Platform, type TestApp } from '../support/app.js';
import { OwnRedis, PREFIX, until } from '../support/own-redis.js';
import { codeOf, DpopClient } from './support/dpop-client.js';
import { DpopController } from './support/dpop.controller.js';

const SECRETS = 'what all instances of this application share, and nobody else';

type DpopOption = NonNullable<SessionModuleOptions['jwt']>['dpop'];

/** The status of an answer to a request that names another host than it is sent to, as behind a balancer. */
async function statusOf(url: string, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { headers }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    sent.on('error', reject);
    sent.end();
  });
}

describe('DPoP with Redis', () => {
  let redis: OwnRedis;

  beforeAll(async () => {
    redis = await OwnRedis.start();
  });
  afterAll(async () => redis?.stop());
  afterEach(async () => {
    await closeApps();
    await redis.reset();
  });

  const start = async (
    dpop: DpopOption,
    { platform = 'express', commandTimeout = 5_000 }: { platform?: Platform; commandTimeout?: number } = {},
  ): Promise<TestApp> => {
    const store = redis.open({ commandTimeout }, redis.connectViaProxy());
    await store.ready();
    return startApp({
      platform,
      controllers: [dpop === 'off' ? AccountController : DpopController],
      session: { store, secrets: SECRETS, sweeper: false, jwt: { issuer: 'i', audience: 'a', dpop: dpop ?? 'off' } },
    });
  };

  it('a proof counts once on all instances, of Express and of Fastify', async () => {
    const apps = [await start('required'), await start('required', { platform: 'fastify' })];
    const client = new DpopClient(apps[0]?.url ?? '');
    await client.login();
    const token = client.tokens?.accessToken ?? '';
    for (let round = 0; round < 5; round += 1) {
      const dpop = client.proof('GET', 'http://api.example/me', token);
      const headers = { host: 'api.example', authorization: `DPoP ${token}`, dpop };
      const statuses = await Promise.all(
        Array.from({ length: 8 }, (_, index) => statusOf(`${apps[index % 2]?.url}/me`, headers)),
      );
      expect(statuses.sort()).toEqual([200, ...Array.from({ length: 7 }, () => 401)]);
    }
  });

  it('a nonce of one instance counts on the others', async () => {
    const option = { mode: 'required', nonce: true } as const;
    const [first, second] = [await start(option), await start(option, { platform: 'fastify' })];
    const client = new DpopClient(first.url);
    await client.login();
    const there = new DpopClient(second.url);
    there.nonce = client.nonce;
    expect((await there.login('bob')).status).toBe(200);
    expect(there.asked).toBe(0);
  });

  it('costs one SET a request beside the read, for as long as the proof is good; a bearer token costs the read alone', async () => {
    const app = await start('optional');
    const client = new DpopClient(app.url);
    await client.login();
    const plain = new DpopClient(app.url);
    await plain.login('bob', { proof: null });
    const costOf = async (ask: () => Promise<{ status: number }>): Promise<Record<string, number | undefined>> => {
      await redis.resetCommands();
      const { status } = await ask();
      const { hmget, set, get, evalsha, eval: full } = await redis.commands();
      return { status, hmget, set, get, scripts: evalsha ?? full };
    };
    const none = { hmget: undefined, set: undefined, get: undefined, scripts: undefined };
    expect(await costOf(() => client.call('/me'))).toEqual({ ...none, status: 200, hmget: 1, set: 1 });
    const bearer = { scheme: 'Bearer', proof: null };
    expect(await costOf(() => plain.call('/me', bearer))).toEqual({ ...none, status: 200, hmget: 1 });
    // A proof that does not fit asks nothing and writes nothing, nor does a token that is not ours.
    expect(await costOf(() => client.call('/me', { payload: { htm: 'POST' } }))).toEqual({ ...none, status: 401 });
    expect(await costOf(() => client.call('/me', { token: 'a.b.c' }))).toEqual({ ...none, status: 401 });
    expect(await costOf(() => client.send('/me', { payload: { iat: 1 } }))).toEqual({ ...none, status: 401 });
    const marks = await redis.admin.keys(`${PREFIX}dpop:*`);
    expect(marks.length).toBeGreaterThan(1);
    for (const mark of marks) {
      expect(mark).toMatch(/^own:dpop:[\w-]{43}$/);
      const left = await redis.admin.pttl(mark);
      expect(left).toBeGreaterThan(0);
      expect(left).toBeLessThanOrEqual(130_000);
    }
  });

  it('`off` costs the read alone, whatever the client sends', async () => {
    const app = await start('off');
    const client = new DpopClient(app.url);
    await client.login();
    await redis.resetCommands();
    expect((await client.call('/me', { scheme: 'Bearer' })).status).toBe(200);
    const { hmget, set, get, evalsha } = await redis.commands();
    expect({ hmget, set, get, evalsha }).toEqual({ hmget: 1, set: undefined, get: undefined, evalsha: undefined });
    expect(await redis.admin.keys(`${PREFIX}dpop:*`)).toEqual([]);
  });

  it('without Redis 503, and a new proof goes through once it is back', async () => {
    const app = await start('required', { commandTimeout: 300 });
    const client = new DpopClient(app.url);
    await client.login();
    redis.proxy.blackhole(true);
    const refused = await client.call('/me');
    expect([refused.status, codeOf(refused)]).toEqual([503, 'store_unavailable']);
    expect(refused.headers.get('retry-after')).toBe('1');
    const login = await new DpopClient(app.url).login('bob');
    expect([login.status, codeOf(login)]).toEqual([503, 'store_unavailable']);
    redis.proxy.blackhole(false);
    await until(async () => (await client.call('/me')).status === 200, 30_000);
  });

  it('a mark whose answer was lost on the way is no replay of itself', async () => {
    const store = redis.open({}, redis.connectViaProxy());
    await store.ready();
    const proofs = store.spentProofs();
    redis.proxy.setDelay(5_000);
    const spent = proofs.spend('digest', 60_000);
    await until(async () => (await redis.admin.exists(`${PREFIX}dpop:digest`)) === 1);
    redis.proxy.reset();
    redis.proxy.setDelay(0);
    expect(await spent).toBe(true);
    expect(await proofs.spend('digest', 60_000)).toBe(false);
  });
});
