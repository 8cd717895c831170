import { createRequire } from 'node:module';
import { Command } from 'commander';
import { doctorCommand } from './commands/doctor.js';
import { endCommand } from './commands/end.js';
import { initCommand } from './commands/init.js';
import { keysCommand } from './commands/keys.js';
import { listCommand } from './commands/list.js';
import { showCommand } from './commands/show.js';
import { statsCommand } from './commands/stats.js';
import { tokenCommand } from './commands/token.js';
import { watchCommand } from './commands/watch.js';
import { addConnectionFlags } from './connection-flags.js';

const { version } = createRequire(import.meta.url)('../package.json') as { version: string };

/** The commands that work on Redis, in the order in which help and manual name them. */
const ON_REDIS = [listCommand, showCommand, endCommand, statsCommand, watchCommand, doctorCommand, tokenCommand];
/** The commands of this machine alone. */
const LOCAL = [keysCommand, initCommand];

/** The command line. Opens nothing until a command runs. */
export function createProgram(): Command {
  const program = new Command('nestjs-sessions-cli')
    .description('Lists, ends and watches the sessions of nestjs-sessions on Redis.')
    .version(version)
    .configureOutput({ getOutHelpWidth: () => 100, getErrHelpWidth: () => 100 })
    .showHelpAfterError('(add --help for the options)')
    .exitOverride();
  for (const command of [...ON_REDIS.map((create) => addConnectionFlags(create())), ...LOCAL.map((create) => create())])
    add(command, program);
  return program;
}

/** Adds a command and those in it, each with `--json`. */
function add(command: Command, parent: Command): void {
  command.copyInheritedSettings(parent);
  if (command.commands.length === 0) command.option('--json', 'one line of JSON on standard output');
  for (const child of command.commands) add(child, command);
  if (command.parent !== parent) parent.addCommand(command);
}
