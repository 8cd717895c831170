import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import { MemorySessionStore } from '../../src/memory/memory-session-store.js';
import { MemoryTokenBlacklist } from '../../src/memory/memory-token-blacklist.js';
import { secretHash } from '../../src/model/credential.js';
import type { SessionEvent } from '../../src/model/events.js';
import { RedisSessionStore } from '../../src/redis/redis-session-store.js';
import { RedisTokenBlacklist } from '../../src/redis/redis-token-blacklist.js';
import type { SessionStore } from '../../src/ports/session-store.js';
import type { TokenBlacklist } from '../../src/ports/token-blacklist.js';
import { testRedisUrl } from '../support/redis-harness.js';
import { until } from '../support/own-redis.js';

const MINUTE = 60_000;
const RULE = { kind: 'cookie', grace: 30_000, rotateAfter: 0, rotateFirst: true, touch: true } as const;

interface Backend {
  readonly store: SessionStore;
  readonly blacklist: TokenBlacklist;
  /** A second store on the same data, for another tenant. */
  open(tenant: string): SessionStore;
  close(): Promise<void>;
}

const BACKENDS: Record<string, () => Promise<Backend>> = {
  memory: async () => {
    const store = new MemorySessionStore({ tenant: 'acme', eventStream: { maxLength: 100, retention: MINUTE } });
    return {
      store,
      blacklist: new MemoryTokenBlacklist({ tenant: 'acme' }),
      open: (tenant) => store.forTenant(tenant),
      close: () => store.close(),
    };
  },
  'Redis, views of one store': async () => {
    const { store, blacklist, close } = await onRedis();
    return { store, blacklist, open: (tenant) => store.forTenant(tenant), close };
  },
  'Redis, two stores': async () => {
    const { store, blacklist, keyPrefix, close } = await onRedis();
    const clients: Redis[] = [];
    const stores: SessionStore[] = [];
    return {
      store,
      blacklist,
      open: (tenant) => {
        const client = new Redis(testRedisUrl());
        clients.push(client);
        const other = new RedisSessionStore(client, { keyPrefix, tenant, commandTimeout: 15_000, eventStream: STREAM });
        stores.push(other);
        return other;
      },
      close: async () => {
        await Promise.all([close(), ...stores.map((other) => other.close())]);
        for (const client of clients) client.disconnect();
      },
    };
  },
};

const STREAM = { maxLength: 1_000, retention: MINUTE };

async function onRedis() {
  const keyPrefix = `tenants-${randomBytes(6).toString('hex')}:`;
  const client = new Redis(testRedisUrl());
  const settings = { keyPrefix, tenant: 'acme', commandTimeout: 15_000 };
  const store = new RedisSessionStore(client, { ...settings, eventStream: STREAM });
  const blacklist = new RedisTokenBlacklist(client, settings);
  const close = async (): Promise<void> => {
    await Promise.all([store.close(), blacklist.close()]);
    client.disconnect();
  };
  return { store, blacklist, keyPrefix, close };
}

