import { claimDigest, DEFAULT_CUTOFF_LIFETIME, instantOf } from '../model/blacklist.js';
import { assertTenant } from '../model/tenant.js';
import type { HearingWatch } from '../ports/hearing-watch.js';
import {
  TokenBlacklist,
  type BlacklistEntry,
  type BlacklistRefusal,
  type BlacklistScope,
} from '../ports/token-blacklist.js';
import { RedisKeys } from './keys.js';
import { scripts } from './lua/scripts.generated.js';
import type { RedisClient } from '../options/redis-option.js';
import type { OpenConnection } from './connection/open-connection.js';
import { RedisConnection } from './connection/redis-connection.js';
import { alwaysWriting, ReplicatedWrites } from './connection/replicated-writes.js';
import { keySlot } from './key-slot.js';
import { parseRefusal, refusalMessage } from './events/wire-format.js';
import { evaluate, type ScriptName } from './script-runner.js';

/** Later than every instant that Redis accepts as a deadline, and written without an exponent. */
const LAST_INSTANT = 8.64e15;

export interface RedisTokenBlacklistOptions {
  /** Prefix of every key. Default `session:`. */
  keyPrefix?: string;
  /** How long after `exp` verifiers may still accept a token, ms. Default 60,000. */
  clockTolerance?: number;
  /** Longest wait for an answer of Redis, ms. Default 500. */
  commandTimeout?: number;
  /** How many replicas must confirm a revocation before it counts. Default 0. */
  minReplicas?: number;
  /** The tenant whose tokens are kept. Default: none. */
  tenant?: string;
}

/** Refused tokens on Redis. A token's key lives until `exp` plus tolerance. `docs/redis.md` lists the keys. */
export class RedisTokenBlacklist extends TokenBlacklist {
  override readonly tenant: string;
  private readonly keys: RedisKeys;
  private readonly connection: RedisConnection;
  private readonly clockTolerance: number;
  private replicated: ReplicatedWrites | null = null;
  private isView = false;

  /** Adopts a client, which stays open, or shares a connection that was opened for it. */
  constructor(redis: RedisClient | OpenConnection, options: RedisTokenBlacklistOptions = {}) {
    super();
    const {
      keyPrefix = 'session:',
      clockTolerance = 60_000,
      commandTimeout = 500,
      minReplicas = 0,
      tenant = '',
    } = options;
    assertTenant(tenant);
    this.tenant = tenant;
    this.keys = new RedisKeys(keyPrefix, tenant);
    this.clockTolerance = clockTolerance;
    this.connection = RedisConnection.of(redis, { commandTimeout });
    if (minReplicas > 0) this.replicated = new ReplicatedWrites(this.connection, minReplicas);
  }

  override forTenant(tenant: string): RedisTokenBlacklist {
    if (tenant === this.tenant) return this;
    const { clockTolerance, keys, connection } = this;
    const view = new RedisTokenBlacklist(connection, { keyPrefix: keys.prefix, clockTolerance, tenant });
    view.replicated = this.replicated;
    view.isView = true;
    return view;
  }

  async add(jti: string, expiresAt: Date | number, scope: BlacklistScope = {}): Promise<void> {
    await this.put(this.deadlineOf({ ...scope, jti, expiresAt }));
  }

  async addBulk(entries: readonly BlacklistEntry[]): Promise<void> {
    // Checked before the first write, so that a list with a mistake writes nothing.
    const deadlines = entries.map((entry) => this.deadlineOf(entry));
    // Sent together: one round trip per node, and every reply is checked.
    await Promise.all(deadlines.map((deadline) => this.put(deadline)));
  }

  async isBlacklisted(jti: string, scope: BlacklistScope = {}): Promise<boolean> {
    const key = this.keys.blacklistedToken(claimDigest('jti', jti, scope.issuer, this.tenant));
    // An adopted client may return numbers as text.
    return Number(await this.connection.ask(async () => this.connection.client.exists(key))) !== 0;
  }

  async revokeAllFor(subject: string, scope: BlacklistScope & { until?: Date | number } = {}): Promise<number> {
    const digest = claimDigest('subject', subject, scope.issuer, this.tenant);
    const key = this.keys.blacklistedSubject(digest);
    const cutoff = await this.connection.upperBound();
    const until = scope.until === undefined ? cutoff + DEFAULT_CUTOFF_LIFETIME : instantOf('until', scope.until);
    const lifetime = Math.max(1, Math.min(until, LAST_INSTANT) - cutoff) + this.clockTolerance;
    const refusal = { kind: 'subject', digest } as const;
    return Number(String(await this.run(scripts.raiseCutoff, key, [cutoff, lifetime], refusal)));
  }

  async isRevokedFor(subject: string, issuedAt: Date | number, scope: BlacklistScope = {}): Promise<boolean> {
    const key = this.keys.blacklistedSubject(claimDigest('subject', subject, scope.issuer, this.tenant));
    const at = instantOf('issuedAt', issuedAt);
    const cutoff = await this.connection.ask(async () => this.connection.client.get(key));
    // A cutoff that cannot be read revokes everything: damage must let nobody in.
    return cutoff !== null && !(at >= Number(cutoff));
  }

  override onRefusal(listener: (refusal: BlacklistRefusal) => void): () => void {
    return this.connection.hear(this.channel, (message) => {
      const refusal = parseRefusal(message);
      if (refusal) listener(refusal);
    });
  }

  override watchHearing(watch: HearingWatch): () => void {
    return this.connection.watchHearing(this.channel, watch);
  }

  /** Removes its listeners from an adopted client, which stays open. Closes a connection that the library opened. */
  async close(): Promise<void> {
    if (!this.isView) await this.replicated?.close();
    await this.connection.close();
  }

  private get channel(): string {
    return this.connection.channelOf(this.keys.events);
  }

  private deadlineOf({ jti, expiresAt, issuer }: BlacklistEntry): { digest: string; deadline: number } {
    return {
      digest: claimDigest('jti', jti, issuer, this.tenant),
      deadline: Math.min(instantOf('expiresAt', expiresAt), LAST_INSTANT) + Math.ceil(this.clockTolerance),
    };
  }

  private async put({ digest, deadline }: { digest: string; deadline: number }): Promise<void> {
    const key = this.keys.blacklistedToken(digest);
    await this.run(scripts.refuseToken, key, [deadline], { kind: 'token', digest });
  }

  private async run(
    script: (typeof scripts)[ScriptName],
    key: string,
    args: readonly number[],
    refusal: BlacklistRefusal,
  ): Promise<unknown> {
    const all = [...args, this.channel, refusalMessage(refusal)];
    if (this.replicated) {
      const { keyPrefix = '' } = this.connection.client.options as { keyPrefix?: string };
      // In full: if the server had to ask for the script, WAIT would come before it.
      return this.replicated.run(keySlot(keyPrefix + key), async (client) =>
        client.eval(alwaysWriting(script.source), 1, key, ...all),
      );
    }
    return this.connection.ask(async () => evaluate(this.connection.client, script, [key], all));
  }
}
