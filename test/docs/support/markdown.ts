import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export const root = process.cwd();

export function readDocument(file: string): string {
  return readFileSync(join(root, file), 'utf8');
}

export interface CodeBlock {
  /** The language and whatever follows it. */
  readonly info: string;
  readonly code: string;
  /** Where it begins, for messages. */
  readonly line: number;
}

export function codeBlocks(markdown: string): CodeBlock[] {
  return [...markdown.matchAll(/^```([^\n]*)\n(.*?)^```$/gms)].map(({ 1: info = '', 2: code = '', index }) => ({
    info,
    code,
    line: markdown.slice(0, index).split('\n').length,
  }));
}

/** The rows of the first table under a heading, cells trimmed; without the head. */
export function tableUnder(markdown: string, heading: string): string[][] {
  const from = markdown.indexOf(`\n${heading}\n`);
  if (from === -1) throw new Error(`there is no heading "${heading}"`);
  const table = /(^\|.*\|$\n)+/m.exec(markdown.slice(from))?.[0] ?? '';
  return table
    .trim()
    .split('\n')
    .slice(2)
    .map((row) =>
      row
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim()),
    );
}

/** The text of a cell that is one piece of code, or the cell as it is. */
export function plain(cell: string): string {
  return /^`([^`]*)`$/.exec(cell)?.[1] ?? cell;
}
