import { performance } from 'node:perf_hooks';
import type { RedisConnection } from './connection/redis-connection.js';
import { scanKeys } from './scan-keys.js';

/** Keys that always have a deadline, by their names after the prefix. */
const EXPIRING = /^(\{[^}]*\}:(user|history):|alias:|blacklist:|dpop:|sweeper$|(\{[^}]*\}:)?watermark:)/;
const BATCH = 1_000;

/** Keys of this library that have no deadline although they should: they would stay for good. */
export interface LastingKeys {
  readonly number: number;
  /** The name of one; null if there is none. */
  readonly example: string | null;
  /** Whether all keys were looked at within the budget. */
  readonly complete: boolean;
}

/**
 * Looks at the deadlines of all keys with the prefix, in batches (SCAN and PTTL), for about `budget` ms.
 *
 * @throws {StoreUnavailableError} if the server does not answer, or does not allow SCAN.
 */
export async function lastingKeys(connection: RedisConnection, prefix: string, budget: number): Promise<LastingKeys> {
  const until = performance.now() + budget;
  const { client } = connection;
  const found = new Set<string>();
  const result = (complete: boolean): LastingKeys => {
    const [example = null] = found;
    return { number: found.size, example, complete };
  };
  for await (const names of scanKeys(connection, prefix, BATCH)) {
    if (performance.now() > until) return result(false);
    const keys = names.filter((name) => EXPIRING.test(name)).map((name) => prefix + name);
    const lives = await connection.ask(async () => Promise.all(keys.map(async (key) => client.pttl(key))));
    // -2: it has expired meanwhile.
    for (const [index, life] of lives.entries()) if (Number(life) === -1) found.add(keys[index] ?? '');
  }
  return result(true);
}
