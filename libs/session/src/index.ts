export {
  AuthenticationError,
  ConfigurationError,
  HTTP_STATUS,
  SessionError,
  SessionLimitError,
  StoreUnavailableError,
  type SessionErrorBody,
  type SessionErrorCode,
  type SessionSummary,
} from './model/errors.js';
export { logEntryOf, type EventLogEntry } from './model/event-log.js';
export type { SessionEvent, SessionEventName, SessionEventNamed, SessionEventType } from './model/events.js';
export type { IpPrivacy } from './model/ip.js';
export type { LimitPolicy, SessionLimit } from './model/limit.js';
export type { ReuseDetection } from './model/token-family.js';
export { isAnonymousSession } from './model/alias.js';
export { generateSecureSessionId, type SecureIdOptions } from './model/secure-id.js';
export type {
  DeviceSession,
  DeviceType,
  EndReason,
  NewSession,
  Session,
  SessionData,
  SessionLocation,
  SessionMetadata,
  SessionPatch,
  UserPatch,
} from './model/session.js';

export { SessionHistory, type SessionHistoryEntry } from './ports/session-history.js';
export { SessionStore } from './ports/session-store.js';
export { TokenBlacklist } from './ports/token-blacklist.js';

export type { Duration } from './options/duration.js';
export type { SessionEventOptions, SessionHistoryOptions, TelemetryOptions } from './options/event-options.js';
export type { ExpressSessionOptions } from './options/express-session-options.js';
export type { RedisOption } from './options/redis-option.js';
export type { TenantOf, TenantRequest } from './options/tenant-option.js';
export type { ResolvedSessionOptions } from './options/resolved-options.js';
export type {
  DeviceBoundOptions,
  DpopAlgorithm,
  DpopMode,
  DpopOptions,
  JwtKeyOptions,
  JwtOptions,
  MaxSessionsPerUser,
  SecurityOptions,
  SignalOption,
  SessionCookieOptions,
  SessionLifetimeOptions,
  SessionModuleOptions,
  SessionOptionsFactory,
  SessionRealmOptions,
  SessionPreset,
} from './options/session-module-options.js';
export { SESSION_OPTIONS } from './options/tokens.js';

export { MemorySessionStore } from './memory/memory-session-store.js';
export { MemoryTokenBlacklist } from './memory/memory-token-blacklist.js';
export { RedisSessionStore } from './redis/redis-session-store.js';
export { RedisTokenBlacklist } from './redis/redis-token-blacklist.js';

export type { FailedSignIn } from './events/security-reports.js';
export { SessionEvents } from './events/session-events.js';
export { OnSessionEvent } from './events/on-session-event.js';
export { DeviceSessionService, type NewDeviceSession } from './sessions/device-session-service.js';
export { SessionAdminService, type ImpersonateOptions } from './sessions/session-admin-service.js';
export type {
  AdminAction,
  AdminProgress,
  LongOperationOptions,
  SearchOptions,
  SessionPage,
} from './sessions/session-administration.js';
export type { SessionFilter } from './sessions/session-filter.js';
export type { AuthenticateOptions, Authentication } from './sessions/session-authenticator.js';
export { SessionTenants } from './sessions/session-tenants.js';
export {
  SessionService,
  type RegeneratedSession,
  type RegenerateOptions,
  type StartedSession,
  type StartOptions,
} from './sessions/session-service.js';
export {
  TokenService,
  type AccessToken,
  type RefreshedTokens,
  type RefreshOptions,
  type TokenBinding,
  type TokenPair,
} from './tokens/token-service.js';
export type { AccessTokenKey } from './tokens/access-token-key.js';
export type { ConfirmKey, VerifiedAccessToken, VerifyOptions } from './tokens/access-token-verifier.js';
export type { AccessTokenClaims } from './model/access-claims.js';

export { SessionHttpException } from './http/exchange/http-errors.js';
export { SessionExceptionFilter } from './http/exchange/session-exception.filter.js';
export { CurrentSession, CurrentUser, ReqSession } from './http/authorization/parameter-decorators.js';
export {
  AllowAnonymous,
  AllowCrossSite,
  AllowPending,
  NoTouch,
  Public,
  Realm,
  RequireDeviceBound,
  RequireDpop,
  RequireFresh,
  Roles,
  StepUp,
  Transport,
} from './http/authorization/route-decorators.js';
export { RolesGuard } from './http/authorization/roles.guard.js';
export { SessionGuard } from './http/authorization/session.guard.js';
export {
  explainSessionSecurity,
  generateFingerprint,
  validateSessionSecurity,
  type RequestLike,
  type SessionSecurityOptions,
  type SessionSecurityReason,
} from './http/authentication/session-security.js';
export type { RequestUser, SessionTypes, SessionUser } from './model/session-user.js';
export { sessionOf, type RequestWithSession } from './http/session/request-session-property.js';
export type { Account } from './http/session/accounts.js';
export { RequestSession, type SignedIn } from './http/session/request-session.js';
export type { SignInOptions } from './http/session/sign-in.js';
export { SessionMiddleware } from './http/session/session.middleware.js';
export type { StreamableResponse } from './http/streams/event-client.js';
export {
  SessionStreams,
  type SessionStreamMessage,
  type SessionStreamOptions,
} from './http/streams/session-streams.js';

export { takeUntilEnded } from './http/streams/take-until-ended.js';

export { getSessionToken, InjectSession } from './module/realm-tokens.js';
export { SessionModule, type SessionRealmAsyncOptions } from './module/session.module.js';
