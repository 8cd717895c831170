import { execFile, spawn } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify, stripVTControlCharacters } from 'node:util';

const root = process.cwd();
const library = join(root, 'libs/session');

/** A bound on the unpacked package, bytes. `docs/dependencies.md` states the size. */
const LARGEST_PACKAGE = 4_400_000;

const JEST = 'node_modules/jest/bin/jest.js';
/** Arguments of node that run the tests in a folder of `src`. The configuration of jest names other files. */
const jestIn = (folder: string): string[] => [JEST, `src/${folder}/`, '--testMatch', '<rootDir>/src/**/*.spec.ts'];
const vitestIn = (folder: string): string[] => ['node_modules/vitest/vitest.mjs', 'run', `src/${folder}/`];

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
    return stripVTControlCharacters(stdout + stderr);
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`${command} ${args.join(' ')} failed in ${cwd}:\n${stdout}\n${stderr}`, { cause: error });
  }
}

interface Packed {
  filename: string;
  files: { path: string }[];
  unpackedSize: number;
}

interface Application {
  /** Folder of `fixtures`. */
  app: string;
  jest: readonly string[];
  runners: Readonly<Record<string, (folder: string) => readonly string[]>>;
  augmented: 'esm' | 'cjs';
  otherTypeScript: string;
  configs: readonly string[];
  peers: readonly string[];
}

const APPS: readonly Application[] = [
  {
    app: 'nest12-esm',
    jest: ['--experimental-vm-modules', JEST],
    runners: {
      jest: (folder) => ['--experimental-vm-modules', ...jestIn(folder)],
      vitest: vitestIn,
    },
    augmented: 'esm',
    otherTypeScript: 'node_modules/typescript-5/bin/tsc',
    configs: [],
    peers: [
      '@nestjs/jwt@12.0.2',
      '@nestjs/passport@12.0.0',
      '@nestjs/swagger@12.0.2',
      '@nestjs/terminus@12.1.0',
      '@nestjs/websockets@12.1.1',
    ],
  },
  {
    app: 'nest11-cjs',
    jest: [JEST],
    runners: { jest: jestIn },
    augmented: 'cjs',
    otherTypeScript: join(root, 'node_modules/typescript/bin/tsc'),
    configs: ['tsconfig.node10.json'],
    peers: [
      '@nestjs/jwt@11.0.2',
      '@nestjs/passport@11.0.5',
      '@nestjs/swagger@11.4.0',
      '@nestjs/terminus@11.1.1',
      '@nestjs/websockets@11.2.6',
    ],
  },
];

/** The subpaths that load where no optional peer is installed. */
const ALONE = [
  ...['', '/admin', '/client', '/fastify', '/graphql', '/maxmind'],
  ...['/standalone', '/store', '/store-contract', '/testing'],
];
const WITH_PEERS = ['/client/react', '/express', '/passport', '/swagger', '/terminus', '/websockets'];

/** Each subpath exports something, and the same by `import` and by `require`. */
async function expectNames(dir: string, subpaths: readonly string[]): Promise<void> {
  const names = async (type: string, load: string): Promise<Record<string, string[]>> => {
    const code = `const names = {};
      for (const path of ${JSON.stringify(subpaths)}) {
        names[path] = Object.keys(${load}('nestjs-sessions' + path)).filter((name) => !/^(default|module.exports)$/.test(name)).sort();
      }
      console.log('>' + JSON.stringify(names));`;
    const output = await run(dir, process.execPath, '-r', 'reflect-metadata', `--input-type=${type}`, '-e', code);
    return JSON.parse(/^>(.*)$/m.exec(output)?.[1] ?? '') as Record<string, string[]>;
  };
  const imported = await names('module', 'await import');
  expect(Object.entries(imported).filter(([, exported]) => exported.length === 0)).toEqual([]);
  expect(await names('commonjs', 'require')).toEqual(imported);
}

