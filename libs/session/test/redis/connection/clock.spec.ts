import { jest } from '@jest/globals';
import { Cluster, type Redis } from 'ioredis';
import { startRedisCluster } from '../../../../../test/support/redis-server.js';
import { RedisClock } from '../../../src/redis/connection/redis-clock.js';
import { RedisClocks } from '../../../src/redis/connection/redis-clocks.js';
import { RedisKeys } from '../../../src/redis/keys.js';
import { RedisSessionStore } from '../../../src/redis/redis-session-store.js';
import { CapturedLogs } from '../../support/captured-logs.js';
import { discard, OwnRedis, pause, PREFIX, until } from '../../support/own-redis.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const SECOND = 1_000;

/** The client answers TIME as a server would whose clock is off by so many ms. */
function skew(client: Redis, offBy: () => number): void {
  const time = client.time.bind(client) as () => Promise<unknown>;
  client.time = async () => {
    const [seconds, microseconds] = (await time()) as [number, number];
    return [Number(seconds) + offBy() / 1000, microseconds];
  };
}

describe('time', () => {
  let redis: OwnRedis;
  let logs: CapturedLogs;

  beforeAll(async () => {
    logs = new CapturedLogs();
    redis = await OwnRedis.start();
  });

  afterAll(async () => {
    await redis?.stop();
    logs.restore();
  });

  afterEach(async () => {
    jest.restoreAllMocks();
    await redis.reset();
  });

  describe.each([
    ['an hour behind', -HOUR],
    ['right', 0],
    ['an hour ahead', HOUR],
  ])('with this process’s wall clock %s', (_, wrong) => {
    beforeEach(() => {
      const real = Date.now;
      jest.spyOn(Date, 'now').mockImplementation(() => real() + wrong);
    });

    it('sessions start and end by the server’s clock', async () => {
      const store = redis.open({ idleTimeout: 30 * MINUTE, absoluteTimeout: 2 * HOUR });
      await store.ready();
      const before = await redis.time();
      const session = await store.create({ userId: 'ada' });
      const after = await redis.time();
      expect(session.createdAt).toBeGreaterThanOrEqual(Math.floor(before));
      expect(session.createdAt).toBeLessThanOrEqual(after);
      expect(session.expiresAt).toBe(session.createdAt + 2 * HOUR);
      expect(await store.get(session.id)).toEqual(session);
      expect(await store.touch(session.id)).toBe(true);
      expect(await store.sweep()).toBe(0);
      expect(await store.count()).toBe(1);
      expect(await store.getActiveSessions('ada')).toHaveLength(1);
      expect(await store.destroyAll('ada')).toBe(1);
    });

    it('`now` is the server’s time', async () => {
      const store = redis.open();
      await store.ready();
      const before = await redis.time();
      const now = store.now();
      const after = await redis.time();
      expect(now).toBeGreaterThanOrEqual(before - SECOND);
      expect(now).toBeLessThanOrEqual(after + SECOND);
    });

    it('what ended a moment ago is over, and what lives for a moment more lives, at every read', async () => {
      const store = redis.open();
      await store.ready();
      const brief = await store.create({ userId: 'ada' }, { idleTimeout: 30 });
      const long = await store.create({ userId: 'ada' }, { idleTimeout: 30 * SECOND });
      await until(async () => (await redis.time()) > brief.createdAt + 40);
      expect(await store.read(brief.id)).toMatchObject({ state: 'ended', reason: 'idle' });
      expect(await store.getActiveSessions('ada')).toEqual([long]);
      expect(await store.count()).toBe(1);
      expect(await store.touch(brief.id)).toBe(false);
    });
  });

  describe('of one server', () => {
    it('is known to within half a round trip, on a slow wire as well, and brackets the truth', async () => {
      const client = redis.connectViaProxy();
      await client.ping();
      for (const delay of [0, 40, 120, 0]) {
        const clock = new RedisClock();
        redis.proxy.setDelay(delay);
        await clock.ask(async () => (await client.time()) as unknown as [string, string], 5_000);
        redis.proxy.setDelay(0);
        for (let check = 0; check < 20; check += 1) {
          const [lower, before] = [clock.lowerBound(), performance.now()];
          const truth = await redis.time();
          const upper = clock.upperBound();
          expect(lower).toBeLessThanOrEqual(truth);
          expect(upper).toBeGreaterThanOrEqual(truth);
          // `truth` is of some instant of the question, and `now` of one after it.
          const [now, late] = [clock.now(), performance.now() - before];
          expect(now).toBeGreaterThanOrEqual(truth - (upper - lower) / 2 - 2);
          expect(now).toBeLessThanOrEqual(truth + (upper - lower) / 2 + late + 2);
        }
      }
    });

    /** A server's answer by this process's clock, off by so many ms, after a delay. */
    async function learn(clock: RedisClock, offBy: number, delay = 0): Promise<void> {
      await clock.ask(async () => {
        const now = (performance.timeOrigin + performance.now() + offBy) / 1000;
        if (delay > 0) await pause(delay);
        return [Math.floor(now), (now % 1) * 1e6];
      }, 5_000);
    }

    it('is not made worse by a slower answer, but corrected by one that cannot be reconciled with it', async () => {
      const clock = new RedisClock();
      const truth = (): number => performance.timeOrigin + performance.now();
      await learn(clock, 0);
      const exactness = clock.upperBound() - clock.lowerBound();
      await learn(clock, 0, 60);
      expect(clock.upperBound() - clock.lowerBound()).toBeLessThan(exactness + 10);
      await learn(clock, HOUR, 60);
      expect(Math.abs(clock.now() - truth() - HOUR)).toBeLessThan(SECOND);
    });

    it('stands still where a better measurement says a little less: what was over does not come back', async () => {
      const clock = new RedisClock();
      const seen: number[] = [];
      for (const offBy of [0, -20, -40, 10, -300, -60]) {
        await learn(clock, offBy);
        seen.push(clock.now(), clock.now());
      }
      expect(seen).toEqual([...seen].sort((a, b) => a - b));
    });

    it('is not taken from an answer that came when nobody waited any more', async () => {
      const clock = new RedisClock();
      await clock.ask(async () => {
        await pause(30);
        return [1, 0];
      }, 20);
      expect(clock.isSet).toBe(false);
    });

    it('never runs backwards for a measurement that says a little less', async () => {
      const client = redis.connectViaProxy();
      const store = redis.open({}, client);
      await store.ready();
      const seen = [store.now()];
      for (let round = 0; round < 30; round += 1) {
        redis.proxy.setDelay((round * 7) % 11);
        client.emit('ready');
        await pause(2);
        for (let read = 0; read < 5; read += 1) seen.push(store.now());
      }
      expect(seen).toEqual([...seen].sort((a, b) => a - b));
    });

    it('is followed where the server’s clock was set back by a lot, so that sessions do not end early', async () => {
      const client = redis.connect();
      let offBy = HOUR;
      skew(client, () => offBy);
      const store = redis.open({ idleTimeout: 10 * MINUTE }, client);
      await store.ready();
      const before = store.now();
      const session = await store.create({ userId: 'ada' });
      offBy = 0;
      client.emit('ready');
      await until(async () => (await store.get(session.id)) !== null);
      // Else every access token would be of the future, or expired, until this process ends.
      expect(store.now()).toBeLessThan(before - HOUR + MINUTE);
    });

    it('is read again before a session is said to have expired', async () => {
      const client = redis.connect();
      let offBy = HOUR;
      skew(client, () => offBy);
      const store = redis.open({ idleTimeout: 10 * MINUTE }, client);
      await store.ready();
      const session = await store.create({ userId: 'ada' });
      // The clock was read beside the sign-in as well: its answer comes before that of a later command.
      await client.ping();
      offBy = 0;
      expect(await store.get(session.id)).toEqual(session);
    });
  });

  describe('of all servers behind a client', () => {
    /** What `RedisClocks` uses of a Cluster client; each node's clock is off by so many ms. */
    function cluster(nodes: Map<string, number>): Cluster {
      const node = (port: number, offBy: number) => ({
        options: { host: 'node', port },
        time: async () => {
          const now = (performance.timeOrigin + performance.now() + offBy) / 1000;
          return [Math.floor(now), (now % 1) * 1e6];
        },
      });
      // Only the members that the clocks use.
      return {
        isCluster: true,
        status: 'ready',
        slots: [],
        nodes: () => [...nodes].map(([port, offBy]) => node(Number(port), offBy)),
      } as unknown as Cluster;
    }

    const ask = async <T>(command: () => Promise<T>): Promise<T> => command();
    const truth = (): number => performance.timeOrigin + performance.now();

    it('a leap forward and back of one is forgotten: tokens of now are neither of the future nor expired', async () => {
      const nodes = new Map([['1', 0]]);
      const clocks = new RedisClocks(cluster(nodes), ask, 5_000);
      for (const offBy of [0, 48 * HOUR, 0]) {
        nodes.set('1', offBy);
        await clocks.sample();
        expect(Math.abs(clocks.now() - truth() - offBy)).toBeLessThan(SECOND);
      }
      clocks.stop();
    });

    it('that of a node that has left counts no more', async () => {
      const nodes = new Map([
        ['1', 0],
        ['2', HOUR],
      ]);
      const clocks = new RedisClocks(cluster(nodes), ask, 5_000);
      await clocks.sample();
      expect(clocks.now() - truth()).toBeGreaterThan(HOUR - MINUTE);
      nodes.delete('2');
      await clocks.sample();
      expect(Math.abs(clocks.now() - truth())).toBeLessThan(MINUTE);
      expect((await clocks.upperBound()) - truth()).toBeLessThan(MINUTE);
      clocks.stop();
    });

    it('are asked by no timer after stop, whatever command still comes', async () => {
      const clocks = new RedisClocks(cluster(new Map([['1', 0]])), ask, 5_000);
      clocks.stop();
      const timers = jest.spyOn(globalThis, 'setInterval');
      await clocks.sample();
      await clocks.of(0);
      expect(timers).not.toHaveBeenCalled();
    });
  });

  describe('a command that the server calls late', () => {
    /** A store which believes that the server's time is an hour ago, for so many looks at it. */
    async function mistaken(looks: number): Promise<RedisSessionStore> {
      const client = redis.connect();
      await client.ping();
      let left = looks;
      skew(client, () => (left-- > 0 ? -HOUR : 0));
      const store = redis.open({}, client);
      await store.ready();
      return store;
    }

    it('is sent once more with the clock read again, and succeeds', async () => {
      const store = await mistaken(1);
      await redis.resetCommands();
      const session = await store.create({ userId: 'ada' });
      expect((await redis.commands({ upkeep: true }))['time']).toBeGreaterThanOrEqual(3);
      expect(Math.abs(session.createdAt - (await redis.time()))).toBeLessThan(MINUTE);
      expect(await store.count()).toBe(1);
    });

    it('ends all that was there when it was sent, by the corrected clock as well', async () => {
      const other = redis.open();
      await other.ready();
      const store = await mistaken(1);
      await other.create({ userId: 'ada' });
      await other.create({ userId: 'ada' });
      expect(await store.destroyAll('ada')).toBe(2);
    });

    it('is 503 where that does not help, and has changed nothing', async () => {
      const store = await mistaken(Infinity);
      await expect(store.create({ userId: 'ada' })).rejects.toMatchObject({ code: 'store_unavailable' });
      expect(await redis.keysLeft()).toEqual([]);
    });
  });

  it('a clock set forward a little since it was last read keeps nobody signed in whose end was asked for', async () => {
    const client = redis.connect();
    skew(client, () => -40);
    const [store, other] = [redis.open({}, client), redis.open()];
    await Promise.all([store.ready(), other.ready()]);
    for (let round = 0; round < 3; round += 1) {
      for (const end of [() => store.destroyAll('ada'), async () => (await store.destroyEverybody()).ended]) {
        await other.create({ userId: 'ada' });
        expect(await end()).toBe(1);
      }
    }
  });

  describe('a server whose clock was set back, or a replica in its place whose clock is behind', () => {
    it('accepts no access token again that was revoked with all others of its user', async () => {
      let shift = HOUR;
      const store = redis.open({ timeShift: () => shift });
      await store.ready();
      const { id } = await store.create({ userId: 'ada' });
      const cutoff = await store.revokeTokens('ada');
      shift = 0;
      expect(await store.revokeTokens('ada')).toBe(cutoff);
      expect(await store.read(id)).toMatchObject({ tokensFrom: cutoff });
    });

    it('goes on from what each session recorded last', async () => {
      let shift = HOUR;
      const store = redis.open({ timeShift: () => shift });
      await store.ready();
      const session = await store.create({ userId: 'ada' });
      shift = 0;
      expect(await store.get(session.id)).toEqual(session);
      expect(await store.touch(session.id)).toBe(true);
      expect((await store.get(session.id))?.lastAccess).toBe(session.lastAccess);
      const later = await store.create({ userId: 'ada' });
      expect(later.createdAt).toBeGreaterThanOrEqual(session.createdAt);
    });

    it('ends all sessions all the same, those from its future included', async () => {
      let shift = HOUR;
      const store = redis.open({ timeShift: () => shift });
      await store.ready();
      for (const end of [() => store.destroyAll('ada'), async () => (await store.destroyEverybody()).ended]) {
        shift = HOUR;
        await store.create({ userId: 'ada' });
        await store.create({ userId: 'ada' });
        shift = 0;
        expect(await end()).toBe(2);
        expect(await store.count()).toBe(0);
      }
    });
  });

  it('of a Cluster is read from each node, and each session goes by that of its own', async () => {
    const cluster = await startRedisCluster();
    const client = new Cluster(cluster.nodes);
    const keys = new RedisKeys(PREFIX, '');
    try {
      const store = new RedisSessionStore(client, { keyPrefix: PREFIX, commandTimeout: 5_000 });
      await store.ready();
      const masters = client.nodes('master');
      expect(masters).toHaveLength(3);
      for (const node of masters) expect(await node.info('commandstats')).toMatch(/cmdstat_time:calls=[1-9]/);
      const sessions = await Promise.all(
        Array.from({ length: 30 }, (_, user) => store.create({ userId: `user-${user}` })),
      );
      const nodeOf = (id: string): string | undefined => client.slots[keys.ofSession(id).slot]?.[0];
      const [ahead] = masters;
      if (ahead) skew(ahead, () => HOUR);
      const aheadName = `${ahead?.options.host}:${ahead?.options.port}`;
      expect(new Set(sessions.map(({ id }) => nodeOf(id))).size).toBe(3);
      client.emit('ready');
      await until(async () => {
        const states = await Promise.all(sessions.map(async ({ id }) => ({ id, state: (await store.read(id)).state })));
        return states.every(({ id, state }) => state === (nodeOf(id) === aheadName ? 'ended' : 'live'));
      });
      await store.close();
    } finally {
      discard(client as unknown as Redis);
      await cluster.stop();
    }
  });
});
