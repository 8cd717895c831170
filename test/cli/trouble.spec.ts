import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { RedisSessionStore } from 'nestjs-sessions';
import { connectionOf } from '../../libs/session-cli/src/connection-flags.js';
import { parseUsers } from '../../libs/session-cli/src/user-file.js';
import { startProxy, type TcpProxy } from '../support/tcp-proxy.js';
import { cli, finished, program, start, until, url, WHY } from './support/cli.js';

let prefix: string;
let here: string[];
let store: RedisSessionStore;
let client: Redis;
let folder: string;

beforeEach(() => {
  prefix = `test-cli-${randomBytes(6).toString('hex')}:`;
  here = ['--prefix', prefix];
  client = new Redis(url);
  store = new RedisSessionStore(client, { keyPrefix: prefix, commandTimeout: 15_000 });
  folder = mkdtempSync(join(tmpdir(), 'cli-trouble-'));
});

afterEach(async () => {
  await store.destroyEverybody();
  await store.close();
  await client.quit();
  rmSync(folder, { recursive: true });
});

/** Starts sessions and returns the file with their users. */
async function usersWithSessions(number: number): Promise<string> {
  const users = Array.from({ length: number }, (_, n) => `user-${n}`);
  await Promise.all(users.map(async (userId) => store.create({ userId })));
  const file = join(folder, 'users.txt');
  writeFileSync(file, users.join('\n'));
  return file;
}

/** The command in a terminal of its own, by script(1). Anyone who kills the process closes the terminal. */
function inTerminal(
  args: string[],
  { redis = url, variables = {} } = {},
): ReturnType<typeof spawn> & { seen: () => string } {
  const command = ['exec', process.execPath, program, ...args]
    .map((part) => `'${part}'`)
    .join(' ')
    .replace("'exec'", 'exec');
  const env = { PATH: process.env['PATH'], SHELL: '/bin/sh', REDIS_URL: redis, ...variables };
  const child = spawn('script', ['-qefc', command, join(folder, 'typescript')], { env });
  let seen = '';
  child.stdout.on('data', (chunk) => (seen += String(chunk)));
  child.stdin.on('error', () => undefined);
  return Object.assign(child, { seen: () => seen });
}

const exitOf = (child: ReturnType<typeof spawn>): Promise<number | null> =>
  new Promise((resolve) => child.once('close', resolve));

const onLinux = process.platform === 'linux' ? describe : describe.skip;

onLinux('in a terminal', () => {
  it('asks, and ends nothing unless the answer is yes', async () => {
    await usersWithSessions(3);
    for (const [key, code] of [
      ['n\r', 1],
      ['\u0004', 1],
      ['\u0003', 130],
    ] as const) {
      const child = inTerminal(['end', '--all', ...WHY, ...here]);
      const exit = exitOf(child);
      await until(() => child.seen().includes('End all 3 sessions? [y/N]'));
      child.stdin?.write(key);
      expect([key, await exit]).toEqual([key, code]);
      expect(await store.count()).toBe(3);
    }
    const child = inTerminal(['end', '--all', ...WHY, ...here]);
    const exit = exitOf(child);
    await until(() => child.seen().includes('[y/N]'));
    child.stdin?.write('y\r');
    expect([await exit, await store.count()]).toEqual([0, 0]);
  }, 120_000);

  it('has colours, but not with NO_COLOR', async () => {
    const { id } = await store.create({ userId: 'ada' });
    const shown = async (variables: Record<string, string>): Promise<string> => {
      const child = inTerminal(['show', id, ...here], { variables });
      expect(await exitOf(child)).toBe(0);
      return child.seen();
    };
    expect(await shown({})).toContain('\u001b[2muserId');
    expect(await shown({ NO_COLOR: '1' })).not.toContain('\u001b[');
  }, 120_000);
});

