import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { runInNewContext } from 'node:vm';
import ts from 'typescript';
import { planInit, type InitOptions, type InitPlan } from '../../libs/session-cli/src/init/plan-init.js';
import { startRedis } from '../support/redis-server.js';
import { cli, until, type Result } from './support/cli.js';

const yaml = createRequire(import.meta.url)('js-yaml') as { load: (text: string) => unknown };

let home: string;
let made: string;
let app: string;
let folders = 0;

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'cli-init-'));
  const nest = join(process.cwd(), 'node_modules/@nestjs/cli/bin/nest.js');
  execFileSync(process.execPath, [nest, 'new', 'shop', '--skip-install', '--skip-git', '-p', 'npm'], { cwd: home });
  made = join(home, 'shop');
  symlinkSync(join(process.cwd(), 'node_modules'), join(made, 'node_modules'));
}, 60_000);

afterAll(() => rmSync(home, { recursive: true }));

/** A new application, as `nest new` makes it. */
beforeEach(() => {
  app = join(home, `app-${(folders += 1)}`);
  cpSync(made, app, { recursive: true, verbatimSymlinks: true });
});

const read = (path: string): string => readFileSync(join(app, path), 'utf8');
const write = (path: string, text: string): void => writeFileSync(join(app, path), text);
const edit = (path: string, from: string | RegExp, to: string): void => write(path, read(path).replace(from, to));
const init = (...args: string[]): Promise<Result> => cli(['init', app, ...args]);

/** What `init --yes` would do, without a process of its own. */
function initHere(options: Partial<InitOptions> = {}): InitPlan {
  const plan = planInit(app, { compose: true, version: '^0.1.0', ...options });
  for (const { path, after } of plan.changes) write(path, after);
  return plan;
}
const git = (...args: string[]): string =>
  execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.com', ...args], { cwd: app, encoding: 'utf8' });

it('an application from `nest new` starts with sessions on Redis after it, and a second run adds nothing', async () => {
  git('init', '-q');
  git('add', '.');
  git('commit', '-qm', 'new');
  const asked = await init();
  expect([asked.code, git('status', '--porcelain')]).toEqual([64, '']);
  expect(asked.err).toContain("+ import { SessionModule } from 'nestjs-sessions';");
  expect(asked.err).toContain('+ SESSION_SECRET=<48 random bytes>');
  const { code, out, err } = await init('--yes');
  expect(code).toBe(0);
  expect(out).toContain('Written: package.json, src/app.module.ts, .env, .gitignore, compose.yaml.');
  const [, secret = ''] = /^SESSION_SECRET=(\S{64})$/m.exec(read('.env')) ?? [];
  expect(secret).not.toBe('');
  expect(out + err).not.toContain(secret);
  expect(statSync(join(app, '.env')).mode & 0o777).toBe(0o600);
  expect(git('status', '--porcelain', '-uall')).toBe(
    ' M package.json\n M src/app.module.ts\n?? .gitignore\n?? compose.yaml\n',
  );
  const { dependencies } = JSON.parse(read('package.json')) as { dependencies: Record<string, string> };
  expect(dependencies).toMatchObject({ 'nestjs-sessions': '^0.1.0', ioredis: '^6.0.0', rxjs: expect.any(String) });
  const { services } = yaml.load(read('compose.yaml')) as { services: Record<string, { command: string }> };
  expect(services['redis']?.command).toContain('--maxmemory-policy noeviction');
  expect(await init('--yes')).toMatchObject({ code: 0, out: 'There is nothing to add.\n' });

  const redis = await startRedis();
  const tsc = join(process.cwd(), 'node_modules/typescript/bin/tsc');
  const compiled = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json', '--types', 'node'], {
    cwd: app,
    encoding: 'utf8',
  });
  expect(compiled.stdout).toBe('');
  const env = { PATH: process.env['PATH'], REDIS_URL: redis.url, PORT: '0' };
  const running = spawn(process.execPath, ['--env-file=.env', 'dist/main.js'], { cwd: app, env });
  let log = '';
  running.stdout.on('data', (chunk) => (log += String(chunk)));
  running.stderr.on('data', (chunk) => (log += String(chunk)));
  try {
    await until(() => log.includes('successfully started') || running.exitCode !== null);
    expect(log).toContain('SessionModule dependencies initialized');
    expect(log).toContain('successfully started');
  } finally {
    running.kill();
    await redis.stop();
  }
}, 120_000);

