import type { Command } from 'commander';

/** The id of a session that looks like an option. No option has this length. */
const HYPHEN_ID = /^-[\w-]{31}$/;

/**
 * One session id in 64 begins with a hyphen, as an option does. Moves such an id to the end, behind `--`, unless it is the value of
 * an option.
 *
 * @param args without the paths of Node and the program
 */
export function behindOptions(program: Command, args: readonly string[]): string[] {
  if (args.includes('--')) return [...args];
  const command = program.commands.find((one) => one.name() === args[0]);
  const takesValue = (name = ''): boolean =>
    command?.options.some(({ long, short, required }) => required && [long, short].includes(name)) === true;
  const isId = (arg: string, index: number): boolean => HYPHEN_ID.test(arg) && !takesValue(args[index - 1]);
  const ids = args.filter(isId);
  return ids.length === 0 ? [...args] : [...args.filter((arg, index) => !isId(arg, index)), '--', ...ids];
}
