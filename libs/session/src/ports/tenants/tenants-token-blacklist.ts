import { LRUCache } from 'lru-cache';
import type { HearingWatch } from '../hearing-watch.js';
import { TokenBlacklist, type BlacklistEntry, type BlacklistRefusal, type BlacklistScope } from '../token-blacklist.js';
import { assertNamedTenant, type TenantScope } from './tenant-scope.js';
import { MOST_VIEWS } from './tenants-session-store.js';

/** A blacklist for the tokens of many tenants: each call is one of the current tenant. */
export class TenantsTokenBlacklist extends TokenBlacklist {
  private readonly views = new LRUCache<string, TokenBlacklist>({ max: MOST_VIEWS });

  /** @param base The blacklist of which each tenant has a view. */
  constructor(
    readonly base: TokenBlacklist,
    private readonly scope: TenantScope,
  ) {
    super();
  }

  override forTenant(tenant: string): TokenBlacklist {
    assertNamedTenant(tenant);
    const view = this.views.get(tenant) ?? this.base.forTenant(tenant);
    this.views.set(tenant, view);
    return view;
  }

  async add(jti: string, expiresAt: Date | number, scope?: BlacklistScope): Promise<void> {
    return this.own().add(jti, expiresAt, scope);
  }

  async addBulk(entries: readonly BlacklistEntry[]): Promise<void> {
    return this.own().addBulk(entries);
  }

  async isBlacklisted(jti: string, scope?: BlacklistScope): Promise<boolean> {
    return this.own().isBlacklisted(jti, scope);
  }

  async revokeAllFor(subject: string, scope?: BlacklistScope & { until?: Date | number }): Promise<number> {
    return this.own().revokeAllFor(subject, scope);
  }

  async isRevokedFor(subject: string, issuedAt: Date | number, scope?: BlacklistScope): Promise<boolean> {
    return this.own().isRevokedFor(subject, issuedAt, scope);
  }

  /** Of all tenants: the digest of a refusal includes its tenant. */
  override onRefusal(listener: (refusal: BlacklistRefusal) => void): () => void {
    return this.base.onRefusal?.(listener) ?? (() => undefined);
  }

  override watchHearing(watch: HearingWatch): () => void {
    return this.base.watchHearing?.(watch) ?? super.watchHearing(watch);
  }

  private own(): TokenBlacklist {
    return this.forTenant(this.scope.current());
  }
}
