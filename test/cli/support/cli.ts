import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { join } from 'node:path';

export const program = join(process.cwd(), 'libs/session-cli/dist/main.js');
export const url = process.env['TEST_REDIS_URL'] ?? 'redis://127.0.0.1:6379';
export const WHY = ['--reason', 'ticket 4711', '--actor', 'root'];

export interface Result {
  code: number | null;
  out: string;
  err: string;
}

/** Starts the built command line with no variables but these. */
export function start(
  args: string[],
  redis = url,
  variables: Record<string, string> = {},
): ChildProcessWithoutNullStreams {
  const env = { PATH: process.env['PATH'], REDIS_URL: redis, ...variables };
  return spawn(process.execPath, [program, ...args], { env });
}

export async function finished(child: ChildProcessWithoutNullStreams): Promise<Result> {
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk) => (out += String(chunk)));
  child.stderr.on('data', (chunk) => (err += String(chunk)));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, out, err };
}

export async function cli(
  args: string[],
  {
    redis = url,
    input = '',
    variables = {},
  }: { redis?: string; input?: string; variables?: Record<string, string> } = {},
): Promise<Result> {
  const child = start(args, redis, variables);
  child.stdin.end(input);
  return finished(child);
}

export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 40_000;
  while (!(await isSo())) {
    if (Date.now() > deadline) throw new Error('it did not happen in 40 s');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
