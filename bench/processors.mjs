// Which processor does what: the measured server has one to itself, and load generator and Redis use the others.
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';

const HAS_TASKSET = spawnSync('taskset', ['--version'], { stdio: 'ignore' }).status === 0;

/** False where processes cannot be pinned: then the figures scatter more. */
export const isPinned = HAS_TASKSET && availableParallelism() > 1;

const OTHERS = availableParallelism() > 2 ? `1-${availableParallelism() - 1}` : '1';

/**
 * The command that runs Node on the server's processor.
 * @param {readonly string[]} args
 * @returns {[string, string[]]}
 */
export function onServersProcessor(args) {
  const node = [process.execPath, ...args];
  return isPinned ? ['taskset', ['-c', '0', ...node]] : [process.execPath, [...args]];
}

/**
 * Keeps a running process away from the server's processor.
 * @param {number} pid
 */
export function keepAway(pid) {
  if (isPinned) spawnSync('taskset', ['-a', '-c', '-p', OTHERS, String(pid)], { stdio: 'ignore' });
}
