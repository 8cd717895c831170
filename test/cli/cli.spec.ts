import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { RedisSessionStore, type SessionEvent } from 'nestjs-sessions';
import { sessionMiddleware } from 'nestjs-sessions/standalone';
import { startRedis, type RedisServer } from '../support/redis-server.js';
import { startProxy } from '../support/tcp-proxy.js';
import { cli, finished, start, until, url, WHY, type Result } from './support/cli.js';

let prefix: string;
let client: Redis;
let store: RedisSessionStore;
let here: string[];

beforeEach(() => {
  prefix = `test-cli-${randomBytes(6).toString('hex')}:`;
  here = ['--prefix', prefix];
  client = new Redis(url);
  store = new RedisSessionStore(client, { keyPrefix: prefix, commandTimeout: 15_000 });
});

afterEach(async () => {
  for (const tenant of ['', 'acme']) await store.forTenant(tenant).destroyEverybody();
  await store.close();
  await client.quit();
});

const startAll = async (...users: string[]): Promise<string[]> =>
  Promise.all(users.map(async (userId) => (await store.create({ userId, data: { cart: 'private' } })).id));

describe('list and show', () => {
  it('show a user’s sessions, page by page, without the data of the application', async () => {
    await startAll('ada', 'ada', 'bob');
    const theirs = await store.forTenant('acme').create({ userId: 'ada' });
    const all = await cli(['list', 'ada', '--json', ...here]);
    expect([all.code, all.err]).toEqual([0, '']);
    expect(all.out).not.toContain('private');
    const listed = JSON.parse(all.out) as { sessions: { id: string; userId: string }[]; cursor: null };
    expect(listed.sessions.map(({ userId }) => userId)).toEqual(['ada', 'ada']);
    const page = JSON.parse((await cli(['list', '--limit', '2', '--json', ...here])).out);
    const next = JSON.parse((await cli(['list', '--cursor', page.cursor, '--json', ...here])).out);
    expect([page.sessions.length, next.sessions.length, next.cursor]).toEqual([2, 1, null]);
    const [session] = listed.sessions;
    const shown = await cli(['show', session?.id ?? '', ...here]);
    expect(shown.out).toMatch(/userId +ada\n/);
    // Not on a terminal: no colours.
    expect(shown.out).not.toContain('\u001b');
    expect(await cli(['show', theirs.id, ...here])).toMatchObject({
      code: 1,
      out: '',
      err: expect.stringContaining('another tenant'),
    });
    expect((await cli(['list', 'ada', '--count', '--tenant', 'acme', ...here])).out).toBe('1 session\n');
  }, 120_000);

  it('take an id that begins with a hyphen for what it is', async () => {
    // The key of this user begins with one, and so does the id of each of their sessions.
    const [id = ''] = await startAll('user-3648');
    expect(id).toMatch(/^-/);
    expect(await cli(['show', id, '--json', ...here])).toMatchObject({ code: 0, out: expect.stringContaining(id) });
    const mistaken = await cli(['end', '--user', id, '--yes', ...WHY, ...here]);
    expect([mistaken.code, await store.count()]).toEqual([1, 1]);
    expect((await cli(['end', id, '--yes', ...WHY, ...here])).out).toBe('1 session ended.\n');
    expect((await cli(['show', '-nothing', ...here])).code).toBe(64);
  }, 120_000);

  it('say so where there is nothing, and refuse what they do not understand', async () => {
    expect(await cli(['list', 'nobody', ...here])).toEqual({
      code: 1,
      out: '',
      err: 'No live session of user nobody.\n',
    });
    expect((await cli(['list', '--where', 'colour=red', ...here])).code).toBe(64);
    expect((await cli(['list', '--where', 'address=office', ...here])).code).toBe(64);
    const refused = await cli(['list', '--redis', 'http://:secret@host', ...here]);
    expect([refused.code, refused.err.includes('secret')]).toEqual([64, false]);
  }, 120_000);
});

