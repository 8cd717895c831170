import { randomBytes } from 'node:crypto';
import { jest } from '@jest/globals';
import type { Session } from '../../src/model/session.js';
import type { LiveSession, RotateRequest } from '../../src/ports/session-store.js';
import type { RedisSessionStore } from '../../src/redis/redis-session-store.js';
import { RedisTokenBlacklist } from '../../src/redis/redis-token-blacklist.js';
import { OwnRedis, PREFIX } from '../support/own-redis.js';

const LIMIT = 5;
const HASH = randomBytes(32);
const REFRESH: Omit<RotateRequest, 'presented'> = {
  kind: 'refresh',
  grace: 30_000,
  rotateAfter: 30_000,
  rotateFirst: true,
  touch: true,
};

/** Commands that change a key. */
const WRITES = ['hset', 'hdel', 'zadd', 'zrem', 'set', 'del', 'pexpire', 'publish', 'eval', 'evalsha'];

describe('commands and round trips', () => {
  let redis: OwnRedis;
  let store: RedisSessionStore;
  let blacklist: RedisTokenBlacklist;

  beforeAll(async () => {
    redis = await OwnRedis.start();
    // The look at the server's clock every ten seconds would be counted along with whatever is measured then.
    jest.spyOn(globalThis, 'setInterval').mockReturnValue({ unref: () => undefined } as never);
  });

  afterAll(async () => {
    jest.restoreAllMocks();
    await redis?.stop();
  });

  afterEach(async () => {
    await blacklist.close();
    await redis.reset();
  });

  async function open(otherUsers: number): Promise<void> {
    const client = redis.connectViaProxy();
    store = redis.open({ limit: { max: LIMIT, onLimit: 'evict-least-recent' } }, client);
    blacklist = new RedisTokenBlacklist(client, { keyPrefix: PREFIX });
    await store.ready();
    await warmUp();
    await Promise.all(
      Array.from({ length: otherUsers }, (_, index) => store.create({ userId: `other-${index}`, deviceId: 'd' })),
    );
  }

  /** Lets the server learn every script: the first call of each takes a second round trip, once in the server's life. */
  async function warmUp(): Promise<void> {
    const { id } = await store.create({ userId: 'warm-up' }, { credentials: { refresh: HASH } });
    await store.touch(id);
    await store.update(id, { data: { a: 1 } });
    await store.updateUser('warm-up', { roles: ['a'] });
    await store.rotate(id, { ...REFRESH, presented: { hash: HASH, generation: 0 } });
    await store.regenerate(id, { credentials: {}, freshen: true, repeatableFor: 0 });
    await store.revokeToken(id, 'jti', store.now() + 60_000);
    await store.revokeTokens('warm-up');
    await store.destroyAll('warm-up');
    await store.sweep();
    await blacklist.add('warm-up', store.now() + 60_000);
    await blacklist.revokeAllFor('warm-up');
  }

  async function signIns(userId = 'ada'): Promise<Session[]> {
    const sessions: Session[] = [];
    for (let device = 0; device < LIMIT; device += 1) {
      const input = { userId, deviceId: `device-${device}` };
      sessions.push(await store.create(input, { credentials: { cookie: HASH, refresh: HASH } }));
    }
    return sessions;
  }

  /** What the operation cost: waits one after another, and commands that a client sent (those in scripts begin with them). */
  async function costOf(
    operation: () => Promise<unknown>,
    counting: { upkeep?: boolean } = {},
  ): Promise<{ waits: number; commands: Record<string, number> }> {
    await redis.resetCommands();
    redis.proxy.resetCounts();
    redis.proxy.setDelay(3);
    await operation();
    redis.proxy.setDelay(0);
    // One ROLE leaves with all commands of a turn of the event loop, whatever it carries: see demoted-primary.spec.ts.
    const { role: _proof, ...commands } = await redis.commands(counting);
    return { waits: redis.proxy.roundTrips, commands };
  }

  describe.each([0, 500])('beside %i other users', (otherUsers) => {
    let sessions: Session[];
    let current: Session;

    beforeEach(async () => {
      await open(otherUsers);
      sessions = await signIns();
      current = sessions[0] as Session;
    });

    const reads: Record<string, () => Promise<unknown>> = {
      'an authenticated read': () => store.read(current.id),
      'an authenticated read by bearer token': () => store.read(current.id, { tokenId: `${current.id}.1` }),
      get: () => store.get(current.id),
    };
    for (const [name, read] of Object.entries(reads)) {
      it(`${name}: one HMGET, nothing else, and no write`, async () => {
        expect(await costOf(read)).toEqual({ waits: 1, commands: { hmget: 1 } });
      });
    }

    it('a list, and a look-up by device: one HGETALL', async () => {
      expect(await costOf(() => store.getActiveSessions('ada'))).toEqual({ waits: 1, commands: { hgetall: 1 } });
      expect(await costOf(() => store.findByDevice('ada', 'device-1'))).toEqual({ waits: 1, commands: { hgetall: 1 } });
    });

    it('a request within the touch interval: one read; with a touch that is due: one read and one script', async () => {
      const cost = await costOf(async () => {
        await store.read(current.id);
        await store.touch(current.id);
      });
      expect(cost.waits).toBe(2);
      expect(cost.commands).toMatchObject({ hmget: 1, evalsha: 1 });
    });

    const operations: Record<string, () => Promise<unknown>> = {
      'a sign-in at the limit': () => store.create({ userId: 'ada' }, { credentials: { cookie: HASH } }),
      'a sign-in on a known device': () => store.create({ userId: 'ada', deviceId: 'device-3' }),
      'a sign-in that replaces a session': () => store.create({ userId: 'ada' }, { replaces: current.id }),
      'a refused sign-in': () =>
        store.create({ userId: 'ada' }, { limit: { max: LIMIT, onLimit: 'reject' } }).catch(() => undefined),
      touch: () => store.touch(current.id),
      'rotate (refresh)': () => store.rotate(current.id, { ...REFRESH, presented: { hash: HASH, generation: 0 } }),
      'rotate (cookie)': () =>
        store.rotate(current.id, {
          ...REFRESH,
          kind: 'cookie',
          rotateAfter: 0,
          presented: { hash: HASH, generation: 0 },
        }),
      'rotate (a write was lost)': () =>
        store.rotate(current.id, { ...REFRESH, presented: { hash: HASH, generation: 9 } }),
      'regenerate (step-up, privilege change)': () =>
        store.regenerate(current.id, {
          credentials: { cookie: randomBytes(32), refresh: randomBytes(32) },
          freshen: true,
          presented: { kind: 'cookie', hash: HASH },
          repeatableFor: 30_000,
        }),
      'end one': () => store.destroy(current.id),
      'end one of a given user': () => store.destroy(current.id, { userId: 'ada' }),
      'end all': () => store.destroyAll('ada'),
      'end the others': () => store.destroyAll('ada', { except: current.id }),
      'end by device': () => store.destroyAll('ada', { deviceId: 'device-2' }),
      updateUser: () => store.updateUser('ada', { email: 'ada@example.com', roles: ['admin'] }),
      revokeToken: () => store.revokeToken(current.id, `${current.id}.1`, store.now() + 60_000),
      revokeTokens: () => store.revokeTokens('ada'),
    };
    for (const [name, operation] of Object.entries(operations)) {
      it(`${name}: one script, one round trip`, async () => {
        const { waits, commands } = await costOf(operation);
        expect(waits).toBe(1);
        expect(commands['evalsha']).toBe(1);
        expect(commands['eval']).toBeUndefined();
        expect(commands['hgetall'] ?? 0).toBe(name === 'a refused sign-in' ? 1 : 0);
      });
    }

    it('a reuse: one script, one round trip, the end of the session included', async () => {
      await store.rotate(current.id, { ...REFRESH, presented: { hash: HASH, generation: 9 } });
      const { waits, commands } = await costOf(() =>
        store.rotate(current.id, { ...REFRESH, presented: { hash: HASH, generation: 0 } }),
      );
      expect(await store.read(current.id)).toMatchObject({ state: 'ended', reason: 'reuse' });
      expect({ waits, evalsha: commands['evalsha'] }).toEqual({ waits: 1, evalsha: 1 });
    });

    it('the commands within a script do not grow with the number of users either', async () => {
      const { commands } = await costOf(() => store.destroyAll('ada'));
      const total = Object.values(commands).reduce((sum, calls) => sum + calls, 0);
      expect(total).toBeLessThan(30);
    });

    it('the blacklist: one round trip to add, to add fifty, to look up, to revoke all of a subject', async () => {
      const until = store.now() + 60_000;
      const fifty = Array.from({ length: 50 }, (_, index) => ({ jti: `jti-${index}`, expiresAt: until }));
      expect((await costOf(() => blacklist.add('jti', until))).waits).toBe(1);
      expect((await costOf(() => blacklist.addBulk(fifty))).waits).toBe(1);
      expect(await costOf(() => blacklist.isBlacklisted('jti'))).toEqual({ waits: 1, commands: { exists: 1 } });
      expect((await costOf(() => blacklist.revokeAllFor('ada'))).waits).toBe(1);
      expect(await costOf(() => blacklist.isRevokedFor('ada', until))).toEqual({ waits: 1, commands: { get: 1 } });
    });
  });

  it('an authenticated read sends no write even where the session is over, damaged or not there', async () => {
    await open(0);
    const [ended, damaged] = (await signIns()) as [Session, Session];
    await store.destroy(ended.id);
    await redis.admin.hset(...redis.fieldOf(damaged.id, 'r'), 'null');
    for (const id of [ended.id, damaged.id, 'x'.repeat(32)]) {
      const { commands } = await costOf(() => store.read(id));
      for (const write of WRITES) expect(commands[write]).toBeUndefined();
    }
  });

  describe('the exceptions, and no others', () => {
    beforeEach(() => open(40));

    it('update: its read, then its write; a conflict costs one round trip more, as the refusal brings the record along', async () => {
      const [session] = (await signIns()) as [Session];
      const { waits, commands } = await costOf(() => store.update(session.id, { data: { a: 1 } }));
      expect(waits).toBe(2);
      expect(commands['evalsha']).toBe(1);
      const other = redis.open();
      await other.ready();
      let calls = 0;
      const conflict = await costOf(() =>
        store.update(session.id, () => {
          calls += 1;
          if (calls === 1) {
            redis.proxy.blackhole(true);
            void other.update(session.id, { data: { b: 1 } }).finally(() => redis.proxy.blackhole(false));
          }
          return { data: { a: 2 } };
        }),
      );
      expect(calls).toBe(2);
      expect(conflict.waits).toBe(3);
      expect((await store.read(session.id)) as LiveSession).toMatchObject({ session: { data: { a: 2, b: 1 } } });
    });

    it('regenerate with a change to the record: its read, then its write', async () => {
      const [session] = (await signIns()) as [Session];
      const request = { credentials: {}, freshen: false, repeatableFor: 0, patch: { roles: ['admin'] } };
      expect((await costOf(() => store.regenerate(session.id, request))).waits).toBe(2);
    });

    it("a sign-in over another user's cookie: create, then end the old one, each of which may be repeated", async () => {
      const [old] = (await signIns('eve')) as [Session];
      const cost = await costOf(async () => {
        await store.create({ userId: 'ada' }, { replaces: old.id });
        await store.destroy(old.id, { reason: 'replaced' });
      });
      expect(cost.waits).toBe(2);
      expect(cost.commands['evalsha']).toBe(2);
      expect(await store.read(old.id)).toMatchObject({ state: 'ended', reason: 'replaced' });
    });

    it('everybody: a look at each bucket, and one script a user', async () => {
      const { waits, commands } = await costOf(() => {
        redis.proxy.setDelay(0);
        return store.destroyEverybody();
      });
      expect(waits).toBeGreaterThan(1);
      expect(commands['zrange']).toBe(1024);
      expect(commands['evalsha']).toBe(40);
      expect(await store.count()).toBe(0);
    });

    it('a count of one of several tenants: a look at each bucket, and one script for all of its users', async () => {
      const acme = store.forTenant('acme');
      await acme.create({ userId: 'ada' });
      await Promise.all(Array.from({ length: 2_000 }, (_, n) => store.create({ userId: `more-${n}` })));
      expect(await acme.count()).toBe(1);
      const { commands } = await costOf(() => {
        redis.proxy.setDelay(0);
        return acme.count();
      });
      expect(commands['zrangebyscore']).toBe(1024);
      expect(commands['evalsha']).toBe((await redis.admin.keys('*:expiries')).length);
    });

    it('the sweep: a look at each bucket, many at once, and one script a user that has something due', async () => {
      await store.create({ userId: 'ada' }, { idleTimeout: 1 });
      await store.create({ userId: 'bob' }, { idleTimeout: 1 });
      await new Promise((resolve) => setTimeout(resolve, 5));
      const { waits, commands } = await costOf(() => store.sweep());
      expect(commands['zrangebyscore']).toBe(1024);
      expect(commands['evalsha']).toBe(2);
      expect(waits).toBeLessThan(100);
    });

    it('the first command of a connection: the time of the server', async () => {
      const [session] = (await signIns()) as [Session];
      const client = redis.connectViaProxy();
      await client.ping();
      const fresh = redis.open({}, client);
      // Adopting it while it is ready leaves nothing to be heard of that.
      const first = await costOf(() => fresh.read(session.id), { upkeep: true });
      expect(first).toEqual({ waits: 2, commands: { time: 1, hmget: 1 } });
      expect(await costOf(() => fresh.read(session.id))).toEqual({ waits: 1, commands: { hmget: 1 } });
    });
  });
});
