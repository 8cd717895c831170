import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { finished, program, type Result } from './support/cli.js';

let folder: string;

/** The built command line, where commander can be found and nothing else. */
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cli-alone-'));
  const built = dirname(program);
  cpSync(built, join(folder, 'dist'), { recursive: true });
  cpSync(join(built, '../package.json'), join(folder, 'package.json'));
  const commander = dirname(createRequire(program).resolve('commander'));
  mkdirSync(join(folder, 'node_modules'));
  cpSync(commander, join(folder, 'node_modules/commander'), { recursive: true });
});

afterAll(() => rmSync(folder, { recursive: true }));

async function alone(...args: string[]): Promise<Result> {
  const child = spawn(process.execPath, [join(folder, 'dist/main.js'), ...args], {
    env: { PATH: process.env['PATH'] },
  });
  child.stdin.end();
  return finished(child);
}

it.each(['--version', '--help', 'end --help', 'keys rotate'])(
  '%s starts without the library, Nest and ioredis',
  async (line) => {
    const { code, out, err } = await alone(...line.split(' '));
    expect([code, out === '', err]).toEqual([0, false, '']);
  },
  60_000,
);

it('init too, up to the application that it does not find', async () => {
  const { code, out, err } = await alone('init', 'nowhere');
  expect([code, out, err]).toEqual([64, '', expect.stringMatching(/^init: /)]);
}, 60_000);

it('the other commands load them: this test would see it', async () => {
  const { code, out, err } = await alone('stats');
  expect([code, out]).toEqual([2, '']);
  expect(err).toContain('nestjs-sessions/admin');
}, 60_000);
