import type { Cluster, Redis } from 'ioredis';
import type { RedisConnection } from './redis-connection.js';

/**
 * Names of all keys that begin with a prefix, without it, in portions and in no order: SCAN on every primary, over the
 * whole database. A key may come twice.
 */
export async function* scanKeys(connection: RedisConnection, prefix: string, batch: number): AsyncGenerator<string[]> {
  const { client } = connection;
  // A client's own prefix is added to the keys of every command but to no pattern, and not taken off what comes back.
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

/** The text as a pattern that fits nothing else. */
function literal(text: string): string {
  return text.replace(/[\\*?[\]^-]/g, '\\$&');
}
