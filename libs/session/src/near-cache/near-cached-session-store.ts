import { expiryReason } from '../model/deadlines.js';
import type { DeviceBinding } from '../model/device-binding.js';
import { userKeyOf, userKeyOfSession } from '../model/ids.js';
import type { NewSession, Session, SessionChange, SessionData, UserPatch } from '../model/session.js';
import { inUse, type TokenFamilies } from '../model/token-family.js';
import { DelegatingSessionStore } from '../ports/delegating-session-store.js';
import type {
  BindOutcome,
  BindRequest,
  CallOptions,
  CreateOptions,
  DestroyAllOptions,
  DestroyEverybodyOptions,
  DestroyOptions,
  LiveSession,
  ReadOptions,
  RegenerateOutcome,
  RegenerateRequest,
  RotateOutcome,
  RotateRequest,
  SessionSnapshot,
  SessionStore,
  TouchOptions,
} from '../ports/session-store.js';
import { NearCache, type NearCacheCounts, type NearCacheSettings } from './near-cache.js';
import { copyOfSession, isFlat, sizeOf } from './session-copies.js';

/** A live session as it was read, alone or for an access token that was not revoked. */
interface Kept {
  session: Session;
  readonly flat: boolean;
  families: TokenFamilies;
  readonly revision: string;
  readonly tokensFrom: number;
  readonly binding: DeviceBinding | null;
}

/**
 * Caches live sessions in this process, and finds them by `peek`; every other method calls the store. `read` fills the
 * cache, and an entry is dropped when the event of a change by any instance arrives. See `NearCache` for the rules, and
 * `docs/near-cache.md`.
 *
 * The store's session ids must begin with `userKeyOf(userId, tenant)`, like those of this library's stores.
 */
export class NearCachedSessionStore extends DelegatingSessionStore {
  private readonly unsubscribe: (() => void)[] = [];

  /** @param hearsAll Whether the cache hears of the changes of all tenants already. */
  private constructor(
    store: SessionStore,
    private readonly records: NearCache<Kept>,
    private readonly hearsAll: boolean,
  ) {
    super(store);
    if (!hearsAll) this.hear(store);
  }

  /** Wraps a store. With `allTenants` it hears of all tenants by one subscription. Call `stop` at the end. */
  static around(
    store: SessionStore,
    settings: Omit<NearCacheSettings<object>, 'sizeOf' | 'holds'>,
    { allTenants = false } = {},
  ): NearCachedSessionStore {
    const records = new NearCache<Kept>({ ...settings, sizeOf, holds: isLive });
    const cached = new NearCachedSessionStore(store, records, allTenants);
    if (allTenants) cached.hear(store.allTenants());
    cached.unsubscribe.push(store.watchHearing?.(records.watch()) ?? alwaysHeard(records));
    return cached;
  }

  /** How often `peek` found a session. */
  get counts(): NearCacheCounts {
    return this.records.counts;
  }

  /** Number of cached sessions. */
  get size(): number {
    return this.records.size;
  }

  /** Whether sessions are cached now: not while changes by other instances may be missed. */
  get isOpen(): boolean {
    return this.records.isOpen;
  }

  /** Shares this cache. */
  forTenant(tenant: string): SessionStore {
    const store = this.store.forTenant(tenant);
    if (store === this.store) return this;
    const view = new NearCachedSessionStore(store, this.records, this.hearsAll);
    if (!this.hearsAll) this.unsubscribe.push(() => view.stop());
    return view;
  }

  /** Drops everything and unsubscribes. The store stays open. */
  stop(): void {
    for (const unsubscribe of this.unsubscribe.splice(0)) unsubscribe();
    this.records.close();
  }

  override async close(): Promise<void> {
    this.stop();
    await super.close();
  }

  override peek(sessionId: string, { tokenId }: ReadOptions = {}): LiveSession | null {
    const now = this.store.now();
    const kept = this.records.find(this.keyOf(sessionId, tokenId), now);
    if (!kept) return null;
    const { session, flat, families, revision, tokensFrom, binding } = kept;
    return {
      state: 'live',
      session: copyOfSession(session, flat),
      families,
      revision,
      tokensFrom,
      binding,
      tokenRevoked: false,
      now,
      cached: true,
    };
  }

  override async read(sessionId: string, options: ReadOptions = {}): Promise<SessionSnapshot> {
    if (typeof sessionId !== 'string') return super.read(sessionId, options);
    return this.records.read(
      this.keyOf(sessionId, options.tokenId),
      this.groupOf(sessionId),
      () => this.store.read(sessionId, options),
      (snapshot) => {
        if (snapshot.state !== 'live' || snapshot.tokenRevoked) return null;
        const { session, families, revision, tokensFrom, binding = null } = snapshot;
        const copy = copyOfSession(session);
        return { session: copy, flat: isFlat(copy), families, revision, tokensFrom, binding };
      },
    );
  }

