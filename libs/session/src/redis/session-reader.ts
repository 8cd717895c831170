import type { SessionDamagedEvent } from '../model/events.js';
import { isSessionId, sidOf } from '../model/ids.js';
import type { Session } from '../model/session.js';
import type { ReadOptions } from '../ports/session-store.js';
import type { RedisKeys, UserKeys } from './keys.js';
import type { RedisConnection } from './redis-connection.js';
import { isWrongType } from './redis-trouble.js';
import { sessionsIn, snapshotFields, snapshotOf, type StoredSnapshot } from './user-record.js';

/** Reads users' hashes: a session by one HMGET, all of a user by one HGETALL. Says where something is damaged. */
export class SessionReader {
  constructor(
    private readonly connection: RedisConnection,
    private readonly keys: RedisKeys,
    private readonly timeShift: () => number,
    private readonly onDamage: (event: SessionDamagedEvent) => void,
  ) {}

  /** The session with what those need who write it anew, as of the moment of asking. */
  async look(sessionId: string, options: ReadOptions = {}): Promise<StoredSnapshot> {
    if (!isSessionId(sessionId)) return { snapshot: { state: 'absent' }, stored: null, userId: '' };
    const keys = this.keys.ofSession(sessionId);
    const now = await this.timeFor(keys);
    const fields = snapshotFields(sidOf(sessionId), options.tokenId);
    try {
      const values = await this.connection.ask(
        async () => this.connection.client.hmgetBuffer(keys.user, ...fields),
        isWrongType,
      );
      return this.noticed(sessionId, snapshotOf(sessionId, values, now));
    } catch (error) {
      if (!isWrongType(error)) throw error;
      const detail = 'the user record is of another type';
      return this.noticed(sessionId, { snapshot: { state: 'damaged', detail }, stored: null, userId: '' });
    }
  }

  /** The user's live sessions, latest access first. */
  async list(userId: string): Promise<Session[]> {
    const keys = this.keys.ofUser(userId);
    const now = await this.timeFor(keys);
    const fields = await this.readAll(keys);
    return fields.get('u')?.toString('utf8') === userId ? sessionsIn(keys, fields, now) : [];
  }

  /** Announces damage where it is seen. */
  noticed(sessionId: string, seen: StoredSnapshot): StoredSnapshot {
    if (seen.snapshot.state === 'damaged') {
      const at = this.connection.now() + this.timeShift();
      const { detail } = seen.snapshot;
      this.onDamage({ type: 'damaged', at, sessionId, userId: seen.userId, remote: false, detail });
    }
    return seen;
  }

  private async readAll(keys: UserKeys): Promise<ReadonlyMap<string, Buffer>> {
    try {
      const { client } = this.connection;
      const fields = await this.connection.ask(async () => client.hgetallBuffer(keys.user), isWrongType);
      return new Map(Object.entries(fields));
    } catch (error) {
      if (isWrongType(error)) return new Map();
      throw error;
    }
  }

  private async timeFor(keys: UserKeys): Promise<number> {
    return (await this.connection.clockFor(keys.slot)).now() + this.timeShift();
  }
}
