import { text } from '../model/record-fields.js';
import {
  readableHistory,
  SessionHistory,
  type HistoryLimits,
  type SessionHistoryEntry,
} from '../ports/session-history.js';
import type { RedisKeys } from './keys.js';
import { scripts } from './lua/scripts.generated.js';
import type { RedisConnection } from './connection/redis-connection.js';
import { evaluate } from './script-runner.js';

/**
 * Keeps audit trails on Redis, one key per user: `{prefix}{tag}:history:<user key>`, a sorted set of entries (JSON) by
 * instant, which expires with its latest entry. A write is one script, a read one ZRANGEBYSCORE.
 */
export class RedisSessionHistory extends SessionHistory {
  constructor(
    private readonly connection: RedisConnection,
    private readonly keys: RedisKeys,
    private readonly limits: HistoryLimits,
    private readonly timeShift: () => number,
  ) {
    super();
  }

  async add(userId: string, entry: SessionHistoryEntry): Promise<void> {
    const { maxEntries, retention } = this.limits;
    // The key is an address and no proof, so the entry names its user.
    const member = JSON.stringify({ ...entry, userId: text('userId', userId) });
    const args = [member, entry.at, maxEntries, retention, this.timeShift()];
    await this.connection.ask(async () =>
      evaluate(this.connection.client, scripts.addHistory, [this.keyOf(userId)], args),
    );
  }

  async list(userId: string, { limit }: { limit?: number } = {}): Promise<SessionHistoryEntry[]> {
    const keys = this.keys.ofUser(userId);
    const now = (await this.connection.clockFor(keys.slot)).now() + this.timeShift();
    const since = now - this.limits.retention;
    const members = await this.connection.ask(async () =>
      this.connection.client.zrangebyscore(this.keyOf(userId), since, '+inf'),
    );
    return readableHistory(
      members.flatMap((member) => entryIn(member, userId)),
      limit,
    );
  }

  async clear(userId: string): Promise<void> {
    await this.connection.ask(async () => this.connection.client.del(this.keyOf(userId)));
  }

  private keyOf(userId: string): string {
    return this.keys.history(this.keys.ofUser(userId));
  }
}

/** The entry, or nothing if it is another user's or cannot be read. */
function entryIn(member: string, userId: string): SessionHistoryEntry[] {
  try {
    const { userId: owner, ...entry } = JSON.parse(member) as SessionHistoryEntry & { userId: string };
    return owner === userId && typeof entry.at === 'number' && typeof entry.type === 'string' ? [entry] : [];
  } catch {
    return [];
  }
}
