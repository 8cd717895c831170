import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runInThisContext } from 'node:vm';
import { inlineLua } from '../../scripts/inline-lua.mjs';

let dir: string;
const put = (file: string, text: string): void => writeFileSync(join(dir, file), text);
const generated = (): string => join(dir, 'scripts.generated.ts');
const scripts = (): Record<string, { name: string; sha1: string; source: string }> => {
  const code = readFileSync(generated(), 'utf8').replace('export const', 'const').replace(' as const;', ';');
  return runInThisContext(`(() => {${code}return scripts; })()`) as ReturnType<typeof scripts>;
};

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sessions-lua-'));
  mkdirSync(join(dir, 'include'));
});

afterEach(() => rmSync(dir, { recursive: true, force: true }));

it('keeps every character of a script', () => {
  const text = '-- "quotes", \\n, ${x}, `ticks`, \u2028 and a tab:\t\nreturn 1\n';
  put('end-all.lua', text);
  expect(inlineLua(dir)).toEqual(['endAll']);
  expect(scripts()).toEqual({
    endAll: { name: 'endAll', source: text, sha1: createHash('sha1').update(text).digest('hex') },
  });
});

it('includes a file once, also through another one', () => {
  put('create-session.lua', '-- include: pack.lua\n-- include: time.lua\nreturn now()\n');
  put('include/pack.lua', '-- include: time.lua\nlocal pack = 1\n');
  put('include/time.lua', 'local now = 1');
  inlineLua(dir);
  expect(scripts()['createSession']?.source).toBe('local now = 1\nlocal pack = 1\nreturn now()\n');
});

it('keeps what several scripts include once', () => {
  put('include/time.lua', 'local function now() return 1 end\n');
  for (const name of ['touch', 'end-all', 'create'])
    put(`${name}.lua`, `-- ${name}\n-- include: time.lua\nreturn '${name}'\n`);
  inlineLua(dir);
  expect(readFileSync(generated(), 'utf8').match(/local function now/g)).toHaveLength(1);
  for (const { source, sha1 } of Object.values(scripts())) {
    expect(source).toMatch(/^-- [\w-]+\nlocal function now\(\) return 1 end\nreturn '[\w-]+'\n$/);
    expect(sha1).toBe(createHash('sha1').update(source).digest('hex'));
  }
});

it('names the script, the line and the file that is missing', () => {
  put('touch.lua', 'return 1\n-- include: nothing.lua\n');
  expect(() => inlineLua(dir)).toThrow(/touch\.lua:2 includes "nothing\.lua", but there is no .*include\/nothing\.lua/);
});

it('refuses two scripts of one name', () => {
  put('end-all.lua', '');
  put('end_all.lua', '');
  expect(() => inlineLua(dir)).toThrow('would both be called "endAll"');
});

it('writes an empty table where there are no scripts, and nothing when nothing changed', () => {
  rmSync(join(dir, 'include'), { recursive: true });
  expect(inlineLua(dir)).toEqual([]);
  const { mtimeMs } = statSync(generated());
  expect(scripts()).toEqual({});
  inlineLua(dir);
  expect(statSync(generated()).mtimeMs).toBe(mtimeMs);
});
