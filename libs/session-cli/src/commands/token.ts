import { Command } from 'commander';
import { withAdmin } from '../context.js';
import { CommandError, EXIT } from '../exit-codes.js';
import { library } from '../library.js';
import { printable } from '../terminal.js';

/** More than any token, so that a wrong file is refused early, characters. */
const LONGEST = 65_536;

export function tokenCommand(): Command {
  return new Command('token')
    .description(
      'Reads a cookie, refresh token or access token from standard input and says what it is, whose, and whether it is alive or why not. Prints no part of it that grants access.',
    )
    .action(token);
}

async function token(_flags: object, command: Command): Promise<void> {
  const text = await standardInput();
  await withAdmin(command, async ({ admin, terminal }) => {
    const description = await library().describeToken(bareToken(text), admin.store);
    const { kind, standing, why, sessionId, userId, issuedAt, expiresAt } = description;
    const line = (name: string, value: string | undefined): string[] =>
      value === undefined ? [] : [`${name.padEnd(8)}  ${printable(value)}`];
    const date = (at: number | undefined): string | undefined =>
      at === undefined || !Number.isFinite(new Date(at).getTime()) ? undefined : new Date(at).toISOString();
    terminal.result(description, [
      ...line('kind', kind),
      ...line('state', standing),
      ...line('why', why),
      ...line('session', sessionId),
      ...line('user', userId),
      ...line('issued', date(issuedAt)),
      ...line('expires', date(expiresAt)),
    ]);
    return standing === 'dead' ? EXIT.partly : EXIT.done;
  });
}

/** The token of a header or a cookie, such as `Bearer …` or `session=…`. */
function bareToken(text: string): string {
  return text.trim().replace(/^(authorization:\s*)?bearer\s+|^(cookie:\s*)?[\w-]+=/i, '');
}

async function standardInput(): Promise<string> {
  if (process.stdin.isTTY) process.stderr.write('Paste the token, then Ctrl-D: ');
  let text = '';
  for await (const chunk of process.stdin) {
    text += String(chunk);
    if (text.length > LONGEST) throw new CommandError('token: standard input is too long for a token.', EXIT.usage);
  }
  if (text.trim() === '') throw new CommandError('token: standard input is empty.', EXIT.usage);
  return text;
}
