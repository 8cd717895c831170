import type { Cluster, Redis } from 'ioredis';
import { claimDigest, DEFAULT_CUTOFF_LIFETIME, instantOf } from '../model/blacklist.js';
import { TokenBlacklist, type BlacklistEntry, type BlacklistScope } from '../ports/token-blacklist.js';
import { RedisKeys } from './keys.js';
import { scripts } from './lua/scripts.generated.js';
import { RedisConnection } from './redis-connection.js';
import { evaluate, type ScriptName } from './script-runner.js';

/** Later than every instant that Redis takes for one with certainty, and written without an exponent. */
const LAST_INSTANT = 8.64e15;

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
    await this.put(this.deadlineOf({ ...scope, jti, expiresAt }));
  }

  async addBulk(entries: readonly BlacklistEntry[]): Promise<void> {
    // Checked before the first is written: a list with a mistake in it must not be half done.
    const deadlines = entries.map((entry) => this.deadlineOf(entry));
    // Sent in one go without waiting in between: one round trip a node, and every reply is looked at.
    await Promise.all(deadlines.map((deadline) => this.put(deadline)));
  }

  async isBlacklisted(jti: string, scope: BlacklistScope = {}): Promise<boolean> {
    const key = this.keys.blacklistedToken(claimDigest('jti', jti, scope.issuer));
    // An adopted client may be one that hands out numbers as text.
    return Number(await this.connection.ask(async () => this.connection.client.exists(key))) !== 0;
  }

  async revokeAllFor(subject: string, scope: BlacklistScope & { until?: Date | number } = {}): Promise<number> {
    const key = this.keys.blacklistedSubject(claimDigest('subject', subject, scope.issuer));
    const cutoff = await this.connection.upperBound();
    const until = scope.until === undefined ? cutoff + DEFAULT_CUTOFF_LIFETIME : instantOf('until', scope.until);
    const lifetime = Math.max(1, Math.min(until, LAST_INSTANT) - cutoff) + this.clockTolerance;
    return Number(String(await this.run(scripts.raiseCutoff, key, [cutoff, lifetime])));
  }

  async isRevokedFor(subject: string, issuedAt: Date | number, scope: BlacklistScope = {}): Promise<boolean> {
    const key = this.keys.blacklistedSubject(claimDigest('subject', subject, scope.issuer));
    const at = instantOf('issuedAt', issuedAt);
    const cutoff = await this.connection.ask(async () => this.connection.client.get(key));
    // A cutoff that cannot be read revokes everything: damage must let nobody in.
    return cutoff !== null && !(at >= Number(cutoff));
  }

  /** Takes its listeners off an adopted client, which stays open. Closes a shared connection that was opened by us. */
  async close(): Promise<void> {
    await this.connection.close();
  }

  private deadlineOf({ jti, expiresAt, issuer }: BlacklistEntry): { key: string; deadline: number } {
    return {
      key: this.keys.blacklistedToken(claimDigest('jti', jti, issuer)),
      deadline: Math.min(instantOf('expiresAt', expiresAt), LAST_INSTANT) + Math.ceil(this.clockTolerance),
    };
  }

  private async put({ key, deadline }: { key: string; deadline: number }): Promise<void> {
    await this.run(scripts.refuseToken, key, [deadline]);
  }

  private async run(script: (typeof scripts)[ScriptName], key: string, args: readonly number[]): Promise<unknown> {
    return this.connection.ask(async () => evaluate(this.connection.client, script, [key], args));
  }
}
