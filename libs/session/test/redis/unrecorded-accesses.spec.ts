import { jest } from '@jest/globals';
import { StoreUnavailableError } from '../../src/model/errors.js';
import type { Session } from '../../src/model/session.js';
import type { RedisSessionStore } from '../../src/redis/redis-session-store.js';
import { UnrecordedAccesses } from '../../src/redis/unrecorded-accesses.js';
import { CapturedLogs } from '../support/captured-logs.js';
import { OwnRedis, until } from '../support/own-redis.js';

const MINUTE = 60_000;

describe('accesses that Redis does not record for longer than the idle timeout', () => {
  let redis: OwnRedis;
  let store: RedisSessionStore;
  let session: Session;
  let logs: CapturedLogs;
  let shift = 0;

  beforeAll(async () => {
    redis = await OwnRedis.start();
  });

  afterAll(() => redis?.stop());

  beforeEach(async () => {
    logs = new CapturedLogs();
    shift = 0;
    store = redis.open({ timeShift: () => shift });
    await store.ready();
    session = await store.create({ userId: 'ada' });
  });

  afterEach(async () => {
    await redis.admin.config('SET', 'min-replicas-to-write', '0');
    await redis.reset();
    logs.restore();
  });

  /** Redis answers reads, and NOREPLICAS to every write, as after the loss of its replicas or a disk that is full. */
  async function refuseWrites(): Promise<void> {
    await redis.admin.config('SET', 'min-replicas-to-write', '1');
  }

  /** Uses the session every ten minutes, as its owner would. */
  async function use(minutes: number): Promise<void> {
    for (let passed = 0; passed < minutes; passed += 10) {
      shift += 10 * MINUTE;
      expect((await store.read(session.id)).state).toBe('live');
      await store.touch(session.id).catch(() => undefined);
    }
  }

  it('sign nobody out who went on using the session, and are recorded late', async () => {
    await refuseWrites();
    await use(120);
    expect(await store.getActiveSessions('ada')).toMatchObject([{ id: session.id }]);
    await redis.admin.config('SET', 'min-replicas-to-write', '0');
    expect(await store.touch(session.id)).toBe(true);
    const other = redis.open({ timeShift: () => shift });
    expect((await other.read(session.id)).state).toBe('live');
  });

  it('are none where a token was merely seen in use: polling keeps no session alive, whatever Redis refuses', async () => {
    await refuseWrites();
    shift = 20 * MINUTE;
    const used = { kind: 'cookie', branch: session.createdAt } as const;
    await expect(store.touch(session.id, { slide: false, used })).rejects.toMatchObject({ code: 'store_unavailable' });
    shift = 31 * MINUTE;
    expect(await store.read(session.id)).toMatchObject({ state: 'ended', reason: 'idle' });
  });

  it('are recorded for all sessions once one can be', async () => {
    const second = await store.create({ userId: 'bob' });
    await refuseWrites();
    shift += 20 * MINUTE;
    for (const { id } of [session, second]) await store.touch(id).catch(() => undefined);
    shift += 20 * MINUTE;
    await redis.admin.config('SET', 'min-replicas-to-write', '0');
    await store.touch(session.id);
    const other = redis.open({ timeShift: () => shift });
    await until(async () => (await other.read(second.id)).state === 'live');
  });

  it('revive nothing: an idle session, an ended one and one past its absolute end stay what they are', async () => {
    const idle = await store.create({ userId: 'idle' });
    const ended = await store.create({ userId: 'ended' });
    await refuseWrites();
    shift += 10 * MINUTE;
    await store.touch(ended.id).catch(() => undefined);
    await use(30);
    expect(await store.read(idle.id)).toMatchObject({ state: 'ended', reason: 'idle' });
    await redis.admin.config('SET', 'min-replicas-to-write', '0');
    await redis.open({ timeShift: () => 0 }).destroy(ended.id);
    expect(await store.read(ended.id)).toMatchObject({ state: 'ended', reason: 'logout' });
    await store.touch(ended.id);
    expect(await store.read(ended.id)).toMatchObject({ state: 'ended' });
    await refuseWrites();
    await use(24 * 60 - 60);
    shift += 25 * MINUTE;
    expect(await store.read(session.id)).toMatchObject({ state: 'ended', reason: 'absolute' });
  });
});

describe('a clock of Redis that was set back by more than the idle timeout', () => {
  it('refuses no fresh sign-in, from the next answer on', async () => {
    const redis = await OwnRedis.start();
    const store = redis.open();
    const reader = redis.open();
    await store.ready();
    await reader.ready();
    // As seen from this process: its own clock goes on by an hour in which the server's does not.
    const real = performance.now.bind(performance);
    const clock = jest.spyOn(performance, 'now').mockImplementation(() => real() + 60 * MINUTE);
    try {
      const session = await store.create({ userId: 'ada' });
      expect((await store.read(session.id)).state).toBe('live');
      // An instance that wrote nothing since.
      expect((await reader.read(session.id)).state).toBe('live');
    } finally {
      clock.mockRestore();
      await redis.stop();
    }
  });
});

describe('an access that Redis refuses while earlier ones are recorded', () => {
  const refused = new StoreUnavailableError(undefined, { cause: new Error('NOREPLICAS Not enough good replicas') });

  it('stays remembered: the record of the earlier one does not stand for it', async () => {
    const recorded: [string, number][] = [];
    const accesses: UnrecordedAccesses = new UnrecordedAccesses(async (id, at) => {
      recorded.push([id, at]);
      if (at !== 1) throw refused;
      accesses.failed(id, 2, refused);
    });
    accesses.failed('ada', 1, refused);
    accesses.failed('bob', 1, refused);
    accesses.recorded('bob');
    await new Promise((resolve) => setImmediate(resolve));
    expect(recorded).toEqual([
      ['ada', 1],
      ['ada', 2],
    ]);
    expect(accesses.of('ada')).toBe(2);
  });
});
