import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { withTerminal } from '../context.js';
import { CommandError, EXIT } from '../exit-codes.js';
import { unifiedDiff } from '../init/line-diff.js';
import { planInit, type FileChange } from '../init/plan-init.js';
import { count, printable, type Terminal } from '../terminal.js';

interface Flags {
  project?: string;
  module?: string;
  compose: boolean;
  yes?: boolean;
}

export function initCommand(): Command {
  return new Command('init')
    .description(
      'Adds sessions on Redis to a Nest application: the dependencies, the module, REDIS_URL and a new SESSION_SECRET in .env, and a Redis in the compose file. Shows the change and asks before it writes; what is there already stays as it is.',
    )
    .argument('[folder]', 'the folder of its package.json', '.')
    .option('--project <name>', 'the application in the nest-cli.json of a monorepo')
    .option('--module <file>', 'the file of the root module (default: app.module.ts in the source root)')
    .option('--no-compose', 'leave the compose file alone')
    .option('-y, --yes', 'do not ask')
    .action(init);
}

async function init(folder: string, { yes, ...flags }: Flags, command: Command): Promise<void> {
  await withTerminal(command, async (terminal) => {
    const { changes, present, isUnderGit } = planInit(resolve(folder), { ...flags, version: libraryVersion() });
    const files = changes.map(({ path }) => path);
    if (present !== null) terminal.note(`${present} sets SessionModule up already.`);
    if (changes.length === 0) {
      terminal.result({ files }, ['There is nothing to add.']);
      return EXIT.done;
    }
    for (const line of changes.flatMap((change) => diffOf(change, terminal))) terminal.note(line);
    if (!isUnderGit)
      terminal.note('The folder is not in a git repository: keep a copy if you want to undo the change.');
    if (yes !== true) {
      if (!terminal.canAsk) throw new CommandError('init: nobody can be asked here. Add --yes.', EXIT.usage);
      if (!(await terminal.confirm(`Write ${count(changes.length, 'file')}?`))) {
        terminal.note('Nothing was changed.');
        return EXIT.partly;
      }
    }
    write(resolve(folder), changes);
    terminal.result({ files }, [`Written: ${files.join(', ')}.`, '', ...NEXT]);
    return EXIT.done;
  });
}

const NEXT = [
  'Next:',
  '  npm install && docker compose up -d redis',
  '  Have .env read: ConfigModule.forRoot() of @nestjs/config in your root module, or node --env-file=.env dist/main.js',
  '  Protect your routes: providers: [{ provide: APP_GUARD, useExisting: SessionGuard }]',
  '  Without https, set cookie: { name: "session", secure: false } in development.',
];

function diffOf({ path, before, shown }: FileChange, terminal: Terminal): string[] {
  const lines = unifiedDiff(path, before, shown).map((line) => {
    const text = printable(line);
    if (/^\+(?!\+\+)/.test(line)) return terminal.colour('green', text);
    return /^-(?!--)/.test(line) ? terminal.colour('red', text) : text;
  });
  return [...lines, ''];
}

/** A file that is written is complete; running the command again writes the others. */
function write(folder: string, changes: readonly FileChange[]): void {
  const written: string[] = [];
  for (const { path, before, after } of changes) {
    try {
      // A new .env holds a secret.
      writeFileSync(join(folder, path), after, before === null && path === '.env' ? { mode: 0o600 } : {});
      written.push(path);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const so = written.length === 0 ? 'Nothing was written' : `Written so far: ${written.join(', ')}`;
      throw new CommandError(`init: ${reason}\n${so}. Run the command again for the rest.`, EXIT.failed);
    }
  }
}

/** The library has the version of this package. */
function libraryVersion(): string {
  const { version } = createRequire(import.meta.url)('../../package.json') as { version: string };
  return `^${version}`;
}
