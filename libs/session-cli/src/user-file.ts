import { readFileSync } from 'node:fs';
import { CommandError, EXIT } from './exit-codes.js';

/** The users in a file, and what was skipped. */
export interface UserFile {
  readonly users: readonly string[];
  readonly blank: number;
  readonly duplicates: number;
  /** Line numbers, from 1. */
  readonly malformed: readonly number[];
}

/** Longest user id that is not taken for a mistake, characters. */
const LONGEST = 1_024;

/**
 * Reads a file with one user id a line, UTF-8. Blank lines and repeated users are skipped; a line with control characters, outer
 * white space or invalid UTF-8 is malformed, because it would name another user than was meant.
 *
 * @throws {CommandError} if it cannot be read.
 */
export function readUserFile(file: string): UserFile {
  return parseUsers(contentOf(file));
}

export function parseUsers(content: string): UserFile {
  const users = new Set<string>();
  const malformed: number[] = [];
  let blank = 0;
  let duplicates = 0;
  // The last line ends the file, or is empty.
  const lines = content
    .replace(/^\uFEFF/, '')
    .replace(/\r?\n$/, '')
    .split(/\r?\n/);
  for (const [index, line] of lines.entries()) {
    if (line.trim() === '') blank += 1;
    else if (line !== line.trim() || line.length > LONGEST || /[\p{Cc}\uFFFD]/u.test(line)) malformed.push(index + 1);
    else if (users.has(line)) duplicates += 1;
    else users.add(line);
  }
  return { users: [...users], blank, duplicates, malformed };
}

function contentOf(file: string): string {
  try {
    // By its number: the path does not work where standard input is a socket.
    return readFileSync(file === '-' || file === '/dev/stdin' ? 0 : file, 'utf8');
  } catch (error) {
    throw new CommandError(`--users-from: ${error instanceof Error ? error.message : String(error)}`, EXIT.failed);
  }
}
