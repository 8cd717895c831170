import { claimDigest, DEFAULT_CUTOFF_LIFETIME, instantOf } from '../model/blacklist.js';
import { assertTenant } from '../model/tenant.js';
import { Listeners } from '../ports/listeners.js';
import {
  TokenBlacklist,
  type BlacklistEntry,
  type BlacklistRefusal,
  type BlacklistScope,
} from '../ports/token-blacklist.js';

export interface MemoryTokenBlacklistOptions {
  /** How long after `exp` verifiers may still accept a token, ms. Default 60,000. */
  clockTolerance?: number;
  /** Epoch ms. Default: the system clock. Steps back are ignored. */
  clock?: () => number;
  /** The tenant whose tokens are kept. Default: none. */
  tenant?: string;
}

/** Number of entries checked per addition: expired ones go faster than new ones arrive. */
const SWEPT_PER_ADDITION = 4;

/** Keeps refused tokens in this process: for single-process applications that may lose them at a restart. */
export class MemoryTokenBlacklist extends TokenBlacklist {
  override readonly tenant: string;
  private readonly tolerance: number;
  private readonly clock: () => number;
  private readonly tokens: Map<string, { readonly until: number }>;
  private readonly cutoffs: Map<string, { readonly from: number; readonly until: number }>;
  private readonly refusals: Listeners<BlacklistRefusal>;
  private latest = 0;

  /** @param kept The blacklist whose entries this view shares, for another tenant. */
  constructor(options: MemoryTokenBlacklistOptions = {}, kept?: MemoryTokenBlacklist) {
    super();
    const { clockTolerance = 60_000, clock = Date.now, tenant = '' } = options;
    assertTenant(tenant);
    this.tenant = tenant;
    this.tolerance = clockTolerance;
    this.clock = clock;
    this.tokens = kept?.tokens ?? new Map<string, { readonly until: number }>();
    this.refusals = kept?.refusals ?? new Listeners();
    this.cutoffs = kept?.cutoffs ?? new Map<string, { readonly from: number; readonly until: number }>();
  }

  override forTenant(tenant: string): MemoryTokenBlacklist {
    if (tenant === this.tenant) return this;
    return new MemoryTokenBlacklist({ clockTolerance: this.tolerance, clock: this.clock, tenant }, this);
  }

  /** Number of entries. */
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
    const entry = this.tokens.get(claimDigest('jti', jti, scope.issuer, this.tenant));
    return entry !== undefined && entry.until > this.now();
  }

  async revokeAllFor(subject: string, scope: BlacklistScope & { until?: Date | number } = {}): Promise<number> {
    const now = this.now();
    const key = claimDigest('subject', subject, scope.issuer, this.tenant);
    const known = this.cutoffs.get(key);
    const from = Math.max(known?.from ?? 0, now + 1);
    const until = scope.until === undefined ? from + DEFAULT_CUTOFF_LIFETIME : instantOf('until', scope.until);
    this.cutoffs.set(key, { from, until: Math.max(known?.until ?? 0, Math.max(from, until) + this.tolerance) });
    removeDue(this.cutoffs, now);
    this.refusals.emit({ kind: 'subject', digest: key });
    return from;
  }

  async isRevokedFor(subject: string, issuedAt: Date | number, scope: BlacklistScope = {}): Promise<boolean> {
    const cutoff = this.cutoffs.get(claimDigest('subject', subject, scope.issuer, this.tenant));
    const at = instantOf('issuedAt', issuedAt);
    return cutoff !== undefined && cutoff.until > this.now() && at < cutoff.from;
  }

  override onRefusal(listener: (refusal: BlacklistRefusal) => void): () => void {
    return this.refusals.add(listener);
  }

  /** Checks every entry before it keeps any, so that a list with a mistake adds nothing. */
  private keep(entries: readonly BlacklistEntry[]): void {
    const now = this.now();
    const checked = entries.map(({ jti, expiresAt, issuer }) => ({
      key: claimDigest('jti', jti, issuer, this.tenant),
      until: instantOf('expiresAt', expiresAt) + this.tolerance,
    }));
    for (const { key, until } of checked) {
      if (until <= now) continue;
      this.tokens.set(key, { until: Math.max(until, this.tokens.get(key)?.until ?? 0) });
      removeDue(this.tokens, now);
      this.refusals.emit({ kind: 'token', digest: key });
    }
  }

  private now(): number {
    this.latest = Math.max(this.latest, Math.floor(this.clock()));
    return this.latest;
  }
}

/** Takes entries from the front and moves those that stay to the back, so that every entry is checked in turn. */
function removeDue<V extends { readonly until: number }>(map: Map<string, V>, now: number): void {
  let looked = 0;
  for (const [key, value] of map) {
    if (looked++ === SWEPT_PER_ADDITION) return;
    map.delete(key);
    if (value.until > now) map.set(key, value);
  }
}
