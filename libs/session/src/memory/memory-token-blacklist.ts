import { claimDigest, DEFAULT_CUTOFF_LIFETIME, instantOf } from '../model/blacklist.js';
import { TokenBlacklist, type BlacklistEntry, type BlacklistScope } from '../ports/token-blacklist.js';

export interface MemoryTokenBlacklistOptions {
  /** How long past its `exp` verifiers may still accept a token, ms. Default 60,000. */
  clockTolerance?: number;
  /** Epoch ms. Default: the system clock, held from running backwards. */
  clock?: () => number;
}

/** How many entries are looked at for each one that is added: what is due goes faster than new ones come. */
const SWEPT_PER_ADDITION = 4;

/** Keeps refused tokens in this process: for applications of one process that may forget. */
export class MemoryTokenBlacklist extends TokenBlacklist {
  private readonly tolerance: number;
  private readonly clock: () => number;
  private readonly tokens = new Map<string, { readonly until: number }>();
  private readonly cutoffs = new Map<string, { readonly from: number; readonly until: number }>();
  private latest = 0;

  constructor({ clockTolerance = 60_000, clock = Date.now }: MemoryTokenBlacklistOptions = {}) {
    super();
    this.tolerance = clockTolerance;
    this.clock = clock;
  }

  /** How many entries are kept. */
  get size(): number {
    return this.tokens.size + this.cutoffs.size;
  }

  async add(jti: string, expiresAt: Date | number, scope: BlacklistScope = {}): Promise<void> {
    this.keep([{ ...scope, jti, expiresAt }]);
  }

  async addBulk(entries: readonly BlacklistEntry[]): Promise<void> {
    this.keep(entries);
  }

  async isBlacklisted(jti: string, scope: BlacklistScope = {}): Promise<boolean> {
    const entry = this.tokens.get(claimDigest('jti', jti, scope.issuer));
    return entry !== undefined && entry.until > this.now();
  }

  async revokeAllFor(subject: string, scope: BlacklistScope & { until?: Date | number } = {}): Promise<number> {
    const now = this.now();
    const key = claimDigest('subject', subject, scope.issuer);
    const known = this.cutoffs.get(key);
    const from = Math.max(known?.from ?? 0, now + 1);
    const until = scope.until === undefined ? from + DEFAULT_CUTOFF_LIFETIME : instantOf('until', scope.until);
    this.cutoffs.set(key, { from, until: Math.max(known?.until ?? 0, Math.max(from, until) + this.tolerance) });
    removeDue(this.cutoffs, now);
    return from;
  }

  async isRevokedFor(subject: string, issuedAt: Date | number, scope: BlacklistScope = {}): Promise<boolean> {
    const cutoff = this.cutoffs.get(claimDigest('subject', subject, scope.issuer));
    const at = instantOf('issuedAt', issuedAt);
    return cutoff !== undefined && cutoff.until > this.now() && at < cutoff.from;
  }

  /** Checks all before it keeps any: a list with a mistake in it must not be half done. */
  private keep(entries: readonly BlacklistEntry[]): void {
    const now = this.now();
    const checked = entries.map(({ jti, expiresAt, issuer }) => ({
      key: claimDigest('jti', jti, issuer),
      until: instantOf('expiresAt', expiresAt) + this.tolerance,
    }));
    for (const { key, until } of checked) {
      if (until <= now) continue;
      this.tokens.set(key, { until: Math.max(until, this.tokens.get(key)?.until ?? 0) });
      removeDue(this.tokens, now);
    }
  }

  private now(): number {
    this.latest = Math.max(this.latest, Math.floor(this.clock()));
    return this.latest;
  }
}

/** Takes entries from the front and puts those that stay at the back, so that every one gets its turn. */
function removeDue<V extends { readonly until: number }>(map: Map<string, V>, now: number): void {
  let looked = 0;
  for (const [key, value] of map) {
    if (looked++ === SWEPT_PER_ADDITION) return;
    map.delete(key);
    if (value.until > now) map.set(key, value);
  }
}
