import { jest } from '@jest/globals';
import { Redis } from 'ioredis';
import { inStep, startReplicatedRedis } from '../../../../../test/support/redis-sentinels.js';
import { startRedis, type RedisServer } from '../../../../../test/support/redis-server.js';
import { startProxy, type TcpProxy } from '../../../../../test/support/tcp-proxy.js';
import type { SessionEvent } from '../../../src/model/events.js';
import { RedisConnection } from '../../../src/redis/connection/redis-connection.js';
import { SMALLEST_RIGHTS } from '../../../src/redis/connection/server-report.js';
import { RedisKeys } from '../../../src/redis/keys.js';
import { RedisSessionStore } from '../../../src/redis/redis-session-store.js';
import { RedisTokenBlacklist } from '../../../src/redis/redis-token-blacklist.js';
import { CapturedLogs } from '../../support/captured-logs.js';
import { discard, until } from '../../support/own-redis.js';

describe('what the boot says about Redis', () => {
  let server: RedisServer;
  let admin: Redis;
  let logs: CapturedLogs;

  beforeEach(async () => {
    logs = new CapturedLogs();
    server = await startRedis({ args: ['--appendonly', 'yes'] });
    admin = new Redis(server.url);
  });

  afterEach(async () => {
    discard(admin);
    await server.stop();
    logs.restore();
  });

  async function boot(url = server.url, strictRedis = false): Promise<RedisSessionStore> {
    const store = new RedisSessionStore(await RedisConnection.open(url, { commandTimeout: 2_000 }), { strictRedis });
    try {
      await store.ready();
      return store;
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  it('nothing, where all is well', async () => {
    await (await boot()).close();
    await (await boot(server.url, true)).close();
    expect(logs.lines).toEqual([]);
  });

  it.each([
    [
      'an eviction policy that silently deletes sessions',
      ['maxmemory-policy', 'allkeys-lru'],
      /CONFIG SET maxmemory-policy noeviction/,
    ],
    ['no persistence', ['appendonly', 'no'], /Set appendonly yes/],
  ])('%s: with the way to put it right; under strictRedis it refuses to boot', async (_, setting, expected) => {
    await admin.config('SET', ...(setting as [string, string]));
    await (await boot()).close();
    expect(logs.lines).toEqual([expect.stringMatching(expected)]);
    await expect(boot(server.url, true)).rejects.toMatchObject({ code: 'invalid_configuration' });
  });

  it.each([
    ['behind', 3_600_000],
    ['ahead of', -3_600_000],
  ])('a clock that is %s this machine’s, in the same words as the command line', async (side, offset) => {
    const real = Date.now;
    const clock = jest.spyOn(Date, 'now').mockImplementation(() => real() + offset);
    try {
      const store = await boot();
      const connection = await RedisConnection.open(server.url, { commandTimeout: 2_000 });
      const { findings, servers } = await connection.diagnose('session:probe', 'session:events');
      await connection.close();
      await store.close();
      expect(Math.round((servers[0]?.clockOffset ?? 0) / 10_000)).toBe(-offset / 10_000);
      expect(findings.map(({ text }) => text)).toEqual([
        expect.stringMatching(
          `^The clock of 127.0.0.1:${server.port} is 3[56]\\d\\d s ${side} the clock of this machine`,
        ),
      ]);
      const words = (text: string | undefined): string | undefined => text?.replace(/\d+ s/, 'n s');
      expect(words(logs.lines[0])).toContain(words(findings[0]?.text));
      expect(logs.lines).toHaveLength(1);
    } finally {
      clock.mockRestore();
    }
  });

  it('which rights are missing, publish among them, which nothing else would notice', async () => {
    await admin.call(
      'ACL',
      'SETUSER',
      'app',
      'on',
      '>secret',
      '~session:*',
      '&session:events',
      '+@all',
      '-publish',
      '-hdel',
    );
    await (await boot(`redis://app:secret@127.0.0.1:${server.port}`)).close();
    expect(logs.lines).toEqual([expect.stringMatching(/may not run hdel, publish.*\+hdel \+publish/)]);
  });

  it('which channel is missing', async () => {
    await admin.call('ACL', 'SETUSER', 'app', 'on', '>secret', '~session:*', 'resetchannels', '+@all');
    await (await boot(`redis://app:secret@127.0.0.1:${server.port}`)).close();
    expect(logs.lines).toEqual([expect.stringMatching(/may not run publish.*&session:events/)]);
  });

  it('the smallest rights are enough for sessions, events and the sweep', async () => {
    const rights = ['~session:*', '&session:events', ...SMALLEST_RIGHTS.split(' ')];
    await admin.call('ACL', 'SETUSER', 'app', 'on', '>secret', 'resetchannels', ...rights);
    const store = await boot(`redis://app:secret@127.0.0.1:${server.port}`);
    const heard: string[] = [];
    store.subscribe(({ type }) => heard.push(type));
    await store.ready();
    const session = await store.create({ userId: 'ada', data: { a: 1 } });
    expect(await store.read(session.id)).toMatchObject({ state: 'live' });
    expect(await store.getActiveSessions('ada')).toHaveLength(1);
    expect(await store.touch(session.id)).toBe(true);
    expect(await store.update(session.id, { data: { a: 2 } })).toMatchObject({ data: { a: 2 } });
    expect(await store.updateUser('ada', { roles: ['a'] })).toBe(1);
    const regenerated = { credentials: {}, freshen: true, repeatableFor: 0 };
    expect(await store.regenerate(session.id, regenerated)).toMatchObject({ state: 'live' });
    await store.revokeTokens('ada');
    expect(await store.count()).toBe(1);
    expect(await store.sweep()).toBe(0);
    const brief = await store.create({ userId: 'bob' }, { idleTimeout: 20 });
    const interval = 160;
    // Takes the lease, sweeps, and renews the lease; the last step hands it over.
    await until(async () => (await store.sweepStep({ part: 0, of: 32, interval })) === 1);
    expect(await store.read(brief.id)).toMatchObject({ state: 'ended', reason: 'idle' });
    const renewals = async (): Promise<number> =>
      Number(/cmdstat_getex:calls=(\d+)/.exec(await admin.info('commandstats'))?.[1] ?? 0);
    const before = await renewals();
    await until(async () => {
      await store.sweepStep({ part: 0, of: 32, interval });
      return (await renewals()) > before;
    });
    await store.stopSweeping();
    expect(await store.destroy(session.id)).toBe(true);
    expect(await store.destroyEverybody()).toMatchObject({ cursor: null });
    await until(() => heard.includes('ended'));
    expect(logs.lines).toEqual([]);
    await store.close();
  });
});

describe('ends that replicas must have (minReplicas)', () => {
  it('are not confirmed by a server that took over without them', async () => {
    const logs = new CapturedLogs();
    let link: TcpProxy | undefined;
    const { primary, replicas, stop } = await startReplicatedRedis({
      replicas: 2,
      viaPort: async (targetPort) => {
        link = await startProxy({ targetPort });
        return link.port;
      },
    });
    const front = await startProxy({ targetPort: primary.port });
    const [successor, follower] = replicas as [RedisServer, RedisServer];
    const [old, admin, other] = [primary, successor, follower].map(({ url }) => new Redis(url)) as [
      Redis,
      Redis,
      Redis,
    ];
    const connection = await RedisConnection.open(`redis://127.0.0.1:${front.port}`, { commandTimeout: 15_000 });
    // Not made ready: it would end again what the successor does not know.
    const store = new RedisSessionStore(connection, { minReplicas: 1 });
    const promoted = new RedisSessionStore(admin);
    try {
      await connection.ready();
      const { id } = await store.create({ userId: 'ada' });
      const { user } = new RedisKeys('session:', '').ofUser('ada');
      const isLiveAt = async (server: Redis): Promise<boolean> =>
        (await server.hkeys(user)).some((field) => field.startsWith('c'));
      await until(() => isLiveAt(admin), 15_000);
      link?.blackhole(true);
      const ending = store.destroy(id);
      await until(async () => !(await isLiveAt(old)), 15_000);
      await admin.call('REPLICAOF', 'NO', 'ONE');
      await other.call('REPLICAOF', '127.0.0.1', successor.port);
      await inStep(successor, 1);
      front.retarget(successor.port);
      front.reset();
      expect(await ending).toBe(true);
      expect((await promoted.read(id)).state).toBe('ended');
    } finally {
      await store.close();
      await promoted.close();
      for (const client of [old, admin, other]) discard(client);
      await front.stop();
      link?.blackhole(false);
      await stop();
      await link?.stop();
      logs.restore();
    }
  });

  it('are done once they have them, and refused where they do not; the primary goes on answering meanwhile', async () => {
    const logs = new CapturedLogs();
    const { primary, replicas, stop } = await startReplicatedRedis();
    const connection = await RedisConnection.open(primary.url, { commandTimeout: 1_000 });
    const store = new RedisSessionStore(connection, { minReplicas: 1 });
    const blacklist = new RedisTokenBlacklist(connection, { minReplicas: 1 });
    const unconfirmed: SessionEvent[] = [];
    // Through the view of a tenant: it concerns all of them.
    store.forTenant('acme').subscribe((event) => {
      if (event.type === 'end-unconfirmed') unconfirmed.push(event);
    });
    try {
      await store.ready();
      const [first, second] = [await store.create({ userId: 'ada' }), await store.create({ userId: 'bob' })];
      expect(await store.destroy(first.id)).toBe(true);
      expect(unconfirmed).toEqual([]);
      const replica = new Redis((replicas[0] as RedisServer).url);
      await until(async () => (await replica.dbsize()) > 0);
      const inAnHour = Date.now() + 3_600_000;
      await blacklist.add('confirmed', inAnHour);
      (replicas[0] as RedisServer).pause();
      const revoking = blacklist.add('unconfirmed', inAnHour).catch((error: unknown) => error);
      const ending = store.destroy(second.id).catch((error: unknown) => error);
      expect((await store.read(first.id)).state).toBe('ended');
      expect(await ending).toMatchObject({ code: 'store_unavailable' });
      expect(await revoking).toMatchObject({ code: 'store_unavailable' });
      expect(unconfirmed).toEqual([expect.objectContaining({ confirmed: 0, wanted: 1, remote: false })]);
      expect(logs.lines.filter((line) => line.includes('0 of 1 replicas')).length).toBeGreaterThan(0);
      // It changes nothing, over a connection that has written nothing. `WAIT` promises nothing of others' writes.
      const elsewhere = new RedisSessionStore(await RedisConnection.open(primary.url, { commandTimeout: 1_000 }), {
        minReplicas: 1,
      });
      const writer = new Redis(primary.url);
      const writes = async (): Promise<number> =>
        Number(/cmdstat_pexpire:calls=(\d+)/.exec(await writer.info('commandstats'))?.[1]);
      const before = await writes();
      const again = await elsewhere.destroy(second.id).catch((error: unknown) => error);
      expect(await writes()).toBeGreaterThan(before);
      const revokedAgain = await blacklist.add('unconfirmed', inAnHour).catch((error: unknown) => error);
      await elsewhere.close();
      discard(writer);
      expect([again, revokedAgain]).toEqual(Array(2).fill(expect.objectContaining({ code: 'store_unavailable' })));
      (replicas[0] as RedisServer).resume();
      // Said to be undone by nothing from here on.
      await until(async () =>
        store.destroyAll('bob').then(
          () => true,
          () => false,
        ),
      );
      await primary.kill();
      await replica.call('REPLICAOF', 'NO', 'ONE');
      const promoted = new RedisSessionStore(replica);
      for (const { id } of [first, second]) expect((await promoted.read(id)).state).toBe('ended');
      await promoted.close();
      discard(replica);
    } finally {
      await blacklist.close();
      await store.close();
      await stop();
      logs.restore();
    }
  });
});
