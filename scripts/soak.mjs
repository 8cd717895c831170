// Runs test/soak/soak.ts: `npm run soak` for ten minutes, `npm run soak -- --seconds 60` for one.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '600' } } });
const seconds = Number(values.seconds);
if (!Number.isFinite(seconds) || seconds < 1) throw new Error('--seconds needs a number from 1');
const { status } = spawnSync(
  process.execPath,
  [
    '--experimental-vm-modules',
    '--disable-warning=ExperimentalWarning',
    'node_modules/jest/bin/jest.js',
    '-i',
    // After the last result. Otherwise Node 20 may spin for ever as it frees its handles (Environment::CleanupHandles), because
    // of connections that the faults have reset.
    '--forceExit',
    '--testMatch=**/test/soak/soak.ts',
    `--testTimeout=${(seconds + 120) * 1_000}`,
  ],
  {
    cwd: fileURLToPath(new URL('..', import.meta.url)),
    env: { ...process.env, SOAK_SECONDS: String(seconds) },
    stdio: 'inherit',
    timeout: (seconds + 180) * 1_000,
    killSignal: 'SIGKILL',
  },
);
process.exitCode = status ?? 1;
