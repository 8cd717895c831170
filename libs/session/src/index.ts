export {
  AuthenticationError,
  ConfigurationError,
  endedError,
  HTTP_STATUS,
  InvalidArgumentError,
  SessionConflictError,
  SessionError,
  SessionLimitError,
  SessionTooLargeError,
  StoreUnavailableError,
  type SessionErrorCode,
} from './model/errors.js';
export { logEntryOf, type EventLogEntry, type EventSeverity } from './model/event-log.js';
export { ENDS_BY_KIND, SESSION_EVENT_NAMES, SESSION_EVENT_TYPES } from './model/events.js';
export type {
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
  SessionEndKind,
  SessionEndedEvent,
  SessionEvent,
  SessionEventName,
  SessionEventNamed,
  SessionEventOf,
  SessionEventType,
  SessionRefreshedEvent,
  SessionRenewedEvent,
  SignalAction,
  UseAfterEndEvent,
} from './model/events.js';
export type { IpPrivacy } from './model/ip.js';
export { LIMIT_POLICIES, type LimitPolicy, type SessionLimit } from './model/limit.js';
export type { CredentialKind, Lineage, Lineages, Presented, RotationRule } from './model/lineage.js';
export { isAnonymousSession } from './model/alias.js';
export { generateSecureSessionId, type SecureIdOptions } from './model/secure-id.js';
export {
  DEVICE_TYPES,
  END_REASONS,
  type DeviceSession,
  type DeviceType,
  type EndReason,
  type NewSession,
  type Session,
  type SessionChange,
  type SessionData,
  type SessionLocation,
  type SessionMetadata,
  type SessionPatch,
  type UserPatch,
} from './model/session.js';

export type { ListenerErrorHandler } from './ports/listeners.js';
export {
  SessionEventStream,
  type ConsumeOptions,
  type EventConsumer,
  type EventDelivery,
  type StopConsuming,
} from './ports/session-event-stream.js';
export { SessionHistory, type HistoryLimits, type SessionHistoryEntry } from './ports/session-history.js';
export type {
  InstrumentOptions,
  TelemetryAttributes,
  TelemetryCounter,
  TelemetryGauge,
  TelemetryHistogram,
  TelemetryMeter,
  TelemetryMeterProvider,
  TelemetryObservable,
  TelemetrySpan,
  TelemetryTracer,
  TelemetryTracerProvider,
} from './ports/telemetry.js';
export {
  SessionStore,
  type AbsentSession,
  type CreateOptions,
  type DamagedSession,
  type DestroyAllOptions,
  type DestroyEverybodyOptions,
  type DestroyOptions,
  type EndedSession,
  type GoneSession,
  type LiveSession,
  type ReadOptions,
  type RenewOutcome,
  type RenewRequest,
  type RotateOutcome,
  type RotateRequest,
  type SessionSnapshot,
  type SweepOptions,
  type TouchOptions,
} from './ports/session-store.js';
export { LegacySessions, type LegacySession } from './ports/legacy-sessions.js';
export { SessionAliases, type AliasState, type PointRequest } from './ports/session-aliases.js';
export { TokenBlacklist, type BlacklistEntry, type BlacklistScope } from './ports/token-blacklist.js';

export type {
  AliasedSessionOptions,
  ForeignCookie,
  ForeignSession,
  SessionOwner,
  SessionSerializer,
} from './options/aliased-session-options.js';
export type { ResolvedCookieOptions } from './options/cookie-options.js';
export type { Duration } from './options/duration.js';
export type {
  EventLogLevel,
  EventStreamOptions,
  ResolvedEventOptions,
  ResolvedHistoryOptions,
  SessionEventOptions,
  SessionHistoryOptions,
  TelemetryOptions,
} from './options/event-options.js';
export type {
  ExpressSessionCookieOptions,
  ExpressSessionOptions,
  ResolvedExpressSessionOptions,
} from './options/express-session-options.js';
export type { RedisClusterOption, RedisOption } from './options/redis-option.js';
export type {
  ResolvedJwtOptions,
  ResolvedLifetimeOptions,
  ResolvedSecurityOptions,
  ResolvedSessionOptions,
} from './options/resolved-options.js';
export type { SessionKeys } from './options/session-keys.js';
export type {
  JwtAlgorithm,
  JwtKeyMaterial,
  JwtKeyOptions,
  JwtOptions,
  LocatedIp,
  MaxSessionsPerUser,
  NearCacheOptions,
  RememberMeOptions,
  SameSite,
  SecurityOptions,
  SessionCookieOptions,
  SessionLifetimeOptions,
  SessionModuleOptions,
  SessionOptionsFactory,
  SessionPreset,
} from './options/session-module-options.js';
export type { EventStreamSettings, ResolvedStoreOptions, SessionStoreOptions } from './options/store-options.js';
export { SESSION_OPTIONS } from './options/tokens.js';

