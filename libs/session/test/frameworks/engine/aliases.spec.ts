import { Redis } from 'ioredis';
import { randomBytes } from 'node:crypto';
import { startRedis } from '../../../../../test/support/redis-server.js';
import { aliasDigest } from '../../../src/model/alias.js';
import { newSessionId, userKeyOf } from '../../../src/model/ids.js';
import { MemorySessionAliases } from '../../../src/memory/memory-session-aliases.js';
import type { SessionAliases } from '../../../src/ports/session-aliases.js';
import { RedisSessionStore } from '../../../src/redis/redis-session-store.js';
import type { StoreHarness } from '../../../src/store-contract/store-harness.js';
import { testRedisUrl } from '../../support/redis-harness.js';
import { BACKENDS, closeBackends, openBackend, openSecond } from '../express/support/backends.js';

const MINUTE = 60_000;

afterEach(closeBackends);

const anyId = (user = 'ann'): string => newSessionId(userKeyOf(user));
const anyDigest = (): string => aliasDigest(randomBytes(8).toString('hex'));

function aliasesOf(store: StoreHarness['store']): SessionAliases {
  const aliases = store.aliases();
  if (!aliases) throw new Error('this store has no aliases');
  return aliases;
}

describe.each(BACKENDS)('the aliases of sessions, on %s', (backend) => {
  let aliases: SessionAliases;
  let others: SessionAliases;

  beforeEach(async () => {
    const harness = await openBackend(backend);
    aliases = aliasesOf(harness.store);
    others = aliasesOf(await openSecond(harness));
  });

  it('are found where they point, by every instance, and are one place at every call', async () => {
    const [digest, id] = [anyDigest(), anyId()];
    expect(await aliases.find(digest)).toEqual({ state: 'absent' });
    expect(await aliases.point(digest, { from: null, to: id, lifetime: MINUTE })).toEqual({
      state: 'session',
      sessionId: id,
    });
    expect(await others.find(digest)).toEqual({ state: 'session', sessionId: id });
    const { store } = await openBackend(backend);
    expect(store.aliases()).toBe(store.aliases());
  });

  it('move only from where they are expected, and may be pointed twice', async () => {
    const [digest, first, second, third] = [anyDigest(), anyId(), anyId('bob'), anyId('cem')];
    await aliases.point(digest, { from: null, to: first, lifetime: MINUTE });
    expect(await others.point(digest, { from: null, to: second, lifetime: MINUTE })).toEqual({
      state: 'session',
      sessionId: first,
    });
    expect(await others.point(digest, { from: first, to: second, lifetime: MINUTE })).toEqual({
      state: 'session',
      sessionId: second,
    });
    expect(await others.point(digest, { from: first, to: second, lifetime: MINUTE })).toEqual({
      state: 'session',
      sessionId: second,
    });
    expect(await aliases.point(digest, { from: first, to: third, lifetime: MINUTE })).toEqual({
      state: 'session',
      sessionId: second,
    });
    expect(await aliases.point(anyDigest(), { from: first, to: third, lifetime: MINUTE })).toEqual({ state: 'absent' });
  });

  it('move once where 20 point at once', async () => {
    const digest = anyDigest();
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, async (_, n) => {
        const instance = n % 2 === 0 ? aliases : others;
        return instance.point(digest, { from: null, to: anyId(`user-${n}`), lifetime: MINUTE });
      }),
    );
    expect(new Set(outcomes.map((outcome) => JSON.stringify(outcome))).size).toBe(1);
  });

  it('once ended, name nothing again, and still tell what they named', async () => {
    const [digest, id, other] = [anyDigest(), anyId(), anyId('bob')];
    await aliases.point(digest, { from: null, to: id, lifetime: MINUTE });
    expect(await others.end(digest, MINUTE)).toEqual({ state: 'session', sessionId: id });
    expect(await aliases.find(digest)).toEqual({ state: 'ended', sessionId: id });
    for (const from of [id, null]) {
      expect(await aliases.point(digest, { from, to: other, lifetime: MINUTE })).toEqual({
        state: 'ended',
        sessionId: id,
      });
    }
    expect(await aliases.keep(digest, id, MINUTE)).toEqual({ state: 'ended', sessionId: id });
    expect(await others.end(digest, MINUTE)).toEqual({ state: 'ended', sessionId: id });
    expect(await aliases.end(anyDigest(), MINUTE)).toEqual({ state: 'absent' });
  });

  it('leave a mark where there was nothing', async () => {
    const digest = anyDigest();
    expect(await aliases.end(digest, MINUTE)).toEqual({ state: 'absent' });
    expect(await aliases.find(digest)).toEqual({ state: 'ended', sessionId: null });
    expect(await aliases.point(digest, { from: null, to: anyId(), lifetime: MINUTE })).toEqual({
      state: 'ended',
      sessionId: null,
    });
  });

  it('are listed, ended ones left out', async () => {
    const named = new Map(Array.from({ length: 250 }, () => [anyDigest(), anyId()] as const));
    await Promise.all([...named].map(([digest, to]) => aliases.point(digest, { from: null, to, lifetime: MINUTE })));
    const [ended = ''] = named.keys();
    await aliases.end(ended, MINUTE);
    named.delete(ended);
    const found = new Map<string, string>();
    for await (const portion of others.list({ batch: 50 })) {
      for (const { digest, sessionId } of portion) found.set(digest, sessionId);
    }
    expect(found).toEqual(named);
  });
});

