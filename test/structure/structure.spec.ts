import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const root = process.cwd();
const library = join(root, 'libs/session');

const read = <T>(file: string): T => JSON.parse(readFileSync(file, 'utf8')) as T;

interface Manifest {
  exports: Record<string, string | Record<'import' | 'require', { types: string; default: string }>>;
  typesVersions: Record<'*', Record<string, string[]>>;
}

it('imports run one way and form no circle (npm run check:structure)', async () => {
  const depcruise = join(root, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs');
  const check = promisify(execFile)(process.execPath, [
    depcruise,
    '--config',
    '.dependency-cruiser.cjs',
    'libs/session/src',
    'libs/session-cli/src',
    'src',
  ]).catch((error: { stdout: string; stderr: string }) => ({ stdout: error.stdout + error.stderr }));
  expect((await check).stdout).toContain('no dependency violations found');
}, 60_000);

it('a source file of more than 300 lines says why in its first line', () => {
  const long = ['libs/session/src', 'libs/session-cli/src', 'src'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && !file.endsWith('.generated.ts'))
      .map((file) => ({ file: join(folder, file), lines: readFileSync(join(root, folder, file), 'utf8').split('\n') }))
      .filter(({ lines }) => lines.length > 301),
  );
  expect(long.length).toBeGreaterThan(0);
  expect(
    long.filter(({ lines }) => !lines[0]?.startsWith('// Over 300 lines because ')).map(({ file }) => file),
  ).toEqual([]);
});

describe('the exports of nestjs-sessions', () => {
  const manifest = read<Manifest>(join(library, 'package.json'));
  const subpaths = Object.keys(manifest.exports).filter((name) => name !== '.' && name !== './package.json');
  const doors = readdirSync(join(library, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('/index.ts'))
    .map((file) => `./dist/esm/${file.replace(/\.ts$/, '.js')}`);

  it('are the index.ts files, no more and no less', () => {
    const exported = subpaths.map((name) => {
      const entry = manifest.exports[name];
      return typeof entry === 'object' ? entry.import.default : entry;
    });
    expect(exported.sort()).toEqual(doors.sort());
    expect(doors.length).toBeGreaterThan(5);
    expect(Object.keys(manifest.typesVersions['*']).map((name) => `./${name}`)).toEqual(
      expect.arrayContaining(subpaths),
    );
  });

  it.each(['.', ...subpaths])('name files that were built: %s', (subpath) => {
    const entry = manifest.exports[subpath];
    if (entry === undefined || typeof entry === 'string') throw new Error(`no conditions for ${subpath}`);
    for (const { types, default: code } of [entry.import, entry.require]) {
      expect(existsSync(join(library, types))).toBe(true);
      expect(existsSync(join(library, code))).toBe(true);
    }
  });

  it.each(['.', ...subpaths])('are the same names for import and require: %s', async (subpath) => {
    const name = subpath === '.' ? 'nestjs-sessions' : `nestjs-sessions/${subpath.slice(2)}`;
    const script = (load: string): string => `console.log(JSON.stringify(Object.keys(${load}).sort()))`;
    const keys = async (...args: string[]): Promise<unknown> =>
      JSON.parse((await promisify(execFile)(process.execPath, args, { cwd: root })).stdout);
    const imported = await keys('--input-type=module', '-e', script(`await import('${name}')`));
    const required = await keys('--input-type=commonjs', '-e', script(`require('${name}')`));
    expect(required).toEqual(imported);
  });
});

it('the Lua scripts in the built library are those of the .lua files', async () => {
  const { inlineLua } = await import('../../scripts/inline-lua.mjs');
  const names = inlineLua();
  const file = join(library, 'dist/esm/redis/lua/scripts.generated.js');
  const { scripts } = (await import(file)) as { scripts: Record<string, unknown> };
  expect(Object.keys(scripts)).toEqual(names);
});
