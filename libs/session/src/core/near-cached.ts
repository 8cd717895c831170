import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import type { SessionStore } from '../ports/session-store.js';
import type { TokenBlacklist } from '../ports/token-blacklist.js';
import { TenantsSessionStore } from '../ports/tenants/tenants-session-store.js';
import { TenantsTokenBlacklist } from '../ports/tenants/tenants-token-blacklist.js';
import type { NearCacheCounts } from '../near-cache/near-cache.js';
import { NearCachedSessionStore } from '../near-cache/near-cached-session-store.js';
import { NearCachedTokenBlacklist } from '../near-cache/near-cached-token-blacklist.js';

type NearCacheOption = Pick<ResolvedSessionOptions, 'nearCache' | 'tenants'>;

/** The store behind a near cache, where the options ask for one and it has none. */
export function nearCached(store: SessionStore, { nearCache, tenants }: NearCacheOption): SessionStore {
  if (!nearCache || baseOf(store) instanceof NearCachedSessionStore) return store;
  return NearCachedSessionStore.around(store, nearCache, { allTenants: tenants !== null });
}

/** The adapter of all tenants behind one of the current tenant. */
function baseOf(adapter: SessionStore | TokenBlacklist | undefined): unknown {
  return adapter instanceof TenantsSessionStore || adapter instanceof TenantsTokenBlacklist ? adapter.base : adapter;
}

/** What stops their near caches. */
export function stopsOf(store: SessionStore, blacklist: TokenBlacklist | undefined): (() => void)[] {
  return [store, blacklist].map(baseOf).flatMap((adapter) => (isCached(adapter) ? [() => adapter.stop()] : []));
}

/** What their near caches have counted, by what is kept. */
export function nearCacheCountsOf(
  store: SessionStore,
  blacklist: TokenBlacklist | undefined,
): Readonly<Record<string, () => NearCacheCounts>> {
  const [sessions, tokens] = [baseOf(store), baseOf(blacklist)];
  return {
    ...(isCached(sessions) && { session: () => sessions.counts }),
    ...(isCached(tokens) && { blacklist: () => tokens.counts }),
  };
}

function isCached(adapter: unknown): adapter is NearCachedSessionStore | NearCachedTokenBlacklist {
  return adapter instanceof NearCachedSessionStore || adapter instanceof NearCachedTokenBlacklist;
}

/** The same for a blacklist. */
export function nearCachedBlacklist(blacklist: TokenBlacklist, { nearCache }: NearCacheOption): TokenBlacklist {
  if (!nearCache || baseOf(blacklist) instanceof NearCachedTokenBlacklist) return blacklist;
  return NearCachedTokenBlacklist.around(blacklist, nearCache);
}
