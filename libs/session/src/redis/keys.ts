import { hash } from 'node:crypto';
import { userKeyOf, userKeyOfSession } from '../model/ids.js';
import { HASH_TAGS } from './hash-tags.js';

/** Number of buckets that users are spread over. */
export const BUCKETS = 1024;

/** A user's hash and the sorted set of deadlines in the same slot: all keys of an operation on the user. */
export interface UserKeys {
  readonly userKey: string;
  /** The tenant that the user must belong to; scripts leave other users alone. */
  readonly tenant: string;
  readonly user: string;
  readonly expiries: string;
  /** The slot of both keys in a Redis Cluster. */
  readonly slot: number;
}

/** Stands for any tenant. No tenant can have this name. */
export const ANY_TENANT = '\0';

/** First parts of this library's key names, after `keyPrefix`. */
const NAMES = ['{', 'alias:', 'blacklist:', 'dpop:', 'events', 'stream', 'sweeper', 'tenants', 'watermark:'];

/** Every name this library uses in Redis, in one place; `docs/redis.md` lists them. */
export class RedisKeys {
  readonly events: string;
  /** What the keys of a bucket begin with, by its number. */
  private readonly bucketPrefixes: string[] = [];

  constructor(
    readonly prefix: string,
    readonly tenant: string,
  ) {
    this.events = `${prefix}events`;
  }

  /** Whether a key that begins with `prefix`, such as another library's, may be a key of this library. */
  overlaps(prefix: string): boolean {
    return NAMES.some((name) => {
      const own = this.prefix + name;
      return own.startsWith(prefix) || prefix.startsWith(own);
    });
  }

  ofUser(userId: string): UserKeys {
    return this.ofUserKey(userKeyOf(userId, this.tenant));
  }

  ofSession(sessionId: string): UserKeys {
    return this.ofUserKey(userKeyOfSession(sessionId));
  }

  ofUserKey(userKey: string, tenant = this.tenant): UserKeys {
    const bucket = bucketOf(userKey);
    const place = this.placeOf(bucket);
    return {
      userKey,
      tenant,
      user: `${place}:user:${userKey}`,
      expiries: `${place}:expiries`,
      slot: slotOf(bucket),
    };
  }

  expiries(bucket: number): string {
    return `${this.placeOf(bucket)}:expiries`;
  }

  private placeOf(bucket: number): string {
    return (this.bucketPrefixes[bucket] ??= `${this.prefix}{${tagOf(bucket)}}`);
  }

  /**
   * The stream for events of the bucket's users: one per bucket on a Cluster, in the bucket's slot; otherwise one for
   * all.
   */
  stream(bucket: number, isCluster: boolean): string {
    return isCluster ? `${this.placeOf(bucket)}:stream` : `${this.prefix}stream`;
  }

  /** Never written: used to test permissions. */
  get probe(): string {
    return `${this.prefix}probe`;
  }

  /** When each consumer group was created. */
  get streamGroups(): string {
    return `${this.prefix}stream-groups`;
  }

  history({ userKey }: UserKeys): string {
    return `${this.prefix}{${tagOf(bucketOf(userKey))}}:history:${userKey}`;
  }

  /**
   * Exists once a tenant has kept a session under this prefix: from then on buckets hold sessions of several tenants.
   */
  get tenants(): string {
    return `${this.prefix}tenants`;
  }

  /** The name of the instance that sweeps. A later version of the record needs another key. */
  get sweeper(): string {
    return `${this.prefix}sweeper`;
  }

  /** What an instance counts to notice that a server lost writes; on a Cluster in the slot of a bucket. */
  watermark(origin: string, bucket?: number): string {
    const place = bucket === undefined ? '' : `{${tagOf(bucket)}}:`;
    return `${this.prefix}${place}watermark:${origin}`;
  }

  alias(digest: string): string {
    const { prefix, tenant } = this;
    return tenant === '' ? `${prefix}alias:${digest}` : `${prefix}alias:${digestOf(tenant)}:${digest}`;
  }

  /** Has no tag: proofs are spread over all slots of a Cluster. */
  spentProof(digest: string): string {
    return `${this.prefix}dpop:${digest}`;
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
  return (sixBits(userKey, 0) << 4) | (sixBits(userKey, 1) >> 2);
}

const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const VALUES = new Map([...BASE64URL].map((character, value) => [character.charCodeAt(0), value]));

/** The value of a character of base64url. */
function sixBits(text: string, at: number): number {
  const value = VALUES.get(text.charCodeAt(at));
  if (value === undefined) throw new RangeError('a user key is base64url');
  return value;
}

export function slotOf(bucket: number): number {
  return bucket * 16;
}

function digestOf(tenant: string): string {
  return hash('sha256', tenant, 'base64url').slice(0, 22);
}

function tagOf(bucket: number): string {
  const tag = HASH_TAGS[bucket];
  if (tag === undefined) throw new RangeError(`there is no bucket ${bucket}`);
  return tag;
}
