// node scripts/check-versions.mjs [--node 22,24,26] [--ioredis 5.4.1,6.0.0] [--redis redis://localhost:6379]
// Installs the packed library in an empty application for each ioredis, and has each Node (from the registry; "this" is the one that
// runs this script) serve it as ES module and CommonJS: sign-in, cookie, access and refresh token, an end on another instance.
// Needs a Redis and the network, and takes minutes: run it before a release. Prints a line a combination; exits with 1 on a failure.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import ts from 'typescript';

const root = fileURLToPath(new URL('..', import.meta.url));
const { values } = parseArgs({
  options: {
    node: { type: 'string', default: 'this,22,24,26' },
    ioredis: { type: 'string', default: '5.4.1,6.0.0' },
    redis: { type: 'string', default: process.env.TEST_REDIS_URL ?? 'redis://localhost:6379' },
  },
});
const work = mkdtempSync(join(tmpdir(), 'sessions-versions-'));
let failed = 0;

try {
  npm(join(root, 'libs/session'), 'pack', '--ignore-scripts', '--pack-destination', work);
  const tarball = join(work, readdirSync(work).find((name) => name.endsWith('.tgz')) ?? '');
  const nodes = values.node.split(',').map(nodeOf);
  for (const ioredis of values.ioredis.split(',')) {
    const app = mkdtempSync(join(work, 'app-'));
    writeFileSync(join(app, 'package.json'), '{ "private": true }');
    const nest = ['@nestjs/common@12', '@nestjs/core@12', '@nestjs/platform-express@12', '@nestjs/jwt@12'];
    npm(app, 'install', '--no-audit', '--no-fund', tarball, ...nest, 'reflect-metadata', 'rxjs', `ioredis@${ioredis}`);
    const source = readFileSync(join(root, 'scripts/check-versions.app.ts'), 'utf8');
    for (const [name, module] of /** @type {const} */ ([
      ['app.mjs', ts.ModuleKind.ES2022],
      ['app.cjs', ts.ModuleKind.CommonJS],
    ])) {
      const target = ts.ScriptTarget.ES2022;
      const compilerOptions = { module, target, experimentalDecorators: true, emitDecoratorMetadata: true };
      writeFileSync(join(app, name), ts.transpileModule(source, { compilerOptions }).outputText);
      for (const node of nodes) {
        const result = spawnSync(node, [name], {
          cwd: app,
          env: { PATH: process.env.PATH, REDIS_URL: values.redis },
          encoding: 'utf8',
          timeout: 120_000,
        });
        const version = execFileSync(node, ['--version'], { encoding: 'utf8' }).trim();
        const ok = result.status === 0 && result.stdout.includes('all is well');
        if (!ok) failed += 1;
        console.log(`${ok ? 'ok    ' : 'FAILED'} Node ${version}, ioredis ${ioredis}, ${name}`);
        if (!ok) console.log(result.stdout, result.stderr);
      }
    }
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
process.exitCode = failed === 0 ? 0 : 1;

/**
 * @param {string} cwd
 * @param {string[]} args
 */
function npm(cwd, ...args) {
  execFileSync('npm', [...args, '--loglevel=error'], { cwd, stdio: ['ignore', 'ignore', 'inherit'] });
}

/**
 * The binary of a version.
 * @param {string} version
 */
function nodeOf(version) {
  if (version === 'this') return process.execPath;
  const name = `node-${process.platform}-${process.arch}`;
  const folder = mkdtempSync(join(work, 'node-'));
  writeFileSync(join(folder, 'package.json'), '{ "private": true }');
  npm(folder, 'install', '--no-audit', '--no-fund', '--ignore-scripts', `${name}@${version}`);
  return join(folder, 'node_modules', name, 'bin/node');
}
