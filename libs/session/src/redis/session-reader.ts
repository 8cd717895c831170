import { withTenant, type SessionEvent } from '../model/events.js';
import { isSessionId, isUserKeyOf, sidOf } from '../model/ids.js';
import type { Session } from '../model/session.js';
import type { ReadOptions, SessionSnapshot } from '../ports/session-store.js';
import { StoreWait } from '../ports/store-wait.js';
import type { RedisKeys, UserKeys } from './keys.js';
import type { RedisClock } from './connection/redis-clock.js';
import type { RedisConnection } from './connection/redis-connection.js';
import { isWrongType } from './connection/redis-trouble.js';
import { withAccess } from './packed.js';
import { sessionsIn, snapshotFields, snapshotOf, type FieldValue, type StoredSnapshot } from './user-record.js';

const ABSENT: StoredSnapshot = { snapshot: { state: 'absent' }, stored: null, userId: '' };
/** Index of the clock in `snapshotFields`. */
const CLOCK = 6;

interface Reading<T> {
  readonly sessionId: string;
  readonly keys: UserKeys;
  readonly options: ReadOptions;
  readonly pick: (seen: StoredSnapshot) => T;
}

/** Reads users' hashes: a session by one HMGET, all sessions of a user by one HGETALL. Reports damage. */
export class SessionReader {
  constructor(
    private readonly connection: RedisConnection,
    private readonly keys: RedisKeys,
    private readonly timeShift: () => number,
    private readonly onDamage: (event: SessionEvent) => void,
    /** The last access of a session, if Redis does not know it yet. */
    private readonly unrecorded: (sessionId: string) => number | undefined = () => undefined,
    /** Whether to read the key to which a session is bound. */
    private readonly withBinding = true,
  ) {}

  /** The session, as of the start of the read. */
  read(sessionId: string, options: ReadOptions = {}): Promise<SessionSnapshot> {
    return this.reading(sessionId, options, ({ snapshot }) => snapshot);
  }

  /** The session with the data for a rewrite, as of the start of the read. */
  look(sessionId: string, options: ReadOptions = {}): Promise<StoredSnapshot> {
    return this.reading(sessionId, options, (seen) => seen);
  }

  private reading<T>(sessionId: string, options: ReadOptions, pick: (seen: StoredSnapshot) => T): Promise<T> {
    if (!isSessionId(sessionId)) return Promise.resolve(pick(ABSENT));
    const keys = this.keys.ofSession(sessionId);
    const read = { sessionId, keys, options, pick };
    const clock = this.connection.knownClock(keys.slot);
    if (clock) return this.readingBy(clock, read);
    const { wait } = options;
    const known = this.connection.clockFor(keys.slot, wait);
    return (wait ? wait.during(() => known) : known).then((found) => this.readingBy(found, read));
  }

  /** Makes one promise beside that of the command, because this runs for every request. */
  private readingBy<T>(clock: RedisClock, { sessionId, keys, options, pick }: Reading<T>): Promise<T> {
    const { wait, tokenId } = options;
    const now = clock.now() + this.timeShift();
    const fields = snapshotFields(sidOf(sessionId), tokenId, this.withBinding);
    wait?.begin();
    return this.connection.readHash(keys.user, fields, isWrongType, keys.slot, wait).then(
      (values) => {
        wait?.end();
        const known = this.withUnrecorded(sessionId, values);
        const seen = snapshotOf(sessionId, known, { now, tenant: keys.tenant });
        if (isExpired(seen) && known[CLOCK]) return this.expired(sessionId, known, now, wait).then(pick);
        return pick(this.noticed(sessionId, seen));
      },
      (error: unknown) => {
        wait?.end();
        if (!isWrongType(error)) throw error;
        const detail = 'the user record is of another type';
        return pick(this.noticed(sessionId, { ...ABSENT, snapshot: { state: 'damaged', detail } }));
      },
    );
  }

  /** Rare; and wrong if the server's clock was set back since it was last read. */
  private async expired(
    sessionId: string,
    values: readonly FieldValue[],
    now: number,
    wait: StoreWait | undefined,
  ): Promise<StoredSnapshot> {
    const keys = this.keys.ofSession(sessionId);
    const sampled = async (): Promise<number> => {
      await this.connection.sampleClocks(wait);
      return this.timeFor(keys, wait);
    };
    const again = Math.min(now, await (wait ? wait.during(sampled) : sampled()));
    return this.noticed(sessionId, snapshotOf(sessionId, values, { now: again, tenant: keys.tenant }));
  }

  /** The user's live sessions, latest access first. */
  async list(userId: string): Promise<Session[]> {
    return this.listIn(this.keys.ofUser(userId), (owner) => owner === userId);
  }

  /** The live sessions in a user's record; none if it belongs to another tenant. */
  async listOf(userKey: string): Promise<Session[]> {
    return this.listIn(this.keys.ofUserKey(userKey), (owner) => isUserKeyOf(userKey, owner, this.keys.tenant));
  }

  private async listIn(keys: UserKeys, isOwner: (userId: string) => boolean): Promise<Session[]> {
    const wait = new StoreWait();
    const [now, all] = await wait.during(async () => {
      const time = await this.timeFor(keys, wait);
      return [time, await this.readAll(keys, wait)] as const;
    });
    const fields = new Map(all);
    for (const [name, clock] of fields) {
      const at = name.startsWith('c') ? this.unrecorded(keys.userKey + name.slice(1)) : undefined;
      if (at !== undefined) fields.set(name, withAccess(clock, at));
    }
    return isOwner(fields.get('u')?.toString('utf8') ?? '') ? sessionsIn(keys, fields, now, this.withBinding) : [];
  }

  /** Announces damage. */
  noticed(sessionId: string, seen: StoredSnapshot): StoredSnapshot {
    if (seen.snapshot.state === 'damaged') {
      const at = this.connection.now() + this.timeShift();
      const { detail } = seen.snapshot;
      const event = { type: 'damaged', at, sessionId, userId: seen.userId, remote: false, detail } as const;
      this.onDamage(withTenant(event, this.keys.tenant));
    }
    return seen;
  }

  private withUnrecorded(sessionId: string, values: readonly FieldValue[]): readonly FieldValue[] {
    const at = this.unrecorded(sessionId);
    const clock = values[CLOCK];
    return at === undefined || !clock
      ? values
      : values.map((value, index) => (index === CLOCK ? withAccess(clock, at) : value));
  }

  private async readAll(keys: UserKeys, wait: StoreWait): Promise<ReadonlyMap<string, Buffer>> {
    try {
      const { client } = this.connection;
      const fields = await this.connection.ask(
        async () => client.hgetallBuffer(keys.user),
        isWrongType,
        keys.slot,
        wait,
      );
      return new Map(Object.entries(fields));
    } catch (error) {
      if (isWrongType(error)) return new Map();
      throw error;
    }
  }

  private async timeFor(keys: UserKeys, wait: StoreWait | undefined): Promise<number> {
    return (await this.connection.clockFor(keys.slot, wait)).now() + this.timeShift();
  }
}

function isExpired({ snapshot }: StoredSnapshot): boolean {
  return snapshot.state === 'ended' && (snapshot.reason === 'idle' || snapshot.reason === 'absolute');
}
