import { Logger } from '@nestjs/common';
import { jest } from '@jest/globals';
import { Cluster } from 'ioredis';
import { startRedisCluster, type RedisCluster } from '../../../../../test/support/redis-server.js';
import { MemorySessionStore } from '../../../src/memory/memory-session-store.js';
import type { SessionEvent } from '../../../src/model/events.js';
import type { ConsumeOptions, EventConsumer, StopConsuming } from '../../../src/ports/session-event-stream.js';
import type { SessionStore } from '../../../src/ports/session-store.js';
import { RedisSessionStore } from '../../../src/redis/redis-session-store.js';
import { SessionEvents } from '../../../src/events/session-events.js';
import { OwnRedis, pause, PREFIX, until } from '../../support/own-redis.js';

const STREAM = { maxLength: 1_000, retention: 60_000 };
const RETRY = 200;

const redis: { own?: OwnRedis } = {};
const own = (): OwnRedis => redis.own as OwnRedis;

/** What a consumer was handed. */
class Taken {
  readonly events: SessionEvent[] = [];
  readonly ids: string[] = [];
  /** How often the consumer fails. */
  failures = 0;

  readonly take: EventConsumer = (event, { id }) => {
    this.ids.push(id);
    if (this.failures > 0) {
      this.failures -= 1;
      throw new Error('on purpose');
    }
    this.events.push(event);
  };

  get kinds(): string[] {
    return this.events.map((event) => (event.type === 'ended' ? `ended ${event.reason}` : event.type));
  }
}

beforeAll(async () => {
  jest.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
  redis.own = await OwnRedis.start();
});
afterAll(() => redis.own?.stop());

const STORES: Record<string, () => SessionStore> = {
  'in memory': () => new MemorySessionStore({ eventStream: STREAM }),
  'on Redis': () => own().open({ eventStream: STREAM }),
};

describe.each(Object.keys(STORES))('consumers of events %s', (where) => {
  let store: SessionStore;
  let events: SessionEvents;
  const stops: StopConsuming[] = [];

  beforeEach(async () => {
    store = (STORES[where] as () => SessionStore)();
    events = new SessionEvents(store);
    await store.ready();
  });
  afterEach(async () => {
    await Promise.all(stops.splice(0).map((stop) => stop()));
    await own().reset();
  });

  async function consume(group: string, options: ConsumeOptions = {}): Promise<Taken> {
    const taken = new Taken();
    stops.push(await events.consume(group, taken.take, { retryAfter: RETRY, ...options }));
    return taken;
  }

  it('are handed each event of their group once, in order, and not those of every use', async () => {
    const taken = await consume('audit');
    const session = await store.create({ userId: 'ada' }, { credentials: { refresh: Buffer.alloc(32, 1) } });
    await store.update(session.id, { data: { a: 1 } });
    const presented = { hash: Buffer.alloc(32, 1), generation: 0 };
    await store.rotate(session.id, {
      kind: 'refresh',
      presented,
      grace: 1,
      rotateAfter: 1,
      rotateFirst: true,
      touch: false,
    });
    await store.revokeTokens('ada');
    await store.destroy(session.id, { reason: 'revoked' });
    events.publish({
      type: 'use-after-end',
      at: 1,
      sessionId: session.id,
      userId: 'ada',
      reason: 'revoked',
      remote: false,
    });
    await until(() => taken.events.length >= 4);
    await pause(50);
    expect(taken.kinds).toEqual(['created', 'changed', 'ended revoked', 'use-after-end']);
    expect(taken.events.every(({ sessionId, userId }) => sessionId === session.id && userId === 'ada')).toBe(true);
    expect(new Set(taken.ids).size).toBe(4);
  });

  it('share the events of a group, and groups share none', async () => {
    const members = [await consume('audit'), await consume('audit')];
    const other = await consume('mail');
    await Promise.all(Array.from({ length: 20 }, (_, index) => store.create({ userId: `user-${index}` })));
    await until(() => other.events.length === 20 && members.reduce((sum, { events: of }) => sum + of.length, 0) === 20);
    await pause(50);
    const ids = (taken: Taken): string[] => taken.events.map(({ sessionId }) => sessionId);
    expect(new Set(members.flatMap(ids)).size).toBe(20);
    expect(new Set(ids(other)).size).toBe(20);
  });

  it('are handed again what they failed at, under the same id, while the others go on', async () => {
    const taken = await consume('audit');
    taken.failures = 1;
    await store.create({ userId: 'ada' });
    await store.create({ userId: 'bob' });
    await until(() => taken.events.length === 2);
    expect(taken.events.map(({ userId }) => userId)).toEqual(['bob', 'ada']);
    const [first, , again] = taken.ids;
    expect(again).toBe(first);
  });

  it('are not handed again what they failed at before it is time', async () => {
    const taken = await consume('audit', { retryAfter: 60_000 });
    taken.failures = 1;
    await store.create({ userId: 'ada' });
    await store.create({ userId: 'bob' });
    await until(() => taken.events.length === 1);
    // Redis is asked for what is left undone once a second.
    await pause(where === 'on Redis' ? 1_200 : 20);
    expect(taken.events.map(({ userId }) => userId)).toEqual(['bob']);
    expect(taken.ids).toHaveLength(2);
  });

  it('of a new group begin now, or with what is kept', async () => {
    await store.create({ userId: 'before' });
    await pause(200);
    const [now, start] = [await consume('now'), await consume('start', { from: 'start' })];
    await store.create({ userId: 'after' });
    await until(() => start.events.length === 2 && now.events.length === 1);
    expect(start.events.map(({ userId }) => userId)).toEqual(['before', 'after']);
    expect(now.events.map(({ userId }) => userId)).toEqual(['after']);
  });

  it('that stopped are handed nothing more; what comes meanwhile waits for the next', async () => {
    const first = await consume('audit');
    await store.create({ userId: 'ada' });
    await until(() => first.events.length === 1);
    await stops.pop()?.();
    await store.create({ userId: 'bob' });
    await pause(50);
    expect(first.events).toHaveLength(1);
    const next = await consume('audit');
    await until(() => next.events.length === 1);
    expect(next.events[0]?.userId).toBe('bob');
  });

  it('refuse a group without a name', async () => {
    await expect(events.consume('', () => undefined)).rejects.toMatchObject({ code: 'invalid_argument' });
  });
});

