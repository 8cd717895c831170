import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Script } from 'node:vm';
import { HTTP_STATUS } from 'nestjs-sessions';
import { compilerErrorsIn } from './support/compiler.js';
import { codeBlocks, plain, readDocument, root, tableUnder } from './support/markdown.js';

const PAGES = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.md'))
  .map((file) => join('docs', file));
const DOCUMENTS = [
  ...PAGES,
  'README.md',
  'libs/session/README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  'SECURITY.md',
  'examples/README.md',
  'llms.txt',
];

describe('every page', () => {
  it('has code blocks of kinds that a test checks, or that hold no program', () => {
    const KINDS = ['ts', 'json', 'js', 'sh', 'sh walkthrough', 'bash', 'diff', 'text', 'mermaid', ''];
    const blocks = DOCUMENTS.flatMap((file) => codeBlocks(readDocument(file)).map((block) => ({ ...block, file })));
    expect(blocks.filter(({ info }) => !KINDS.includes(info))).toEqual([]);
    for (const { code, info } of blocks) {
      if (info === 'json') JSON.parse(code);
      if (info === 'js') new Script(code);
    }
  });

  it('has code blocks that compile against the built package', () => {
    const blocks = DOCUMENTS.flatMap((file) =>
      codeBlocks(readDocument(file))
        .filter(({ info }) => info === 'ts')
        .map((block) => ({ ...block, file })),
    );
    expect(blocks.length).toBeGreaterThan(15);
    expect(compilerErrorsIn(blocks)).toEqual([]);
  }, 240_000);

  it.each(DOCUMENTS)('%s: links to files and headings that exist', (file) => {
    const text = readDocument(file);
    for (const [, target = ''] of text.matchAll(/\]\((?!https?:|mailto:)([^)\s]+)\)/g)) {
      const [path = '', heading] = target.split('#');
      const there = path === '' ? file : join(dirname(file), path);
      expect([file, target, existsSync(join(root, there))]).toEqual([file, target, true]);
      if (heading === undefined || !there.endsWith('.md')) continue;
      const slugs = [...readDocument(there).matchAll(/^#+ (.*)$/gm)].map(([, title = '']) => slugOf(title));
      expect([file, target, slugs.includes(heading)]).toEqual([file, target, true]);
    }
  });

  it('of the package names no command of this repository', () => {
    expect(readDocument('libs/session/README.md')).not.toMatch(/npm (ci|start|test|run)\b/);
  });
});

describe('docs/README.md', () => {
  it('leads to every page', () => {
    const index = readDocument('docs/README.md');
    const missing = PAGES.filter(
      (page) => page !== 'docs/README.md' && !index.includes(`](${page.slice('docs/'.length)})`),
    );
    expect(missing).toEqual([]);
  });
});

describe('docs/errors.md', () => {
  it('has a section for each code', () => {
    const sections = [...readDocument('docs/errors.md').matchAll(/^### (\w+)\n\n(.+)$/gm)].map(([, code]) => code);
    expect(sections.sort()).toEqual(Object.keys(HTTP_STATUS).sort());
  });

  it('names every error with its status', () => {
    const rows = tableUnder(readDocument('docs/errors.md'), '## Codes').map(([code = '', status = '']) => [
      plain(code),
      Number(status),
    ]);
    expect(Object.fromEntries(rows)).toEqual(HTTP_STATUS);
    expect(rows.length).toBe(Object.keys(HTTP_STATUS).length);
  });
});

/** As GitHub makes the anchor of a heading. */
function slugOf(title: string): string {
  return title
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replace(/\s/g, '-');
}
