import { execFileSync } from 'node:child_process';
import { readDocument, root } from './support/markdown.js';

it('docs/cli.md is the help of the commands: node scripts/cli-docs.mjs', () => {
  const printed = execFileSync(process.execPath, ['scripts/cli-docs.mjs', '--print'], { cwd: root, encoding: 'utf8' });
  expect(printed).toContain('--users-from <file>');
  expect(readDocument('docs/cli.md')).toBe(printed);
});
