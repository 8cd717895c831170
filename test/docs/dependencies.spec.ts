import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { plain, readDocument, root, tableUnder } from './support/markdown.js';

interface Manifest {
  license: string;
  dependencies: Record<string, string>;
  peerDependencies: Record<string, string>;
}

const text = readDocument('docs/dependencies.md');
const manifest = (folder: string): Manifest => JSON.parse(readDocument(join(folder, 'package.json'))) as Manifest;
const library = manifest('libs/session');

function folderOf(name: string): string {
  const own = join('libs/session/node_modules', name);
  return existsSync(join(root, own)) ? own : join('node_modules', name);
}

describe('docs/dependencies.md', () => {
  it.each([
    ['## Installed with it', Object.keys(library.dependencies)],
    ['## Brought by the application', Object.keys(library.peerDependencies)],
  ])('%s: names each, and no other', (heading, names) => {
    expect(
      tableUnder(text, heading)
        .map(([name = '']) => plain(name))
        .sort(),
    ).toEqual([...names].sort());
  });

  it.each(['## Installed with it', '## Brought by the application', '## What the sample adds'])(
    '%s: with their licences',
    (heading) => {
      for (const [name = '', licence] of tableUnder(text, heading)) {
        expect([name, licence]).toEqual([name, manifest(folderOf(plain(name))).license]);
      }
    },
  );
});
