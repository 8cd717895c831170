import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import type { SessionStore } from '../ports/session-store.js';
import { TenantsSessionStore } from '../ports/tenants/tenants-session-store.js';
import { TenantsTokenBlacklist } from '../ports/tenants/tenants-token-blacklist.js';
import type { TokenBlacklist } from '../ports/token-blacklist.js';

/** An adapter that separates tenants. */
interface Tenanted<T> {
  readonly tenant?: string;
  forTenant(tenant: string): T;
}

/** An adapter's view of the tenant in the options. Without one, the adapter keeps its own tenant. */
export function ofTenant<T extends Tenanted<T>>(adapter: T, tenant: string): T {
  return tenant === '' || adapter.tenant === tenant ? adapter : adapter.forTenant(tenant);
}

type TenantsOption = Pick<ResolvedSessionOptions, 'tenants'>;

/** The store for the current tenant, in an application that serves many. */
export function ofTenants(store: SessionStore, { tenants }: TenantsOption): SessionStore {
  return tenants && !(store instanceof TenantsSessionStore) ? new TenantsSessionStore(store, tenants.scope) : store;
}

/** The same for a blacklist. */
export function blacklistOfTenants(blacklist: TokenBlacklist, { tenants }: TenantsOption): TokenBlacklist {
  return tenants && !(blacklist instanceof TenantsTokenBlacklist)
    ? new TenantsTokenBlacklist(blacklist, tenants.scope)
    : blacklist;
}
