// Builds libs/session twice, for `import` and for `require`, and swaps the finished result in at once, so that
// neither a failed build nor two builds at a time leave half a dist behind. Unchanged inputs are not rebuilt.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inlineLua } from './inline-lua.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const library = join(root, 'libs/session');
const dist = join(library, 'dist');
const stamp = join(dist, '.inputs');
const draft = join(library, `.dist-${process.pid}`);
const require = createRequire(import.meta.url);
const tsc = require.resolve('typescript/bin/tsc');
/** @type {typeof import('typescript')} */
const ts = require('typescript');

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
  const errors = await compile();
  if (errors !== '') throw new Error(`it does not compile\n${errors}`);
  removeInternalDeclarations();
  emitCommonJs();
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

/** Checks all types and writes ES modules and declarations; returns what the compiler reports, empty when it does not. */
function compile() {
  const outDir = join(draft, 'esm');
  mkdirSync(outDir, { recursive: true });
  const args = [tsc, '-p', join(library, 'tsconfig.esm.json'), '--outDir', outDir];
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk) => (output += chunk));
  return new Promise((/** @type {(output: string) => void} */ resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code === 0 ? '' : output || `the compilation ended with ${code}`));
  });
}

/** The types hold already: CommonJS needs each file transpiled, and the same declarations. */
function emitCommonJs() {
  const { config } = ts.readConfigFile(join(library, 'tsconfig.esm.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, library);
  const compilerOptions = {
    ...options,
    module: ts.ModuleKind.CommonJS,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    declaration: false,
  };
  for (const entry of readdirSync(join(library, 'src'), { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith('.ts')) continue;
    const folder = relative(join(library, 'src'), entry.parentPath);
    const target = join(draft, 'cjs', folder);
    mkdirSync(target, { recursive: true });
    const source = readFileSync(join(entry.parentPath, entry.name), 'utf8');
    const { outputText } = ts.transpileModule(source, { compilerOptions, fileName: entry.name });
    const name = entry.name.slice(0, -3);
    writeFileSync(join(target, `${name}.js`), outputText);
    const declarations = join(draft, 'esm', folder, `${name}.d.ts`);
    if (existsSync(declarations)) cpSync(declarations, join(target, `${name}.d.ts`));
  }
}

/** Deletes the declarations that no door of the package leads to: half of all, and of use to nobody. */
function removeInternalDeclarations() {
  const esm = join(draft, 'esm');
  const reachable = new Set();
  const next = readdirSync(esm, { recursive: true, encoding: 'utf8' })
    .filter((file) => /(^|[\\/])index\.d\.ts$/.test(file))
    .map((file) => join(esm, file));
  for (let file = next.pop(); file !== undefined; file = next.pop()) {
    if (reachable.has(file)) continue;
    reachable.add(file);
    for (const { fileName } of ts.preProcessFile(readFileSync(file, 'utf8')).importedFiles) {
      if (fileName.startsWith('.')) next.push(join(dirname(file), fileName.replace(/\.js$/, '.d.ts')));
    }
  }
  for (const entry of readdirSync(esm, { recursive: true, withFileTypes: true })) {
    const file = join(entry.parentPath, entry.name);
    if (file.endsWith('.d.ts') && !reachable.has(file)) rmSync(file);
  }
}

/** Every index.ts in a folder of src is the door of a subpath: package.json must export it, or nobody could import it. */
function checkSubpaths() {
  const { exports, typesVersions } = JSON.parse(readFileSync(join(library, 'package.json'), 'utf8'));
  const exported = new Set(Object.values(exports).map((entry) => entry.import?.default));
  const typed = new Set(Object.values(typesVersions['*']).flat());
  for (const entry of readdirSync(join(library, 'src'), { recursive: true, withFileTypes: true })) {
    const folder = relative(join(library, 'src'), entry.parentPath);
    if (entry.name !== 'index.ts' || folder === '') continue;
    if (!exported.has(`./dist/esm/${folder}/index.js`) || !typed.has(`./dist/cjs/${folder}/index.d.ts`)) {
      throw new Error(
        `libs/session/src/${folder}/index.ts is exported by no subpath: run "node scripts/add-subpath.mjs ${folder}"`,
      );
    }
  }
}

function hashOfInputs() {
  const hash = createHash('sha256');
  const fixed = ['package-lock.json', 'tsconfig.base.json', 'scripts/build-library.mjs'].map((file) =>
    join(root, file),
  );
  const own = ['package.json', 'tsconfig.esm.json'].map((file) => join(library, file));
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
