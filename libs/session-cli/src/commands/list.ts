import { Command, InvalidArgumentError } from 'commander';
import { withAdmin } from '../context.js';
import { EXIT } from '../exit-codes.js';
import { sessionTable, viewOf } from '../session-view.js';
import { count, printable } from '../terminal.js';
import { collectCondition, CONDITIONS, filterOf, type Condition } from '../where.js';

interface Flags {
  where?: readonly Condition[];
  limit: number;
  cursor?: string;
  count?: boolean;
}

export function listCommand(): Command {
  return new Command('list')
    .description('Lists the sessions of a user, or those that match. Reads in batches; records no access.')
    .argument('[user]', 'the id of a user; default: of all users')
    .option('--where <condition>', `repeatable, all must hold: ${CONDITIONS}`, collectCondition)
    .option('--limit <number>', 'sessions on a page', wholeNumber, 50)
    .option('--cursor <cursor>', 'where the page before stopped')
    .option('--count', 'only how many there are')
    .action(list);
}

async function list(user: string | undefined, flags: Flags, command: Command): Promise<void> {
  await withAdmin(command, async ({ admin, terminal }) => {
    const { store, sessions } = admin;
    const conditions: readonly Condition[] = [
      ...(flags.where ?? []),
      ...(user === undefined ? [] : [() => ({ userId: user })]),
    ];
    const filter = filterOf(conditions, store.now());
    const whose = user === undefined ? '' : ` of user ${printable(user)}`;
    if (flags.count === true) {
      const total = await sessions.countSessions(filter, {
        onProgress: (so) =>
          terminal.progress(`${count(so.sessions, 'session')}, ${Math.round(100 * so.progress)} % searched`),
      });
      terminal.clearProgress();
      terminal.result({ count: total }, [count(total, 'session')]);
      return EXIT.done;
    }
    const { cursor, ...page } = await sessions.search(filter, {
      limit: flags.limit,
      ...(flags.cursor !== undefined && { cursor: flags.cursor }),
    });
    if (page.sessions.length === 0 && cursor === null) {
      terminal.result({ sessions: [], cursor }, []);
      terminal.note(`No live session${whose}${conditions.length > 0 && whose === '' ? ' matches' : ''}.`);
      return user === undefined ? EXIT.done : EXIT.partly;
    }
    terminal.result({ sessions: page.sessions.map(viewOf), cursor }, sessionTable(page.sessions, store.now()));
    if (cursor !== null && !terminal.json) terminal.note(`There are more: --cursor ${cursor}`);
    return EXIT.done;
  });
}

export function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError('It must be a whole number from 1 to 999999.');
  return Number(text);
}
