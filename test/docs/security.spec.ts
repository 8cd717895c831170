import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { readDocument, root, tableUnder } from './support/markdown.js';

const DOCUMENT = 'docs/security.md';
const text = readDocument(DOCUMENT);
const rows = ['## ASVS 5.0', '## Known weaknesses of others'].flatMap((heading) => tableUnder(text, heading));

describe('docs/security.md', () => {
  it.each(rows)('%s: every linked test bears it', (number, _, tests = '') => {
    const files = [...tests.matchAll(/\]\(([^)]+)\)/g)].map(([, link = '']) => join(dirname(DOCUMENT), link));
    expect(files.length).toBeGreaterThan(0);
    // Not as a part of a longer number.
    const alone = new RegExp(`(^|[^\\d.])${number.replaceAll('.', '\\.')}(?![\\d]|\\.\\d)`, 'm');
    for (const file of files) {
      expect([file, existsSync(join(root, file))]).toEqual([file, true]);
      expect([file, alone.test(readDocument(file))]).toEqual([file, true]);
    }
  });

  it('has each row once, in order, and none of those that it calls not yet tested', () => {
    const numbers = tableUnder(text, '## ASVS 5.0').map(([number = '']) => number);
    const key = (number: string): string =>
      number
        .split('.')
        .map((part) => part.padStart(3, '0'))
        .join('.');
    expect(numbers).toEqual([...new Set(numbers)].sort((one, other) => (key(one) < key(other) ? -1 : 1)));
    const later: string[] = /## Not yet[^]*?:([^]*)$/.exec(text)?.[1]?.match(/\d+\.\d+\.\d+/g) ?? [];
    expect(numbers.filter((number) => later.includes(number))).toEqual([]);
  });
});
