import { Command, InvalidArgumentError, Option } from 'commander';
import { withTerminal } from '../context.js';
import { durationOf } from '../duration.js';
import { EXIT } from '../exit-codes.js';
import { rotateJwtKeys, rotateSecrets, type KeyRotation } from '../key-rings.js';
import { JWT_ALGORITHMS, type JwtAlgorithm } from '../new-keys.js';
import { span } from '../session-view.js';

interface Flags {
  jwt?: JwtAlgorithm;
  variable?: string;
  longestSession: number;
  accessToken: number;
  leaked?: boolean;
  show?: boolean;
}

export function keysCommand(): Command {
  return new Command('keys').description('Secrets and keys of the application.').addCommand(rotateCommand());
}

function rotateCommand(): Command {
  return new Command('rotate')
    .description(
      'Says how to replace the secret of the application (option secrets), or with --jwt the key of its access tokens (option jwt.keys), while everybody stays signed in: which values to set, in which order, and when the old one may go. Changes nothing, and prints no secret without --show.',
    )
    .addOption(
      new Option('--jwt <algorithm>', 'replace the key of access tokens by one of this kind').choices(JWT_ALGORITHMS),
    )
    .option(
      '--variable <name>',
      'environment variable with the current values: secrets with commas between them, or a JSON list of keys (default: SESSION_SECRET, with --jwt JWT_KEYS)',
    )
    .addOption(
      new Option('--longest-session <duration>', 'the longest absoluteTimeout of the application')
        .argParser(duration)
        .default(30 * 86_400_000, '30d, that of rememberMe'),
    )
    .addOption(
      new Option('--access-token <duration>', 'the option jwt.accessTokenTtl of the application')
        .argParser(duration)
        .default(15 * 60_000, '15m'),
    )
    .option('--leaked', 'somebody else knows the current value: replace it at once')
    .option('--show', 'make the new value, and print it with the current ones; not where output goes into a log')
    .action(rotate);
}

async function rotate({ jwt, leaked = false, show = false, ...flags }: Flags, command: Command): Promise<void> {
  const variable = flags.variable ?? (jwt === undefined ? 'SESSION_SECRET' : 'JWT_KEYS');
  const source = { variable, current: process.env[variable], show, leaked };
  await withTerminal(command, (terminal) => {
    const rotation =
      jwt === undefined
        ? rotateSecrets({ ...source, lifetime: span(flags.longestSession) })
        : rotateJwtKeys(jwt, { ...source, lifetime: span(flags.accessToken) });
    const steps = rotation.steps.flatMap(({ when, value, effect }, index) => [
      `${index + 1}. ${when}`,
      `   ${terminal.colour('bold', `${variable}=${value}`)}`,
      `   ${effect}`,
      '',
    ]);
    const end = show ? 'Keep these lines out of logs.' : 'With --show, a new value is made and printed.';
    terminal.result(rotation, [...introduction(rotation), '', ...steps, end]);
    return EXIT.done;
  });
}

function introduction({ variable, option, found }: KeyRotation): string[] {
  const where = `${variable} is the variable that the application passes to the option ${option}.`;
  if (found === 0) return [where, 'It is not set here, so <current> stands for its value.'];
  if (found === 1) return [where];
  return [where, `${found} values are set. Each is accepted until it is removed: finish an earlier rotation first.`];
}

function duration(text: string): number {
  const ms = durationOf(text);
  if (ms === null || ms === 0) throw new InvalidArgumentError('It must be a duration such as 15m, 24h or 30d.');
  return ms;
}
