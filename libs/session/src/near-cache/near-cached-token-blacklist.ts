import { claimDigest, instantOf } from '../model/blacklist.js';
import { TokenBlacklist, type BlacklistEntry, type BlacklistScope } from '../ports/token-blacklist.js';
import { NearCache, type NearCacheCounts, type NearCacheSettings } from './near-cache.js';

/** A cached result for a token or subject: nothing is refused, or tokens are valid from an instant on. */
interface Verdict {
  /** Tokens issued at this instant or later are not refused, epoch ms. -Infinity for a single token. */
  readonly goodFrom: number;
}

/**
 * Caches which tokens are not refused, by the rules of `NearCache`. A refusal is never cached: the blacklist is asked
 * each time.
 */
export class NearCachedTokenBlacklist extends TokenBlacklist {
  override readonly tenant: string;
  private readonly unsubscribe: (() => void)[] = [];

  private constructor(
    private readonly blacklist: TokenBlacklist,
    private readonly verdicts: NearCache<Verdict>,
  ) {
    super();
    this.tenant = blacklist.tenant;
  }

  /** Wraps a blacklist. Call `stop` at the end. */
  static around(
    blacklist: TokenBlacklist,
    settings: Omit<NearCacheSettings<object>, 'sizeOf' | 'holds'>,
  ): NearCachedTokenBlacklist {
    const verdicts = new NearCache<Verdict>({ ...settings, holds: ({ goodFrom }, issuedAt) => issuedAt >= goodFrom });
    const cached = new NearCachedTokenBlacklist(blacklist, verdicts);
    const watch = verdicts.watch();
    // A custom blacklist may lack these; then only `maxStale` applies.
    const unsubscribe = blacklist.onRefusal?.(({ kind, digest }) => verdicts.invalidate(`${kind} ${digest}`));
    const unwatch = blacklist.watchHearing?.(watch);
    if (!unwatch) watch.onHeard();
    cached.unsubscribe.push(...[unsubscribe, unwatch].filter((stop) => stop !== undefined));
    return cached;
  }

  /** How often a verdict was known. */
  get counts(): NearCacheCounts {
    return this.verdicts.counts;
  }

  override forTenant(tenant: string): TokenBlacklist {
    const blacklist = this.blacklist.forTenant(tenant);
    return blacklist === this.blacklist ? this : new NearCachedTokenBlacklist(blacklist, this.verdicts);
  }

  /** Drops everything and unsubscribes. */
  stop(): void {
    for (const unsubscribe of this.unsubscribe.splice(0)) unsubscribe();
    this.verdicts.close();
  }

  async add(jti: string, expiresAt: Date | number, scope: BlacklistScope = {}): Promise<void> {
    return this.verdicts.change(this.keyOf('token', jti, scope), () => this.blacklist.add(jti, expiresAt, scope));
  }

  async addBulk(entries: readonly BlacklistEntry[]): Promise<void> {
    const keys = entries.map(({ jti, issuer }) => this.keyOf('token', jti, issuer === undefined ? {} : { issuer }));
    const forget = (): void => keys.forEach((key) => this.verdicts.invalidate(key));
    forget();
    try {
      await this.blacklist.addBulk(entries);
    } finally {
      forget();
    }
  }

  async isBlacklisted(jti: string, scope: BlacklistScope = {}): Promise<boolean> {
    const key = this.keyOf('token', jti, scope);
    if (this.verdicts.find(key)) return false;
    return this.verdicts.read(
      key,
      key,
      () => this.blacklist.isBlacklisted(jti, scope),
      (refused) => (refused ? null : { goodFrom: -Infinity }),
    );
  }

  async revokeAllFor(subject: string, scope: BlacklistScope & { until?: Date | number } = {}): Promise<number> {
    return this.verdicts.change(this.keyOf('subject', subject, scope), () =>
      this.blacklist.revokeAllFor(subject, scope),
    );
  }

  async isRevokedFor(subject: string, issuedAt: Date | number, scope: BlacklistScope = {}): Promise<boolean> {
    const key = this.keyOf('subject', subject, scope);
    const at = instantOf('issuedAt', issuedAt);
    if (this.verdicts.find(key, at)) return false;
    return this.verdicts.read(
      key,
      key,
      () => this.blacklist.isRevokedFor(subject, issuedAt, scope),
      // A cutoff may lie before this token, so nothing is known of earlier ones.
      (refused) => (refused ? null : { goodFrom: at }),
    );
  }

  private keyOf(kind: 'token' | 'subject', value: string, { issuer }: BlacklistScope): string {
    return `${kind} ${claimDigest(kind === 'token' ? 'jti' : 'subject', value, issuer, this.tenant)}`;
  }
}
