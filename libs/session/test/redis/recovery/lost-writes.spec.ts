import { jest } from '@jest/globals';
import { Redis } from 'ioredis';
import { startReplicatedRedis } from '../../../../../test/support/redis-sentinels.js';
import { startProxy } from '../../../../../test/support/tcp-proxy.js';
import type { SessionEvent, WritesLostEvent } from '../../../src/model/events.js';
import type { Session } from '../../../src/model/session.js';
import { RedisConnection } from '../../../src/redis/connection/redis-connection.js';
import { LostWrites } from '../../../src/redis/recovery/lost-writes.js';
import { RecentEnds } from '../../../src/redis/recovery/recent-ends.js';
import { RedisSessionStore } from '../../../src/redis/redis-session-store.js';
import { CapturedLogs } from '../../support/captured-logs.js';
import { discard, OwnRedis, PREFIX, until } from '../../support/own-redis.js';

const PATIENCE = 20_000;

describe('a server that comes back without its latest writes', () => {
  let logs: CapturedLogs;
  const closing: (() => Promise<unknown>)[] = [];

  beforeEach(() => {
    logs = new CapturedLogs();
  });

  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
    logs.restore();
  });

  async function start(args: string[] = []): Promise<OwnRedis> {
    const redis = await OwnRedis.start(args);
    closing.push(() => redis.stop());
    return redis;
  }

  /** An instance of an application, and the losses that it announces. */
  async function instance(url: string): Promise<{ store: RedisSessionStore; losses: WritesLostEvent[] }> {
    const connection = await RedisConnection.open(url, { commandTimeout: 3_000 });
    const store = new RedisSessionStore(connection, { keyPrefix: PREFIX });
    closing.push(() => store.close());
    const losses: WritesLostEvent[] = [];
    store.subscribe((event: SessionEvent) => {
      if (event.type === 'writes-lost') losses.push(event);
    });
    await store.ready();
    return { store, losses };
  }

  /** A call that Redis is too busy restarting to answer is made again. */
  async function patiently<T>(call: () => Promise<T>): Promise<T> {
    const results: T[] = [];
    await until(
      async () =>
        call().then(
          (value) => {
            results.push(value);
            return true;
          },
          () => false,
        ),
      PATIENCE,
    );
    return results[0] as T;
  }

  async function stateOf(store: RedisSessionStore, { id }: Session): Promise<string> {
    return (await patiently(() => store.read(id))).state;
  }

  it('brings back no session that an instance ended after the snapshot, however it ended; the others stay', async () => {
    const redis = await start();
    const { store, losses } = await instance(redis.server.url);
    const sessions: Session[] = [];
    for (const userId of ['ada', 'bob', 'cleo', 'dan', 'dan']) sessions.push(await store.create({ userId }));
    const [ada, bob, cleo, dan, dan2] = sessions as [Session, Session, Session, Session, Session];
    const token = `${cleo.id}token`;
    await redis.admin.save();
    const savedAt = store.now();
    expect(await store.destroy(ada.id)).toBe(true);
    expect(await store.destroyAll('bob', { refuseEarlierSignIns: true })).toBe(1);
    expect(await store.revokeToken(cleo.id, token, store.now() + 600_000)).toBe(true);
    const cutoff = await store.revokeTokens('cleo');
    // Evicted by a sign-in that is lost itself.
    await store.create({ userId: 'dan' }, { limit: { max: 2, onLimit: 'evict-oldest' } });
    expect(await stateOf(store, dan)).toBe('ended');
    await redis.server.restart();
    await until(() => losses.length > 0, PATIENCE);
    for (const ended of [ada, bob, dan]) expect(await stateOf(store, ended)).toBe('ended');
    for (const live of [cleo, dan2]) expect(await stateOf(store, live)).toBe('live');
    expect(losses).toEqual([
      expect.objectContaining({ type: 'writes-lost', endedAgain: 3, sessionId: '', userId: '', remote: false }),
    ]);
    expect(losses[0]?.since).toBeGreaterThan(0);
    expect(losses[0]?.since).toBeLessThanOrEqual(savedAt);
    const { user } = redis.keys.ofUser('cleo');
    expect(Number(await redis.admin.hget(user, `j${token}`))).toBeGreaterThan(0);
    expect(Number(await redis.admin.hget(user, 'x'))).toBe(cutoff);
    // A sign-in whose password was verified before all sessions were ended.
    await expect(store.create({ userId: 'bob' }, { verifiedAt: savedAt })).rejects.toMatchObject({
      code: 'session_revoked',
    });
  });

  it('is noticed by an instance that ended nothing: sign-ins since the snapshot are lost', async () => {
    const redis = await start();
    const { store, losses } = await instance(redis.server.url);
    const session = await store.create({ userId: 'ada' });
    // As old as the snapshot of a server that never wrote one.
    await redis.server.restart();
    await until(() => losses.length > 0, PATIENCE);
    expect(losses).toEqual([expect.objectContaining({ since: 0, endedAgain: 0 })]);
    expect(await stateOf(store, session)).toBe('absent');
  });

  it('is asked for its run id after each reconnect, and otherwise at every sixth check alone', async () => {
    const redis = await start();
    const connection = await RedisConnection.open(redis.server.url, { commandTimeout: 3_000 });
    closing.push(() => connection.close());
    await connection.ready();
    const runIds = jest.spyOn(connection, 'runIds');
    const ends = new RecentEnds();
    const repeat = jest.spyOn(ends, 'repeat');
    const checked = async (): Promise<number> => (await redis.commands({ upkeep: true }))['set'] ?? 0;
    const watch = new LostWrites(connection, redis.keys, 'origin', ends, () => undefined, 10);
    closing.push(async () => watch.stop());
    await watch.start();
    await until(async () => (await checked()) >= 30, PATIENCE);
    const asked = runIds.mock.calls.length;
    expect(asked).toBeGreaterThan(3);
    expect(asked).toBeLessThan((await checked()) / 4);
    expect(repeat).not.toHaveBeenCalled();
    await redis.server.restart();
    await until(() => repeat.mock.calls.length > 0, PATIENCE);
  });

  it('is not claimed of a server that kept everything', async () => {
    const redis = await start(['--appendonly', 'yes', '--appendfsync', 'always']);
    const { store, losses } = await instance(redis.server.url);
    const [ended, live] = [await store.create({ userId: 'ada' }), await store.create({ userId: 'ada' })];
    await store.destroy(ended.id);
    const before = await redis.stateOf(redis.keys.ofUser('ada').userKey);
    await redis.server.kill();
    await redis.server.restart();
    expect(await stateOf(store, live)).toBe('live');
    const checks = async (): Promise<number> =>
      Number(/cmdstat_evalsha:calls=(\d+)/.exec(await redis.admin.info('commandstats'))?.[1] ?? 0);
    // The end is repeated, and finds the session ended.
    await until(async () => (await checks()) > 0, PATIENCE);
    const settled = await store.create({ userId: 'bob' });
    expect(await stateOf(store, settled)).toBe('live');
    expect(losses).toEqual([]);
    expect(await redis.stateOf(redis.keys.ofUser('ada').userKey)).toEqual(before);
  });

  it('is a replica, too, that took over without the last ends', async () => {
    let link: Awaited<ReturnType<typeof startProxy>> | undefined;
    const replicated = await startReplicatedRedis({
      viaPort: async (targetPort) => {
        link = await startProxy({ targetPort });
        return link.port;
      },
    });
    closing.push(async () => {
      await replicated.stop();
      await link?.stop();
    });
    const front = await startProxy({ targetPort: replicated.primary.port });
    closing.push(() => front.stop());
    const { store, losses } = await instance(`redis://127.0.0.1:${front.port}`);
    const session = await store.create({ userId: 'ada' });
    const [replica] = replicated.replicas;
    if (!replica) throw new Error('no replica');
    const promoted = new Redis(replica.url);
    closing.push(async () => discard(promoted));
    await until(async () => (await promoted.keys(`${PREFIX}*`)).some((key) => key.includes(':user:')), PATIENCE);
    link?.blackhole(true);
    expect(await store.destroy(session.id)).toBe(true);
    await promoted.call('REPLICAOF', 'NO', 'ONE');
    front.retarget(replica.port);
    front.reset();
    await until(() => losses.length > 0, PATIENCE);
    expect(losses[0]).toMatchObject({ endedAgain: 1 });
    expect(await stateOf(store, session)).toBe('ended');
  });
});
