import { createInterface } from 'node:readline';
import { CommandError, EXIT } from './exit-codes.js';

const CODES = { bold: 1, red: 31, green: 32, yellow: 33, dim: 2 } as const;

/** Standard output and error: text or JSON, colours and progress only on a terminal. */
export class Terminal {
  private hasProgress = false;

  constructor(readonly json: boolean) {}

  /** The result of a command: the value as JSON, or the lines. */
  result(value: unknown, lines: readonly string[]): void {
    process.stdout.write(this.json ? `${JSON.stringify(value)}\n` : lines.map((line) => `${line}\n`).join(''));
  }

  /** Something the operator should know beside the result. */
  note(text: string): void {
    this.clearProgress();
    process.stderr.write(`${text}\n`);
  }

  /** One line that replaces itself; nothing unless standard error is a terminal. */
  progress(text: string): void {
    if (!process.stderr.isTTY) return;
    process.stderr.write(`\r\x1b[K${text}`);
    this.hasProgress = true;
  }

  clearProgress(): void {
    if (this.hasProgress) process.stderr.write('\r\x1b[K');
    this.hasProgress = false;
  }

  colour(name: keyof typeof CODES, text: string): string {
    const isPlain = this.json || !process.stdout.isTTY || (process.env['NO_COLOR'] ?? '') !== '';
    return isPlain ? text : `\x1b[${CODES[name]}m${text}\x1b[0m`;
  }

  /** Whether somebody can be asked. */
  get canAsk(): boolean {
    return process.stdin.isTTY && process.stderr.isTTY;
  }

  /**
   * True if the answer is yes. Ctrl-D is a no.
   *
   * @throws {CommandError} for Ctrl-C.
   */
  async confirm(question: string): Promise<boolean> {
    const lines = createInterface({ input: process.stdin, output: process.stderr });
    try {
      const answer = await new Promise<string>((resolve, reject) => {
        lines.once('close', () => resolve(''));
        lines.once('SIGINT', () => reject(new CommandError('\nNothing was done.', EXIT.interrupted)));
        lines.question(`${question} [y/N] `, resolve);
      });
      return /^y(es)?$/i.test(answer.trim());
    } finally {
      lines.close();
    }
  }
}

/** Text of others on one line, without control characters: it must not move the cursor. */
export function printable(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu,
    (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );
}

/** Columns as wide as their widest cell. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const cells = [header, ...rows].map((row) => row.map(printable));
  const widths = header.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  return cells.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

export function count(number: number, one: string, many = `${one}s`): string {
  return `${number.toLocaleString('en')} ${number === 1 ? one : many}`;
}