describe('the stream on Redis', () => {
  afterEach(() => own().reset());

  const KEY = `${PREFIX}stream`;

  it('hands over what was delivered to a process that died', async () => {
    const dead = own().open({ eventStream: STREAM });
    await dead.ready();
    let release: (() => void) | undefined;
    await dead.eventStream()?.consume('audit', () => new Promise<void>((resolve) => (release = resolve)));
    await dead.create({ userId: 'ada' });
    await until(() => release !== undefined);
    // It does not finish, and asks for nothing more: as good as dead.
    const heir = own().open({ eventStream: STREAM });
    const taken = new Taken();
    await heir.eventStream()?.consume('audit', taken.take, { retryAfter: RETRY });
    await until(() => taken.events.length === 1);
    expect(taken.events[0]).toMatchObject({ type: 'created', userId: 'ada', remote: true });
    const [pending] = (await own().admin.xpending(KEY, 'audit')) as [number];
    expect(Number(pending)).toBe(0);
    release?.();
  });

  it('is written in the script that ends the session, also where nobody listens and memory is short', async () => {
    const store = own().open({ eventStream: STREAM });
    const { id } = await store.create({ userId: 'ada' });
    await own().admin.config('SET', 'maxmemory', '1');
    try {
      expect(await store.destroy(id)).toBe(true);
    } finally {
      await own().admin.config('SET', 'maxmemory', '0');
    }
    const entries = await own().admin.xrange(KEY, '-', '+');
    expect(entries.map(([, [, message]]) => message?.split(' ')[2])).toEqual(['created', 'ended']);
  });

  it('is capped, goes away by itself, and is not there unless asked for', async () => {
    const store = own().open({ eventStream: { maxLength: 100, retention: 60_000 } });
    for (let round = 0; round < 5; round += 1) {
      await Promise.all(Array.from({ length: 100 }, (_, index) => store.create({ userId: `user-${index}` })));
    }
    const length = await own().admin.xlen(KEY);
    expect(length).toBeGreaterThanOrEqual(100);
    expect(length).toBeLessThan(400);
    expect(await own().admin.pttl(KEY)).toBeGreaterThan(50_000);
    await own().admin.flushall();
    await own().open().create({ userId: 'ada' });
    expect(await own().admin.exists(KEY)).toBe(0);
  });

  it('loses nothing for a group whose stream had expired', async () => {
    const store = own().open({ eventStream: STREAM });
    const taken = new Taken();
    const stop = await store.eventStream()?.consume('audit', taken.take, { retryAfter: RETRY });
    await store.create({ userId: 'ada' });
    await until(() => taken.events.length === 1);
    await stop?.();
    await own().admin.del(KEY);
    await store.create({ userId: 'bob' });
    await pause(5);
    await store.eventStream()?.consume('audit', taken.take, { retryAfter: RETRY });
    await until(() => taken.events.length === 2);
    expect(taken.events.map(({ userId }) => userId)).toEqual(['ada', 'bob']);
  });

  it('finds what the channel did not tell of, and survives strangers in it', async () => {
    const store = own().open({ eventStream: STREAM });
    const taken = new Taken();
    await store.eventStream()?.consume('audit', taken.take, { retryAfter: RETRY, from: 'start' });
    const { sessionId } = { sessionId: (await store.create({ userId: 'ada' })).id };
    await until(() => taken.events.length === 1);
    await own().admin.xadd(KEY, '*', 'x', 'y');
    await own().admin.xadd(KEY, '*', 'm', 'nonsense');
    await own().admin.xadd(KEY, '*', 'm', `1 peer ended ${sessionId} 5 logout\nada`);
    await until(() => taken.events.length === 2);
    expect(taken.kinds).toEqual(['created', 'ended logout']);
    await until(async () => Number(((await own().admin.xpending(KEY, 'audit')) as [number])[0]) === 0);
  });

  it('forgets consumers that said goodbye', async () => {
    const store = own().open({ eventStream: STREAM });
    const taken = new Taken();
    const stop = await store.eventStream()?.consume('audit', taken.take);
    await store.create({ userId: 'ada' });
    await until(() => taken.events.length === 1);
    expect(await own().admin.xinfo('CONSUMERS', KEY, 'audit')).toHaveLength(1);
    await stop?.();
    expect(await own().admin.xinfo('CONSUMERS', KEY, 'audit')).toHaveLength(0);
  });

  it('says goodbye once, however often a consumer is stopped', async () => {
    const store = own().open({ eventStream: STREAM });
    const taken = new Taken();
    await own().resetCommands();
    const stop = await store.eventStream()?.consume('audit', taken.take);
    await store.create({ userId: 'ada' });
    await until(() => taken.events.length === 1);
    await Promise.all([stop?.(), stop?.()]);
    await stop?.();
    await store.close();
    const { 'xinfo|consumers': asked, 'xgroup|delconsumer': removed } = await own().commands();
    expect([asked, removed]).toEqual([1, 1]);
  });
});

