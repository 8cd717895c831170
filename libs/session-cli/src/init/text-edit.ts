/** Text to insert at a position. */
export interface Insertion {
  readonly at: number;
  /** Characters that it replaces. Default 0. */
  readonly removes?: number;
  readonly text: string;
}

/** Carries out the insertions; lines end as those of the text do. */
export function edited(text: string, insertions: readonly Insertion[]): string {
  const eol = text.includes('\r\n') ? '\r\n' : '\n';
  return [...insertions]
    .sort((one, other) => other.at - one.at)
    .reduce(
      (so, { at, removes = 0, text: added }) => so.slice(0, at) + added.replaceAll('\n', eol) + so.slice(at + removes),
      text,
    );
}

/** The white space at the beginning of the line of a position. */
export function indentAt(text: string, at: number): string {
  const start = text.lastIndexOf('\n', at - 1) + 1;
  return /^[ \t]*/.exec(text.slice(start))?.[0] ?? '';
}

/** Adds lines at the end. */
export function appended(text: string | null, lines: readonly string[]): string {
  if (text === null || text === '') return lines.map((line) => `${line}\n`).join('');
  const before = /\n$/.test(text) ? '' : '\n';
  return edited(text, [{ at: text.length, text: before + lines.map((line) => `${line}\n`).join('') }]);
}
