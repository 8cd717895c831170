import type { Command } from 'commander';
import { createProgram } from './program.js';
import { EXIT, MEANING } from './exit-codes.js';

interface Leaf {
  readonly name: string;
  readonly command: Command;
}

/** The commands that do something; `keys` alone only has others in it. */
function leavesOf({ commands }: Command, parent = ''): Leaf[] {
  return commands.flatMap((command) => {
    const name = `${parent}${command.name()}`;
    return command.commands.length > 0 ? leavesOf(command, `${name} `) : [{ name, command }];
  });
}

/** The page docs/cli.md, from the help of the commands. */
export function manual(): string {
  const program = createProgram();
  const codes = Object.entries(EXIT).map(([name, code]) => `- **${code}**: ${MEANING[name as keyof typeof EXIT]}.`);
  const commands = leavesOf(program).map(
    ({ name, command }) => `## ${name}\n\n\`\`\`text\n${command.helpInformation().trimEnd()}\n\`\`\`\n`,
  );
  return `# Command line

<!-- Generated from the help of the commands by "node scripts/cli-docs.mjs": change those. -->

\`nestjs-sessions-cli\` is a package of its own, for those who run an application with nestjs-sessions on Redis:

\`\`\`sh
export REDIS_URL=redis://localhost:6379
npx nestjs-sessions-cli doctor
npx nestjs-sessions-cli list ada
npx nestjs-sessions-cli end --where role=contractor --where 'idle>7d' --reason 'ticket 4711'
npx nestjs-sessions-cli token < cookie.txt
npx nestjs-sessions-cli keys rotate
npx nestjs-sessions-cli init
\`\`\`

Each command except the last two takes \`--redis\`, \`--prefix\` and \`--tenant\` as the application sets them, and \`--json\`. Results go to standard output,
questions, progress and messages to standard error. Colours and progress appear only on a terminal, and colours not with \`NO_COLOR\`.

Every end is an \`admin-action\` event with \`--actor\` and \`--reason\` on all instances of the application, and in its event stream.
The audit trail of the users (\`SessionHistory\`) is written only by applications, and does not contain ends from here. If an end is
interrupted, it says how many sessions it has ended, and so does its event, with \`completed: false\`; run it again to end the rest. The
first Ctrl-C waits for the batch that has been sent, the second does not.

Run \`init\` in the folder of an application. There is no schematic for \`nest add\`: it would add code that edits your files to every
installation of the library.

## On a large store

\`node bench/command-line.mjs\` measures the commands in a terminal, against a Redis with 100,000 sessions of 20,000 users. Redis, the
command line and an application ran on the same two cores, together with other work (load average 8 to 11):

| command                                   | time   | processor time |
| ----------------------------------------- | ------ | -------------- |
| \`--version\`                               | 0.4 s  | 0.2 s          |
| \`list\`                                    | 1.0 s  | 0.7 s          |
| \`list USER\`                               | 0.9 s  | 0.6 s          |
| \`stats\`                                   | 2.0 s  | 0.8 s          |
| \`stats\`, with several tenants             | 2.5 s  | 1.2 s          |
| \`stats --full\`, which reads every session | 10.0 s | 4.4 s          |
| \`end --all\`                               | 46.2 s | 5.0 s          |

Half of the processor time of a short command is that of Node and ioredis; of Nest, only the classes of errors and of the log are loaded.
\`--help\`, \`keys\` and \`init\` load none of them. Where sessions of several tenants are under one prefix, counting those of one reads the ids
of all: [why](tenants.md#what-a-tenant-does-not-separate).

\`end\` pauses for as long as it worked, so that requests find Redis idle half of the time; \`--fast\` leaves the pauses out. A guarded route
on the same Redis answered in 2.6 ms before, 2.4 ms meanwhile and 1.9 ms afterwards (median; mean 6.8, 8.2 and 4.5 ms). Without the
pauses, on a calmer machine, the end took 9.5 s, and the means were 2.8, 3.9 and 3.0 ms. No session is left. The notes of what ended, by
which cookies learn why they are refused, expire by themselves within an hour.

## Exit codes

${codes.join('\n')}

${commands.join('\n')}`;
}
