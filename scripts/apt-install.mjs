// Installs Debian packages where no question has to be asked: as root on Debian.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/**
 * Whether apt was called; what it could not do is printed.
 *
 * @param {string} what named in the log
 * @param {readonly string[]} packages
 */
export function aptInstall(what, packages) {
  const isDebianRoot = process.getuid?.() === 0 && existsSync('/etc/debian_version');
  if (!isDebianRoot || spawnSync('apt-get', ['--version'], { stdio: 'ignore' }).status !== 0) return false;
  console.log(`npm test: installing ${what} (apt-get)`);
  const options = /** @type {const} */ ({
    encoding: 'utf8',
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
  for (const args of [
    ['update', '-qq'],
    ['install', '-y', '-qq', '--no-install-recommends', ...packages],
  ]) {
    const { status, stderr } = spawnSync('apt-get', args, options);
    if (status !== 0) console.error(`npm test: apt-get ${args[0]} failed: ${(stderr ?? '').trim()}`);
  }
  return true;
}
