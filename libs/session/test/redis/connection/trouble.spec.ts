import { jest } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { startRedis, type RedisServer } from '../../../../../test/support/redis-server.js';
import { startProxy } from '../../../../../test/support/tcp-proxy.js';
import { StoreUnavailableError } from '../../../src/model/errors.js';
import { userKeyOfSession } from '../../../src/model/ids.js';
import type { Session } from '../../../src/model/session.js';
import { RedisConnection } from '../../../src/redis/connection/redis-connection.js';
import { RedisSessionStore } from '../../../src/redis/redis-session-store.js';
import { CapturedLogs } from '../../support/captured-logs.js';
import { createIn, discard, OwnRedis, pause, PREFIX, until } from '../../support/own-redis.js';

const HASH = randomBytes(32);
const TIMEOUT = 200;
/** Beyond this nobody would call it bounded by the command timeout, on however busy a machine, ms. */
const SURELY = 5_000;

/** The answer, or a failure where none comes. */
async function soon<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const tooLong = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${SURELY} ms`)), SURELY);
  });
  return Promise.race([work, tooLong]).finally(() => clearTimeout(timer));
}

const answers = (store: RedisSessionStore): Promise<boolean> =>
  soon(store.getActiveSessions('ada')).then(
    () => true,
    (error: unknown) => {
      if (error instanceof StoreUnavailableError) return false;
      throw error;
    },
  );

/** Clients as applications have them. */
const CLIENTS: Readonly<Record<string, RedisOptions | 'ours'>> = {
  'our own client': 'ours',
  'an adopted client with ioredis defaults (offline queue, 20 retries, no timeout)': {},
  'an adopted client without an offline queue': { enableOfflineQueue: false },
  'an adopted client that retries for ever': { maxRetriesPerRequest: null },
  'an adopted client that sends nothing again': { autoResendUnfulfilledCommands: false },
  'an adopted client that speaks RESP2': { protocol: 2 },
};

describe('trouble with Redis', () => {
  let logs: CapturedLogs;
  let printed: jest.Mock;
  const unhandled: unknown[] = [];
  const onUnhandled = (error: unknown): void => {
    unhandled.push(error);
  };

  beforeAll(() => {
    process.on('unhandledRejection', onUnhandled);
  });

  afterAll(() => {
    process.off('unhandledRejection', onUnhandled);
  });

  beforeEach(() => {
    logs = new CapturedLogs();
    printed = jest.spyOn(console, 'error').mockImplementation(() => undefined) as unknown as jest.Mock;
  });

  afterEach(() => {
    logs.restore();
    // ioredis prints what nobody listens to.
    const problems = printed.mock.calls.map(String).filter((line) => line.includes('Unhandled error event'));
    jest.restoreAllMocks();
    expect(problems).toEqual([]);
    expect(unhandled.splice(0)).toEqual([]);
  });

  describe.each(Object.entries(CLIENTS))('%s', (_, options) => {
    let server: RedisServer;
    let client: Redis | null;
    let store: RedisSessionStore;

    beforeEach(async () => {
      server = await startRedis();
      if (options === 'ours') {
        client = null;
        const connection = await RedisConnection.open(server.url, { commandTimeout: TIMEOUT });
        store = new RedisSessionStore(connection, { keyPrefix: PREFIX });
      } else {
        client = new Redis({ port: server.port, ...options });
        store = new RedisSessionStore(client, { keyPrefix: PREFIX, commandTimeout: TIMEOUT });
      }
      store.subscribe(() => undefined);
      await store.ready();
      await until(() => answers(store));
    });

    afterEach(async () => {
      await store.close();
      if (client) discard(client);
      await server.stop();
    });

    /** The ids of the sessions, once they can be read. */
    async function listed(): Promise<string[]> {
      const lists: string[][] = [];
      await until(async () => {
        const list = await store.getActiveSessions('ada').catch(() => null);
        if (list) lists.push(list.map(({ id }) => id).sort());
        return list !== null;
      });
      return lists[0] as string[];
    }

    async function expectUnavailable(session: Session): Promise<void> {
      const calls: Promise<unknown>[] = [
        store.read(session.id),
        store.get(session.id),
        store.getActiveSessions('ada'),
        store.create({ userId: 'ada' }),
        store.touch(session.id),
        store.update(session.id, { data: {} }),
        store.destroy(session.id),
        store.destroyAll('ada'),
        store.count(),
        store.sweep(),
      ];
      for (const outcome of await soon(Promise.allSettled(calls))) {
        expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'store_unavailable', statusCode: 503 } });
        const { message } = (outcome as PromiseRejectedResult).reason as Error;
        expect(message).not.toMatch(/127\.0\.0\.1|localhost|own:|evalsha|hmget/i);
        expect(message).not.toContain(String(server.port));
      }
    }

    it('killed: 503, and works again once Redis is back, without a new store', async () => {
      const session = await createIn(store);
      await server.kill();
      await expectUnavailable(session);
      await expectUnavailable(session);
      await server.restart();
      await until(() => answers(store));
      expect(await createIn(store)).toMatchObject({ userId: 'ada' });
    });

    it('hung: 503, and works again once Redis goes on; what was given up has no effect', async () => {
      const session = await createIn(store);
      // On a busy machine there may be one more, whose answer came too late.
      const before = await listed();
      server.pause();
      try {
        await expectUnavailable(session);
      } finally {
        server.resume();
      }
      expect(await listed()).toEqual(before);
    });

    it('events are heard again after the break, each once', async () => {
      const heard: string[] = [];
      store.subscribe(({ sessionId }) => heard.push(sessionId));
      await server.restart();
      await until(() => answers(store));
      const sent: string[] = [];
      await until(async () => {
        const session = await store.create({ userId: 'ada' }).catch(() => null);
        if (session) sent.push(session.id);
        return sent.some((id) => heard.includes(id));
      });
      const { id } = await createIn(store, 'bob');
      await until(() => heard.includes(id));
      await pause(20);
      expect(heard.filter((each) => each === id)).toHaveLength(1);
    });
  });

  describe('on a server that can be told what to refuse', () => {
    let redis: OwnRedis;
    let store: RedisSessionStore;

    beforeAll(async () => {
      redis = await OwnRedis.start();
    });

    afterAll(() => redis?.stop());

    beforeEach(async () => {
      store = redis.open({ limit: { max: 3, onLimit: 'evict-oldest' } });
      await store.ready();
    });

    afterEach(async () => {
      await redis.admin.call('REPLICAOF', 'NO', 'ONE');
      await redis.admin.config('SET', 'maxmemory', '0');
      await redis.reset();
    });

    it('NOSCRIPT is invisible', async () => {
      const { id } = await store.create({ userId: 'ada' }, { credentials: { cookie: HASH } });
      const calls = [
        () => store.create({ userId: 'ada' }),
        () => store.touch(id),
        () => store.update(id, { data: { a: 1 } }),
        () => store.updateUser('ada', { roles: ['a'] }),
        () => store.revokeToken(id, 'jti', store.now() + 60_000),
        () => store.revokeTokens('ada'),
        () => store.regenerate(id, { credentials: { cookie: HASH }, freshen: true, repeatableFor: 0 }),
        () => store.sweep(),
        () => store.destroy(id),
        () => store.destroyAll('ada'),
      ];
      for (const call of calls) {
        await redis.admin.script('FLUSH');
        await call();
      }
      expect(await store.count()).toBe(0);
      expect(logs.lines).toEqual([]);
    });

    it('READONLY (a primary that became a replica): writes are 503, and work again once it is primary', async () => {
      const session = await store.create({ userId: 'ada' });
      const connection = await RedisConnection.open(redis.server.url, { commandTimeout: 2_000 });
      const ours = new RedisSessionStore(connection, { keyPrefix: PREFIX });
      await ours.ready();
      await redis.admin.call('REPLICAOF', '127.0.0.1', '1');
      for (const each of [store, ours]) {
        await expect(each.create({ userId: 'ada' })).rejects.toMatchObject({ code: 'store_unavailable' });
        await expect(each.destroy(session.id)).rejects.toMatchObject({ code: 'store_unavailable' });
        await expect(each.touch(session.id)).rejects.toMatchObject({ code: 'store_unavailable' });
      }
      await redis.admin.call('REPLICAOF', 'NO', 'ONE');
      for (const each of [store, ours]) {
        await until(() =>
          each.create({ userId: 'bob' }).then(
            () => true,
            () => false,
          ),
        );
      }
      expect((await store.read(session.id)).state).toBe('live');
      await ours.close();
    });

    describe('out of memory', () => {
      let sessions: Session[];

      /** Fills Redis up to its limit, so that the end of one session would make room for another. */
      async function fill(): Promise<void> {
        await redis.admin.config('SET', 'maxmemory-policy', 'noeviction');
        const used = Number(/used_memory:(\d+)/.exec(await redis.admin.info('memory'))?.[1]);
        await redis.admin.config('SET', 'maxmemory', String(used + 200_000));
        for (const size of [20_000, 1_000, 50]) {
          for (let index = 0; ; index += 1) {
            const full = await redis.admin.set(`filler:${size}:${index}`, 'x'.repeat(size)).then(
              () => false,
              () => true,
            );
            if (full) break;
          }
        }
      }

      beforeEach(async () => {
        sessions = [];
        for (let device = 0; device < 3; device += 1) {
          const credentials = { cookie: HASH, refresh: HASH };
          sessions.push(await store.create({ userId: 'ada', deviceId: `${device}` }, { credentials }));
        }
        await store.create({ userId: 'brief' }, { idleTimeout: 1 });
        await fill();
      });

      const state = (): Promise<Record<string, string>> => redis.stateOf(userKeyOfSession(sessions[0]?.id ?? ''));

      it('sign-in is refused whole, also at the limit and on a known device, where an eviction would make room half-way', async () => {
        const log = await redis.listen(store);
        const before = await state();
        for (const input of [{ userId: 'ada' }, { userId: 'ada', deviceId: '1' }, { userId: 'new' }]) {
          await expect(store.create(input)).rejects.toMatchObject({ code: 'store_unavailable' });
        }
        expect(await state()).toEqual(before);
        expect(await store.getActiveSessions('new')).toEqual([]);
        expect(await log.types()).toEqual([]);
        expect(logs.lines.filter((line) => line.includes('OOM'))).toHaveLength(1);
      });

      it('what would write more is refused whole: a longer record, user changes, revocations', async () => {
        const before = await state();
        const [{ id }] = sessions as [Session];
        const calls = [
          () => store.update(id, { data: { a: 'longer' } }),
          () =>
            store.regenerate(id, {
              credentials: { cookie: HASH },
              freshen: true,
              repeatableFor: 0,
              patch: { data: { a: 'longer' } },
            }),
          () => store.updateUser('ada', { roles: ['admin'] }),
          () => store.revokeToken(id, 'jti', store.now() + 60_000),
          () => store.revokeTokens('ada'),
        ];
        for (const call of calls) await expect(call()).rejects.toMatchObject({ code: 'store_unavailable' });
        expect(await state()).toEqual(before);
      });

      it('who is signed in stays so: touch, rotation, refresh, step-up and an update of the same size go on', async () => {
        const [{ id }] = sessions as [Session];
        const rule = { grace: 0, rotateAfter: -1, rotateFirst: true, touch: true };
        const accessed = (await store.get(id))?.lastAccess ?? 0;
        await until(async () => (await redis.time()) > accessed + 2);
        expect(await store.touch(id)).toBe(true);
        expect((await store.get(id))?.lastAccess).toBeGreaterThan(accessed);
        for (const kind of ['refresh', 'cookie'] as const) {
          expect(await store.rotate(id, { ...rule, kind, presented: { hash: HASH, generation: 0 } })).toMatchObject({
            state: 'rotated',
            generation: 1,
          });
        }
        expect(await store.update(id, { data: {} })).toMatchObject({ id });
        const regenerated = { credentials: { cookie: randomBytes(32) }, freshen: true, repeatableFor: 0 };
        expect(await store.regenerate(id, regenerated)).toMatchObject({ state: 'live' });
        // The sorted set still lists the session: it is swept at its deadline.
        const { expiries } = redis.keys.ofSession(id);
        expect(Number(await redis.admin.zscore(expiries, id))).toBeGreaterThan(store.now());
      });

      it('reading, ending, logout of all, reuse and the sweep go on, and are announced', async () => {
        const [first, second, third] = sessions as [Session, Session, Session];
        const log = await redis.listen(store);
        expect(await store.read(first.id)).toMatchObject({ state: 'live' });
        expect(await store.getActiveSessions('ada')).toHaveLength(3);
        const rule = { grace: 0, rotateAfter: Infinity, rotateFirst: false, touch: false };
        expect(
          await store.rotate(first.id, { ...rule, kind: 'cookie', presented: { hash: HASH, generation: 0 } }),
        ).toMatchObject({
          state: 'kept',
        });
        expect(await store.destroy(first.id)).toBe(true);
        expect(await store.read(first.id)).toMatchObject({ state: 'ended', reason: 'logout' });
        expect(await store.sweep()).toBe(1);
        expect(await store.destroyAll('ada', { except: third.id })).toBe(1);
        expect((await store.destroyEverybody()).ended).toBe(1);
        expect(await log.types()).toEqual(['ended logout', 'ended idle', 'ended logout', 'ended admin']);
        for (const { id } of [second, third]) expect((await store.read(id)).state).toBe('ended');
      });

      it('an end of all that is sent again is still known', async () => {
        expect(await store.destroyAll('ada')).toBe(3);
        expect((await state())['p']?.length).toBe(20);
        await redis.admin.config('SET', 'maxmemory', '0');
        expect(await store.create({ userId: 'ada' })).toMatchObject({ userId: 'ada' });
      });

      it('a reuse ends the session all the same', async () => {
        await redis.admin.config('SET', 'maxmemory', '0');
        const [{ id }] = sessions as [Session];
        const rule = { grace: 0, rotateAfter: 0, rotateFirst: true, touch: false };
        await store.rotate(id, { ...rule, kind: 'refresh', presented: { hash: HASH, generation: 7 } });
        await fill();
        expect(await store.rotate(id, { ...rule, kind: 'refresh', presented: { hash: HASH, generation: 0 } })).toEqual({
          state: 'reuse',
        });
        expect(await store.read(id)).toMatchObject({ state: 'ended', reason: 'reuse' });
      });

      it('a sorted set that is to be set right is not lost', async () => {
        const [{ id }] = sessions as [Session];
        const { expiries } = redis.keys.ofSession(id);
        await redis.admin.config('SET', 'maxmemory', '0');
        await redis.admin.zadd(expiries, 1, id);
        await fill();
        await store.sweep();
        expect(Number(await redis.admin.zscore(expiries, id))).toBeGreaterThan(store.now());
      });
    });

    it('an error carries neither the command nor what was in it: records do not end up in logs', async () => {
      await redis.admin.config('SET', 'maxmemory', '1');
      const input = { userId: 'ada', email: 'ada@example.com', data: { secret: 'hush' } };
      const error: unknown = await store
        .create(input, { credentials: { cookie: HASH } })
        .catch((refusal: unknown) => refusal);
      expect(error).toBeInstanceOf(StoreUnavailableError);
      expect((error as StoreUnavailableError).cause).toBeInstanceOf(Error);
      for (const text of [inspect(error, { depth: 10, showHidden: true }), JSON.stringify(error), ...logs.lines]) {
        expect(text).not.toMatch(/hush|ada@example|evalsha/);
        expect(text).not.toContain(HASH.toString('latin1'));
      }
    });
  });

  describe('ready', () => {
    it('waits for a server that comes later', async () => {
      const server = await startRedis();
      const { port } = server;
      await server.kill();
      const connection = await RedisConnection.open(`redis://127.0.0.1:${port}`, { commandTimeout: TIMEOUT });
      const store = new RedisSessionStore(connection, { keyPrefix: PREFIX });
      const heard: string[] = [];
      store.subscribe(({ sessionId }) => heard.push(sessionId));
      const ready = store.ready();
      await server.restart();
      await soon(ready);
      const session = await store.create({ userId: 'ada' });
      await until(() => heard.length > 0);
      expect(heard).toEqual([session.id]);
      await store.close();
      await server.stop();
    });

    it('connects a lazy client', async () => {
      const server = await startRedis();
      const client = new Redis({ port: server.port, lazyConnect: true, enableOfflineQueue: false });
      const store = new RedisSessionStore(client, { keyPrefix: PREFIX });
      await soon(store.ready());
      expect(await store.count()).toBe(0);
      await store.close();
      discard(client);
      await server.stop();
    });

    it('fails with the mend when there is no server, and leaves nothing waiting', async () => {
      const client = new Redis({ port: 1, retryStrategy: () => 20 });
      const store = new RedisSessionStore(client, { commandTimeout: TIMEOUT, readyTimeout: 100 });
      const error = (await soon(store.ready()).catch((refusal: unknown) => refusal)) as Error;
      expect(error).toBeInstanceOf(StoreUnavailableError);
      expect(error.message).toMatch(/Check the option "redis"/);
      expect(error.message).not.toMatch(/127\.0\.0\.1|localhost/);
      await store.close();
      // ioredis has one of its own for as long as an attempt to connect lasts.
      await until(() => client.listenerCount('ready') === 0);
      discard(client);
    });

    it('fails at once for a client that was closed', async () => {
      const client = new Redis({ port: 1, lazyConnect: true });
      discard(client);
      await until(() => client.status === 'end');
      const store = new RedisSessionStore(client);
      await expect(soon(store.ready())).rejects.toThrow(/client is closed/);
      await store.close();
    });
  });

  describe('close', () => {
    let server: RedisServer;

    beforeEach(async () => {
      server = await startRedis();
    });

    afterEach(() => server.stop());

    it('of an own connection is bounded while Redis hangs, and when it is gone; nothing connects again', async () => {
      for (const [ail, mend] of [
        [() => server.pause(), () => server.resume()],
        [() => server.kill(), () => server.restart()],
      ] as const) {
        const connection = await RedisConnection.open(server.url, { commandTimeout: TIMEOUT });
        const store = new RedisSessionStore(connection, { keyPrefix: PREFIX });
        store.subscribe(() => undefined);
        await store.ready();
        await ail();
        await soon(store.close());
        await soon(store.close());
        await until(() => connection.client.status !== 'ready');
        await mend();
        const watcher = new Redis({ port: server.port });
        await pause(100);
        const list = String(await watcher.call('CLIENT', 'LIST')).trim();
        expect(list.split('\n')).toHaveLength(1);
        discard(watcher);
      }
    });

    it('leaves an adopted client open and usable, with no listener of ours on it, and hears nothing more', async () => {
      const client = new Redis({ port: server.port });
      const listeners = (): string => inspect(client.eventNames().map((name) => [name, client.listenerCount(name)]));
      await client.ping();
      const before = listeners();
      const store = new RedisSessionStore(client, { keyPrefix: PREFIX });
      let heard = 0;
      store.subscribe(() => (heard += 1));
      await store.ready();
      await store.create({ userId: 'ada' });
      await until(() => heard === 1);
      expect(await client.call('CLIENT', 'LIST')).toMatch(/sub=1/);
      await store.close();
      expect(listeners()).toBe(before);
      expect(await client.set('still', 'open')).toBe('OK');
      await until(async () => !/sub=1/.test(String(await client.call('CLIENT', 'LIST'))));
      discard(client);
    });

    it('with Redis hung leaves an adopted client alone, and it works again afterwards', async () => {
      const client = new Redis({ port: server.port });
      const store = new RedisSessionStore(client, { keyPrefix: PREFIX, commandTimeout: TIMEOUT });
      store.subscribe(() => undefined);
      await store.ready();
      server.pause();
      const asked = store.get('x'.repeat(32)).catch((error: unknown) => error);
      await soon(store.close());
      expect(await soon(asked)).toBeInstanceOf(StoreUnavailableError);
      server.resume();
      expect(await client.ping()).toBe('PONG');
      discard(client);
    });

    it('of one of two stores on one client leaves the other its events', async () => {
      const client = new Redis({ port: server.port });
      const stores = [0, 1].map(() => new RedisSessionStore(client, { keyPrefix: PREFIX })) as [
        RedisSessionStore,
        RedisSessionStore,
      ];
      const heard: string[] = [];
      stores[0].subscribe(() => heard.push('closed'));
      stores[1].subscribe(() => heard.push('open'));
      for (const store of stores) await store.ready();
      await stores[0].close();
      await stores[1].create({ userId: 'ada' });
      await until(() => heard.length > 0);
      expect(heard).toEqual(['open']);
      await stores[1].close();
      discard(client);
    });
  });

  describe('a subscription', () => {
    it('that could not be made at first is made later, and only once', async () => {
      const server = await startRedis();
      const proxy = await startProxy({ targetPort: server.port });
      const client = new Redis({ port: proxy.port, retryStrategy: () => 20 });
      const store = new RedisSessionStore(client, { keyPrefix: PREFIX, commandTimeout: TIMEOUT, readyTimeout: 300 });
      const heard: string[] = [];
      proxy.blackhole(true);
      store.subscribe(({ sessionId }) => heard.push(sessionId));
      await expect(soon(store.ready())).rejects.toBeInstanceOf(StoreUnavailableError);
      store.subscribe(() => undefined);
      proxy.blackhole(false);
      await until(() =>
        store.ready().then(
          () => true,
          () => false,
        ),
      );
      const { id } = await store.create({ userId: 'ada' });
      await until(() => heard.length > 0);
      await pause(20);
      expect(heard).toEqual([id]);
      await store.close();
      discard(client);
      await proxy.stop();
      await server.stop();
    });
  });

  describe('reads from replicas, where an ended session may still be found, are refused', () => {
    const refused: Readonly<Record<string, () => Redis | Cluster>> = {
      'a Cluster that scales reads to replicas': () =>
        new Cluster([{ port: 1 }], { scaleReads: 'slave', lazyConnect: true }),
      'a Cluster that scales reads to all': () => new Cluster([{ port: 1 }], { scaleReads: 'all', lazyConnect: true }),
      'a Cluster that chooses by a function': () =>
        new Cluster([{ port: 1 }], { scaleReads: (nodes: Redis[]) => nodes[0] as Redis, lazyConnect: true }),
      'a read-only connection': () => new Redis({ port: 1, readOnly: true, lazyConnect: true }),
      'a replica by Sentinel': () =>
        new Redis({ sentinels: [{ port: 1 }], name: 'x', role: 'slave', lazyConnect: true }),
    };
    it.each(Object.entries(refused))('%s', (_, connect) => {
      const client = connect();
      expect(() => new RedisSessionStore(client)).toThrow(/reads from replicas/);
      expect(client.listenerCount('ready')).toBe(0);
      client.disconnect();
    });

    it('also where the options say so, and the connection made for them is ended', async () => {
      await expect(
        RedisConnection.open({ port: 1, readOnly: true, lazyConnect: true }, { commandTimeout: TIMEOUT }),
      ).rejects.toMatchObject({
        code: 'invalid_configuration',
      });
      const cluster = { nodes: [{ port: 1 }], options: { scaleReads: 'slave' as const, lazyConnect: true } };
      await expect(RedisConnection.open({ cluster }, { commandTimeout: TIMEOUT })).rejects.toMatchObject({
        code: 'invalid_configuration',
      });
    });

    it('one that reads from primaries is taken', () => {
      const client = new Cluster([{ port: 1 }], { lazyConnect: true });
      expect(() => new RedisSessionStore(client)).not.toThrow();
      client.disconnect();
    });
  });
});