describe('the streams of a Cluster', () => {
  let cluster: RedisCluster;
  beforeAll(async () => {
    cluster = await startRedisCluster();
  }, 30_000);
  afterAll(() => cluster?.stop());

  it('lie in the slots of their users, and every event arrives', async () => {
    const client = new Cluster(cluster.nodes);
    const store = new RedisSessionStore(client, { keyPrefix: PREFIX, eventStream: STREAM, commandTimeout: 5_000 });
    try {
      await store.ready();
      const taken = new Taken();
      await store.eventStream()?.consume('audit', taken.take, { retryAfter: RETRY });
      await store.ready();
      const users = Array.from({ length: 50 }, (_, index) => `user-${index}`);
      await Promise.all(users.map((userId) => store.create({ userId })));
      await Promise.all(users.map((userId) => store.destroyAll(userId)));
      await until(() => taken.events.length === 100, 10_000);
      expect(new Set(taken.ids).size).toBe(100);
      const keys = (await Promise.all(client.nodes('master').map((node) => node.keys('*:stream')))).flat();
      expect(keys.length).toBeGreaterThan(30);
      expect(keys.every((key) => /^own:\{[^}]+\}:stream$/.test(key))).toBe(true);
    } finally {
      await store.close();
      client.disconnect();
    }
  }, 30_000);
});
