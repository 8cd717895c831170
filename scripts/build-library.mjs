// Builds libs/session twice, for `import` and for `require`, and swaps the finished result in at once, so that
// neither a failed build nor two builds at a time leave half a dist behind. Unchanged inputs are not rebuilt.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inlineLua } from './inline-lua.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const library = join(root, 'libs/session');
const dist = join(library, 'dist');
const stamp = join(dist, '.inputs');
const draft = join(library, `.dist-${process.pid}`);
const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');

try {
  inlineLua();
  checkSubpaths();
  const inputs = hashOfInputs();
  if (process.argv.includes('--force') || !existsSync(stamp) || readFileSync(stamp, 'utf8') !== inputs) {
    await build(inputs);
  }
} catch (error) {
  console.error(`build-library: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
} finally {
  rmSync(draft, { recursive: true, force: true });
}

/** @param {string} inputs */
async function build(inputs) {
  const started = Date.now();
  removeAbandonedDrafts();
  const complaints = await Promise.all([compile('esm'), compile('cjs')]);
  // Most errors are found by both.
  const lines = new Set(complaints.flatMap((output) => output.split('\n')));
  if (complaints.some((output) => output !== '')) throw new Error(`it does not compile\n${[...lines].join('\n')}`);
  writeFileSync(join(draft, 'cjs/package.json'), '{ "type": "commonjs" }\n');
  writeFileSync(join(draft, '.inputs'), inputs);
  swapIn();
  console.log(`built nestjs-sessions in ${((Date.now() - started) / 1000).toFixed(1)} s`);
}

/** What builds left behind that were killed. */
function removeAbandonedDrafts() {
  for (const name of readdirSync(library)) {
    const pid = /^\.dist-(\d+)/.exec(name)?.[1];
    if (pid === undefined) continue;
    try {
      process.kill(Number(pid), 0);
    } catch {
      rmSync(join(library, name), { recursive: true, force: true });
    }
  }
}

function swapIn() {
  const old = `${draft}-old`;
  for (let attempt = 1; ; attempt++) {
    try {
      if (existsSync(dist)) renameSync(dist, old);
      renameSync(draft, dist);
      break;
    } catch (error) {
      // Another build swapped its result in between our two steps: put ours in its place.
      if (attempt === 5) throw error;
    } finally {
      rmSync(old, { recursive: true, force: true });
    }
  }
}

/**
 * @param {'esm' | 'cjs'} kind
 * @returns {Promise<string>} what the compiler complained about, empty when it did not
 */
function compile(kind) {
  const outDir = join(draft, kind);
  mkdirSync(outDir, { recursive: true });
  const args = [tsc, '-p', join(library, `tsconfig.${kind}.json`), '--outDir', outDir];
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk) => (output += chunk));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code === 0 ? '' : output || `the ${kind} compilation ended with ${code}`));
  });
}

/** A subpath is a folder of src with an index.ts; package.json must name it, or nobody could import it. */
function checkSubpaths() {
  const { exports, typesVersions } = JSON.parse(readFileSync(join(library, 'package.json'), 'utf8'));
  for (const entry of readdirSync(join(library, 'src'), { withFileTypes: true })) {
    if (!entry.isDirectory() || !existsSync(join(library, 'src', entry.name, 'index.ts'))) continue;
    if (exports[`./${entry.name}`] === undefined || typesVersions['*'][entry.name] === undefined) {
      throw new Error(
        `libs/session/src/${entry.name}/index.ts makes a subpath: run "node scripts/add-subpath.mjs ${entry.name}"`,
      );
    }
  }
}

function hashOfInputs() {
  const hash = createHash('sha256');
  const fixed = ['package-lock.json', 'tsconfig.base.json', 'scripts/build-library.mjs'].map((file) =>
    join(root, file),
  );
  const own = ['package.json', 'tsconfig.esm.json', 'tsconfig.cjs.json'].map((file) => join(library, file));
  const sources = readdirSync(join(library, 'src'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  for (const file of [...fixed, ...own, ...sources]) {
    if (!existsSync(file)) continue;
    hash
      .update(`${file.slice(root.length)}\0`)
      .update(readFileSync(file))
      .update('\0');
  }
  return hash.digest('hex');
}
