import { Command } from 'commander';
import { withAdmin } from '../context.js';
import { EXIT } from '../exit-codes.js';
import { library } from '../library.js';
import { printable } from '../terminal.js';

export function watchCommand(): Command {
  return new Command('watch')
    .description('Prints what happens to the sessions of the tenant, until Ctrl-C: one line an event, as in the log.')
    .option('--user <id>', 'only the sessions of this user')
    .action(watch);
}

async function watch(flags: { user?: string }, command: Command): Promise<void> {
  await withAdmin(command, async ({ admin, terminal }) => {
    const { logEntryOf } = library();
    const unsubscribe = admin.store.subscribe((event) => {
      if (flags.user !== undefined && event.userId !== flags.user) return;
      const entry = logEntryOf(event);
      const { at, event: name, severity, ...details } = entry;
      const text = Object.entries(details).map(([key, value]) => `${key}=${printable(value ?? '')}`);
      const shown = severity === 'INFO' ? name : terminal.colour(severity === 'WARN' ? 'yellow' : 'red', name);
      terminal.result(entry, [[at, shown, ...text].join('  ')]);
    });
    const stopped = new Promise<void>((resolve) => {
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve());
    });
    await admin.store.ready();
    const stopGap = admin.store.onGap(() => terminal.note('Reconnected: events may have been missed.'));
    terminal.note('Watching. Ctrl-C ends it.');
    // Pub/sub alone would keep the process alive, but not this promise's turn.
    const alive = setInterval(() => undefined, 60_000);
    await stopped;
    clearInterval(alive);
    stopGap();
    unsubscribe();
    return EXIT.done;
  });
}
