import { Command } from 'commander';
import { withAdmin } from '../context.js';
import { EXIT } from '../exit-codes.js';
import { span } from '../session-view.js';
import { table } from '../terminal.js';

/** What a full scan adds up. */
class Census {
  readonly devices = new Map<string, number>();
  readonly users = new Map<string, number>();
  oldest = Infinity;

  get top(): { userId: string; sessions: number }[] {
    const users = [...this.users].map(([userId, sessions]) => ({ userId, sessions }));
    return users.sort((a, b) => b.sessions - a.sessions).slice(0, 5);
  }
}

export function statsCommand(): Command {
  return new Command('stats')
    .description('Counts the live sessions, and shows how much memory Redis uses.')
    .option('--full', 'also users, kinds of device, and who has the most sessions: reads every session, in batches')
    .action(stats);
}

async function stats(flags: { full?: boolean }, command: Command): Promise<void> {
  await withAdmin(command, async ({ admin, terminal }) => {
    const [sessions, { servers }] = await Promise.all([admin.sessions.countSessions(), admin.diagnose()]);
    const memory = servers.reduce((sum, { report }) => sum + (report?.usedMemory ?? 0), 0);
    const value: Record<string, unknown> = { sessions, servers: servers.length, memory };
    const rows = [
      ['sessions', sessions.toLocaleString('en')],
      ['Redis servers', String(servers.length)],
      ['Redis memory', `${(memory / 1_048_576).toFixed(1)} MiB`],
    ];
    if (flags.full === true) {
      const census = new Census();
      for (let cursor: number | null = 0; cursor !== null;) {
        const scan: Awaited<ReturnType<typeof admin.store.scanSessions>> = await admin.store.scanSessions({ cursor });
        for (const { userId, deviceType = 'unknown', createdAt } of scan.sessions) {
          census.users.set(userId, (census.users.get(userId) ?? 0) + 1);
          census.devices.set(deviceType, (census.devices.get(deviceType) ?? 0) + 1);
          census.oldest = Math.min(census.oldest, createdAt);
        }
        cursor = scan.cursor;
        terminal.progress(`${Math.round(100 * scan.progress)} % searched`);
      }
      terminal.clearProgress();
      const devices = Object.fromEntries(census.devices);
      Object.assign(value, { users: census.users.size, devices, top: census.top });
      rows.push(
        ['users', census.users.size.toLocaleString('en')],
        ...Object.entries(devices).map(([device, number]) => [`on ${device}`, number.toLocaleString('en')]),
        ...(census.oldest < Infinity ? [['oldest', span(admin.store.now() - census.oldest)]] : []),
        ...census.top.map(({ userId, sessions: most }) => [`user ${userId}`, most.toLocaleString('en')]),
      );
    }
    terminal.result(value, table(['WHAT', 'HOW MANY'], rows));
    return EXIT.done;
  });
}
