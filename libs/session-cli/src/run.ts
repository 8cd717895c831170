import { CommanderError, type Command } from 'commander';
import { CommandError, EXIT } from './exit-codes.js';
import { exitCodeOf } from './context.js';
import { behindOptions } from './hyphen-ids.js';

/** Runs the program and returns its exit code. Throws nothing. */
export async function run(program: Command, argv: readonly string[]): Promise<number> {
  try {
    await program.parseAsync(behindOptions(program, argv.slice(2)), { from: 'user' });
    return exitCodeOf(program);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    process.stderr.write(`${messageOf(error)}\n`);
    if (error instanceof CommandError) return error.exitCode;
    return (error as { code?: unknown }).code === 'invalid_argument' ? EXIT.usage : EXIT.failed;
  }
}

/** The message and, of an outage, its cause. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? ` (${error.cause.message})` : '';
  return `${error.message}${cause}`;
}