/** CWE-639, authorization bypass through a key that the user controls: here an id of another tenant. */
describe.each(Object.entries(BACKENDS))('tenants on %s', (_name, start) => {
  let backend: Backend;
  let acme: SessionStore;

  beforeEach(async () => {
    backend = await start();
    acme = backend.store;
    await acme.ready();
  });

  afterEach(() => backend.close());

  it.each(['globex', 'acm', 'acme2', ''])(
    'no operation of the tenant "%s" on an id of acme finds or changes it',
    async (name) => {
      const other = backend.open(name);
      await other.ready();
      const cookie = secretHash('acme-secret');
      const input = { userId: 'ada', deviceId: 'd', roles: ['admin'], data: { a: 1 } };
      const session = await acme.create(input, { credentials: { cookie } });
      const same = await other.create({ ...input, roles: [] });
      expect(same.id.slice(0, 16)).not.toBe(session.id.slice(0, 16));
      const before = await acme.read(session.id);

      expect(await other.get(session.id)).toBeNull();
      expect(await other.read(session.id)).toEqual({ state: 'absent' });
      expect(await other.touch(session.id, { idleTimeout: 1 })).toBe(false);
      expect(await other.update(session.id, { data: { a: 2 } })).toBeNull();
      const presented = { hash: cookie, generation: 0, client: null };
      expect(await other.rotate(session.id, { ...RULE, presented })).toEqual({ state: 'absent' });
      const drawn = { credentials: { cookie: secretHash('stolen') }, freshen: true, repeatableFor: 0 };
      expect(await other.regenerate(session.id, drawn)).toEqual({ state: 'absent' });
      expect(await other.regenerate(session.id, { ...drawn, patch: { roles: ['owner'] } })).toEqual({
        state: 'absent',
      });
      expect(await other.revokeToken(session.id, `${session.id}.1.x`, acme.now() + MINUTE)).toBe(false);
      expect(await other.destroy(session.id)).toBe(false);
      expect(await other.destroy(session.id, { userId: 'ada' })).toBe(false);
      await other.create({ userId: 'ada' }, { replaces: session.id });
      await other.revokeTokens('ada');
      await other.updateUser('ada', { roles: ['changed'] });
      expect(await other.destroyAll('ada', { except: session.id })).toBe(2);
      expect(await other.destroyEverybody()).toEqual({ ended: 0, cursor: null });

      const after = await acme.read(session.id);
      expect(after).toEqual({ ...before, now: expect.any(Number) });
      expect(await acme.getActiveSessions('ada')).toEqual([session]);
    },
  );

  it('a session that ended is as absent as one that lives: not even why it ended is said', async () => {
    const { id } = await acme.create({ userId: 'ada' });
    await acme.destroy(id, { reason: 'admin' });
    expect(await acme.read(id)).toMatchObject({ state: 'ended', reason: 'admin' });
    expect(await backend.open('globex').read(id)).toEqual({ state: 'absent' });
  });

  it('counts, limits and ends of everybody are of one tenant, also in portions', async () => {
    const globex = backend.open('globex');
    const none = backend.open('');
    for (let user = 0; user < 30; user += 1) {
      await acme.create({ userId: `user-${user}` });
      if (user % 3 === 0) await globex.create({ userId: `user-${user}` });
      if (user % 10 === 0) await none.create({ userId: `user-${user}` });
    }
    expect(await Promise.all([acme, globex, none].map((store) => store.count()))).toEqual([30, 10, 3]);
    const parts: number[] = [];
    for (let cursor: number | null = 0; cursor !== null;) {
      const part: { count: number; cursor: number | null } = await acme.countPart({ cursor, budget: 0 });
      parts.push(part.count);
      cursor = part.cursor;
    }
    expect(parts.reduce((sum, count) => sum + count, 0)).toBe(30);
    let ended = 0;
    for (let cursor: number | null = 0; cursor !== null;) {
      const part: { ended: number; cursor: number | null } = await globex.destroyEverybody({ cursor, budget: 0 });
      ended += part.ended;
      cursor = part.cursor;
    }
    expect(ended).toBe(10);
    expect(await Promise.all([acme, globex, none].map((store) => store.count()))).toEqual([30, 0, 3]);
    expect((await none.destroyEverybody()).ended).toBe(3);
    expect(await acme.count()).toBe(30);
  });

  it('each hears its own events and no others, the sweep of one and what a process finds out included', async () => {
    const globex = backend.open('globex');
    const none = backend.open('');
    const heard: Record<string, SessionEvent[]> = { acme: [], globex: [], none: [] };
    acme.subscribe((event) => heard['acme']?.push(event));
    globex.subscribe((event) => heard['globex']?.push(event));
    none.subscribe((event) => heard['none']?.push(event));
    await Promise.all([acme, globex, none].map((store) => store.ready()));
    const mine = await acme.create({ userId: 'ada' });
    const theirs = await globex.create({ userId: 'ada' });
    const nobodys = await none.create({ userId: 'ada' });
    const found = { type: 'use-after-end', at: 1, userId: 'ada', reason: 'idle', remote: false } as const;
    globex.publish({ ...found, sessionId: theirs.id, tenant: 'acme' });
    for (const [store, id] of [
      [acme, mine.id],
      [globex, theirs.id],
      [none, nobodys.id],
    ] as const) {
      await store.destroy(id);
    }
    await until(() => Object.values(heard).every((events) => events.some(({ type }) => type === 'ended')));
    const of = (name: string): string[] =>
      (heard[name] ?? []).map(({ type, tenant, sessionId }) => `${type} ${tenant} ${sessionId}`);
    expect(of('acme')).toEqual([`created acme ${mine.id}`, `ended acme ${mine.id}`]);
    expect(of('globex').sort()).toEqual(
      [`created globex ${theirs.id}`, `ended globex ${theirs.id}`, `use-after-end globex ${theirs.id}`].sort(),
    );
    expect(of('none')).toEqual([`created undefined ${nobodys.id}`, `ended undefined ${nobodys.id}`]);
  });

  it('consumer groups of one name are two groups, and take their own events alone', async () => {
    const globex = backend.open('globex');
    const taken: Record<string, string[]> = { acme: [], globex: [] };
    await acme.eventStream()?.consume('mailer', ({ sessionId, type }) => taken['acme']?.push(`${type} ${sessionId}`));
    await globex
      .eventStream()
      ?.consume('mailer', ({ sessionId, type }) => taken['globex']?.push(`${type} ${sessionId}`));
    const mine = await acme.create({ userId: 'ada' });
    const theirs = await globex.create({ userId: 'ada' });
    await until(() => (taken['acme']?.length ?? 0) > 0 && (taken['globex']?.length ?? 0) > 0);
    expect(taken).toEqual({ acme: [`created ${mine.id}`], globex: [`created ${theirs.id}`] });
  });

  it('a refused token and a cutoff of one tenant mean nothing to another', async () => {
    const globex = backend.blacklist.forTenant('globex');
    const scope = { issuer: 'https://login.example.com' };
    await backend.blacklist.add('jti', Date.now() + MINUTE, scope);
    await backend.blacklist.revokeAllFor('ada', scope);
    expect(await backend.blacklist.isBlacklisted('jti', scope)).toBe(true);
    expect(await backend.blacklist.isRevokedFor('ada', Date.now() - MINUTE, scope)).toBe(true);
    expect(await globex.isBlacklisted('jti', scope)).toBe(false);
    expect(await globex.isRevokedFor('ada', Date.now() - MINUTE, scope)).toBe(false);
  });

  it('an alias of one tenant leads nowhere in another, and is in no list of it', async () => {
    const [mine, theirs, none] = [acme, backend.open('globex'), backend.open('')].map((store) => store.aliases());
    if (!mine || !theirs || !none) throw new Error('every store here has aliases');
    const { id } = await acme.create({ userId: 'ada' });
    const digest = 'x'.repeat(43);
    await mine.point(digest, { from: null, to: id, lifetime: MINUTE });
    expect(await theirs.find(digest)).toEqual({ state: 'absent' });
    expect(await theirs.end(digest, MINUTE)).toEqual({ state: 'absent' });
    expect(await none.end(digest, MINUTE)).toEqual({ state: 'absent' });
    expect(await mine.find(digest)).toEqual({ state: 'session', sessionId: id });
    const listed = async (aliases: typeof mine): Promise<string[]> => {
      const all: string[] = [];
      for await (const portion of aliases.list()) all.push(...portion.map(({ sessionId }) => sessionId));
      return all;
    };
    expect([await listed(mine), await listed(theirs), await listed(none)]).toEqual([[id], [], []]);
  });

  it('names that would break a line or an address are refused', () => {
    for (const name of ['a\nb', '\0', '\ud800', 'x'.repeat(257)]) {
      expect(() => acme.forTenant(name)).toThrow('tenant');
      expect(() => backend.blacklist.forTenant(name)).toThrow('tenant');
    }
  });
});

describe('a record whose address does not follow from tenant and user', () => {
  it('is nobody’s: a copy under another user’s key lets nobody in', async () => {
    const { store, keyPrefix, close } = await onRedis();
    const admin = new Redis(testRedisUrl());
    try {
      const ada = await store.create({ userId: 'ada', roles: ['admin'] });
      const bob = await store.create({ userId: 'bob' });
      const keys = await admin.keys(`${keyPrefix}*:user:*`);
      const [from, to] = [ada, bob].map(({ id }) => keys.find((key) => key.endsWith(id.slice(0, 16))) as string) as [
        string,
        string,
      ];
      await admin.copy(from, to, 'REPLACE');
      expect(await store.read(bob.id.slice(0, 16) + ada.id.slice(16))).toEqual({ state: 'absent' });
      expect(await store.getActiveSessions('bob')).toEqual([]);
      expect(await store.get(ada.id)).toEqual(ada);
    } finally {
      admin.disconnect();
      await close();
    }
  });
});
