import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import { userKeyOfSession } from '../../src/model/ids.js';
import type { Session } from '../../src/model/session.js';
import type { LiveSession, RotateOutcome, SessionStore } from '../../src/ports/session-store.js';
import type { RedisSessionStore } from '../../src/redis/redis-session-store.js';
import { CapturedLogs } from '../support/captured-logs.js';
import { OwnRedis, until, type EventLog } from '../support/own-redis.js';

const OLD = { cookie: randomBytes(32), refresh: randomBytes(32) };
const NEW = { cookie: randomBytes(32), refresh: randomBytes(32) };
/** Long enough for a resend to come in time, short enough to wait for its end. */
const SHORT = 250;

/** What the operation does to a user with two sessions, and what must be true of it once it was done exactly once. */
interface Operation {
  readonly name: string;
  run(store: SessionStore, session: Session): Promise<unknown>;
  readonly answer: (value: unknown) => void;
  /** All that is announced, of both sessions. */
  readonly events: readonly string[];
  /** What it finds when both sessions ended before it arrived. */
  readonly answerWhenGone: unknown;
}

const OPERATIONS: readonly Operation[] = [
  {
    name: 'create',
    run: (store) => store.create({ userId: 'ada', deviceId: 'd' }, { credentials: OLD }),
    answer: (session) => expect(session).toMatchObject({ userId: 'ada', deviceId: 'd' }),
    events: ['created', 'ended replaced'],
    answerWhenGone: expect.objectContaining({ userId: 'ada' }),
  },
  {
    name: 'touch',
    run: (store, { id }) => store.touch(id),
    answer: (touched) => expect(touched).toBe(true),
    events: [],
    answerWhenGone: false,
  },
  {
    name: 'update',
    run: (store, { id }) => store.update(id, ({ data }) => ({ data: { n: Number(data['n'] ?? 0) + 1 } })),
    answer: (session) => expect(session).toMatchObject({ data: { n: 1 } }),
    events: ['changed'],
    answerWhenGone: null,
  },
  {
    name: 'rotate (refresh), without a grace window',
    run: (store, { id }) =>
      store.rotate(id, {
        kind: 'refresh',
        presented: { hash: OLD.refresh, generation: 0, client: Buffer.alloc(8, 7) },
        grace: 0,
        rotateAfter: 30_000,
        rotateFirst: true,
        touch: true,
      }),
    answer: (outcome) =>
      expect(outcome).toMatchObject({
        state: 'rotated',
        generation: 1,
        live: { families: { refresh: { generation: 1 } } },
      }),
    events: ['refreshed'],
    answerWhenGone: expect.objectContaining({ state: 'ended', reason: 'logout' }),
  },
  {
    name: 'rotate (cookie)',
    run: (store, { id }) =>
      store.rotate(id, {
        kind: 'cookie',
        presented: { hash: OLD.cookie, generation: 0 },
        grace: 30_000,
        rotateAfter: 30_000,
        rotateFirst: true,
        touch: false,
      }),
    answer: (outcome) =>
      expect(outcome).toMatchObject({ generation: 1, live: { families: { cookie: { generation: 1 } } } }),
    events: ['changed'],
    answerWhenGone: expect.objectContaining({ state: 'ended', reason: 'logout' }),
  },
  {
    name: 'regenerate',
    run: (store, { id }) =>
      store.regenerate(id, {
        credentials: NEW,
        freshen: true,
        patch: { data: { stepped: true } },
        presented: { kind: 'cookie', hash: OLD.cookie },
        repeatableFor: 0,
      }),
    answer: (outcome) => {
      expect(outcome).toMatchObject({ state: 'live', session: { data: { stepped: true } } });
      expect((outcome as LiveSession).families.cookie?.hash.equals(NEW.cookie)).toBe(true);
    },
    events: ['regenerated'],
    answerWhenGone: expect.objectContaining({ state: 'ended', reason: 'logout' }),
  },
  {
    name: 'end one',
    run: (store, { id }) => store.destroy(id, { reason: 'revoked' }),
    answer: (ended) => expect(ended).toBe(true),
    events: ['ended revoked'],
    answerWhenGone: false,
  },
  {
    name: 'end all',
    run: (store) => store.destroyAll('ada', { reason: 'revoked' }),
    answer: (ended) => expect(ended).toBe(2),
    events: ['ended revoked', 'ended revoked'],
    answerWhenGone: 0,
  },
  {
    name: 'updateUser',
    run: (store) => store.updateUser('ada', { roles: ['admin'] }),
    answer: (reached) => expect(reached).toBe(2),
    events: ['changed', 'changed'],
    answerWhenGone: 0,
  },
  {
    name: 'revokeToken',
    run: (store, { id }) => store.revokeToken(id, `${id}.1`, store.now() + 60_000),
    answer: (revoked) => expect(revoked).toBe(true),
    events: ['changed'],
    answerWhenGone: false,
  },
  {
    name: 'revokeTokens',
    run: (store) => store.revokeTokens('ada'),
    answer: (cutoff) => expect(cutoff).toBeGreaterThan(0),
    events: ['changed', 'changed'],
    answerWhenGone: expect.any(Number),
  },
];

