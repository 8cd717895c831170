import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { minifySync, transformSync } from '@swc/core';

const folder = join(process.cwd(), 'libs/session/src/client');
const files = readdirSync(folder).filter((file) => file.endsWith('.ts') && file !== 'index.ts');

/** The files of the client as one script, as a bundler would make it. */
function bundle(): string {
  const parts = files.map((file) => {
    const source = readFileSync(join(folder, file), 'utf8');
    const { code } = transformSync(source, { jsc: { target: 'es2022', parser: { syntax: 'typescript' } } });
    return code.replace(/^import [\s\S]*?;$/gm, '').replace(/^export (?!default)(?=\w)/gm, '');
  });
  const script = `${parts.join('\n')}\nglobalThis.client = SessionClient;`;
  return minifySync(script, { compress: true, mangle: true, module: true }).code;
}

describe('the browser client', () => {
  it('has less than 4 kB, minified and gzipped', () => {
    const script = bundle();
    // Nothing was lost on the way.
    for (const word of ['session_evicted', 'BroadcastChannel', 'authorization', ':refresh'])
      expect(script).toContain(word);
    expect(gzipSync(script).length).toBeLessThan(4_000);
  });

  it('can be created by a server that renders pages, which it does not keep alive', () => {
    const use = `new globalThis.client(); new globalThis.client({ baseUrl: 'https://api.example' });`;
    const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', `${bundle()};${use}`], {
      timeout: 20_000,
      encoding: 'utf8',
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });

  it('imports nothing but its own files, and React for the hook alone', () => {
    const all = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
    const imported = all.flatMap((file) =>
      [...readFileSync(join(folder, file), 'utf8').matchAll(/from '([^']+)'/g)].map(([, name]) => ({ file, name })),
    );
    expect(imported.length).toBeGreaterThan(5);
    expect(imported.filter(({ name }) => !name?.startsWith('.'))).toEqual([
      { file: join('react', 'use-session.ts'), name: 'react' },
    ]);
  });
});
