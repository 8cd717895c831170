import type { Redis } from 'ioredis';
import { clockWarning } from '../../model/clock-offset.js';
import { messageOf } from '../../model/error-text.js';
import { reportOn, type ServerFinding, type ServerReport } from './server-report.js';

/** One server, as seen from this process. */
export interface ServerDiagnosis {
  /** Host and port. */
  readonly address: string;
  /** Null: it did not answer. */
  readonly report: ServerReport | null;
  /** The server's wall clock less this process's, ms. */
  readonly clockOffset: number | null;
  /** ms. */
  readonly roundTrip: number | null;
}

export interface ServersDiagnosis {
  readonly servers: readonly ServerDiagnosis[];
  readonly findings: readonly ServerFinding[];
}

/** Asks a server for INFO and TIME. `ask` bounds each command in time. */
export async function diagnose(
  server: Redis,
  ask: <T>(command: () => Promise<T>) => Promise<T>,
): Promise<{ server: ServerDiagnosis; findings: readonly ServerFinding[] }> {
  const address = addressOf(server);
  try {
    const report = await ask(() => reportOn(server));
    const asked = Date.now();
    const [seconds, microseconds] = await ask(() => server.time());
    const roundTrip = Date.now() - asked;
    const clockOffset = Math.round(Number(seconds) * 1000 + Number(microseconds) / 1000 - asked - roundTrip / 2);
    const warning = clockWarning(clockOffset, address);
    return {
      server: { address, report, clockOffset, roundTrip },
      findings: [
        ...report.findings,
        ...(warning === null ? [] : [{ level: 'warning', forgets: false, text: warning } as const]),
      ],
    };
  } catch (error) {
    const text = `${address} does not answer INFO and TIME: ${messageOf(error)}`;
    return {
      server: { address, report: null, clockOffset: null, roundTrip: null },
      findings: [{ level: 'error', forgets: false, text }],
    };
  }
}

/** Host and port; of a server that a Sentinel named, where its connection leads. */
function addressOf({ options, stream }: Redis): string {
  const { host = 'localhost', port = 6379, path, sentinels } = options;
  if (!sentinels) return path ?? `${host}:${port}`;
  const { remoteAddress, remotePort } = stream ?? {};
  return remoteAddress === undefined ? 'the primary' : `${remoteAddress}:${remotePort}`;
}
