import { Command } from 'commander';
import type { ServerDiagnosis, ServerFinding } from 'nestjs-sessions/admin';
import { withAdmin, type Context } from '../context.js';
import { EXIT } from '../exit-codes.js';
import { count, printable } from '../terminal.js';

/** Sessions of one user from which it is worth a warning: a leak, or a bot. The library's own limit is 1,000. */
const MANY = 500;
/** How long the search for such users takes at most, and that for keys without a deadline, ms. */
const BUDGET = 5_000;

export function doctorCommand(): Command {
  return new Command('doctor')
    .description(
      'Checks the servers: reachable, version, role, eviction, persistence, memory, replicas, clock, rights, users with very many sessions, keys without a deadline. Exits with 1 for warnings and 2 for faults.',
    )
    .action(doctor);
}

async function doctor(_flags: object, command: Command): Promise<void> {
  await withAdmin(command, async (context) => {
    const { admin, terminal } = context;
    const { servers, findings: found } = await admin.diagnose();
    const findings = [...found, ...(await crowdedUsers(context)), ...(await lastingKeys(context))];
    terminal.clearProgress();
    const lines = servers
      .flatMap(linesOf)
      .concat(
        findings.map(({ level, text }) =>
          level === 'error'
            ? `${terminal.colour('red', 'FAULT')}    ${text}`
            : `${terminal.colour('yellow', 'WARNING')}  ${text}`,
        ),
      );
    if (findings.length === 0) lines.push(`${terminal.colour('green', 'OK')}       Nothing to complain about.`);
    terminal.result({ servers, findings }, lines);
    if (findings.some(({ level }) => level === 'error')) return EXIT.failed;
    return findings.length > 0 ? EXIT.partly : EXIT.done;
  });
}

function linesOf({ address, report, clockOffset, roundTrip }: ServerDiagnosis): string[] {
  if (!report) return [`${address}: no answer`];
  const { version, role, evictionPolicy, persistence, usedMemory, maxMemory } = report;
  const mib = (bytes: number): string => `${(bytes / 1_048_576).toFixed(1)} MiB`;
  return [
    `${address}: version ${version}, ${role}, eviction ${evictionPolicy || 'unknown'}, persistence ${persistence}`,
    `${address}: memory ${mib(usedMemory)} of ${maxMemory > 0 ? mib(maxMemory) : 'no limit'}, round trip ${roundTrip} ms, clock ${(clockOffset ?? 0) >= 0 ? '+' : ''}${clockOffset} ms`,
  ];
}

/** Users with very many sessions, as far as the search gets. */
async function crowdedUsers({ admin, terminal }: Context): Promise<ServerFinding[]> {
  const until = Date.now() + BUDGET;
  const users = new Map<string, number>();
  try {
    for (let cursor: number | null = 0; cursor !== null && Date.now() < until;) {
      const scan: Awaited<ReturnType<typeof admin.store.scanSessions>> = await admin.store.scanSessions({
        cursor,
        budget: 500,
      });
      for (const { userId } of scan.sessions) users.set(userId, (users.get(userId) ?? 0) + 1);
      for (const [userId, number] of users) if (number < MANY) users.delete(userId);
      cursor = scan.cursor;
      terminal.progress(`${Math.round(100 * scan.progress)} % of the users searched`);
    }
  } catch (error) {
    const text = `The sessions cannot be read: ${error instanceof Error ? error.message : String(error)}`;
    return [{ level: 'error', forgets: false, text }];
  }
  return [...users].map(([userId, number]) => ({
    level: 'warning',
    forgets: false,
    text: `User ${printable(userId)} has ${number} sessions. Set maxSessionsPerUser, and find out who signs in so often.`,
  }));
}

/** Keys that would stay for good. A user who may not SCAN is no fault: the application does not need to. */
async function lastingKeys({ admin, terminal }: Context): Promise<ServerFinding[]> {
  try {
    terminal.progress('Searching for keys without a deadline');
    const { number, example, complete } = await admin.lastingKeys(BUDGET);
    if (!complete)
      terminal.note(`Not all keys were searched for such without a deadline, only for ${BUDGET / 1_000} s.`);
    if (number === 0 || example === null) return [];
    const text = `${count(number, 'key')} without a deadline, such as ${printable(example)}: something else than this library wrote or restored them. They stay for good; set one by EXPIRE, such as 30 days, or delete them.`;
    return [{ level: 'warning', forgets: false, text }];
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
    terminal.note(`Keys without a deadline were not searched for: ${cause}`);
    return [];
  }
}