describe('end', () => {
  it('asks for a reason and a yes, and ends nothing without', async () => {
    await startAll('ada');
    expect((await cli(['end', '--all', '--yes', ...here])).code).toBe(64);
    expect((await cli(['end', '--all', ...WHY, ...here])).err).toContain('--yes');
    expect((await cli(['end', '--all', '--user', 'ada', '--yes', ...WHY, ...here])).code).toBe(64);
    expect(await store.count()).toBe(1);
  }, 120_000);

  it('ends a session, a user, a filter, all; of the tenant alone, with an event that says who and why', async () => {
    const events: SessionEvent[] = [];
    store.subscribe((event) => events.push(event));
    await store.ready();
    const theirs = await store.forTenant('acme').create({ userId: 'ada' });
    const [one = ''] = await startAll('ada', 'ada', 'ada', 'bob', 'cid');
    await store.create({ userId: 'dan', roles: ['contractor'] });
    const end = (...args: string[]): Promise<Result> => cli(['end', ...args, '--yes', ...WHY, ...here]);
    expect(await end(one)).toEqual({ code: 0, out: '1 session ended.\n', err: '' });
    expect((await end(one)).code).toBe(1);
    expect((await end(theirs.id)).code).toBe(1);
    expect((await end('--user', 'ada')).out).toBe('2 sessions ended.\n');
    expect((await end('--user', 'nobody')).code).toBe(1);
    expect((await end('--where', 'role=contractor', '--where', 'age<1h', '--json')).out).toBe('{"ended":1}\n');
    expect((await end('--all')).out).toBe('2 sessions ended.\n');
    expect(await store.count()).toBe(0);
    expect(await store.forTenant('acme').get(theirs.id)).not.toBeNull();
    await until(() => events.filter(({ type }) => type === 'admin-action').length === 7);
    const last = events.filter(({ type }) => type === 'admin-action').at(-1);
    expect(last).toMatchObject({
      actor: 'root',
      reason: 'ticket 4711',
      action: 'end-everybody',
      ended: 2,
      remote: true,
    });
  }, 120_000);

  it('takes users from a file, and says which lines it skipped', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'cli-users-'));
    const file = join(folder, 'users.txt');
    try {
      await startAll('ada', 'ada', 'bob', 'cid');
      const many = Array.from({ length: 5_000 }, (_, n) => `nobody-${n}`);
      writeFileSync(file, ['ada', '', 'bob\r', 'ada', ' cid', 'x\ty', ...many, ''].join('\n'));
      const ended = await cli(['end', '--users-from', file, '--yes', '--json', ...WHY, ...here]);
      expect(JSON.parse(ended.out)).toEqual({ ended: 3, users: 5_002, blank: 1, duplicates: 1, malformed: 2 });
      expect(ended.err).toContain('2 malformed lines (5, 6)');
      expect(ended.code).toBe(1);
      expect((await store.getActiveSessions('cid')).length).toBe(1);
      const unreadable = await cli(['end', '--users-from', folder, '--yes', ...WHY, ...here]);
      expect([unreadable.code, unreadable.err]).toEqual([2, expect.stringContaining('EISDIR')]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  }, 120_000);

  it('says how far it came when Redis goes away, and the next run ends the rest', async () => {
    const port = Number(new URL(url).port || 6379);
    const proxy = await startProxy({ targetPort: port });
    try {
      await startAll(...Array.from({ length: 1_500 }, (_, n) => `user-${n}`));
      let ended = 0;
      store.subscribe(({ type }) => {
        if (type === 'ended' && (ended += 1) === 50) void proxy.stop();
      });
      await store.ready();
      const cut = await cli(['end', '--all', '--yes', ...WHY, ...here], { redis: `redis://127.0.0.1:${proxy.port}` });
      expect([cut.code, cut.out]).toEqual([2, '']);
      expect(cut.err).toMatch(/At least [\d,]+ sessions? had ended by then\. Run the command again/);
      const left = await store.count();
      expect(left).toBeGreaterThan(0);
      expect(left).toBeLessThan(1_500);
      expect((await cli(['end', '--all', '--yes', ...WHY, ...here])).code).toBe(0);
      expect(await store.count()).toBe(0);
    } finally {
      await proxy.stop();
    }
  }, 120_000);
});

it('token says what a token is, whose, and whether it is alive, and never prints its secret', async () => {
  const app = await sessionMiddleware({
    store,
    secrets: [randomBytes(48).toString('base64')],
    sweeper: { interval: '1h' },
  });
  try {
    const { session, cookieToken = '' } = await app.sessions.start({ userId: 'ada' });
    const secret = cookieToken?.split('.')[1] ?? '';
    expect(secret.length).toBeGreaterThan(20);
    const asked = await cli(['token', ...here], { input: `Cookie: session=${cookieToken}\n` });
    expect(asked.code).toBe(0);
    expect(asked.out).toMatch(/kind +cookie\nstate +alive\n/);
    expect(asked.out).toContain('ada');
    expect(asked.out).not.toContain(secret);
    const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const claims = { sid: session.id, jti: `${session.id}.${Date.now().toString(36)}.${'x'.repeat(16)}`, exp: 4e9 };
    const access = `${encoded({ alg: 'HS256', typ: 'at+jwt', kid: 'k' })}.${encoded(claims)}.c2lnbmF0dXJl`;
    expect(JSON.parse((await cli(['token', '--json', ...here], { input: access })).out)).toMatchObject({
      kind: 'access',
      standing: 'unverified',
      userId: 'ada',
    });
    await store.destroy(session.id, { reason: 'hijack' });
    const gone = await cli(['token', ...here], { input: cookieToken ?? '' });
    expect([gone.code, gone.out]).toEqual([1, expect.stringContaining('(hijack)')]);
    expect((await cli(['token', ...here], { input: 'hello' })).out).toContain('not a token');
  } finally {
    await app.close();
  }
}, 120_000);

