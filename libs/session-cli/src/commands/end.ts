import { hostname, userInfo } from 'node:os';
import { performance } from 'node:perf_hooks';
import { setTimeout } from 'node:timers/promises';
import { Command } from 'commander';
import type { AdminAction, AdminProgress } from 'nestjs-sessions/admin';
import { withAdmin, type Context } from '../context.js';
import { CommandError, EXIT, type ExitCode } from '../exit-codes.js';
import { count, printable } from '../terminal.js';
import { readUserFile, type UserFile } from '../user-file.js';
import { collectCondition, CONDITIONS, filterOf, type Condition } from '../where.js';

interface Flags {
  user?: string;
  usersFrom?: string;
  where?: readonly Condition[];
  all?: boolean;
  reason: string;
  actor?: string;
  yes?: boolean;
  fast?: boolean;
}

/** What is to end, in words, and how. */
interface Plan {
  readonly what: string;
  /** Estimate for the progress; null if unknown. */
  readonly expected: number | null;
  readonly run: (by: AdminAction, onProgress: (progress: AdminProgress) => Promise<void>) => Promise<number>;
  /** The code if nothing ended. */
  readonly none: ExitCode;
}

export function endCommand(): Command {
  return new Command('end')
    .description(
      'Ends sessions: at once, on every instance. Names one of a session, --user, --users-from, --where and --all.',
    )
    .argument('[session]', 'the id of a session')
    .option('--user <id>', 'all sessions of this user')
    .option(
      '--users-from <file>',
      'all sessions of the users in this file, one id a line, UTF-8; - for standard input, with --yes',
    )
    .option('--where <condition>', `repeatable, all must hold: ${CONDITIONS}`, collectCondition)
    .option('--all', 'all sessions of all users of the tenant')
    .requiredOption('--reason <text>', 'why; it goes into the audit trail')
    .option('--actor <name>', 'who; it goes into the audit trail (default: user@host)')
    .option('-y, --yes', 'do not ask')
    .option('--fast', 'without the pauses that leave Redis to the application; about twice as fast')
    .action(end);
}

async function end(session: string | undefined, flags: Flags, command: Command): Promise<void> {
  const chosen = [session, flags.user, flags.usersFrom, flags.where, flags.all].filter((one) => one !== undefined);
  if (chosen.length !== 1)
    throw new CommandError('end: name exactly one of a session, --user, --users-from, --where and --all.', EXIT.usage);
  // Before Redis is asked, so that nothing has happened when the file cannot be read.
  const file = flags.usersFrom === undefined ? null : readUserFile(flags.usersFrom);
  await withAdmin(command, async (context) => {
    if (file) reportSkipped(file, context);
    const plan = await planOf(session, flags, file, context);
    const { terminal } = context;
    if (flags.yes !== true) {
      if (!terminal.canAsk) throw new CommandError('end: nobody can be asked here. Add --yes.', EXIT.usage);
      if (!(await terminal.confirm(`End ${plan.what}?`))) {
        terminal.note('Nothing was ended.');
        return EXIT.partly;
      }
    }
    const by = { actor: flags.actor ?? defaultActor(), reason: flags.reason };
    const ended = await carryOut(plan, by, context, flags.fast === true ? async () => undefined : pauses());
    terminal.result({ ended, ...(file && skippedIn(file)) }, [`${count(ended, 'session')} ended.`]);
    if (ended === 0 && plan.none !== EXIT.done) terminal.note(`There was nothing to end: ${plan.what}.`);
    if (file && file.malformed.length > 0) return EXIT.partly;
    return ended === 0 ? plan.none : EXIT.done;
  });
}

