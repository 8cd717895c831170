import { randomBytes } from 'node:crypto';
import { SessionError } from '../../src/model/errors.js';
import { sidOf } from '../../src/model/ids.js';
import type { Session } from '../../src/model/session.js';
import type { SessionDamagedEvent } from '../../src/model/events.js';
import type { RedisSessionStore } from '../../src/redis/redis-session-store.js';
import { CapturedLogs } from '../support/captured-logs.js';
import { OwnRedis } from '../support/own-redis.js';

const MINUTE = 60_000;
const HASH = randomBytes(32);

/** Ways in which somebody may have damaged one session of a user by hand. */
const DAMAGES: Readonly<Record<string, (redis: OwnRedis, id: string) => Promise<unknown>>> = {
  'corrupt JSON': (redis, id) => redis.admin.hset(...redis.fieldOf(id, 'r'), '{"v":1,'),
  'an empty record': (redis, id) => redis.admin.hset(...redis.fieldOf(id, 'r'), ''),
  null: (redis, id) => redis.admin.hset(...redis.fieldOf(id, 'r'), 'null'),
  'a number': (redis, id) => redis.admin.hset(...redis.fieldOf(id, 'r'), '5'),
  'a list': (redis, id) => redis.admin.hset(...redis.fieldOf(id, 'r'), '[]'),
  'an empty object': (redis, id) => redis.admin.hset(...redis.fieldOf(id, 'r'), '{}'),
  'missing fields': (redis, id) => redis.admin.hset(...redis.fieldOf(id, 'r'), '{"v":1,"email":""}'),
  'fields of a wrong type': (redis, id) =>
    redis.admin.hset(...redis.fieldOf(id, 'r'), '{"v":1,"email":"","roles":"admin","data":{},"metadata":[]}'),
  'a record of a newer version': (redis, id) =>
    redis.admin.hset(...redis.fieldOf(id, 'r'), '{"v":2,"email":"","roles":[],"data":{}}'),
  'bytes that are no UTF-8': (redis, id) =>
    redis.admin.hset(...redis.fieldOf(id, 'r'), Buffer.from([0xff, 0xfe, 0x00])),
  'no record': (redis, id) => redis.admin.hdel(...redis.fieldOf(id, 'r')),
  'no clock': (redis, id) => redis.admin.hdel(...redis.fieldOf(id, 'c')),
  'an empty clock': (redis, id) => redis.admin.hset(...redis.fieldOf(id, 'c'), ''),
  'a clock cut short': (redis, id) => cut(redis, id, 20),
  'a clock without credentials': (redis, id) => cut(redis, id, 56),
  'credentials cut short': (redis, id) => cut(redis, id, 60),
  'credentials with something behind them': async (redis, id) =>
    redis.admin.hset(...redis.fieldOf(id, 'c'), Buffer.concat([await clockOf(redis, id), Buffer.from('x')])),
  'a clock of text': (redis, id) => redis.admin.hset(...redis.fieldOf(id, 'c'), 'x'.repeat(200)),
};

async function clockOf(redis: OwnRedis, id: string): Promise<Buffer> {
  return (await redis.admin.hgetBuffer(...redis.fieldOf(id, 'c'))) ?? Buffer.alloc(0);
}

async function cut(redis: OwnRedis, id: string, bytes: number): Promise<void> {
  await redis.admin.hset(...redis.fieldOf(id, 'c'), (await clockOf(redis, id)).subarray(0, bytes));
}