describe('the aliases of a memory store', () => {
  it('are there for their time and go by themselves (throttler never deletes)', async () => {
    let now = 0;
    const aliases = new MemorySessionAliases({ clock: () => now });
    const [digest, id] = [anyDigest(), anyId()];
    await aliases.point(digest, { from: null, to: id, lifetime: MINUTE });
    now += MINUTE - 1;
    expect(await aliases.find(digest)).toEqual({ state: 'session', sessionId: id });
    await aliases.keep(digest, id, 1_000);
    now += 1;
    expect(await aliases.find(digest)).toEqual({ state: 'session', sessionId: id });
    now += 1_000;
    expect(await aliases.find(digest)).toEqual({ state: 'absent' });
    for (let n = 0; n < 1_000; n += 1) {
      now += 1_000;
      await aliases.point(anyDigest(), { from: null, to: anyId(), lifetime: 10_000 });
    }
    expect(aliases.size).toBeLessThan(20);
  });

  it('are not shortened by a shorter time', async () => {
    let now = 0;
    const aliases = new MemorySessionAliases({ clock: () => now });
    const [digest, id] = [anyDigest(), anyId()];
    await aliases.point(digest, { from: null, to: id, lifetime: MINUTE });
    await aliases.keep(digest, id, 1_000);
    await aliases.point(digest, { from: null, to: id, lifetime: 1_000 });
    now += MINUTE - 1;
    expect((await aliases.find(digest)).state).toBe('session');
    await aliases.end(digest, 1_000);
    now += 1_000;
    expect((await aliases.find(digest)).state).toBe('absent');
  });
});

describe('the aliases of a Redis store', () => {
  const keyPrefix = `test-alias-${randomBytes(6).toString('hex')}:`;
  let client: Redis;
  let store: RedisSessionStore;
  let aliases: SessionAliases;

  beforeEach(() => {
    client = new Redis(testRedisUrl());
    store = new RedisSessionStore(client, { keyPrefix, commandTimeout: 200 });
    aliases = store.aliases();
  });

  afterEach(async () => {
    await store.close();
    client.disconnect();
  });

  it('are keys that last as long as they are told, and are never shortened', async () => {
    const [digest, id] = [anyDigest(), anyId()];
    const key = `${keyPrefix}alias:${digest}`;
    await aliases.point(digest, { from: null, to: id, lifetime: MINUTE });
    expect(await client.get(key)).toBe(id);
    await aliases.keep(digest, id, 1_000);
    await aliases.point(digest, { from: null, to: id, lifetime: 1_000 });
    expect(await client.pttl(key)).toBeGreaterThan(MINUTE - 5_000);
    await aliases.keep(digest, id, 2 * MINUTE);
    expect(await client.pttl(key)).toBeGreaterThan(2 * MINUTE - 5_000);
    await aliases.end(digest, 1_000);
    expect(await client.get(key)).toBe(`-${id}`);
    expect(await client.pttl(key)).toBeLessThanOrEqual(1_000);
  });

  it('a command that the server finds late is tried once more, with the clock read again', async () => {
    const time = client.time.bind(client) as () => Promise<[number, number]>;
    let secondsBehind = 60;
    client.time = async () => {
      const [seconds, microseconds] = await time();
      return [Number(seconds) - secondsBehind, microseconds];
    };
    await store.ready();
    secondsBehind = 0;
    const [digest, id] = [anyDigest(), anyId()];
    expect(await aliases.point(digest, { from: null, to: id, lifetime: MINUTE })).toEqual({
      state: 'session',
      sessionId: id,
    });
  });

  it('take what cannot be read for an ended one', async () => {
    const digest = anyDigest();
    await client.set(`${keyPrefix}alias:${digest}`, 'something else', 'PX', MINUTE);
    expect(await aliases.find(digest)).toEqual({ state: 'ended', sessionId: null });
    expect(await aliases.point(digest, { from: null, to: anyId(), lifetime: MINUTE })).toEqual({
      state: 'ended',
      sessionId: null,
    });
  });

  it('do nothing late: a command that was given up has no effect when it runs at last', async () => {
    const server = await startRedis();
    const own = new Redis(server.url);
    const slow = new RedisSessionStore(own, { commandTimeout: 200 });
    await slow.ready();
    const digest = anyDigest();
    server.pause();
    const pointing = slow.aliases().point(digest, { from: null, to: anyId(), lifetime: MINUTE });
    await expect(pointing).rejects.toMatchObject({ code: 'store_unavailable' });
    await new Promise((resolve) => setTimeout(resolve, 100));
    server.resume();
    // Answered after the command before it; the store asks again once its circuit lets it.
    await own.ping();
    let found: unknown;
    for (let tries = 0; found === undefined && tries < 100; tries += 1) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      found = await slow
        .aliases()
        .find(digest)
        .catch(() => undefined);
    }
    expect(found).toEqual({ state: 'absent' });
    await slow.close();
    own.disconnect();
    await server.stop();
  });
});
