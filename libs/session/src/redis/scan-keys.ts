import type { Cluster, Redis } from 'ioredis';
import type { RedisConnection } from './connection/redis-connection.js';

/**
 * Names of all keys with a prefix, without that prefix, in batches and in no order: SCAN on every primary, over the
 * whole database. A key may appear twice.
 */
export async function* scanKeys(connection: RedisConnection, prefix: string, batch: number): AsyncGenerator<string[]> {
  const { client } = connection;
  // ioredis adds the client's own prefix to keys but not to patterns, and does not remove it from the results.
  const whole = (client.options.keyPrefix ?? '') + prefix;
  for (const node of primariesOf(client)) {
    let cursor = '0';
    do {
      const [next, keys] = await connection.ask(async () =>
        node.scan(cursor, 'MATCH', `${literal(whole)}*`, 'COUNT', batch),
      );
      cursor = next;
      yield keys.filter((key) => key.startsWith(whole)).map((key) => key.slice(whole.length));
    } while (cursor !== '0');
  }
}

function primariesOf(client: Redis | Cluster): Redis[] {
  return client.isCluster ? (client as Cluster).nodes('master') : [client as Redis];
}

/** Escapes the text so that the pattern matches only itself. */
function literal(text: string): string {
  return text.replace(/[\\*?[\]^-]/g, '\\$&');
}
