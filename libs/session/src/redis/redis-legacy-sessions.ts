import { LegacySessions, type LegacySession } from '../ports/legacy-sessions.js';
import type { RedisConnection } from './connection/redis-connection.js';
import { isWrongType } from './connection/redis-trouble.js';
import { scanKeys } from './scan-keys.js';

const BATCH = 100;

/** Sessions of connect-redis: one string `{prefix}<sid>` per session, whose TTL is the session's lifetime. */
export class RedisLegacySessions extends LegacySessions {
  constructor(
    private readonly connection: RedisConnection,
    private readonly prefix: string,
  ) {
    super();
  }

  async find(foreignId: string): Promise<LegacySession | null> {
    const { client } = this.connection;
    const key = this.prefix + foreignId;
    try {
      // Sent together: one round trip.
      const [text, lifetime] = await this.connection.ask(
        async () => Promise.all([client.get(key), client.pttl(key)]),
        isWrongType,
      );
      return text === null ? null : { text, lifetime: lifetime >= 0 ? lifetime : null };
    } catch (error) {
      if (isWrongType(error)) return null;
      throw error;
    }
  }

  async remove(foreignId: string): Promise<void> {
    await this.connection.ask(async () => this.connection.client.del(this.prefix + foreignId));
  }

  async *list({ batch = BATCH }: { batch?: number } = {}): AsyncGenerator<readonly string[]> {
    yield* scanKeys(this.connection, this.prefix, batch);
  }
}