it('leaves what is there as it is: order, comments, line endings, variables and services', () => {
  const module = [
    '// The root.',
    'import { Module } from "@nestjs/common";',
    'import { ConfigModule } from "@nestjs/config"',
    '',
    '@Module({',
    '\timports: [',
    '\t\tConfigModule.forRoot(), // first',
    '\t],',
    '})',
    'export class AppModule {}',
    '',
  ].join('\r\n');
  write('src/app.module.ts', module);
  write('.env', 'REDIS_URL=redis://elsewhere:6379');
  write('.env.example', 'REDIS_URL=\n');
  const compose = '# Ours\nservices: # all of them\n    db:\n        image: postgres:17\n\nvolumes:\n    data: {}\n';
  write('docker-compose.yml', compose);
  initHere();
  const after = read('src/app.module.ts');
  expect(after.split('\r\n').join('')).not.toContain('\n');
  expect(after).toContain('\r\nimport { SessionModule } from "nestjs-sessions"\r\n\r\n@Module');
  expect(after).toContain('\t\tConfigModule.forRoot(),\r\n\t\tSessionModule.forRootAsync({\r\n\t\t\tuseFactory');
  expect(after).toContain('// first');
  expect(ts.transpileModule(after, { reportDiagnostics: true }).diagnostics).toEqual([]);
  expect(read('.env')).toMatch(/^REDIS_URL=redis:\/\/elsewhere:6379\nSESSION_SECRET=\S{64}\n$/);
  expect(read('.env.example')).toBe('REDIS_URL=\nSESSION_SECRET=\n');
  expect(existsSync(join(app, 'compose.yaml'))).toBe(false);
  const { services, volumes } = yaml.load(read('docker-compose.yml')) as Record<string, Record<string, unknown>>;
  expect([Object.keys(services ?? {}), volumes]).toEqual([['redis', 'db'], { data: {} }]);
  expect(read('docker-compose.yml')).toMatch(/^# Ours\nservices: # all of them\n {4}redis:\n {8}image/);
  expect(initHere().changes).toEqual([]);
});

it.each([
  ['no imports', '@Module({ controllers: [] })'],
  ['an empty list', '@Module({ imports: [] })'],
  ['a list on one line', '@Module({ imports: [A, B], controllers: [] })'],
  ['a list without a last comma', '@Module({\n  imports: [\n    A,\n    B\n  ],\n})'],
  ['nothing at all', '@Module({})'],
  ['no imports, on several lines', '@Module({\n  controllers: [],\n})'],
])('a root module with %s gets it last', (_, decorator) => {
  const head = "import { Module } from '@nestjs/common';\nclass A {}\nclass B {}\n";
  write('src/app.module.ts', `${head}\n${decorator}\nexport class AppModule {}\n`);
  initHere({ compose: false });
  const { outputText, diagnostics } = ts.transpileModule(read('src/app.module.ts'), {
    reportDiagnostics: true,
    compilerOptions: { module: ts.ModuleKind.CommonJS, experimentalDecorators: true },
  });
  expect(diagnostics).toEqual([]);
  let imports: unknown[] = [];
  const modules: Record<string, object> = {
    '@nestjs/common': { Module: (options: { imports: unknown[] }) => ((imports = options.imports), () => undefined) },
    'nestjs-sessions': { SessionModule: { forRootAsync: () => 'sessions' } },
  };
  runInNewContext(outputText, { require: (name: string) => modules[name], exports: {} });
  expect(imports.at(-1)).toBe('sessions');
  expect(imports.length).toBe(decorator.includes('B') ? 3 : 1);
});

describe('refuses, and changes nothing, where it does not know', () => {
  const everything = (): string[] =>
    ['package.json', 'src/app.module.ts', '.env', 'compose.yaml', 'nest-cli.json'].map((path) =>
      existsSync(join(app, path)) ? read(path) : 'none',
    );

  it.each<[string, string, () => void, Partial<InitOptions>?]>([
    ['a folder without package.json', 'has no package.json', () => rmSync(join(app, 'package.json'))],
    ['another kind of application', 'not a Nest application', () => write('package.json', '{"dependencies":{}}')],
    ['a package.json that is none', 'not a JSON object', () => write('package.json', '{"dependencies":')],
    ['no root module', '--module', () => rmSync(join(app, 'src/app.module.ts'))],
    ['no @Module', 'no class with @Module', () => edit('src/app.module.ts', '@Module', '@Global() // ')],
    ['imports that are no list', 'not a plain list', () => edit('src/app.module.ts', 'imports: []', 'imports: all')],
    ['a compose file of another form', '--no-compose', () => write('compose.yaml', 'services: {}\n')],
    ['a redis of another kind', '--no-compose', () => write('compose.yaml', 'services:\n  redis:\n    build: .\n')],
    ['no compiler', 'npm install', () => rmSync(join(app, 'node_modules'))],
    [
      'several applications',
      '--project: api, jobs',
      () => write('nest-cli.json', '{"projects":{"api":{},"jobs":{},"lib":{"type":"library"}}}'),
    ],
    ['an unknown application', 'no application web', () => undefined, { project: 'web' }],
  ])('%s', (_, message, spoil, options = {}) => {
    spoil();
    const before = everything();
    expect(() => initHere(options)).toThrow(message);
    expect(everything()).toEqual(before);
  });

  it('changes that are not committed, and a .env that is', () => {
    git('init', '-q');
    git('add', '.');
    git('commit', '-qm', 'new');
    edit('src/app.module.ts', 'imports: []', 'imports: [ ]');
    const before = everything();
    expect(() => initHere()).toThrow('src/app.module.ts. Commit');
    expect(everything()).toEqual(before);
    git('checkout', '-q', '.');
    write('.env', 'A=1\n');
    git('add', '-f', '.env');
    expect(() => initHere()).toThrow('git rm --cached .env');
  });

  it('a module that is set up elsewhere stays the only one', () => {
    write('src/sessions.module.ts', "import { SessionModule } from 'nestjs-sessions';\nSessionModule.forRoot({});\n");
    const { present, changes } = initHere();
    expect(present).toBe('src/sessions.module.ts');
    expect(changes.map(({ path }) => path)).toEqual(['package.json', '.env', 'compose.yaml']);
  });

  it('a file that cannot be written: it says which were, and the next run does the rest', async () => {
    symlinkSync('/proc/nowhere/.env', join(app, '.env'));
    const { code, err } = await init('--yes');
    expect([code, err]).toEqual([2, expect.stringContaining('Written so far: package.json, src/app.module.ts.')]);
    rmSync(join(app, '.env'));
    expect((await init('--yes')).out).toContain('Written: .env, compose.yaml.');
  });
});
