// npm run release:check: what is missing before the packages can be published. Prints a line a problem; exits with 1 if there is any.
// In a GitHub Actions run of a tag, the tag must be that of the version.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (/** @type {string} */ path) => readFileSync(join(root, path), 'utf8');
const problems = [];

const folders = readdirSync(join(root, 'libs')).filter((name) => existsSync(join(root, 'libs', name, 'package.json')));
const manifests = folders.map((folder) => JSON.parse(read(`libs/${folder}/package.json`)));
const [{ version }] = manifests;
for (const manifest of manifests) {
  for (const field of ['repository', 'homepage', 'bugs'])
    if (manifest[field] === undefined) problems.push(`${manifest.name}: the field "${field}" is not set`);
  if (manifest.publishConfig?.provenance !== true)
    problems.push(`${manifest.name}: publishConfig.provenance is not true`);
  if (manifest.version !== version)
    problems.push(`${manifest.name} is ${manifest.version}, and another package ${version}`);
}
if (!read('CHANGELOG.md').includes(`## [${version}]`)) problems.push(`CHANGELOG.md has no section "[${version}]"`);
const open = readdirSync(join(root, '.changeset')).filter((name) => name.endsWith('.md') && name !== 'README.md');
if (open.length > 0) problems.push(`not in a version yet: ${open.join(', ')}; run npm run release:version`);
const tag = process.env.GITHUB_REF_NAME;
if (process.env.GITHUB_REF_TYPE === 'tag' && tag !== `v${version}`)
  problems.push(`the tag is ${tag}, the version ${version}`);

for (const problem of problems) console.log(problem);
process.exitCode = problems.length === 0 ? 0 : 1;
