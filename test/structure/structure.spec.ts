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
    'src',
  ]).catch((error: { stdout: string; stderr: string }) => ({ stdout: error.stdout + error.stderr }));
  expect((await check).stdout).toContain('no dependency violations found');
}, 60_000);

describe('the exports of nestjs-sessions', () => {
  const manifest = read<Manifest>(join(library, 'package.json'));
  const subpaths = readdirSync(join(library, 'src'))
    .filter((name) => existsSync(join(library, 'src', name, 'index.ts')))
    .map((name) => `./${name}`);

  it('are the index.ts files, no more and no less', () => {
    expect(Object.keys(manifest.exports).sort()).toEqual(['.', './package.json', ...subpaths].sort());
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
