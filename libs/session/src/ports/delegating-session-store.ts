import type { SessionEvent } from '../model/events.js';
import type { NewSession, Session, SessionChange, SessionData, UserPatch } from '../model/session.js';
import type { HearingWatch } from './hearing-watch.js';
import type { SessionAliases } from './session-aliases.js';
import type { SessionEventStream } from './session-event-stream.js';
import type { HistoryLimits, SessionHistory } from './session-history.js';
import type { SpentProofs } from './spent-proofs.js';
import {
  SessionStore,
  type AllTenants,
  type BindOutcome,
  type BindRequest,
  type CallOptions,
  type CreateOptions,
  type DestroyAllOptions,
  type DestroyEverybodyOptions,
  type DestroyOptions,
  type LiveSession,
  type ProveOutcome,
  type ProveRequest,
  type ReadOptions,
  type RegenerateOutcome,
  type RegenerateRequest,
  type RotateOutcome,
  type RotateRequest,
  type ScanOptions,
  type SessionScan,
  type SessionScanOptions,
  type SessionSnapshot,
  type SweepOptions,
  type StoreFinding,
  type SweepStep,
  type TouchOptions,
} from './session-store.js';

/**
 * Passes every call to another store. Decorators override the methods that they change. Methods that only the store's
 * own class has are missing: inject that class to use them.
 */
export abstract class DelegatingSessionStore extends SessionStore {
  override readonly tenant: string;

  constructor(private readonly target: SessionStore) {
    super();
    this.tenant = target.tenant;
  }

  /** The store that is called. */
  protected get store(): SessionStore {
    return this.target;
  }

  abstract override forTenant(tenant: string): SessionStore;

  override async create<T = SessionData>(input: NewSession<T>, options?: CreateOptions): Promise<Session<T>> {
    return this.store.create(input, options);
  }

  async createLive<T = SessionData>(input: NewSession<T>, options?: CreateOptions): Promise<LiveSession> {
    return this.store.createLive(input, options);
  }

  async read(sessionId: string, options?: ReadOptions): Promise<SessionSnapshot> {
    return this.store.read(sessionId, options);
  }

  async get<T = SessionData>(sessionId: string): Promise<Session<T> | null> {
    return this.store.get<T>(sessionId);
  }

  async getActiveSessions<T = SessionData>(userId: string): Promise<Session<T>[]> {
    return this.store.getActiveSessions<T>(userId);
  }

  async findByDevice<T = SessionData>(userId: string, deviceId: string): Promise<Session<T> | null> {
    return this.store.findByDevice<T>(userId, deviceId);
  }

  async touch(sessionId: string, options?: TouchOptions): Promise<boolean> {
    return this.store.touch(sessionId, options);
  }

  async update<T = SessionData>(
    sessionId: string,
    change: SessionChange<T>,
    options?: CallOptions,
  ): Promise<Session<T> | null> {
    return this.store.update<T>(sessionId, change, options);
  }

  async updateUser(userId: string, patch: UserPatch): Promise<number> {
    return this.store.updateUser(userId, patch);
  }

  async rotate(sessionId: string, request: RotateRequest): Promise<RotateOutcome> {
    return this.store.rotate(sessionId, request);
  }

  async regenerate(sessionId: string, request: RegenerateRequest): Promise<RegenerateOutcome> {
    return this.store.regenerate(sessionId, request);
  }

  override async bindDevice(sessionId: string, request: BindRequest): Promise<BindOutcome> {
    return this.store.bindDevice(sessionId, request);
  }

  override async proveDevice(sessionId: string, request: ProveRequest): Promise<ProveOutcome> {
    return this.store.proveDevice(sessionId, request);
  }

  async destroy(sessionId: string, options?: DestroyOptions): Promise<boolean> {
    return this.store.destroy(sessionId, options);
  }

  async destroyAll(userId: string, options?: DestroyAllOptions): Promise<number> {
    return this.store.destroyAll(userId, options);
  }

  async destroyEverybody(options?: DestroyEverybodyOptions): Promise<{ ended: number; cursor: number | null }> {
    return this.store.destroyEverybody(options);
  }

  async revokeToken(sessionId: string, tokenId: string, expiresAt: number): Promise<boolean> {
    return this.store.revokeToken(sessionId, tokenId, expiresAt);
  }

  async revokeTokens(userId: string): Promise<number> {
    return this.store.revokeTokens(userId);
  }

  async count(): Promise<number> {
    return this.store.count();
  }

  override allTenants(): AllTenants {
    return this.store.allTenants?.() ?? super.allTenants();
  }

  override async countPart(options?: ScanOptions): Promise<{ count: number; cursor: number | null }> {
    return this.store.countPart(options);
  }

  async sweep(options?: SweepOptions): Promise<number> {
    return this.store.sweep(options);
  }

  now(): number {
    return this.store.now();
  }

  subscribe(listener: (event: SessionEvent) => void): () => void {
    return this.store.subscribe(listener);
  }

  async ready(): Promise<void> {
    return this.store.ready();
  }

  async close(): Promise<void> {
    return this.store.close();
  }

  // A store that does not extend `SessionStore` may lack these.

  override async sweepStep(step: SweepStep): Promise<number> {
    return this.store.sweepStep?.(step) ?? this.store.sweep(step);
  }

  override async stopSweeping(): Promise<void> {
    await this.store.stopSweeping?.();
  }

  override async scanSessions(options?: SessionScanOptions): Promise<SessionScan> {
    return this.store.scanSessions?.(options) ?? super.scanSessions(options);
  }

  override publish(event: SessionEvent): boolean {
    return this.store.publish?.(event) ?? false;
  }

  override async diagnose(): Promise<readonly StoreFinding[]> {
    return this.store.diagnose?.() ?? [];
  }

  override onGap(listener: () => void): () => void {
    return this.store.onGap?.(listener) ?? super.onGap(listener);
  }

  override peek(sessionId: string, options?: ReadOptions): LiveSession | null {
    return this.store.peek?.(sessionId, options) ?? null;
  }

  override watchHearing(watch: HearingWatch): () => void {
    return this.store.watchHearing?.(watch) ?? super.watchHearing(watch);
  }

  override flushEvents(): void {
    this.store.flushEvents?.();
  }

  override eventStream(): SessionEventStream | null {
    return this.store.eventStream?.() ?? null;
  }

  override history(limits: HistoryLimits): SessionHistory | null {
    return this.store.history?.(limits) ?? null;
  }

  override aliases(): SessionAliases | null {
    return this.store.aliases?.() ?? null;
  }

  override spentProofs(): SpentProofs | null {
    return this.store.spentProofs?.() ?? null;
  }
}
