// node scripts/add-subpath.mjs frameworks/express: users can import nestjs-sessions/express, from
// src/frameworks/express/index.ts. A second argument gives the subpath another name than its folder.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const folder = process.argv[2] ?? '';
const name = process.argv[3] ?? folder.split('/').pop() ?? '';
if (!/^[a-z][a-z0-9-]*(\/[a-z][a-z0-9-]*)*$/.test(folder) || !/^[a-z][a-z0-9/-]*$/.test(name)) {
  console.error(
    'usage: node scripts/add-subpath.mjs <folder of libs/session/src with an index.ts> [<name of the subpath>]',
  );
  process.exit(1);
}
const file = fileURLToPath(new URL('../libs/session/package.json', import.meta.url));
const manifest = JSON.parse(readFileSync(file, 'utf8'));
const entry = (/** @type {string} */ kind) => ({
  types: `./dist/${kind}/${folder}/index.d.ts`,
  default: `./dist/${kind}/${folder}/index.js`,
});
const { './package.json': itself, ...others } = manifest.exports;
manifest.exports = {
  ...others,
  [`./${name}`]: { import: entry('esm'), require: entry('cjs') },
  './package.json': itself,
};
manifest.typesVersions['*'][name] = [`./dist/cjs/${folder}/index.d.ts`];
writeFileSync(file, `${JSON.stringify(manifest, null, 2)}\n`);
