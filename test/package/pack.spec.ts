import { execFile, spawn } from 'node:child_process';
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const root = process.cwd();
const library = join(root, 'libs/session');

/**
 * Types of packages that a user need not have: the optional peers, and passport-jwt, whose @types bring along those of
 * passport, which add to the global Express.Request; that is for the user to decide.
 */
const MAY_BE_ABSENT = /module '(ioredis|passport-jwt)'/;

/** The environment of a user's shell: not that of the npm and the jest this test runs under. */
const env = Object.fromEntries(
  Object.entries(process.env).filter(
    ([name]) =>
      !/^(npm_(package|lifecycle|command|config_local_prefix|config_workspace)|INIT_CWD|NODE_ENV|JEST_)/.test(name),
  ),
);

async function run(cwd: string, command: string, ...args: string[]): Promise<string> {
  try {
    const { stdout, stderr } = await promisify(execFile)(command, args, { cwd, env, maxBuffer: 1 << 26 });
    return stdout + stderr;
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`${command} ${args.join(' ')} failed in ${cwd}:\n${stdout}\n${stderr}`, { cause: error });
  }
}

/** Runs the app until `use` is done with its address. */
async function serving(dir: string, use: (url: string) => Promise<void>): Promise<void> {
  const app = spawn(process.execPath, ['dist/main.js'], { cwd: dir, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const exited = new Promise((resolve) => app.once('exit', resolve));
  try {
    const url = await new Promise<string>((resolve, reject) => {
      let output = '';
      const read = (chunk: Buffer): void => {
        output += chunk.toString();
        const address = /listening (\S+)/.exec(output)?.[1];
        if (address !== undefined) resolve(address);
      };
      app.stdout.on('data', read);
      app.stderr.on('data', read);
      app.once('exit', (code) => reject(new Error(`the app ended with ${code}:\n${output}`)));
    });
    await use(url);
  } finally {
    app.kill();
    await exited;
  }
}

describe('the packed library in an empty application', () => {
  let temp: string;
  let tarball: string;
  let packed: string[];

  beforeAll(async () => {
    temp = await mkdtemp(join(tmpdir(), 'sessions-pack-'));
    // The build before the tests made dist; a prepack would build it under the feet of other suites.
    const report = await run(library, 'npm', 'pack', '--json', '--ignore-scripts', '--pack-destination', temp);
    const parsed = JSON.parse(report.slice(report.search(/^[[{]/m))) as
      | { filename: string; files: { path: string }[] }[]
      | Record<string, { filename: string; files: { path: string }[] }>;
    const info = Object.values(parsed)[0];
    if (info === undefined) throw new Error(`npm pack printed: ${report}`);
    tarball = join(temp, info.filename);
    packed = info.files.map(({ path }) => path);
  }, 60_000);

  afterAll(() => rm(temp, { recursive: true, force: true }));

  it('holds both builds, the licence and the scripts, and nothing of the workshop', () => {
    expect(packed).toEqual(
      expect.arrayContaining([
        'LICENSE',
        'package.json',
        'dist/esm/index.js',
        'dist/cjs/index.js',
        'dist/cjs/package.json',
      ]),
    );
    expect(packed.filter((path) => /(^|\/)(test|node_modules)\/|\.tsbuildinfo$|\.inputs$|tsconfig/.test(path))).toEqual(
      [],
    );
  });

  describe.each([
    { app: 'nest12-esm', jest: ['--experimental-vm-modules', 'node_modules/jest/bin/jest.js'], configs: [] },
    { app: 'nest11-cjs', jest: ['node_modules/jest/bin/jest.js'], configs: ['tsconfig.node10.json'] },
  ])('$app', ({ app, jest, configs }) => {
    let dir: string;

    beforeAll(async () => {
      dir = join(temp, app);
      await cp(join(root, 'test/package/fixtures', app), dir, { recursive: true });
      await run(dir, 'npm', 'install', '--prefer-offline', '--no-audit', '--no-fund', tarball);
    }, 180_000);

    it('compiles', async () => {
      await run(dir, process.execPath, 'node_modules/typescript/bin/tsc');
      for (const config of configs) await run(dir, process.execPath, 'node_modules/typescript/bin/tsc', '-p', config);
    }, 60_000);

    it('finds every type that the declarations of the library name', async () => {
      const tsc = ['node_modules/typescript/bin/tsc', '--noEmit', '--skipLibCheck', 'false'];
      const output = await run(dir, process.execPath, ...tsc).catch((error: Error) => error.message);
      const complaints = output.split('\n').filter((line) => line.startsWith('node_modules/nestjs-sessions/'));
      expect(complaints.filter((line) => !MAY_BE_ABSENT.test(line))).toEqual([]);
    }, 60_000);

    it('has no ioredis, which is needed only with Redis', async () => {
      await expect(readFile(join(dir, 'node_modules/ioredis/package.json'))).rejects.toThrow('ENOENT');
    });

    it('guards its routes', async () => {
      await serving(dir, async (url) => {
        const guarded = await fetch(`${url}/guarded`);
        expect(guarded.status).toBe(401);
        expect(guarded.headers.get('www-authenticate')).toMatch(/^Bearer/);
        const open = await fetch(`${url}/open`);
        expect(open.status).toBe(200);
        expect(await open.json()).toEqual({ open: true });
      });
    }, 30_000);

    it('passes its own jest', async () => {
      expect(await run(dir, process.execPath, ...jest)).toContain('1 passed');
    }, 60_000);
  });
});
