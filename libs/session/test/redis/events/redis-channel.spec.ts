import { newSessionId } from '../../../src/model/ids.js';
import type { SessionEvent } from '../../../src/model/events.js';
import type { RedisSessionStore } from '../../../src/redis/redis-session-store.js';
import { OwnRedis, pause, until } from '../../support/own-redis.js';

describe('events over Redis', () => {
  let redis: OwnRedis;
  let here: RedisSessionStore;
  let there: RedisSessionStore;

  beforeAll(async () => {
    redis = await OwnRedis.start();
  });
  afterAll(() => redis?.stop());
  afterEach(() => redis.reset());

  beforeEach(() => {
    here = redis.open();
    there = redis.open();
  });

  it('reach this instance also while its subscription is broken, once', async () => {
    here = redis.open({}, redis.connectViaProxy());
    const log = await redis.listen(here);
    const subscribers = async (): Promise<number> =>
      Number(((await redis.admin.call('PUBSUB', 'NUMSUB', redis.keys.events)) as unknown[])[1]);
    const session = await here.create({ userId: 'ada' });
    expect(await log.types(session.id)).toEqual(['created']);
    // The connection for commands stays; the subscriber finds nobody to connect to.
    redis.proxy.retarget(1);
    await redis.admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    // Published while nobody is subscribed.
    await here.destroy(session.id, { reason: 'admin' });
    expect(await subscribers()).toBe(0);
    redis.proxy.retarget(redis.server.port);
    await until(async () => (await subscribers()) === 1);
    // As long as the echo of an event is waited for.
    await pause(700);
    expect(await log.types(session.id)).toEqual(['created', 'ended admin']);
  });

  it('tell when some may have been missed', async () => {
    let gaps = 0;
    const stop = here.onGap(() => (gaps += 1));
    await redis.listen(here);
    expect(gaps).toBe(0);
    await redis.admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await until(() => gaps === 1);
    const log = await redis.listen(here);
    const { id } = await there.create({ userId: 'ada' });
    expect(await log.types(id)).toEqual(['created']);
    stop();
    await redis.admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await pause(200);
    expect(gaps).toBe(1);
  });

  it('that a process found out reach all instances, each once, and are remote at the others', async () => {
    const [mine, theirs] = [await redis.listen(here), await redis.listen(there)];
    const sessionId = newSessionId(redis.keys.ofUser('ada\nadmin').userKey);
    const events: SessionEvent[] = [
      { type: 'use-after-end', at: 7, sessionId, userId: 'ada\nadmin', reason: 'reuse', remote: false },
      {
        type: 'hijack-suspected',
        at: 8,
        sessionId,
        userId: 'ada\nadmin',
        signals: ['ip'],
        action: 'end',
        remote: false,
      },
      {
        type: 'impersonation-started',
        at: 9,
        sessionId,
        userId: 'ada',
        actor: { userId: 'root', sessionId },
        remote: false,
      },
    ];
    for (const event of events) expect(here.publish(event)).toBe(true);
    await until(async () => (await theirs.all()).length >= 3);
    await pause(600);
    expect(await mine.all()).toEqual(events);
    expect((await theirs.all()).sort((a, b) => a.at - b.at)).toEqual(
      events.map((event) => ({ ...event, remote: true })),
    );
  });

  it('that a process found out fail nobody while Redis is down', async () => {
    const log: string[] = [];
    here.subscribe(({ type }) => log.push(type));
    await here.ready();
    redis.proxy.blackhole(true);
    const behind = redis.open({ commandTimeout: 50 }, redis.connectViaProxy({ lazyConnect: true }));
    const sessionId = newSessionId(redis.keys.ofUser('ada').userKey);
    expect(
      behind.publish({ type: 'use-after-end', at: 7, sessionId, userId: 'ada', reason: 'idle', remote: false }),
    ).toBe(true);
    await pause(200);
    expect(log).toEqual([]);
  });

  it('that somebody else wrote on the channel are ignored and counted', async () => {
    const log = await redis.listen(here);
    const before = here.ignoredMessages;
    const id = newSessionId(redis.keys.ofUser('ada').userKey);
    const found = (fields: object): string =>
      `2 peer ${JSON.stringify({ type: 'use-after-end', at: 1, sessionId: id, userId: 'u', reason: 'idle', ...fields })}`;
    // An empty message is none of them: by it an instance tries whether it may publish.
    const strangers = [
      'hello',
      '{"type":"ended"}',
      `1 peer ended ${id} 12 nonsense\nada`,
      `1 peer unknown ${id} 12 -\nada`,
      `1 peer ended short 12 logout\nada`,
      `1 peer ended ${id} 1e9 logout\nada`,
      `9 peer ended ${id} 12 logout\nada`,
      `1 peer ended ${id} 12 logout`,
      '4 peer',
      '4 peer soon',
      '2 peer {',
      '2 peer null',
      '2 peer []',
      found({ type: 'constructor' }),
      found({ type: 'ended' }),
      found({ at: 'now' }),
      found({ sessionId: '../x' }),
      found({ userId: 7 }),
      found({ reason: 'because' }),
      found({ type: 'hijack-suspected', signals: 'ip' }),
      found({ type: 'impersonation-started', actor: { userId: 'x' } }),
    ];
    // By an empty message an instance of ours tries its rights, and by a heartbeat it says that it sweeps.
    for (const message of ['', '4 peer 15000', ...strangers]) await redis.admin.publish(redis.keys.events, message);
    expect(await log.all()).toEqual([]);
    expect(here.ignoredMessages - before).toBe(strangers.length);
    const { id: own } = await here.create({ userId: 'ada' });
    expect(await log.types(own)).toEqual(['created']);
  });

  it('cost a script no further command and no second round trip', async () => {
    await redis.listen(here);
    const { id } = await here.create({ userId: 'ada' });
    await here.destroy(id);
    const again = await here.create({ userId: 'ada' });
    await redis.resetCommands();
    await here.destroy(again.id);
    expect(await redis.commands()).toMatchObject({ evalsha: 1, publish: 1 });
  });
});
