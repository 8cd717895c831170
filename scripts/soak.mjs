// Runs test/soak/soak.ts: `npm run soak` for ten minutes, `npm run soak -- --seconds 60` for one, on a primary and its replica
// or with `--topology sentinel` or `--topology cluster`. `--min-replicas 0`: ends do not wait for replicas, and those that a
// failover undoes are counted.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const TOPOLOGIES = ['single', 'sentinel', 'cluster'];

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '600' },
    topology: { type: 'string', default: 'single' },
    'min-replicas': { type: 'string' },
  },
});
const seconds = Number(values.seconds);
if (!Number.isFinite(seconds) || seconds < 1) throw new Error('--seconds needs a number from 1');
if (!TOPOLOGIES.includes(values.topology)) throw new Error(`--topology needs one of ${TOPOLOGIES.join(', ')}`);
const minReplicas = values['min-replicas'];
if (minReplicas !== undefined && !/^\d$/.test(minReplicas)) throw new Error('--min-replicas needs a number from 0');

const registry = mkdtempSync(join(tmpdir(), 'sessions-soak-'));
process.on('exit', removeLeftovers);
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
    `--testTimeout=${(seconds + 240) * 1_000}`,
  ],
  {
    cwd: fileURLToPath(new URL('..', import.meta.url)),
    env: {
      ...process.env,
      SOAK_SECONDS: String(seconds),
      SOAK_TOPOLOGY: values.topology,
      ...(minReplicas !== undefined && { SOAK_MIN_REPLICAS: minReplicas }),
      TEST_REDIS_REGISTRY: registry,
    },
    stdio: 'inherit',
    timeout: (seconds + 300) * 1_000,
    killSignal: 'SIGKILL',
  },
);
process.exitCode = status ?? 1;

/** Servers of a soak that was killed. */
function removeLeftovers() {
  for (const name of readdirSync(registry).filter((file) => /^\d+$/.test(file))) {
    try {
      process.kill(Number(name), 'SIGKILL');
    } catch {
      // It has ended.
    }
  }
  rmSync(registry, { recursive: true, force: true });
}
