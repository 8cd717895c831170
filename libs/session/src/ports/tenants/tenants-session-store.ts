import { LRUCache } from 'lru-cache';
import { concernsAllTenants, type SessionEvent } from '../../model/events.js';
import { DelegatingSessionStore } from '../delegating-session-store.js';
import type { HearingWatch } from '../hearing-watch.js';
import type { SessionAliases } from '../session-aliases.js';
import type { SessionEventStream } from '../session-event-stream.js';
import type { HistoryLimits, SessionHistory } from '../session-history.js';
import type { SpentProofs } from '../spent-proofs.js';
import type { AllTenants, SessionStore, StoreFinding, SweepOptions, SweepStep } from '../session-store.js';
import { assertNamedTenant, type TenantScope } from './tenant-scope.js';
import { TenantsEventStream } from './tenants-event-stream.js';
import { TenantsSessionAliases } from './tenants-session-aliases.js';
import { TenantsSessionHistory } from './tenants-session-history.js';

/** How many tenants' views are kept; one that was dropped is made again when it is needed. */
export const MOST_VIEWS = 1_000;

/**
 * A store for the sessions of many tenants: each operation is one of the current tenant. What concerns no user (events, time, the
 * sweep) is that of all tenants. Listeners run in the tenant of their event.
 */
export class TenantsSessionStore extends DelegatingSessionStore {
  private readonly views = new LRUCache<string, SessionStore>({ max: MOST_VIEWS });
  private readonly shared: AllTenants;

  /**
   * @param all The store that keeps the sessions of all tenants.
   * @throws {ConfigurationError} for a store that does not separate tenants.
   */
  constructor(
    private readonly all: SessionStore,
    readonly scope: TenantScope,
  ) {
    super(all);
    this.shared = all.allTenants();
  }

  /** Number of tenants whose views are kept. */
  get size(): number {
    return this.views.size;
  }

  /** The store behind, of which each tenant has a view. */
  get base(): SessionStore {
    return this.all;
  }

  /** The view of the current tenant. It stays that tenant's, no matter who uses it later. */
  protected override get store(): SessionStore {
    return this.forTenant(this.scope.current());
  }

  /** See `store`. */
  view(): SessionStore {
    return this.store;
  }

  forTenant(tenant: string): SessionStore {
    assertNamedTenant(tenant);
    const known = this.views.get(tenant);
    if (known) return known;
    const view = this.all.forTenant(tenant);
    this.views.set(tenant, view);
    return view;
  }

  override allTenants(): AllTenants {
    return this.shared;
  }

  override async sweep(options?: SweepOptions): Promise<number> {
    return this.all.sweep(options);
  }

  override async sweepStep(step: SweepStep): Promise<number> {
    return this.all.sweepStep?.(step) ?? this.all.sweep(step);
  }

  override async stopSweeping(): Promise<void> {
    await this.all.stopSweeping?.();
  }

  override now(): number {
    return this.all.now();
  }

  override subscribe(listener: (event: SessionEvent) => void): () => void {
    return this.shared.subscribe((event) => {
      const { tenant } = event;
      // Some concern all tenants. Other events without one are of an application without tenants.
      if (tenant !== undefined) this.scope.run(tenant, () => listener(event));
      else if (concernsAllTenants(event)) this.scope.enter(null, () => listener(event));
    });
  }

  override async diagnose(): Promise<readonly StoreFinding[]> {
    return this.all.diagnose?.() ?? [];
  }

  override onGap(listener: () => void): () => void {
    return this.all.onGap?.(listener) ?? (() => undefined);
  }

  override watchHearing(watch: HearingWatch): () => void {
    return this.all.watchHearing?.(watch) ?? super.watchHearing(watch);
  }

  override flushEvents(): void {
    this.all.flushEvents?.();
  }

  override eventStream(): SessionEventStream | null {
    const stream = this.shared.eventStream();
    return stream && new TenantsEventStream(stream, this.scope);
  }

  override history(limits: HistoryLimits): SessionHistory | null {
    if (!this.all.history?.(limits)) return null;
    return new TenantsSessionHistory(() => this.store.history(limits));
  }

  override aliases(): SessionAliases | null {
    if (!this.all.aliases?.()) return null;
    return new TenantsSessionAliases(() => this.store.aliases());
  }

  /** The digest of a proof names its tenant. */
  override spentProofs(): SpentProofs | null {
    return this.all.spentProofs?.() ?? null;
  }

  override async ready(): Promise<void> {
    return this.all.ready();
  }

  override async close(): Promise<void> {
    this.views.clear();
    return this.all.close();
  }
}

/** The view of the current tenant, of a store for many tenants; otherwise the store. For what outlives its request. */
export function viewOf<S extends object>(store: S): S | SessionStore {
  return store instanceof TenantsSessionStore ? store.view() : store;
}