/** Copies the type tests into an app twice, as ES modules and as CommonJS; one of both declares a user of its own. */
async function copyTypeTests(dir: string, augmented: 'esm' | 'cjs'): Promise<void> {
  const fixtures = join(root, 'test/package/fixtures/types');
  await mkdir(join(dir, 'types'));
  await cp(join(fixtures, 'tsconfig.json'), join(dir, 'types/tsconfig.json'));
  for (const [format, type] of [
    ['esm', 'module'],
    ['cjs', 'commonjs'],
  ] as const) {
    const target = join(dir, 'types', format);
    await cp(join(fixtures, 'common'), target, { recursive: true });
    await cp(join(fixtures, format === augmented ? 'augmented' : 'plain'), target, { recursive: true });
    await writeFile(join(target, 'package.json'), JSON.stringify({ type }));
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
  let unpackedSize: number;

  beforeAll(async () => {
    temp = await mkdtemp(join(tmpdir(), 'sessions-pack-'));
    // The build before the tests made dist; a prepack would build it under the feet of other suites.
    const report = await run(library, 'npm', 'pack', '--json', '--ignore-scripts', '--pack-destination', temp);
    const parsed = JSON.parse(report.slice(report.search(/^[[{]/m))) as Packed[] | Record<string, Packed>;
    const info = Object.values(parsed)[0];
    if (info === undefined) throw new Error(`npm pack printed: ${report}`);
    tarball = join(temp, info.filename);
    packed = info.files.map(({ path }) => path);
    unpackedSize = info.unpackedSize;
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
        'docs/README.md',
        'docs/getting-started.md',
      ]),
    );
    expect(packed.filter((path) => /(^|\/)(test|node_modules)\/|\.tsbuildinfo$|\.inputs$|tsconfig/.test(path))).toEqual(
      [],
    );
  });

  it('has no flaw that are-the-types-wrong or publint know', async () => {
    await run(root, process.execPath, 'scripts/check-tarball.mjs', tarball);
  }, 120_000);

  it('stays small', () => {
    expect(unpackedSize).toBeLessThan(LARGEST_PACKAGE);
  });

  describe.each(APPS)('$app', ({ app, jest, runners, augmented, otherTypeScript, configs, peers }) => {
    let dir: string;

    beforeAll(async () => {
      dir = join(temp, app);
      await cp(join(root, 'test/package/fixtures', app), dir, { recursive: true });
      for (const folder of ['typical', 'own-tests'])
        await cp(join(root, 'test/package/fixtures', folder), join(dir, 'src', folder), { recursive: true });
      await copyTypeTests(dir, augmented);
      await run(dir, 'npm', 'install', '--prefer-offline', '--no-audit', '--no-fund', tarball);
    }, 300_000);

    it('compiles', async () => {
      await run(dir, process.execPath, 'node_modules/typescript/bin/tsc');
      for (const config of configs) await run(dir, process.execPath, 'node_modules/typescript/bin/tsc', '-p', config);
    }, 300_000);

    // With every declaration checked (skipLibCheck: false); those of other packages are not ours to correct.
    it('types data, users and durations, and has declarations that compile where no optional peer is installed', async () => {
      const output = await run(dir, process.execPath, 'node_modules/typescript/bin/tsc', '-p', 'types').catch(
        (error: Error) => error.message,
      );
      const ours = /^(types|node_modules\/nestjs-sessions)\//;
      expect(output.split('\n').filter((line) => ours.test(line))).toEqual([]);
    }, 300_000);

    it('types them for the other TypeScript as well', async () => {
      await run(dir, process.execPath, otherTypeScript, '-p', 'types', '--skipLibCheck', 'true');
    }, 300_000);

    it.each(['ioredis', '@nestjs/jwt', '@nestjs/passport', 'passport', 'passport-jwt', '@opentelemetry/api'])(
      'has no %s: it is optional',
      async (name) => {
        await expect(readFile(join(dir, 'node_modules', name, 'package.json'))).rejects.toThrow('ENOENT');
      },
    );

    it('guards its routes', async () => {
      await serving(dir, async (url) => {
        const guarded = await fetch(`${url}/guarded`);
        expect(guarded.status).toBe(401);
        expect(guarded.headers.get('www-authenticate')).toMatch(/^Bearer/);
        const open = await fetch(`${url}/open`);
        expect(open.status).toBe(200);
        expect(await open.json()).toEqual({ open: true });
      });
    }, 120_000);

    it('passes its own jest', async () => {
      expect(await run(dir, process.execPath, ...jest)).toContain('2 passed, 2 total');
    }, 300_000);

    it.each(Object.entries(runners))(
      'passes the tests of an application with pipes, throttler, filter and serializer, run by %s',
      async (_, argumentsFor) => {
        expect(await run(dir, process.execPath, ...argumentsFor('typical'))).toMatch(/Tests:?\s+7 passed\b/);
      },
      300_000,
    );

    it.each(Object.entries(runners))(
      'tests itself with nestjs-sessions/testing and the contract suite, run by %s',
      async (_, argumentsFor) => {
        const output = await run(dir, process.execPath, ...argumentsFor('own-tests'));
        // The contract suite has more than a hundred.
        expect(output).toMatch(/Tests:?\s+[1-9]\d\d passed\b/);
        expect(output).not.toMatch(/failed|skipped/);
      },
      300_000,
    );

    it('has subpaths that need no peer, the same for import and require', async () => {
      await expectNames(dir, ALONE);
    }, 60_000);

    // Last, in the same folder: from here on the application has the peers that the tests above do without.
    it('has the other subpaths, and takes access tokens with and without passport, once their peers are installed', async () => {
      const install = ['install', '--prefer-offline', '--no-audit', '--no-fund'];
      await run(
        dir,
        'npm',
        ...install,
        ...peers,
        'passport@0.7.0',
        'passport-jwt@4.0.1',
        'react@19.3.1',
        'express-session@1.19.0',
      );
      await expectNames(dir, WITH_PEERS);
      const output = await run(dir, process.execPath, ...jest, '--testMatch', '<rootDir>/tokens/*.test.ts');
      expect(output).toContain('1 passed, 1 total');
    }, 300_000);
  });
});
