import { Command } from 'commander';
import type { SessionSnapshot } from 'nestjs-sessions/store';
import { withAdmin } from '../context.js';
import { EXIT } from '../exit-codes.js';
import { viewOf } from '../session-view.js';
import { printable } from '../terminal.js';

export function showCommand(): Command {
  return new Command('show')
    .description('Shows one session, or why it ended. Records no access.')
    .argument('<session>', 'its id')
    .option('--data', 'also the data of the application')
    .action(show);
}

async function show(id: string, flags: { data?: boolean }, command: Command): Promise<void> {
  await withAdmin(command, async ({ admin, terminal }) => {
    const snapshot = await admin.store.read(id);
    if (snapshot.state !== 'live') {
      terminal.result(snapshot, []);
      terminal.note(whyNot(snapshot));
      return EXIT.partly;
    }
    const { session } = snapshot;
    const shown = flags.data === true ? session : viewOf(session);
    const dates = ['createdAt', 'lastAccess', 'expiresAt', 'authenticatedAt'];
    const width = Math.max(...Object.keys(shown).map((name) => name.length));
    terminal.result(
      shown,
      Object.entries(shown).map(([name, value]: [string, unknown]) => {
        const text = dates.includes(name) ? new Date(Number(value)).toISOString() : textOf(value);
        return `${terminal.colour('dim', name.padEnd(width))}  ${printable(text)}`;
      }),
    );
    return EXIT.done;
  });
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function whyNot(snapshot: Exclude<SessionSnapshot, { state: 'live' }>): string {
  if (snapshot.state === 'ended')
    return `The session ended at ${new Date(snapshot.endedAt).toISOString()} (${snapshot.reason}).`;
  if (snapshot.state === 'damaged') return `The record of the session cannot be read: ${snapshot.detail}.`;
  return 'No such session here: the id is wrong, it ended long ago, or it belongs to another tenant or prefix.';
}