export { MemorySessionAliases, type MemorySessionAliasesOptions } from './memory/memory-session-aliases.js';
export { MemorySessionStore, type MemorySessionStoreOptions } from './memory/memory-session-store.js';
export { MemoryTokenBlacklist, type MemoryTokenBlacklistOptions } from './memory/memory-token-blacklist.js';

export { AccessTokenVerifier, type VerifiedAccessToken } from './services/access-token-verifier.js';
export { DeviceSessionService, type NewDeviceSession } from './services/device-session-service.js';
export type { ImpersonateOptions } from './services/impersonations.js';
export { SessionAdminService } from './services/session-admin-service.js';
export type { AuthenticateOptions, Authentication } from './services/session-authenticator.js';
export { SessionEvents } from './services/session-events.js';
export { OnSessionEvent } from './services/on-session-event.js';
export {
  SessionService,
  type RenewedSession,
  type RenewOptions,
  type StartedSession,
  type StartOptions,
} from './services/session-service.js';

export {
  TokenService,
  type AccessToken,
  type RefreshedTokens,
  type RefreshOptions,
  type TokenPair,
} from './services/token-service.js';
export type { AccessTokenClaims } from './model/access-claims.js';

export { SessionHttpException, type SessionErrorBody, type SessionSummary } from './http/http-errors.js';
export { CurrentSession, CurrentUser, ReqSession } from './http/parameter-decorators.js';
export { RequestSession, type SignedIn } from './http/request-session.js';
export type { SignInOptions } from './http/sign-in.js';
export { JwtAuthGuard } from './http/jwt-auth.guard.js';
export { JwtStrategy } from './http/jwt.strategy.js';
export type { Next } from './http/plain-answer.js';
export type { PlainRequest } from './http/plain-exchange.js';
export { sessionMiddleware, type PlainSessions, type SessionMiddlewareOptions } from './http/plain-sessions.js';
export { sessionOf, type RequestWithSession } from './http/request-session-property.js';
export { requireSession, type RequireSessionOptions, type SessionRequestHandler } from './http/require-session.js';
export { RolesGuard } from './http/roles.guard.js';
export {
  AllowAnonymous,
  AllowPending,
  NoTouch,
  Public,
  RequireFresh,
  Roles,
  StepUp,
  Transport,
} from './http/route-decorators.js';
export type { HttpExchange, HttpRequest } from './http/http-exchange.js';
export {
  explainSessionSecurity,
  generateFingerprint,
  validateSessionSecurity,
  type RequestLike,
  type SessionSecurityOptions,
  type SessionSecurityReason,
} from './http/session-security.js';
export { SessionExceptionFilter } from './http/session-exception.filter.js';
export { SessionGate, type AdmissionOptions } from './http/session-gate.js';
export { SessionGuard } from './http/session.guard.js';
export type { StreamableResponse } from './http/event-client.js';
export { SessionStreams, type SessionStreamMessage, type SessionStreamOptions } from './http/session-streams.js';
export { SessionMiddleware } from './http/session.middleware.js';
export type { SessionUser } from './http/session-users.js';
export { validateToken, type ForeignClaims, type ForeignTokens, type RequestWithUser } from './http/validate-token.js';

export { RedisSessionAliases } from './redis/redis-session-aliases.js';
export { RedisSessionStore, type RedisSessionStoreOptions } from './redis/redis-session-store.js';
export { RedisTokenBlacklist, type RedisTokenBlacklistOptions } from './redis/redis-token-blacklist.js';

export { SessionModule } from './module/session.module.js';
