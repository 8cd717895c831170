// The Chromium that browser tests drive: TEST_CHROMIUM, else one of PATH, else, as root on Debian, the package.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { aptInstall } from './apt-install.mjs';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'];

/** The path of a Chromium that is installed, or undefined. */
export function findChromium() {
  if (process.env.TEST_CHROMIUM) return process.env.TEST_CHROMIUM;
  const folders = (process.env.PATH ?? '').split(delimiter);
  return NAMES.flatMap((name) => folders.map((folder) => join(folder, name))).find((file) => existsSync(file));
}

/** The same; installs it where no question has to be asked. */
export function findOrInstallChromium() {
  const found = findChromium();
  if (found !== undefined && spawnSync('certutil', ['-H'], { stdio: 'ignore' }).error === undefined) return found;
  // With the tools to make a certificate and to trust it: device-bound sessions are tested on https://localhost.
  return aptInstall('chromium', ['chromium', 'libnss3-tools', 'openssl']) ? findChromium() : found;
}