/** Every method of the store, on a session and its user. */
function everything(store: RedisSessionStore, id: string, userId: string): (() => Promise<unknown>)[] {
  const rule = { grace: 0, rotateAfter: 0, rotateFirst: true, touch: true };
  return [
    () => store.read(id, { tokenId: 'jti' }),
    () => store.get(id),
    () => store.getActiveSessions(userId),
    () => store.findByDevice(userId, 'd'),
    () => store.touch(id),
    () => store.update(id, { data: { a: 1 }, roles: ['a'] }),
    () => store.updateUser(userId, { email: 'a@example.com', roles: ['a'] }),
    () => store.rotate(id, { ...rule, kind: 'cookie', presented: { hash: HASH, generation: 0 } }),
    () => store.rotate(id, { ...rule, kind: 'refresh', presented: { hash: HASH, generation: 5 } }),
    () => store.regenerate(id, { credentials: { cookie: HASH }, freshen: true, repeatableFor: 0, patch: { acr: 'x' } }),
    () => store.revokeToken(id, 'jti', store.now() + MINUTE),
    () => store.revokeTokens(userId),
    () => store.create({ userId, deviceId: 'e' }, { limit: { max: 2, onLimit: 'evict-oldest' } }),
    () => store.create({ userId }, { limit: { max: 1, onLimit: 'reject' } }),
    () => store.count(),
    () => store.sweep(),
    () => store.destroy(id),
    () => store.destroyAll(userId, { deviceId: 'd' }),
    () => store.destroyAll(userId),
    () => store.destroyEverybody(),
  ];
}

