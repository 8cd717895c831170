// Names that only authors of a store, a blacklist or an event stream need.
export type { HistoryLimits } from '../ports/session-history.js';
export type { ListenerErrorHandler } from '../ports/listeners.js';
export type {
  CredentialKind,
  Presented,
  ReuseDetection,
  RotationRule,
  TokenFamilies,
  TokenFamily,
  UsedCredential,
} from '../model/token-family.js';
export { LegacySessions, type LegacySession } from '../ports/legacy-sessions.js';
export { SessionAliases, type AliasState, type PointRequest } from '../ports/session-aliases.js';
export {
  SessionEventStream,
  type ConsumeOptions,
  type EventConsumer,
  type EventDelivery,
  type StopConsuming,
} from '../ports/session-event-stream.js';
export { SessionHistory, type SessionHistoryEntry } from '../ports/session-history.js';
export { SpentProofs } from '../ports/spent-proofs.js';
export { MemorySpentProofs, type MemorySpentProofsOptions } from '../memory/memory-spent-proofs.js';
export {
  SessionStore,
  type AbsentSession,
  type CallOptions,
  type CreateOptions,
  type DamagedSession,
  type DestroyAllOptions,
  type DestroyEverybodyOptions,
  type DestroyOptions,
  type EndedSession,
  type GoneSession,
  type LiveSession,
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
} from '../ports/session-store.js';
export { StoreWait } from '../ports/store-wait.js';
export { TokenBlacklist, type BlacklistEntry, type BlacklistScope } from '../ports/token-blacklist.js';
export type { EventStreamSettings, ResolvedStoreOptions, SessionStoreOptions } from '../options/store-options.js';
export type { MemorySessionStoreOptions } from '../memory/memory-session-store.js';
export type { RedisSessionStoreOptions } from '../redis/redis-session-store-options.js';
export { MemorySessionAliases, type MemorySessionAliasesOptions } from '../memory/memory-session-aliases.js';
export { ENDS_BY_KIND, SESSION_EVENT_NAMES, SESSION_EVENT_TYPES } from '../model/events.js';
export type {
  AdminActionEvent,
  AdminActionKind,
  HijackSignal,
  HijackSuspectedEvent,
  ImpersonationStartedEvent,
  LimitReachedEvent,
  NewDeviceEvent,
  ReuseDetectedEvent,
  RotationLostEvent,
  SessionChangedEvent,
  SessionCreatedEvent,
  SessionDamagedEvent,
  WritesLostEvent,
  EndUnconfirmedEvent,
  SessionEndKind,
  SessionEndedEvent,
  SessionEvent,
  SessionEventName,
  SessionEventOf,
  SessionEventType,
  SessionRefreshedEvent,
  SessionRegeneratedEvent,
  SignalAction,
  UseAfterEndEvent,
} from '../model/events.js';
export type {
  DeviceSession,
  DeviceType,
  EndReason,
  NewSession,
  Session,
  SessionChange,
  SessionData,
  SessionLocation,
  SessionMetadata,
  SessionPatch,
  UserPatch,
} from '../model/session.js';
export { LIMIT_POLICIES, type LimitPolicy, type SessionLimit } from '../model/limit.js';
export { DEVICE_TYPES, END_REASONS } from '../model/session.js';
export {
  InvalidArgumentError,
  SessionConflictError,
  SessionError,
  SessionLimitError,
  SessionTooLargeError,
  StoreUnavailableError,
  type SessionErrorCode,
} from '../model/errors.js';
