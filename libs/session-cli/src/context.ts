import { type Command } from 'commander';
import type { OpenSessionAdmin } from 'nestjs-sessions/admin';
import { connectionOf, type ConnectionFlags } from './connection-flags.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { library } from './library.js';
import { Terminal } from './terminal.js';

const codes = new WeakMap<Command, ExitCode>();

/** The exit code that a command has set. */
export function exitCodeOf(program: Command): ExitCode {
  return codes.get(program) ?? EXIT.done;
}

/** What every command gets. */
export interface Context {
  readonly admin: OpenSessionAdmin;
  readonly terminal: Terminal;
}

function rootOf(command: Command): Command {
  return command.parent ? rootOf(command.parent) : command;
}

/** Runs the work of a command that needs no Redis. The work returns the exit code. */
export async function withTerminal(
  command: Command,
  work: (terminal: Terminal) => ExitCode | Promise<ExitCode>,
): Promise<void> {
  const { json } = command.optsWithGlobals<{ json?: boolean }>();
  codes.set(rootOf(command), await work(new Terminal(json === true)));
}

/** Opens Redis for the work of a command, and closes it afterwards. The work returns the exit code. */
export async function withAdmin(command: Command, work: (context: Context) => Promise<ExitCode>): Promise<void> {
  const flags = command.optsWithGlobals<ConnectionFlags & { json?: boolean }>();
  const terminal = new Terminal(flags.json === true);
  const connection = connectionOf(flags);
  const admin = await library().openSessionAdmin(connection);
  try {
    codes.set(rootOf(command), await work({ admin, terminal }));
  } finally {
    terminal.clearProgress();
    await admin.close();
  }
}