it('stats counts, and watch shows what happens, until it is interrupted', async () => {
  await startAll('ada', 'ada', 'bob');
  const full = JSON.parse((await cli(['stats', '--full', '--json', ...here])).out);
  expect(full).toMatchObject({
    sessions: 3,
    users: 2,
    devices: { unknown: 3 },
    top: [{ userId: 'ada', sessions: 2 }, {}],
  });
  const watching = start(['watch', '--user', 'cid', '--json', ...here]);
  let seen = '';
  watching.stdout.on('data', (chunk) => (seen += String(chunk)));
  let ready = '';
  watching.stderr.on('data', (chunk) => (ready += String(chunk)));
  const result = finished(watching);
  let id: string | undefined;
  try {
    await until(() => ready.includes('Watching'));
    await startAll('ada');
    [id] = await startAll('cid');
    await until(() => seen.includes('\n'));
  } finally {
    watching.kill('SIGINT');
  }
  expect((await result).code).toBe(0);
  expect(
    seen
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).sessionId),
  ).toEqual([id]);
}, 120_000);

describe('doctor', () => {
  let server: RedisServer;

  beforeAll(async () => {
    server = await startRedis({ args: ['--appendonly', 'yes', '--maxmemory-policy', 'noeviction'] });
  });

  afterAll(() => server.stop());

  it('exits with 0 for a sound server, 1 for warnings, 2 for faults and for no server', async () => {
    const admin = new Redis(server.url);
    try {
      const sound = await cli(['doctor'], { redis: server.url });
      expect([sound.code, sound.out]).toEqual([0, expect.stringContaining('persistence aof')]);
      await admin.config('SET', 'appendonly', 'no');
      const warned = await cli(['doctor', '--json'], { redis: server.url });
      expect([warned.code, JSON.parse(warned.out).findings]).toEqual([
        1,
        [expect.objectContaining({ level: 'warning' })],
      ]);
      await admin.config('SET', 'maxmemory-policy', 'allkeys-lru');
      const faulty = await cli(['doctor'], { redis: server.url });
      expect([faulty.code, faulty.out]).toEqual([2, expect.stringContaining('maxmemory-policy is allkeys-lru')]);
    } finally {
      admin.disconnect();
    }
    const nobody = await cli(['doctor'], { redis: 'redis://127.0.0.1:1' });
    expect([nobody.code, nobody.out]).toEqual([2, '']);
    expect(nobody.err).toContain('not reachable');
  }, 120_000);

  it('finds keys without a deadline; needs no right to search for them', async () => {
    const admin = new Redis(server.url);
    const own = new RedisSessionStore(admin, { commandTimeout: 15_000 });
    try {
      await admin.config('SET', 'appendonly', 'yes', 'maxmemory-policy', 'noeviction');
      await own.forTenant('acme').create({ userId: 'ada' });
      await own.create({ userId: 'ada' });
      // Of another application: not ours to complain about.
      await admin.set('session:else', '1');
      expect((await cli(['doctor'], { redis: server.url })).code).toBe(0);
      const [key = ''] = await admin.keys('*:user:*');
      await admin.persist(key);
      const found = await cli(['doctor'], { redis: server.url });
      expect([found.code, found.out]).toEqual([1, expect.stringContaining(`1 key without a deadline, such as ${key}`)]);
      await admin.acl('SETUSER', 'operator', 'on', '>pass', '~*', '&*', '+@all', '-scan');
      const { port } = new URL(server.url);
      const limited = await cli(['doctor'], { redis: `redis://operator:pass@127.0.0.1:${port}` });
      expect([limited.code, limited.out]).toEqual([0, expect.stringContaining('OK')]);
      expect(limited.err).toContain('not searched');
    } finally {
      await own.close();
      admin.disconnect();
    }
  }, 120_000);
});
