// node scripts/add-subpath.mjs express: lets users import nestjs-sessions/express, from src/express/index.ts.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const name = process.argv[2];
if (name === undefined || !/^[a-z][a-z0-9-]*$/.test(name)) {
  console.error('usage: node scripts/add-subpath.mjs <name of a folder of libs/session/src>');
  process.exit(1);
}
const file = fileURLToPath(new URL('../libs/session/package.json', import.meta.url));
const manifest = JSON.parse(readFileSync(file, 'utf8'));
const entry = (/** @type {string} */ kind) => ({
  types: `./dist/${kind}/${name}/index.d.ts`,
  default: `./dist/${kind}/${name}/index.js`,
});
const { './package.json': itself, ...others } = manifest.exports;
manifest.exports = {
  ...others,
  [`./${name}`]: { import: entry('esm'), require: entry('cjs') },
  './package.json': itself,
};
manifest.typesVersions['*'][name] = [`./dist/cjs/${name}/index.d.ts`];
writeFileSync(file, `${JSON.stringify(manifest, null, 2)}\n`);