  override async touch(sessionId: string, options: TouchOptions = {}): Promise<boolean> {
    if (options.idleTimeout !== undefined) return this.changing(sessionId, () => super.touch(sessionId, options));
    if (typeof sessionId !== 'string') return super.touch(sessionId, options);
    const at = this.store.now();
    const touched = await super.touch(sessionId, options);
    if (!touched) this.records.invalidate(this.groupOf(sessionId));
    for (const kept of this.records.valuesOf(this.groupOf(sessionId))) {
      if (kept.session.id === sessionId) noteTouch(kept, options, at);
    }
    return touched;
  }

  override async create<T = SessionData>(input: NewSession<T>, options?: CreateOptions): Promise<Session<T>> {
    return this.changingUser(input.userId, () => super.create(input, options));
  }

  override async createLive<T = SessionData>(input: NewSession<T>, options?: CreateOptions): Promise<LiveSession> {
    return this.changingUser(input.userId, () => super.createLive(input, options));
  }

  override async update<T = SessionData>(
    sessionId: string,
    change: SessionChange<T>,
    options?: CallOptions,
  ): Promise<Session<T> | null> {
    return this.changing(sessionId, () => super.update<T>(sessionId, change, options));
  }

  override async updateUser(userId: string, patch: UserPatch): Promise<number> {
    return this.changingUser(userId, () => super.updateUser(userId, patch));
  }

  override async rotate(sessionId: string, request: RotateRequest): Promise<RotateOutcome> {
    return this.changing(sessionId, () => super.rotate(sessionId, request));
  }

  override async regenerate(sessionId: string, request: RegenerateRequest): Promise<RegenerateOutcome> {
    return this.changing(sessionId, () => super.regenerate(sessionId, request));
  }

  override async bindDevice(sessionId: string, request: BindRequest): Promise<BindOutcome> {
    return this.changing(sessionId, () => super.bindDevice(sessionId, request));
  }

  override async destroy(sessionId: string, options?: DestroyOptions): Promise<boolean> {
    return this.changing(sessionId, () => super.destroy(sessionId, options));
  }

  override async destroyAll(userId: string, options?: DestroyAllOptions): Promise<number> {
    return this.changingUser(userId, () => super.destroyAll(userId, options));
  }

  override async revokeToken(sessionId: string, tokenId: string, expiresAt: number): Promise<boolean> {
    return this.changing(sessionId, () => super.revokeToken(sessionId, tokenId, expiresAt));
  }

  override async revokeTokens(userId: string): Promise<number> {
    return this.changingUser(userId, () => super.revokeTokens(userId));
  }

  override async destroyEverybody(
    options?: DestroyEverybodyOptions,
  ): Promise<{ ended: number; cursor: number | null }> {
    return this.changingAll(() => super.destroyEverybody(options));
  }

  private hear(from: Pick<SessionStore, 'subscribe'>): void {
    const stop = from.subscribe(({ sessionId, tenant = '' }) => {
      if (sessionId !== '') this.records.invalidate(nameIn(tenant, userKeyOfSession(sessionId)));
    });
    this.unsubscribe.push(stop);
  }

  private keyOf(sessionId: string, tokenId?: string): string {
    return nameIn(this.tenant, tokenId === undefined ? sessionId : `${sessionId} ${tokenId}`);
  }

  /** All sessions of a user. */
  private groupOf(sessionId: string): string {
    return nameIn(this.tenant, userKeyOfSession(sessionId));
  }

  /** A session's own change may concern others of its user: limits, revoked tokens. */
  private async changing<T>(sessionId: string, run: () => Promise<T>): Promise<T> {
    return typeof sessionId === 'string' ? this.records.change(this.groupOf(sessionId), run) : run();
  }

  private async changingUser<T>(userId: string, run: () => Promise<T>): Promise<T> {
    return this.records.change(this.keyOf(userKeyOf(userId, this.tenant)), run);
  }

  private async changingAll<T>(run: () => Promise<T>): Promise<T> {
    this.records.clear();
    try {
      return await run();
    } finally {
      this.records.clear();
    }
  }
}

function isLive({ session }: Kept, now: number): boolean {
  return expiryReason(session, now) === null;
}

function nameIn(tenant: string, name: string): string {
  return tenant === '' ? name : `${tenant}\n${name}`;
}

/** @param at An instant before the store recorded it: the copy must not outlive what it is a copy of. */
function noteTouch(kept: Kept, { slide, used }: TouchOptions, at: number): void {
  if (slide !== false) kept.session = { ...kept.session, lastAccess: Math.max(kept.session.lastAccess, at) };
  const family = used && kept.families[used.kind];
  if (used && family?.branch === used.branch) kept.families = { ...kept.families, [used.kind]: inUse(family) };
}

function alwaysHeard(records: NearCache<Kept>): () => void {
  records.watch().onHeard();
  return () => undefined;
}