describe('damage done by hand', () => {
  let redis: OwnRedis;
  let logs: CapturedLogs;
  let store: RedisSessionStore;
  let shift: number;

  beforeAll(async () => {
    redis = await OwnRedis.start();
  });

  afterAll(() => redis?.stop());

  beforeEach(async () => {
    logs = new CapturedLogs();
    shift = 0;
    store = redis.open({ timeShift: () => shift });
    await store.ready();
  });

  afterEach(async () => {
    await redis.reset();
    logs.restore();
  });

  const signIn = (deviceId = 'd'): Promise<Session> =>
    store.create({ userId: 'ada', deviceId }, { credentials: { cookie: HASH, refresh: HASH } });

  describe.each(Object.entries(DAMAGES))('%s', (_, damage) => {
    it('is no session: nothing is read of it, listed or changed, and each read says so to listeners', async () => {
      const [session, sound] = [await signIn(), await signIn('sound')];
      await damage(redis, session.id);
      const log = await redis.listen(store);
      const snapshot = await store.read(session.id);
      expect(snapshot).toEqual({ state: 'damaged', detail: expect.stringMatching(/./) });
      const [event, ...more] = (await log.all()) as SessionDamagedEvent[];
      expect(event).toMatchObject({ type: 'damaged', sessionId: session.id, userId: 'ada', remote: false });
      expect(more).toEqual([]);
      expect(await store.get(session.id)).toBeNull();
      expect(await store.getActiveSessions('ada')).toEqual([sound]);
      expect(await store.findByDevice('ada', 'd')).toBeNull();
      expect(await store.update(session.id, { data: { a: 1 } })).toBeNull();
      expect(await store.get(sound.id)).toEqual(sound);
    });

    it('keeps nobody from signing in, and the others of the user from nothing', async () => {
      const [session, sound] = [await signIn(), await signIn('sound')];
      await damage(redis, session.id);
      const fresh = await signIn('fresh');
      expect(await store.touch(sound.id)).toBe(true);
      expect((await store.getActiveSessions('ada')).map(({ id }) => id).sort()).toEqual([fresh.id, sound.id].sort());
      expect(await store.updateUser('ada', { roles: ['a'] })).toBeGreaterThanOrEqual(2);
      expect((await store.get(sound.id))?.roles).toEqual(['a']);
    });

    it('can be ended, alone and with all others, and is then gone', async () => {
      for (const end of [(id: string) => store.destroy(id), () => store.destroyAll('ada')]) {
        const session = await signIn();
        await damage(redis, session.id);
        const log = await redis.listen(store);
        expect(Number(await end(session.id))).toBe(1);
        expect(await store.read(session.id)).toMatchObject({ state: 'ended', reason: 'logout' });
        expect(await log.types(session.id)).toContain('ended logout');
        expect(Object.keys(await redis.stateOf(session.id.slice(0, 16))).sort()).toEqual(['p', 't', 'u']);
      }
    });

    it('never makes any method throw anything but an error of ours', async () => {
      const calls = everything(store, '', '').length;
      for (let call = 0; call < calls; call += 1) {
        const session = await signIn();
        await signIn('sound');
        await damage(redis, session.id);
        const outcome = await everything(store, session.id, 'ada')
          [call]?.()
          .catch((error: unknown) => error);
        // Neither a TypeError nor a script that fails: one damaged session is no trouble of the store.
        if (outcome instanceof Error) expect(outcome).toMatchObject({ code: 'session_limit_reached' });
        await redis.admin.flushall();
      }
    });
  });

  it.each(Object.entries(DAMAGES).filter(([name]) => name !== 'a clock of text'))(
    'is removed and announced once its deadline has passed: %s',
    async (_, damage) => {
      const [session, sound] = [await signIn(), await signIn('sound')];
      await damage(redis, session.id);
      const log = await redis.listen(store);
      shift = 20 * MINUTE;
      await store.touch(sound.id);
      expect(await store.sweep()).toBe(0);
      shift = 31 * MINUTE;
      expect(await store.sweep()).toBe(1);
      expect(await store.sweep()).toBe(0);
      expect(await log.types(session.id)).toEqual(['ended idle']);
      const left = Object.keys(await redis.stateOf(session.id.slice(0, 16)));
      expect(left.filter((field) => field.includes(sidOf(session.id)))).toEqual([]);
      expect(await store.get(sound.id)).not.toBeNull();
    },
  );

  describe('a form of a later version', () => {
    /** What a later version of this library may keep: a clock of another form beside a record of another version. */
    async function later(): Promise<{ session: Session; fields: () => Promise<Record<string, string>> }> {
      const session = await signIn();
      await redis.admin.hset(...redis.fieldOf(session.id, 'c'), Buffer.from([0xf0, 1, 2, 3]));
      await redis.admin.hset(...redis.fieldOf(session.id, 'r'), '{"v":2}');
      const fields = async (): Promise<Record<string, string>> =>
        Object.fromEntries(
          Object.entries(await redis.stateOf(session.id.slice(0, 16))).filter(([field]) =>
            field.includes(sidOf(session.id)),
          ),
        );
      return { session, fields };
    }

    it('is left alone by the sweep, by sign-ins at the limit, and by the ends of other sessions', async () => {
      const { session, fields } = await later();
      const before = await fields();
      expect(Object.keys(before)).toHaveLength(3);
      shift = 31 * MINUTE;
      await store.sweep();
      for (let index = 0; index < 4; index += 1) {
        await store.create({ userId: 'ada', deviceId: 'd' }, { limit: { max: 1, onLimit: 'evict-oldest' } });
      }
      await store.updateUser('ada', { roles: ['a'] });
      await store.destroyAll('ada', { deviceId: 'd' });
      await store.touch(session.id);
      await store.rotate(session.id, {
        kind: 'cookie',
        presented: { hash: HASH, generation: 0 },
        grace: 0,
        rotateAfter: 0,
        rotateFirst: true,
        touch: true,
      });
      expect((await store.read(session.id)).state).toBe('damaged');
      expect(await fields()).toEqual(before);
    });

    it('ends when it is meant: by itself, and with all of its user (who signs out everywhere must not leave it behind)', async () => {
      const { session, fields } = await later();
      expect(await store.destroy(session.id)).toBe(true);
      expect(await fields()).toEqual({});
      const { fields: others } = await later();
      expect(await store.destroyAll('ada')).toBe(1);
      expect(await others()).toEqual({});
    });
  });

  describe('what stands beside the sessions of a user', () => {
    it('no user id, or an empty one: no session of that hash is anybody’s, and the next sign-in mends it', async () => {
      for (const damage of [
        () => redis.admin.hdel(redis.keys.ofUser('ada').user, 'u'),
        () => redis.admin.hset(redis.keys.ofUser('ada').user, 'u', ''),
      ]) {
        const session = await signIn();
        await damage();
        expect((await store.read(session.id)).state).toBe('damaged');
        expect(await store.getActiveSessions('ada')).toEqual([]);
        expect(await store.destroyAll('ada')).toBe(0);
        await redis.admin.flushall();
      }
      await signIn();
      await redis.admin.hdel(redis.keys.ofUser('ada').user, 'u');
      const { id } = await signIn('other');
      expect((await store.read(id)).state).toBe('live');
    });

    it('another user’s id: the sign-in is refused with 503, nothing of the other is shown', async () => {
      const session = await signIn();
      await redis.admin.hset(redis.keys.ofUser('ada').user, 'u', 'eve');
      const before = await redis.stateOf(session.id.slice(0, 16));
      await expect(signIn('x')).rejects.toMatchObject({ code: 'store_unavailable' });
      expect(await store.getActiveSessions('ada')).toEqual([]);
      expect(await store.destroyAll('ada')).toBe(0);
      expect(await store.destroy(session.id, { userId: 'ada' })).toBe(false);
      expect(await redis.stateOf(session.id.slice(0, 16))).toEqual(before);
    });

    it('an unreadable cutoff or revocation counts as one, and is not undone by a sweep', async () => {
      const { id } = await signIn();
      const { user } = redis.keys.ofUser('ada');
      await redis.admin.hset(user, 'x', 'soon', 'jjti', 'never');
      await store.sweep();
      await signIn('other');
      expect(await store.read(id, { tokenId: 'jti' })).toMatchObject({
        tokenRevoked: true,
        tokensFrom: Number.MAX_SAFE_INTEGER,
      });
      expect(await store.revokeTokens('ada')).toBeLessThan(store.now() + MINUTE);
    });

    it('an unreadable profile gives nobody roles, and the next change of the user mends it', async () => {
      const { id } = await store.create({ userId: 'ada', roles: ['admin'] });
      const { user } = redis.keys.ofUser('ada');
      for (const damaged of ['1:{"a":1}', '1:[5]', '1:', 'x', '', '1:null', '9'.repeat(40)]) {
        await redis.admin.hset(user, 'o', damaged, 'e', damaged);
        const session = await store.get(id);
        expect(session?.roles).toEqual([]);
        expect(typeof session?.email).toBe('string');
        expect(await store.update(id, { data: { damaged } })).not.toBeNull();
        expect(await store.updateUser('ada', { roles: ['b'], email: 'b@example.com' })).toBe(1);
        expect(await store.get(id)).toMatchObject({ roles: ['b'], email: 'b@example.com' });
      }
    });

    it('unreadable tombstones and operations are no hindrance', async () => {
      const { user } = redis.keys.ofUser('ada');
      for (const damaged of ['', 'x', 'x'.repeat(23), 'x'.repeat(20), randomBytes(460), 'x'.repeat(10_000)]) {
        const { id } = await signIn();
        await redis.admin.hset(user, 't', damaged, 'p', damaged);
        expect(await store.update(id, { data: { a: 1 } })).not.toBeNull();
        expect(await store.touch(id)).toBe(true);
        expect(await store.updateUser('ada', { roles: ['b'] })).toBe(1);
        expect(await store.destroy(id)).toBe(true);
        expect(await store.read(id)).toMatchObject({ state: 'ended', reason: 'logout' });
      }
    });

    it('a session from a far future does not carry the user’s other sessions along', async () => {
      const { id } = await signIn();
      const clock = await clockOf(redis, id);
      clock.writeUIntBE(2 ** 48 - 1, 7, 6);
      await redis.admin.hset(...redis.fieldOf(id, 'c'), clock);
      const fresh = await signIn('fresh');
      expect(fresh.createdAt).toBeLessThan(store.now() + MINUTE);
      expect(await store.touch(fresh.id)).toBe(true);
      expect(await store.destroyAll('ada')).toBe(2);
    });
  });

  describe('a key of another type', () => {
    it.each(['user', 'expiries'] as const)(
      'at the %s key: sign-in is 503 with one clear log line, and writes nothing',
      async (which) => {
        const keys = redis.keys.ofUser('ada');
        await redis.admin.set(keys[which], 'not ours');
        for (let attempt = 0; attempt < 3; attempt += 1) {
          const error = (await signIn().catch((refusal: unknown) => refusal)) as Error;
          expect(error).toMatchObject({ code: 'store_unavailable', statusCode: 503 });
          expect(error.message).not.toContain(keys.user);
        }
        expect(logs.lines).toHaveLength(1);
        expect(logs.lines[0]).toContain(keys[which]);
        expect(logs.lines[0]).toMatch(/Delete it|keyPrefix/);
        expect(await redis.admin.get(keys[which])).toBe('not ours');
        expect(await redis.keysLeft()).toEqual([keys[which]]);
      },
    );

    it('where a session should be: no session, an event, an empty list; never an error', async () => {
      const session = await signIn();
      const { user } = redis.keys.ofUser('ada');
      await redis.admin.del(user);
      await redis.admin.lpush(user, 'not ours');
      const log = await redis.listen(store);
      expect(await store.read(session.id)).toMatchObject({ state: 'damaged' });
      expect(await store.get(session.id)).toBeNull();
      expect(await store.getActiveSessions('ada')).toEqual([]);
      expect(await log.types()).toEqual(['damaged', 'damaged']);
      expect(await store.update(session.id, { data: {} })).toBeNull();
    });

    it('does not keep others from their end, from being swept and counted', async () => {
      const foreign = await signIn();
      const users = Array.from({ length: 30 }, (_, index) => `user-${index}`);
      for (const userId of users) await store.create({ userId }, { idleTimeout: MINUTE });
      const { user } = redis.keys.ofUser('ada');
      await redis.admin.del(user);
      await redis.admin.set(user, 'not ours');
      shift = 2 * MINUTE;
      expect(await store.sweep()).toBe(30);
      for (const userId of users) await store.create({ userId });
      await store.forTenant('acme').create({ userId: 'ada' });
      expect(await Promise.all([store.count(), store.forTenant('acme').count()])).toEqual([30, 1]);
      const { ended, cursor } = await store.destroyEverybody();
      expect({ ended, cursor }).toEqual({ ended: 30, cursor: null });
      expect((await store.read(foreign.id)).state).toBe('damaged');
      shift = 40 * MINUTE;
      await store.sweep();
      await redis.admin.del(user);
      expect(await store.sweep()).toBe(1);
      expect(await redis.admin.exists(redis.keys.ofUser('ada').expiries)).toBe(0);
    });

    it('at a bucket: the sweep goes on with the others; who counts or ends everybody is told', async () => {
      const session = await store.create({ userId: 'bob' }, { idleTimeout: MINUTE });
      const { expiries } = redis.keys.ofUser('ada');
      expect(redis.keys.ofSession(session.id).expiries).not.toBe(expiries);
      await redis.admin.set(expiries, 'not ours');
      shift = 2 * MINUTE;
      expect(await store.sweep()).toBe(1);
      await expect(store.count()).rejects.toMatchObject({ code: 'store_unavailable' });
      await expect(store.destroyEverybody()).rejects.toMatchObject({ code: 'store_unavailable' });
      expect(logs.lines).toHaveLength(1);
      expect(logs.lines[0]).toContain(expiries);
    });

    it('makes no method throw anything but an error of ours', async () => {
      const keys = redis.keys.ofUser('ada');
      for (const which of ['user', 'expiries'] as const) {
        for (let call = 0; call < everything(store, '', '').length; call += 1) {
          const { id } = await signIn();
          await redis.admin.del(keys[which]);
          await redis.admin.sadd(keys[which], 'not ours');
          const outcome = await everything(store, id, 'ada')
            [call]?.()
            .catch((error: unknown) => error);
          if (outcome instanceof Error) expect(outcome).toBeInstanceOf(SessionError);
          expect(await redis.admin.type(keys[which])).toBe('set');
          await redis.admin.flushall();
        }
      }
    });
  });
});
