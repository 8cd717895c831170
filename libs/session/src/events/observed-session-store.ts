import type { NewSession, Session, SessionChange, SessionData, UserPatch } from '../model/session.js';
import { DelegatingSessionStore } from '../ports/delegating-session-store.js';
import type {
  SessionStore,
  BindOutcome,
  BindRequest,
  CallOptions,
  CreateOptions,
  DestroyAllOptions,
  DestroyEverybodyOptions,
  DestroyOptions,
  LiveSession,
  ProveOutcome,
  ProveRequest,
  ReadOptions,
  RegenerateOutcome,
  RegenerateRequest,
  RotateOutcome,
  RotateRequest,
  ScanOptions,
  SessionSnapshot,
  SweepOptions,
  SweepStep,
  TouchOptions,
} from '../ports/session-store.js';

/** Operations that leave the process. `createLive` counts as `create`. */
export type StoreOperation =
  | 'create'
  | 'read'
  | 'get'
  | 'getActiveSessions'
  | 'findByDevice'
  | 'touch'
  | 'update'
  | 'updateUser'
  | 'rotate'
  | 'regenerate'
  | 'bindDevice'
  | 'proveDevice'
  | 'destroy'
  | 'destroyAll'
  | 'destroyEverybody'
  | 'revokeToken'
  | 'revokeTokens'
  | 'count'
  | 'sweep';

/** Runs one operation and returns its result. */
export type StoreObserver = <T>(operation: StoreOperation, run: () => Promise<T>) => Promise<T>;

/** Passes each operation of a store through an observer. Calls that the store makes on itself are not observed. */
export class ObservedSessionStore extends DelegatingSessionStore {
  constructor(
    store: SessionStore,
    private readonly observe: StoreObserver,
  ) {
    super(store);
  }

  forTenant(tenant: string): SessionStore {
    const store = this.store.forTenant(tenant);
    return store === this.store ? this : new ObservedSessionStore(store, this.observe);
  }

  override async create<T = SessionData>(input: NewSession<T>, options?: CreateOptions): Promise<Session<T>> {
    return this.observe('create', () => this.store.create(input, options));
  }

  override async createLive<T = SessionData>(input: NewSession<T>, options?: CreateOptions): Promise<LiveSession> {
    return this.observe('create', () => this.store.createLive(input, options));
  }

  override async read(sessionId: string, options?: ReadOptions): Promise<SessionSnapshot> {
    return this.observe('read', () => this.store.read(sessionId, options));
  }

  override async get<T = SessionData>(sessionId: string): Promise<Session<T> | null> {
    return this.observe('get', () => this.store.get<T>(sessionId));
  }

  override async getActiveSessions<T = SessionData>(userId: string): Promise<Session<T>[]> {
    return this.observe('getActiveSessions', () => this.store.getActiveSessions<T>(userId));
  }

  override async findByDevice<T = SessionData>(userId: string, deviceId: string): Promise<Session<T> | null> {
    return this.observe('findByDevice', () => this.store.findByDevice<T>(userId, deviceId));
  }

  override async touch(sessionId: string, options?: TouchOptions): Promise<boolean> {
    return this.observe('touch', () => this.store.touch(sessionId, options));
  }

  override async update<T = SessionData>(
    sessionId: string,
    change: SessionChange<T>,
    options?: CallOptions,
  ): Promise<Session<T> | null> {
    return this.observe('update', () => this.store.update<T>(sessionId, change, options));
  }

  override async updateUser(userId: string, patch: UserPatch): Promise<number> {
    return this.observe('updateUser', () => this.store.updateUser(userId, patch));
  }

  override async rotate(sessionId: string, request: RotateRequest): Promise<RotateOutcome> {
    return this.observe('rotate', () => this.store.rotate(sessionId, request));
  }

  override async regenerate(sessionId: string, request: RegenerateRequest): Promise<RegenerateOutcome> {
    return this.observe('regenerate', () => this.store.regenerate(sessionId, request));
  }

  override async bindDevice(sessionId: string, request: BindRequest): Promise<BindOutcome> {
    return this.observe('bindDevice', () => this.store.bindDevice(sessionId, request));
  }

  override async proveDevice(sessionId: string, request: ProveRequest): Promise<ProveOutcome> {
    return this.observe('proveDevice', () => this.store.proveDevice(sessionId, request));
  }

  override async destroy(sessionId: string, options?: DestroyOptions): Promise<boolean> {
    return this.observe('destroy', () => this.store.destroy(sessionId, options));
  }

  override async destroyAll(userId: string, options?: DestroyAllOptions): Promise<number> {
    return this.observe('destroyAll', () => this.store.destroyAll(userId, options));
  }

  override async destroyEverybody(
    options?: DestroyEverybodyOptions,
  ): Promise<{ ended: number; cursor: number | null }> {
    return this.observe('destroyEverybody', () => this.store.destroyEverybody(options));
  }

  override async revokeToken(sessionId: string, tokenId: string, expiresAt: number): Promise<boolean> {
    return this.observe('revokeToken', () => this.store.revokeToken(sessionId, tokenId, expiresAt));
  }

  override async revokeTokens(userId: string): Promise<number> {
    return this.observe('revokeTokens', () => this.store.revokeTokens(userId));
  }

  override async count(): Promise<number> {
    return this.observe('count', () => this.store.count());
  }

  override async countPart(options?: ScanOptions): Promise<{ count: number; cursor: number | null }> {
    return this.observe('count', () => this.store.countPart(options));
  }

  override async sweep(options?: SweepOptions): Promise<number> {
    return this.observe('sweep', () => this.store.sweep(options));
  }

  override async sweepStep(step: SweepStep): Promise<number> {
    return this.observe('sweep', async () => this.store.sweepStep?.(step) ?? this.store.sweep(step));
  }
}
