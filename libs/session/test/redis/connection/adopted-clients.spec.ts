import { randomBytes } from 'node:crypto';
import type { RedisOptions } from 'ioredis';
import { SessionLimitError } from '../../../src/model/errors.js';
import type { LiveSession } from '../../../src/ports/session-store.js';
import { OwnRedis, until } from '../../support/own-redis.js';

const MINUTE = 60_000;

/** Settings of an application's client that change what comes back, or how commands go out. */
const SETTINGS: Readonly<Record<string, RedisOptions>> = {
  'RESP3, mapped as RESP2 was (the default)': {},
  'RESP3, mapped as it is: maps become objects': { replyMapping: 'resp3' },
  RESP2: { protocol: 2 },
  'numbers as text': { stringNumbers: true },
  'numbers as text, RESP3 mapped as it is': { stringNumbers: true, replyMapping: 'resp3' },
  'commands gathered to pipelines': { enableAutoPipelining: true },
  'a prefix before every key': { keyPrefix: 'theirs:' },
  'friendly error stacks': { showFriendlyErrorStack: true },
};

describe.each(Object.entries(SETTINGS))('an adopted client with %s', (_, settings) => {
  let redis: OwnRedis;

  beforeAll(async () => {
    redis = await OwnRedis.start();
  });

  afterAll(() => redis?.stop());
  afterEach(() => redis.reset());

  it('does everything that a client of our own would', async () => {
    let shift = 0;
    const store = redis.open({ timeShift: () => shift }, redis.connect(settings));
    const heard: string[] = [];
    store.subscribe(({ type }) => heard.push(type));
    await store.ready();
    const hashes = { cookie: randomBytes(32), refresh: randomBytes(32) };
    const input = { userId: 'ada', deviceId: 'd', roles: ['a'], data: { list: [], big: 9_007_199_254_740_991 } };
    const session = await store.create(input, { credentials: hashes, client: randomBytes(8) });
    expect(await store.get(session.id)).toEqual(session);
    expect(await store.getActiveSessions('ada')).toEqual([session]);
    expect(await store.findByDevice('ada', 'd')).toEqual(session);
    const read = (await store.read(session.id, { tokenId: 'jti' })) as LiveSession;
    expect(read).toMatchObject({ state: 'live', tokenRevoked: false, tokensFrom: 0 });
    expect(read.families.cookie?.hash.equals(hashes.cookie)).toBe(true);

    const full = store.create({ userId: 'ada' }, { limit: { max: 1, onLimit: 'reject' } });
    const refusal = (await full.catch((error: unknown) => error)) as SessionLimitError;
    expect(refusal).toBeInstanceOf(SessionLimitError);
    expect(refusal.sessions).toEqual([session]);

    const rule = { grace: 0, rotateAfter: MINUTE, rotateFirst: true, touch: true };
    const rotated = await store.rotate(session.id, {
      ...rule,
      kind: 'refresh',
      presented: { hash: hashes.refresh, generation: 0 },
    });
    expect(rotated).toMatchObject({ state: 'rotated', generation: 1 });
    const regenerated = await store.regenerate(session.id, {
      credentials: { cookie: randomBytes(32) },
      freshen: true,
      presented: { kind: 'cookie', hash: hashes.cookie },
      repeatableFor: 0,
    });
    expect(regenerated).toMatchObject({ state: 'live', families: { refresh: { generation: 1 } } });
    expect((await store.update(session.id, { data: { a: 1 } }))?.data).toEqual({ ...input.data, a: 1 });
    expect(await store.updateUser('ada', { roles: ['b'] })).toBe(1);
    expect(await store.revokeToken(session.id, 'jti', store.now() + MINUTE)).toBe(true);
    const cutoff = await store.revokeTokens('ada');
    expect(typeof cutoff).toBe('number');
    expect(await store.read(session.id, { tokenId: 'jti' })).toMatchObject({
      tokenRevoked: true,
      tokensFrom: cutoff,
      session: { roles: ['b'] },
    });
    expect(await store.touch(session.id)).toBe(true);

    await store.create({ userId: 'bob' });
    await store.create({ userId: 'eve' });
    expect(await store.count()).toBe(3);
    expect(await store.destroy(session.id, { userId: 'bob' })).toBe(false);
    expect(await store.destroy(session.id, { userId: 'ada' })).toBe(true);
    expect(await store.read(session.id)).toMatchObject({ state: 'ended', reason: 'logout' });
    expect(await store.destroyAll('bob')).toBe(1);
    shift = 31 * MINUTE;
    expect(await store.count()).toBe(0);
    expect(await store.sweep()).toBe(1);
    expect(await store.destroyEverybody()).toEqual({ ended: 0, cursor: null });
    await until(() => heard.filter((type) => type === 'ended').length === 3);
    expect(new Set(heard)).toEqual(
      new Set(['created', 'limit-reached', 'refreshed', 'regenerated', 'changed', 'ended']),
    );
  });
});
