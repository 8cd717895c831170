import type { Cluster, Redis } from 'ioredis';
import { claimDigest, DEFAULT_CUTOFF_LIFETIME, instantOf } from '../model/blacklist.js';
import { TokenBlacklist, type BlacklistEntry, type BlacklistScope } from '../ports/token-blacklist.js';
import { RedisKeys } from './keys.js';
import { scripts } from './lua/scripts.generated.js';
import { RedisConnection } from './redis-connection.js';
import { evaluate } from './script-runner.js';

export interface RedisTokenBlacklistOptions {
  /** Begins every key. Default `session:`. */
  keyPrefix?: string;
  /** How long after `exp` verifiers may still accept a token, ms. Default 60,000. */
  clockTolerance?: number;
  /** Longest wait for an answer of Redis, ms. Default 500. */
  commandTimeout?: number;
}

/**
 * Refused tokens on Redis.
 *
 * | key | type | what |
 * |---|---|---|
 * | `{prefix}blacklist:token:<digest of issuer and jti>` | string | there until `exp` plus tolerance |
 * | `{prefix}blacklist:subject:<digest of issuer and subject>` | string | instant before which the subject's tokens are dead |
 */
export class RedisTokenBlacklist extends TokenBlacklist {
  private readonly keys: RedisKeys;
  private readonly connection: RedisConnection;
  private readonly clockTolerance: number;

  /** Adopts a client, which stays open, or shares a connection that was opened for it. */
  constructor(redis: Redis | Cluster | RedisConnection, options: RedisTokenBlacklistOptions = {}) {
    super();
    const { keyPrefix = 'session:', clockTolerance = 60_000, commandTimeout = 500 } = options;
    this.keys = new RedisKeys(keyPrefix, '');
    this.clockTolerance = clockTolerance;
    this.connection = redis instanceof RedisConnection ? redis : new RedisConnection(redis, { commandTimeout });
  }

  async add(jti: string, expiresAt: Date | number, scope: BlacklistScope = {}): Promise<void> {
    await this.write({ jti, expiresAt, ...scope });
  }

  async addBulk(entries: readonly BlacklistEntry[]): Promise<void> {
    // Checked before the first is written: a list with a mistake in it must not be half done.
    const deadlines = entries.map((entry) => this.deadlineOf(entry));
    // Sent in one go without waiting in between: one round trip a node, and every reply is looked at.
    await Promise.all(deadlines.map((deadline) => this.put(deadline)));
  }

  async isBlacklisted(jti: string, scope: BlacklistScope = {}): Promise<boolean> {
    const key = this.keys.blacklistedToken(claimDigest('jti', jti, scope.issuer));
    return (await this.connection.ask(async () => this.connection.client.exists(key))) === 1;
  }

  async revokeAllFor(subject: string, scope: BlacklistScope & { until?: Date | number } = {}): Promise<number> {
    const key = this.keys.blacklistedSubject(claimDigest('subject', subject, scope.issuer));
    await this.clock();
    const cutoff = this.connection.now() + 1;
    const until = scope.until === undefined ? cutoff + DEFAULT_CUTOFF_LIFETIME : instantOf('until', scope.until);
    const ttl = Math.max(1, until - cutoff) + this.clockTolerance;
    const reply = await this.connection.ask(async () => evaluate(this.connection.client, scripts.raiseCutoff, [key], [cutoff, ttl]));
    return Number(String(reply));
  }

  async isRevokedFor(subject: string, issuedAt: Date | number, scope: BlacklistScope = {}): Promise<boolean> {
    const key = this.keys.blacklistedSubject(claimDigest('subject', subject, scope.issuer));
    const at = instantOf('issuedAt', issuedAt);
    const cutoff = await this.connection.ask(async () => this.connection.client.get(key));
    return cutoff !== null && at < Number(cutoff);
  }

  private async write(entry: BlacklistEntry): Promise<void> {
    await this.put(this.deadlineOf(entry));
  }

  private deadlineOf({ jti, expiresAt, issuer }: BlacklistEntry): { key: string; deadline: number } {
    return {
      key: this.keys.blacklistedToken(claimDigest('jti', jti, issuer)),
      deadline: instantOf('expiresAt', expiresAt) + this.clockTolerance,
    };
  }

  private async put({ key, deadline }: { key: string; deadline: number }): Promise<void> {
    // A deadline in the past makes Redis delete the key; such a token is refused for its `exp` anyway.
    await this.connection.ask(async () => this.connection.client.set(key, '', 'PXAT', Math.max(1, deadline)));
  }

  private async clock(): Promise<void> {
    await this.connection.clockFor(0);
  }
}
