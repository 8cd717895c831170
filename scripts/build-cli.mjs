// Builds libs/session-cli with tsc; needs the built library. Unchanged inputs are not rebuilt.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'libs/session-cli');
const stamp = join(folder, 'dist/.inputs');
const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');

const sources = readdirSync(join(folder, 'src'), { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath, entry.name))
  .sort();
const hash = createHash('sha256');
for (const file of [join(root, 'libs/session/dist/.inputs'), join(folder, 'package.json'), ...sources]) {
  hash.update(`${file.slice(root.length)}\0`).update(readFileSync(file));
}
const inputs = hash.digest('hex');

if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== inputs) {
  rmSync(join(folder, 'dist'), { recursive: true, force: true });
  const { status } = spawnSync(process.execPath, [tsc, '-p', folder], { stdio: 'inherit' });
  process.exitCode = status ?? 1;
  if (status === 0) {
    chmodSync(join(folder, 'dist/main.js'), 0o755);
    writeFileSync(stamp, inputs);
    console.log('built nestjs-sessions-cli');
  }
}
