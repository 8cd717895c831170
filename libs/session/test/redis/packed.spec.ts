import { randomBytes } from 'node:crypto';
import { sidOf } from '../../src/model/ids.js';
import { DEVICE_TYPES, END_REASONS } from '../../src/model/session.js';
import type { LiveSession } from '../../src/ports/session-store.js';
import { unpackClock, unpackFamilies, unpackTombstones } from '../../src/redis/packed.js';
import type { RedisSessionStore } from '../../src/redis/redis-session-store.js';
import { OwnRedis } from '../support/own-redis.js';

const MINUTE = 60_000;
const LAST_INSTANT = 2 ** 48 - 1;

describe('what the scripts pack, as read back here', () => {
  let redis: OwnRedis;
  let store: RedisSessionStore;

  beforeAll(async () => {
    redis = await OwnRedis.start();
  });

  afterAll(() => redis?.stop());

  beforeEach(async () => {
    store = redis.open();
    await store.ready();
  });

  afterEach(() => redis.reset());

  async function stored(id: string): Promise<Buffer> {
    const bytes = await redis.admin.hgetBuffer(...redis.fieldOf(id, 'c'));
    if (!bytes) throw new Error('there is no clock');
    return bytes;
  }

  it('a new session: clock, device and revision in 56 bytes, its credentials behind them', async () => {
    const credentials = { cookie: randomBytes(32), refresh: randomBytes(32) };
    const client = randomBytes(8);
    for (const [number, deviceType] of DEVICE_TYPES.entries()) {
      const input = { userId: 'ada', deviceId: `${number}`, deviceType };
      const session = await store.create(input, {
        credentials,
        client,
        idleTimeout: 7 * MINUTE,
        absoluteTimeout: 90 * MINUTE,
      });
      const bytes = await stored(session.id);
      expect(bytes).toHaveLength(56 + 2 + 2 * (32 + 4 + 6 + 8));
      expect(bytes[0]).toBe(32 + number);
      const clock = unpackClock(bytes);
      expect(clock).toMatchObject({
        createdAt: session.createdAt,
        lastAccess: session.createdAt,
        idleTimeout: 7 * MINUTE,
        expiresAt: session.createdAt + 90 * MINUTE,
        authenticatedAt: session.createdAt,
        tokensFrom: 0,
        profileSeq: 0,
      });
      const unbranched = { parentBranch: null, replacedBranch: null, inUse: true, previous: null };
      const family = { generation: 0, branch: session.createdAt, client, ...unbranched };
      expect(unpackFamilies(clock?.credentials ?? Buffer.alloc(0))).toEqual({
        cookie: { hash: credentials.cookie, ...family },
        refresh: { hash: credentials.refresh, ...family },
      });
    }
  });

  it('every combination of credentials, with and without client and replaced secret', async () => {
    for (const kinds of [[], ['cookie'], ['refresh'], ['cookie', 'refresh']] as const) {
      for (const client of [null, randomBytes(8)]) {
        for (const regenerated of [false, true]) {
          const hashes = { cookie: randomBytes(32), refresh: randomBytes(32) };
          const fresh = { cookie: randomBytes(32), refresh: randomBytes(32) };
          const credentials = Object.fromEntries(kinds.map((kind) => [kind, hashes[kind]]));
          const { id, createdAt } = await store.create({ userId: 'ada' }, { credentials, client });
          if (regenerated) await store.regenerate(id, { credentials: fresh, freshen: true, repeatableFor: 30_000 });
          const clock = unpackClock(await stored(id));
          const families = unpackFamilies(clock?.credentials ?? Buffer.alloc(0));
          for (const kind of ['cookie', 'refresh'] as const) {
            const present = (kinds as readonly string[]).includes(kind);
            const previous = { hash: hashes[kind], until: (clock?.lastAccess ?? 0) + 30_000 };
            expect(families?.[kind]).toEqual(
              present
                ? {
                    hash: (regenerated ? fresh : hashes)[kind],
                    generation: 0,
                    branch: regenerated ? Math.max(clock?.lastAccess ?? 0, createdAt + 1) : createdAt,
                    client,
                    parentBranch: null,
                    replacedBranch: null,
                    inUse: true,
                    previous: regenerated ? previous : null,
                  }
                : null,
            );
          }
          expect((await store.read(id)) as LiveSession).toMatchObject({ state: 'live', families });
        }
      }
    }
  });

  it('a clock and credentials of the earlier form, without flags and branches, are read, rotate and are rewritten', async () => {
    const hashes = { cookie: randomBytes(32), refresh: randomBytes(32) };
    const [client, previous] = [randomBytes(8), randomBytes(32)];
    const { id, userId, createdAt } = await store.create({ userId: 'ada' }, { credentials: hashes });
    const until = createdAt + 30_000;
    const number = (value: number, length: number): Buffer => {
      const bytes = Buffer.alloc(length);
      bytes.writeUIntBE(value, 0, length);
      return bytes;
    };
    const rotatedAt = createdAt - 10 * MINUTE;
    const earlier = Buffer.concat([
      Buffer.from([16]),
      (await stored(id)).subarray(2, 56),
      Buffer.from([1 + 2 + 8 * (1 + 4)]),
      ...[hashes.cookie, number(3, 4), number(rotatedAt, 6), client],
      ...[hashes.refresh, number(0, 4), number(createdAt, 6), previous, number(until, 6)],
    ]);
    await redis.admin.hset(redis.keys.ofUser(userId).user, `c${sidOf(id)}`, earlier);
    const families = async () => ((await store.read(id)) as LiveSession).families;
    const unbranched = { parentBranch: null, replacedBranch: null };
    expect(await families()).toEqual({
      cookie: {
        hash: hashes.cookie,
        generation: 3,
        branch: rotatedAt,
        client,
        previous: null,
        inUse: false,
        ...unbranched,
      },
      refresh: {
        ...{ hash: hashes.refresh, generation: 0, branch: createdAt, client: null, inUse: true },
        ...{ previous: { hash: previous, until }, ...unbranched },
      },
    });
    const rule = { grace: 30_000, rotateAfter: MINUTE, rotateFirst: true, touch: true } as const;
    const present = (kind: 'cookie' | 'refresh', generation: number) =>
      store.rotate(id, { ...rule, kind, presented: { hash: hashes[kind], generation, branch: null } });
    expect(await present('refresh', 0)).toMatchObject({ state: 'rotated', generation: 1 });
    expect((await families()).refresh).toMatchObject({ parentBranch: createdAt, inUse: false });
    expect((await families()).refresh?.previous?.hash.equals(previous)).toBe(true);
    expect(await present('cookie', 2)).toMatchObject({ state: 'branched', generation: 3 });
    expect((await families()).cookie).toMatchObject({ replacedBranch: rotatedAt, inUse: false });
    expect([...(await stored(id)).subarray(0, 2)]).toEqual([32, 0]);
    expect((await stored(id))[56]).toBeGreaterThanOrEqual(64);
    expect(await present('cookie', 1)).toEqual({ state: 'reuse' });
  });

  it('the largest numbers: rotations, profile changes, and timeouts that six bytes cannot hold', async () => {
    const hash = randomBytes(32);
    const timeouts = { idleTimeout: Number.MAX_SAFE_INTEGER, absoluteTimeout: Number.MAX_SAFE_INTEGER };
    const session = await store.create({ userId: 'ada' }, { credentials: { refresh: hash }, ...timeouts });
    expect(session).toMatchObject({ expiresAt: LAST_INSTANT, idleTimeout: LAST_INSTANT });
    expect(await store.touch(session.id)).toBe(true);
    const rule = { kind: 'refresh', grace: 0, rotateAfter: Infinity, rotateFirst: false, touch: false } as const;
    await store.rotate(session.id, { ...rule, presented: { hash, generation: 999_999_999 } });
    await redis.admin.hset(redis.keys.ofUser('ada').user, 'o', `${2 ** 32 - 2}:[]`);
    await store.updateUser('ada', { roles: ['a'] });
    expect((await store.update(session.id, { roles: ['b'] }))?.roles).toEqual(['b']);
    const clock = unpackClock(await stored(session.id));
    expect(clock?.profileSeq).toBe(2 ** 32 - 1);
    expect(unpackFamilies(clock?.credentials ?? Buffer.alloc(0))?.refresh?.generation).toBe(999_999_999);
    expect(await store.get(session.id)).toMatchObject({ roles: ['b'] });
    expect(await redis.admin.pttl(redis.keys.ofUser('ada').user)).toBeGreaterThan(0);
    expect(await store.count()).toBe(1);
  });

  it('a revision that changes with every write of the record, and with nothing else', async () => {
    const { id } = await store.create({ userId: 'ada' });
    const revision = async (): Promise<string> => ((await store.read(id)) as LiveSession).revision;
    const seen = [await revision()];
    await store.touch(id);
    await store.updateUser('ada', { roles: ['a'] });
    expect(await revision()).toBe(seen[0]);
    await store.update(id, { data: { a: 1 } });
    seen.push(await revision());
    await store.regenerate(id, { credentials: {}, freshen: false, repeatableFor: 0 });
    seen.push(await revision());
    expect(new Set(seen).size).toBe(3);
    for (const each of seen) expect(Buffer.from(each, 'base64url')).toHaveLength(6);
  });

  it('tombstones: each reason, the last eight, oldest first', async () => {
    const ends = [];
    for (const reason of END_REASONS) {
      const { id } = await store.create({ userId: 'ada' });
      await store.destroy(id, { reason });
      ends.push({ id, reason });
    }
    const bytes = await redis.admin.hgetBuffer(redis.keys.ofUser('ada').user, 't');
    const stones = unpackTombstones(bytes ?? Buffer.alloc(0));
    expect(stones.map(({ sid, reason }) => ({ sid, reason }))).toEqual(
      ends.slice(-8).map(({ id, reason }) => ({ sid: sidOf(id), reason })),
    );
    for (const { at } of stones) expect(Math.abs(at - store.now())).toBeLessThan(MINUTE);
    for (const [index, { id, reason }] of ends.entries()) {
      const expected = index < ends.length - 8 ? { state: 'absent' } : { state: 'ended', reason };
      expect(await store.read(id)).toMatchObject(expected);
    }
  });

  it('of sessions that end together the youngest are remembered', async () => {
    const sessions = [];
    for (let index = 0; index < 20; index += 1) {
      const session = await store.create({ userId: 'ada' }, { limit: { max: 100, onLimit: 'reject' } });
      sessions.push(session);
      // Each in a millisecond of its own.
      while ((await redis.time()) < session.createdAt + 1) continue;
    }
    await store.destroyAll('ada');
    const states = await Promise.all(sessions.map(async ({ id }) => (await store.read(id)).state));
    expect(states).toEqual([...Array<string>(12).fill('absent'), ...Array<string>(8).fill('ended')]);
  });

  it('anything else is no clock, no credentials and no tombstone, and never an error', () => {
    for (let length = 0; length < 120; length += 1) {
      const bytes = randomBytes(length);
      if (length > 0) bytes[0] = 0x20;
      expect(() => unpackClock(bytes)).not.toThrow();
      expect(() => unpackFamilies(bytes)).not.toThrow();
      expect(() => unpackTombstones(bytes)).not.toThrow();
      expect(unpackClock(bytes) === null).toBe(length <= 56);
    }
    for (const form of [0x00, 0x30, 0xf0]) expect(unpackClock(Buffer.alloc(200, form))).toBeNull();
    expect(unpackFamilies(Buffer.from([0]))).toEqual({ cookie: null, refresh: null });
    expect(unpackFamilies(Buffer.from([64, 0]))).toEqual({ cookie: null, refresh: null });
    for (const bytes of [[0, 0], [64], [64, 0, 0], [64, 64], [128, 0], [255]]) {
      expect(unpackFamilies(Buffer.from(bytes))).toBeNull();
    }
  });
});
