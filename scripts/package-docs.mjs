// Copies docs/*.md into the library's folder, for its tarball. Links that lead out of `docs` become plain text there.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const target = join(root, 'libs/session/docs');
const pages = readdirSync(join(root, 'docs')).filter((file) => file.endsWith('.md'));
// Two builds at a time must not take the folder from under each other.
mkdirSync(target, { recursive: true });
for (const name of readdirSync(target)) if (!pages.includes(name)) rmSync(join(target, name), { force: true });
for (const name of pages) {
  const text = readFileSync(join(root, 'docs', name), 'utf8');
  writeFileSync(join(target, name), withoutOutsideLinks(text));
}

/** @param {string} text */
function withoutOutsideLinks(text) {
  return text
    .replace(/!\[([^\]]*)\]\((?!https?:)[^)]*\)/g, '')
    .replace(/\[([^\]]*)\]\((?:\.\.\/|(?!https?:)[^)#]*\.(?!md)\w+)[^)]*\)/g, '$1');
}
