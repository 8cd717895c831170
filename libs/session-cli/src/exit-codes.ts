/** The exit codes, with what they mean; `docs/cli.md` lists them. */
export const EXIT = {
  done: 0,
  partly: 1,
  failed: 2,
  usage: 64,
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export const MEANING: Readonly<Record<keyof typeof EXIT, string>> = {
  done: 'everything was done; `doctor` found nothing; `token` is alive',
  partly:
    'nothing of that name is there, lines of a file were skipped, the question was answered with no, or `doctor` has warnings',
  failed: 'Redis or a file could not be reached, or an end stopped on the way; `doctor` found a fault',
  usage: 'the command or its options are wrong, or `init` does not know the layout; nothing was done',
  interrupted: 'interrupted by Ctrl-C, or the terminal was closed; the message says how much was done',
};

/** Ends the command with a message and a code. */
export class CommandError extends Error {
  constructor(
    message: string,
    readonly exitCode: ExitCode,
  ) {
    super(message);
  }
}