describe('an end that is interrupted', () => {
  let proxy: TcpProxy;
  let slow: { redis: string };

  beforeEach(async () => {
    proxy = await startProxy({ targetPort: Number(new URL(url).port || 6379) });
    proxy.setDelay(60);
    slow = { redis: `redis://127.0.0.1:${proxy.port}` };
  });

  afterEach(() => proxy.stop());

  it('by Ctrl-C says how far it came, to the audit as well, and the next run ends the rest', async () => {
    const file = await usersWithSessions(2_000);
    const actions: object[] = [];
    store.subscribe((event) => event.type === 'admin-action' && actions.push(event));
    await store.ready();
    const child = start(['end', '--users-from', file, '--yes', ...WHY, ...here], slow.redis);
    const result = finished(child);
    await until(async () => (await store.count()) < 1_900);
    child.kill('SIGINT');
    const { code, out, err } = await result;
    expect([code, out]).toEqual([130, '']);
    expect(err).toMatch(
      /^Interrupted\. At least [\d,]+ sessions? had ended by then\. Run the command again: it ends the rest\.\n$/,
    );
    const left = await store.count();
    expect(left).toBeGreaterThan(0);
    await until(() => actions.length > 0);
    expect(actions).toEqual([
      expect.objectContaining({ actor: 'root', reason: 'ticket 4711', ended: 2_000 - left, completed: false }),
    ]);
    expect((await cli(['end', '--users-from', file, '--yes', ...WHY, ...here])).code).toBe(0);
    expect(await store.count()).toBe(0);
  }, 120_000);

  (process.platform === 'linux' ? it : it.skip)(
    'by a terminal that closes stops, and leaves no process behind',
    async () => {
      const file = await usersWithSessions(2_000);
      const child = inTerminal(['end', '--users-from', file, '--yes', ...WHY, ...here], slow);
      await until(async () => (await store.count()) < 1_900);
      expect(child.seen()).toMatch(/ended, \d+ %/);
      const exit = exitOf(child);
      child.kill('SIGKILL');
      await exit;
      await until(() => proxy.openConnections === 0);
      const left = await store.count();
      expect(left).toBeGreaterThan(0);
      expect((await cli(['end', '--all', '--yes', ...WHY, ...here])).code).toBe(0);
      expect(await store.count()).toBe(0);
    },
    120_000,
  );
});

describe('a reader that goes away', () => {
  it('of the output, such as head, is no fault', async () => {
    await usersWithSessions(1_500);
    const args = ['list', '--limit', '1500', '--redis', url, ...here].map((part) => `'${part}'`).join(' ');
    const pipe = `"${process.execPath}" "${program}" ${args} | head -1; echo "code \${PIPESTATUS[0]}"`;
    const { out, err } = await finished(spawn('bash', ['-c', pipe]));
    expect(out).toMatch(/^SESSION .*\ncode 0\n$/);
    expect(err).toBe('');
  }, 120_000);

  it('of the messages does not stop an end', async () => {
    const file = await usersWithSessions(200);
    writeFileSync(file, '\n \n', { flag: 'a' });
    const child = start(['end', '--users-from', file, '--yes', ...WHY, ...here]);
    child.stderr.destroy();
    let out = '';
    child.stdout.on('data', (chunk) => (out += String(chunk)));
    expect(await exitOf(child)).toBe(0);
    expect([out, await store.count()]).toEqual(['200 sessions ended.\n', 0]);
  }, 120_000);
});

describe('bad input', () => {
  it('a file of 100,000 lines with all that can be wrong with a line', () => {
    const kinds = (n: number): string =>
      [
        '',
        '  ',
        `ü-${n}`,
        `user-${n}\t`,
        ` user-${n}`,
        'same',
        `user\u0000${n}`,
        `${'x'.repeat(1_025)}`,
        `\ufffd${n}`,
        `u-${n}`,
      ][n % 10] ?? '';
    const content = `\uFEFF${Array.from({ length: 100_000 }, (_, n) => kinds(n)).join('\r\n')}\r\n`;
    const { users, blank, duplicates, malformed } = parseUsers(content);
    expect(users.length).toBe(20_001);
    expect(users.slice(0, 3)).toEqual(['ü-2', 'same', 'u-9']);
    expect([blank, duplicates, malformed.length]).toEqual([20_000, 9_999, 50_000]);
    expect(malformed.slice(0, 5)).toEqual([4, 5, 7, 8, 9]);
  });

  it.each(['users.csv', '.'])(
    'a file that cannot be read, %s, is named before anything ends',
    async (name) => {
      await usersWithSessions(1);
      const { code, out, err } = await cli(['end', '--users-from', join(folder, name), '--yes', ...WHY, ...here]);
      expect([code, out, await store.count()]).toEqual([2, '', 1]);
      expect(err).toContain('--users-from');
    },
    60_000,
  );

  it.each(['localhost:6379', 'http://h', 'redis://', 'redis://h/first', 'redis://h:99999', 'redis://:a%zz@h', ''])(
    'the URL %j is refused, without its text',
    (redis) => {
      const refusal = expect.objectContaining({
        exitCode: 64,
        message: expect.stringMatching(/^--redis: must be a URL/),
      });
      expect(() => connectionOf({ redis, prefix, tenant: '' })).toThrow(refusal);
    },
  );

  it('a password that Redis does not know, and no Redis, are told apart, and neither is repeated', async () => {
    const port = Number(new URL(url).port || 6379);
    const wrong = await cli(['stats', ...here], { redis: `redis://nobody:tell-nobody@127.0.0.1:${port}` });
    expect([wrong.code, wrong.out, wrong.err.includes('tell-nobody')]).toEqual([2, '', false]);
    expect(wrong.err).toMatch(/WRONGPASS|password/i);
    const nobody = await cli(['stats', ...here], { redis: 'redis://:tell-nobody@127.0.0.1:1' });
    expect([nobody.code, nobody.out, nobody.err.includes('tell-nobody')]).toEqual([2, '', false]);
    expect(nobody.err).toContain('not reachable');
  }, 60_000);
});