async function planOf(
  session: string | undefined,
  flags: Flags,
  file: UserFile | null,
  { admin }: Context,
): Promise<Plan> {
  const { sessions, store } = admin;
  if (session !== undefined) {
    const run: Plan['run'] = async (by) => ((await sessions.endSession(session, by)) ? 1 : 0);
    return { what: `session ${printable(session)}`, expected: 1, run, none: EXIT.partly };
  }
  if (flags.user !== undefined) {
    const { user } = flags;
    return {
      what: `all sessions of user ${printable(user)}`,
      expected: null,
      run: (by) => sessions.endUserSessions(user, by),
      none: EXIT.partly,
    };
  }
  if (file) {
    const { users } = file;
    return {
      what: `all sessions of ${count(users.length, 'user')}`,
      expected: null,
      run: (by, onProgress) => sessions.endUsersSessions(users, by, { onProgress }),
      none: EXIT.done,
    };
  }
  if (flags.where) {
    const filter = filterOf(flags.where, store.now());
    const expected = await sessions.countSessions(filter);
    return {
      what: `${count(expected, 'session')} that match`,
      expected,
      run: (by, onProgress) => sessions.endMatching(filter, by, { onProgress }),
      none: EXIT.done,
    };
  }
  const expected = await sessions.countSessions();
  const whose = store.tenant === '' ? '' : ` of tenant ${printable(store.tenant)}`;
  return {
    what: `all ${count(expected, 'session')}${whose}`,
    expected,
    run: (by, onProgress) => sessions.endEverybody(by, { onProgress }),
    none: EXIT.done,
  };
}

/** Runs the plan; a failure or a signal says how much was done. */
async function carryOut(
  plan: Plan,
  by: AdminAction,
  { terminal }: Context,
  pause: () => Promise<void>,
): Promise<number> {
  let done = 0;
  let interrupted = false;
  const soFar = (): string =>
    `At least ${count(done, 'session')} had ended by then. Run the command again: it ends the rest.`;
  const stopIfInterrupted = (): void => {
    if (interrupted) throw new CommandError(`Interrupted. ${soFar()}`, EXIT.interrupted);
  };
  const onProgress = async ({ sessions, progress }: AdminProgress): Promise<void> => {
    done = sessions;
    const share = plan.expected === null ? progress : Math.min(1, sessions / Math.max(1, plan.expected));
    terminal.progress(`${count(sessions, 'session')} ended, ${Math.round(100 * share)} %`);
    stopIfInterrupted();
    await pause();
    stopIfInterrupted();
  };
  // Between two batches, so that the audit event says what this end has done. The second time at once.
  const onSignal = (): void => {
    if (interrupted) process.exit(EXIT.interrupted);
    interrupted = true;
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, onSignal);
  try {
    return await plan.run(by, onProgress);
  } catch (error) {
    stopIfInterrupted();
    const message = error instanceof Error ? error.message : String(error);
    throw new CommandError(`${message}\n${soFar()}`, EXIT.failed);
  } finally {
    for (const signal of signals) process.off(signal, onSignal);
    terminal.clearProgress();
  }
}

/** Pauses as long as the batch before took, so that requests find Redis idle half of the time. */
function pauses(): () => Promise<void> {
  let since = performance.now();
  return async () => {
    await setTimeout(performance.now() - since);
    since = performance.now();
  };
}

function skippedIn({ users, blank, duplicates, malformed }: UserFile): object {
  return { users: users.length, blank, duplicates, malformed: malformed.length };
}

function reportSkipped({ blank, duplicates, malformed }: UserFile, { terminal }: Context): void {
  const skipped = [
    ...(blank > 0 ? [count(blank, 'blank line')] : []),
    ...(duplicates > 0 ? [count(duplicates, 'repeated user')] : []),
  ];
  if (skipped.length > 0) terminal.note(`Skipped: ${skipped.join(', ')}.`);
  if (malformed.length === 0) return;
  const lines = malformed.slice(0, 5).join(', ') + (malformed.length > 5 ? ', …' : '');
  terminal.note(
    `Skipped: ${count(malformed.length, 'malformed line')} (${lines}). Correct them and run the command again.`,
  );
}

function defaultActor(): string {
  try {
    return `${userInfo().username}@${hostname()}`;
  } catch {
    // A process whose user has no name, as in many containers.
    return hostname();
  }
}
