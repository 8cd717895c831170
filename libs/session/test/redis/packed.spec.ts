import { randomBytes } from 'node:crypto';
import { sidOf } from '../../src/model/ids.js';
import { DEVICE_TYPES, END_REASONS } from '../../src/model/session.js';
import type { LiveSession } from '../../src/ports/session-store.js';
import { unpackClock, unpackLineages, unpackTombstones } from '../../src/redis/packed.js';
import type { RedisSessionStore } from '../../src/redis/redis-session-store.js';
import { OwnRedis } from './support/own-redis.js';

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

  it('a new session: clock, device and revision in 55 bytes, its credentials behind them', async () => {
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
      expect(bytes).toHaveLength(55 + 1 + 2 * (32 + 4 + 6 + 8));
      expect(bytes[0]).toBe(16 + number);
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
      const lineage = { n: 0, rotatedAt: session.createdAt, client, previous: null };
      expect(unpackLineages(clock?.credentials ?? Buffer.alloc(0))).toEqual({
        cookie: { hash: credentials.cookie, ...lineage },
        refresh: { hash: credentials.refresh, ...lineage },
      });
    }
  });

  it('every combination of credentials, with and without client and replaced secret', async () => {
    for (const kinds of [[], ['cookie'], ['refresh'], ['cookie', 'refresh']] as const) {
      for (const client of [null, randomBytes(8)]) {
        for (const renewed of [false, true]) {
          const hashes = { cookie: randomBytes(32), refresh: randomBytes(32) };
          const fresh = { cookie: randomBytes(32), refresh: randomBytes(32) };
          const credentials = Object.fromEntries(kinds.map((kind) => [kind, hashes[kind]]));
          const { id } = await store.create({ userId: 'ada' }, { credentials, client });
          if (renewed) await store.renew(id, { credentials: fresh, freshen: true, repeatableFor: 30_000 });
          const clock = unpackClock(await stored(id));
          const lineages = unpackLineages(clock?.credentials ?? Buffer.alloc(0));
          for (const kind of ['cookie', 'refresh'] as const) {
            const present = (kinds as readonly string[]).includes(kind);
            const previous = { hash: hashes[kind], until: (clock?.lastAccess ?? 0) + 30_000 };
            expect(lineages?.[kind]).toEqual(
              present
                ? {
                    hash: (renewed ? fresh : hashes)[kind],
                    n: 0,
                    rotatedAt: clock?.lastAccess,
                    client,
                    previous: renewed ? previous : null,
                  }
                : null,
            );
          }
          expect((await store.read(id)) as LiveSession).toMatchObject({ state: 'live', lineages });
        }
      }
    }
  });

  it('the largest numbers: rotations, profile changes, and timeouts that six bytes cannot hold', async () => {
    const hash = randomBytes(32);
    const timeouts = { idleTimeout: Number.MAX_SAFE_INTEGER, absoluteTimeout: Number.MAX_SAFE_INTEGER };
    const session = await store.create({ userId: 'ada' }, { credentials: { refresh: hash }, ...timeouts });
    expect(session).toMatchObject({ expiresAt: LAST_INSTANT, idleTimeout: LAST_INSTANT });
    expect(await store.touch(session.id)).toBe(true);
    const rule = { kind: 'refresh', grace: 0, rotateAfter: Infinity, rotateFirst: false, touch: false } as const;
    await store.rotate(session.id, { ...rule, presented: { hash, n: 999_999_999 } });
    await redis.admin.hset(redis.keys.ofUser('ada').user, 'o', `${2 ** 32 - 2}:[]`);
    await store.updateUser('ada', { roles: ['a'] });
    expect((await store.update(session.id, { roles: ['b'] }))?.roles).toEqual(['b']);
    const clock = unpackClock(await stored(session.id));
    expect(clock?.profileSeq).toBe(2 ** 32 - 1);
    expect(unpackLineages(clock?.credentials ?? Buffer.alloc(0))?.refresh?.n).toBe(999_999_999);
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
    await store.renew(id, { credentials: {}, freshen: false, repeatableFor: 0 });
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
      if (length > 0) bytes[0] = 0x10;
      expect(() => unpackClock(bytes)).not.toThrow();
      expect(() => unpackLineages(bytes)).not.toThrow();
      expect(() => unpackTombstones(bytes)).not.toThrow();
      expect(unpackClock(bytes) === null).toBe(length <= 55);
    }
    expect(unpackClock(Buffer.alloc(200, 0x20))).toBeNull();
    expect(unpackLineages(Buffer.from([0]))).toEqual({ cookie: null, refresh: null });
    expect(unpackLineages(Buffer.from([0, 0]))).toBeNull();
  });
});
