import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { readDocument, root, tableUnder } from './support/markdown.js';

const DOCUMENT = 'docs/security.md';
const text = readDocument(DOCUMENT);
const TITLES = JSON.parse(readDocument('docs/asvs-5.0.json')) as Record<string, string>;
const asvs = tableUnder(text, '## ASVS 5.0');
const STATE = /^(met|(deviation|open|not ours): \S.*)$/;

const tested: [number: string, tests: string][] = [
  ...asvs
    .filter(([, , state = '']) => state === 'met' || state.startsWith('deviation'))
    .map(([number = '', , , , tests = '']): [string, string] => [number, tests]),
  ...tableUnder(text, '## Known weaknesses of others').map(([number = '', , tests = '']): [string, string] => [
    number,
    tests,
  ]),
];

describe('docs/security.md', () => {
  it('has every number of the list once, in order, with the words of the list', () => {
    expect(asvs.map(([number = '', asks = '']) => [number, asks])).toEqual(
      Object.entries(TITLES).sort(([one], [other]) => (keyOf(one) < keyOf(other) ? -1 : 1)),
    );
  });

  it.each(asvs)('%s (%s): is met, a deviation, open or not ours, with the reason', (_number, _asks, state = '') => {
    expect(state).toMatch(STATE);
  });

  it.each(tested)('%s: every linked test bears it', (number, tests) => {
    const files = [...tests.matchAll(/\]\(([^)]+)\)/g)].map(([, link = '']) => join(dirname(DOCUMENT), link));
    expect(files.length).toBeGreaterThan(0);
    // Not as a part of a longer number.
    const alone = new RegExp(`(^|[^\\d.])${number.replaceAll('.', '\\.')}(?![\\d]|\\.\\d)`, 'm');
    for (const file of files) {
      expect([file, existsSync(join(root, file))]).toEqual([file, true]);
      expect([file, alone.test(readDocument(file))]).toEqual([file, true]);
    }
  });
});

function keyOf(number: string): string {
  return number
    .split('.')
    .map((part) => part.padStart(3, '0'))
    .join('.');
}