describe('what is sent again, and what comes late', () => {
  let redis: OwnRedis;
  let logs: CapturedLogs;
  /** The store under test, on a connection that the test can break. */
  let client: Redis;
  let store: RedisSessionStore;
  /** Another process, whose connection nobody touches. */
  let other: RedisSessionStore;
  let session: Session;
  let userKey: string;
  let log: EventLog;

  beforeAll(async () => {
    logs = new CapturedLogs();
    redis = await OwnRedis.start();
    await open();
    for (const { run } of OPERATIONS) await run(other, await other.create({ userId: 'warm-up' }, { credentials: OLD }));
    await redis.reset();
  });

  afterAll(async () => {
    await redis?.stop();
    logs.restore();
  });

  afterEach(() => redis.reset());

  async function open(commandTimeout = 5_000): Promise<void> {
    client = redis.connectViaProxy();
    store = redis.open({ commandTimeout }, client);
    other = redis.open({ commandTimeout: 5_000 });
    await until(() =>
      store.ready().then(
        () => true,
        () => false,
      ),
    );
    log = await redis.listen(other);
    session = await other.create({ userId: 'ada', deviceId: 'd' }, { credentials: OLD });
    await other.create({ userId: 'ada' }, { credentials: OLD });
    userKey = userKeyOfSession(session.id);
    await log.all();
    log.clear();
  }

  /** Hands the script that the client is about to send to the test, which may hold it back for ever. */
  function onScript(act: (script: unknown[]) => 'send' | 'hold'): void {
    const commands = client as unknown as { evalshaBuffer(...args: unknown[]): Promise<unknown> };
    const send = commands.evalshaBuffer.bind(client);
    commands.evalshaBuffer = (...args) =>
      act(['evalsha', ...args]) === 'send' ? send(...args) : new Promise(() => undefined);
  }

  /** The script that the operation sends, which is not sent. */
  async function heldBack(operation: (to: RedisSessionStore) => Promise<unknown>): Promise<unknown[]> {
    let held: unknown[] = [];
    onScript((args) => {
      held = args;
      return 'hold';
    });
    void operation(store).catch(() => undefined);
    await until(() => held.length > 0);
    return held;
  }

  /** The script that the operation sent, and what the operation answered. */
  async function sent(
    operation: (to: RedisSessionStore) => Promise<unknown>,
  ): Promise<{ script: unknown[]; value: unknown }> {
    let script: unknown[] = [];
    onScript((args) => {
      script = args;
      return 'send';
    });
    return { value: await operation(store), script };
  }

  async function byHand(script: unknown[]): Promise<string> {
    const call = redis.admin.callBuffer.bind(redis.admin) as (...args: unknown[]) => Promise<unknown>;
    const [first, second] = (await call(...script)) as [Buffer | Buffer[], Buffer];
    // Announcements come first, where there are some.
    return String(Array.isArray(first) ? second : first);
  }

  const state = (): Promise<Record<string, string>> => redis.stateOf(userKey);
  const types = async (): Promise<string[]> => (await log.types()).sort();

  describe.each(OPERATIONS)('$name', ({ name, run, answer, events, answerWhenGone }) => {
    it('is applied once when the reply is lost and the client sends it again: right answer, no reuse, events once', async () => {
      await open();
      await redis.resetCommands();
      onScript(() => {
        redis.proxy.dropNextReply();
        return 'send';
      });
      answer(await run(store, session));
      expect(redis.proxy.counts.dropped).toBeGreaterThan(0);
      expect((await redis.commands())['evalsha']).toBe(2);
      expect(await types()).toEqual(events);
    });

    it('changes nothing more when it is replayed after it ran', async () => {
      await open();
      const { script, value } = await sent((to) => run(to, session));
      answer(value);
      const after = await state();
      const codes = [await byHand(script), await byHand(script), await byHand(script)];
      expect(new Set(codes).size).toBe(1);
      expect(codes[0]).not.toBe('late');
      if (name === 'touch') expect(Object.keys(await state())).toEqual(Object.keys(after));
      else expect(await state()).toEqual(after);
      expect(await types()).toEqual(events);
    });

    it('changes nothing when it arrives after its time', async () => {
      await open(SHORT);
      const script = await heldBack((to) => run(to, session));
      const before = await state();
      const notAfter = Number(script[3 + Number(script[2]) + 3]);
      await until(async () => (await redis.time()) > notAfter + 1);
      expect(await byHand(script)).toBe('late');
      expect(await state()).toEqual(before);
      expect(await log.types()).toEqual([]);
    });

    it('changes nothing when the server hung for longer than anybody waited', async () => {
      await open(SHORT);
      const before = await state();
      redis.server.pause();
      try {
        await expect(run(store, session)).rejects.toMatchObject({ code: 'store_unavailable' });
      } finally {
        redis.server.resume();
      }
      await client.ping();
      expect(await state()).toEqual(before);
      expect(await log.types()).toEqual([]);
    });

    it('changes nothing that ended while it was held up, and creates nothing then', async () => {
      await open(SHORT);
      onScript(() => {
        redis.proxy.blackhole(true);
        return 'send';
      });
      await expect(run(store, session)).rejects.toMatchObject({ code: 'store_unavailable' });
      expect(await other.destroyAll('ada')).toBe(2);
      const before = await state();
      redis.proxy.blackhole(false);
      await client.ping();
      expect(await state()).toEqual(before);
      expect(await other.getActiveSessions('ada')).toEqual([]);
      expect(await types()).toEqual(['ended logout', 'ended logout']);
    });

    it('finds the sessions ended when they ended while it was under way', async () => {
      await open();
      onScript(() => {
        redis.proxy.blackhole(true);
        return 'send';
      });
      const running = run(store, session);
      await until(() => redis.proxy.counts.toServer > 0);
      await other.destroyAll('ada');
      redis.proxy.blackhole(false);
      expect(await running).toEqual(answerWhenGone);
      expect((await other.read(session.id)).state).toBe('ended');
    });
  });

  describe('a repeat after others have written in between', () => {
    /** Applies the operation, then lets another process write, then sends the operation again. */
    async function repeatAfter(
      operation: (to: RedisSessionStore) => Promise<unknown>,
      between: () => Promise<unknown>,
    ): Promise<unknown> {
      await open();
      const { script, value } = await sent(operation);
      await between();
      const before = await state();
      await byHand(script);
      expect(await state()).toEqual(before);
      return value;
    }

    const increment = (by: SessionStore): Promise<unknown> =>
      by.update(session.id, ({ data }) => ({ data: { n: Number(data['n'] ?? 0) + 1 } }));

    it('does not increment twice', async () => {
      await repeatAfter(increment, () => increment(other));
      expect((await other.get(session.id))?.data).toEqual({ n: 2 });
    });

    it('does not bring back roles that were changed since', async () => {
      const grant = (by: SessionStore): Promise<unknown> => by.updateUser('ada', { roles: ['admin'] });
      await repeatAfter(grant, () => other.updateUser('ada', { roles: [] }));
      expect((await other.get(session.id))?.roles).toEqual([]);
    });

    it('does not draw secrets again over those of a later regeneration', async () => {
      const regeneration = { freshen: false, repeatableFor: 0 };
      const later = { cookie: randomBytes(32) };
      await repeatAfter(
        (to) => to.regenerate(session.id, { ...regeneration, credentials: { cookie: NEW.cookie } }),
        () => other.regenerate(session.id, { ...regeneration, credentials: later }),
      );
      expect(((await other.read(session.id)) as LiveSession).families.cookie?.hash.equals(later.cookie)).toBe(true);
    });

    it('does not kill access tokens that were issued since', async () => {
      const cutoff = await repeatAfter(
        (to) => to.revokeTokens('ada'),
        () => other.touch(session.id),
      );
      expect(((await other.read(session.id)) as LiveSession).tokensFrom).toBe(cutoff);
    });

    it('takes a refresh token that has gone further in the meantime for no reuse', async () => {
      const rotate = (to: SessionStore, n: number): Promise<RotateOutcome> =>
        to.rotate(session.id, {
          kind: 'refresh',
          presented: { hash: OLD.refresh, generation: n },
          grace: 0,
          rotateAfter: -1,
          rotateFirst: true,
          touch: false,
        });
      await repeatAfter(
        (to) => rotate(to, 0),
        async () => {
          for (const n of [1, 2, 3])
            expect(await rotate(other, n)).toMatchObject({ state: 'rotated', generation: n + 1 });
        },
      );
      expect((await other.read(session.id)).state).toBe('live');
    });

    it('spares a sign-in that followed an end of all (ASVS 7.4.2)', async () => {
      let later: Session | null = null;
      const ended = await repeatAfter(
        (to) => to.destroyAll('ada'),
        async () => {
          later = await other.create({ userId: 'ada', deviceId: 'd' });
          await other.update(later.id, { data: { a: 1 } });
        },
      );
      expect(ended).toBe(2);
      expect(await other.get((later as unknown as Session).id)).not.toBeNull();
    });

    it('spares it as well where the end of all had found nobody', async () => {
      await open();
      await other.destroyAll('ada');
      await redis.admin.flushall();
      const { script, value } = await sent((to) => to.destroyAll('ada'));
      expect(value).toBe(0);
      const sentAt = Number(script[3 + Number(script[2]) + 9]);
      await until(async () => (await redis.time()) > sentAt + 1);
      const later = await other.create({ userId: 'ada' });
      expect(await byHand(script)).toBe('ended');
      expect(await other.get(later.id)).toEqual(later);
    });

    it('of a sign-in does not bring its session back, even where many more ended since', async () => {
      await open();
      await other.destroyAll('ada');
      const { script, value } = await sent((to) => to.create({ userId: 'ada' }));
      const { id } = value as Session;
      await other.destroy(id);
      for (let more = 0; more < 20; more += 1) await other.destroy((await other.create({ userId: 'ada' })).id);
      expect(await byHand(script)).toBe('ended');
      expect(await other.getActiveSessions('ada')).toEqual([]);
      expect(await other.count()).toBe(0);
      expect(await log.types(id)).toEqual(['created', 'ended logout']);
    });

    it('of a sign-in does not bring its session back where it ended together with hundreds', async () => {
      await open();
      const limit = { max: 500, onLimit: 'reject' } as const;
      await Promise.all(Array.from({ length: 300 }, () => other.create({ userId: 'ada' }, { limit })));
      const { script } = await sent((to) => to.create({ userId: 'ada' }, { limit }));
      expect(await other.destroyAll('ada')).toBe(303);
      expect(await byHand(script)).toBe('ended');
      expect(await other.count()).toBe(0);
    });
  });

  it('100 parallel increments of two processes give 100, though replies get lost', async () => {
    await open();
    const updates = Array.from({ length: 100 }, (_, index) =>
      (index % 2 === 0 ? store : other).update(session.id, ({ data }) => ({ data: { n: Number(data['n'] ?? 0) + 1 } })),
    );
    for (let lost = 1; lost <= 5; lost += 1) {
      redis.proxy.dropNextReply();
      await until(() => redis.proxy.counts.dropped >= lost);
    }
    await Promise.all(updates);
    expect((await other.get(session.id))?.data).toEqual({ n: 100 });
  });

  it('50 parallel sign-ins of two processes at limit 3 leave 3, each announced once, though replies get lost', async () => {
    await open();
    await other.destroyAll('ada');
    await log.all();
    log.clear();
    const limit = { max: 3, onLimit: 'evict-oldest' } as const;
    let lost = redis.proxy.counts.dropped;
    for (let round = 0; round < 5; round += 1) {
      redis.proxy.dropNextReply();
      lost += 1;
      const signIns = Array.from({ length: 50 }, (_, index) =>
        (index % 2 === 0 ? store : other).create({ userId: 'ada' }, { limit }),
      );
      const outcomes = await Promise.allSettled(signIns);
      for (const outcome of outcomes) {
        // Sent again after it was evicted already: the sign-in is told so instead of coming back.
        if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'session_evicted' });
      }
      await until(() => redis.proxy.counts.dropped >= lost);
      expect(await other.getActiveSessions('ada')).toHaveLength(3);
    }
    const created = new Map<string, number>();
    const ended = new Map<string, number>();
    for (const { type, sessionId } of await log.all()) {
      const counted = type === 'created' ? created : ended;
      counted.set(sessionId, (counted.get(sessionId) ?? 0) + 1);
    }
    expect(created.size).toBe(250);
    expect(ended.size).toBe(247);
    expect(Math.max(...created.values(), ...ended.values())).toBe(1);
    for (const { id } of await other.getActiveSessions('ada')) expect(ended.has(id)).toBe(false);
  });

  it('ends of everybody and sweeps that are sent again end and announce each session once', async () => {
    await open();
    for (let user = 0; user < 20; user += 1)
      await other.create({ userId: `user-${user}` }, { idleTimeout: user < 10 ? 1 : 60_000 });
    log.clear();
    redis.proxy.dropNextReply();
    const sweeping = store.sweep();
    for (let lost = 0; lost < 3; lost += 1) {
      await until(() => redis.proxy.counts.dropped > lost);
      redis.proxy.dropNextReply();
    }
    await sweeping;
    await store.destroyEverybody();
    const ends = (await log.all()).filter(({ type }) => type === 'ended');
    expect(ends).toHaveLength(22);
    expect(new Set(ends.map(({ sessionId }) => sessionId)).size).toBe(22);
    expect(await other.count()).toBe(0);
  });
});
