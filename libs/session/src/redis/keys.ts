import { userKeyOf, userKeyOfSession } from '../model/ids.js';
import { HASH_TAGS } from './hash-tags.js';

/** How many buckets users are spread over. */
export const BUCKETS = 1024;

/** A user's hash and the sorted set of deadlines in the same slot: all that an operation on the user declares. */
export interface UserKeys {
  readonly userKey: string;
  readonly user: string;
  readonly expiries: string;
  /** The slot of both keys in a Redis Cluster. */
  readonly slot: number;
}

/** Every name this library uses in Redis, in one place. */
export class RedisKeys {
  readonly events: string;

  constructor(
    private readonly prefix: string,
    private readonly tenant: string,
  ) {
    this.events = `${prefix}events`;
  }

  ofUser(userId: string): UserKeys {
    return this.ofUserKey(userKeyOf(userId, this.tenant));
  }

  ofSession(sessionId: string): UserKeys {
    return this.ofUserKey(userKeyOfSession(sessionId));
  }

  ofUserKey(userKey: string): UserKeys {
    const bucket = bucketOf(userKey);
    return {
      userKey,
      user: `${this.prefix}{${tagOf(bucket)}}:user:${userKey}`,
      expiries: this.expiries(bucket),
      slot: slotOf(bucket),
    };
  }

  expiries(bucket: number): string {
    return `${this.prefix}{${tagOf(bucket)}}:expiries`;
  }

  /** Where consumers find what happened to users of the bucket: in its slot of a Cluster, in one place for all elsewhere. */
  stream(bucket: number, isCluster: boolean): string {
    return isCluster ? `${this.prefix}{${tagOf(bucket)}}:stream` : `${this.prefix}stream`;
  }

  /** Since when each consumer group is there. */
  get streamGroups(): string {
    return `${this.prefix}stream-groups`;
  }

  history({ userKey }: UserKeys): string {
    return `${this.prefix}{${tagOf(bucketOf(userKey))}}:history:${userKey}`;
  }

  alias(digest: string): string {
    return `${this.prefix}alias:${digest}`;
  }

  blacklistedToken(digest: string): string {
    return `${this.prefix}blacklist:token:${digest}`;
  }

  blacklistedSubject(digest: string): string {
    return `${this.prefix}blacklist:subject:${digest}`;
  }
}

/** The first ten bits of the user key. */
export function bucketOf(userKey: string): number {
  const bytes = Buffer.from(userKey.slice(0, 3), 'base64url');
  return bytes.readUInt16BE(0) >> 6;
}

export function slotOf(bucket: number): number {
  return bucket * 16;
}

function tagOf(bucket: number): string {
  const tag = HASH_TAGS[bucket];
  if (tag === undefined) throw new RangeError(`there is no bucket ${bucket}`);
  return tag;
}
