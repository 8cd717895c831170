import type { ModuleMetadata, Provider } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { ActorCookie } from '../http/actor-cookie.js';
import { ApplicationSecurityRegistration } from '../http/application-security.js';
import { ClientRecognition } from '../http/client-recognition.js';
import { CsrfPolicy } from '../http/csrf-policy.js';
import { DeviceCookie } from '../http/device-cookie.js';
import { Impersonation } from '../http/impersonation.js';
import { JwtAuthGuard } from '../http/jwt-auth.guard.js';
import { JwtStrategy } from '../http/jwt.strategy.js';
import { RefreshCookie } from '../http/refresh-cookie.js';
import { RequestAuthenticator } from '../http/request-authenticator.js';
import { RequestSessionProperty } from '../http/request-session-property.js';
import { RolesGuard } from '../http/roles.guard.js';
import { SecurityPolicy } from '../http/security-policy.js';
import { SessionCookie } from '../http/session-cookie.js';
import { SessionExceptionFilter } from '../http/session-exception.filter.js';
import { SessionGate } from '../http/session-gate.js';
import { SessionGuard } from '../http/session.guard.js';
import { SessionLocator } from '../http/session-locator.js';
import { SessionStreams } from '../http/session-streams.js';
import { SessionUsers } from '../http/session-users.js';
import { SignIn } from '../http/sign-in.js';
import { TokenRefresh } from '../http/token-refresh.js';
import { CredentialCodec } from '../model/credential.js';
import { resolveSessionOptions } from '../options/resolve-options.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import type { SessionModuleOptions } from '../options/session-module-options.js';
import { SESSION_OPTIONS } from '../options/tokens.js';
import { SessionHistory } from '../ports/session-history.js';
import { SessionStore } from '../ports/session-store.js';
import { TokenBlacklist } from '../ports/token-blacklist.js';
import { AccessTokenVerifier } from '../services/access-token-verifier.js';
import { DeviceSessionService } from '../services/device-session-service.js';
import { EndedSessionUses } from '../services/ended-session-uses.js';
import { Impersonations } from '../services/impersonations.js';
import { SessionAdminService } from '../services/session-admin-service.js';
import { SessionAuthenticator } from '../services/session-authenticator.js';
import { SessionEventExplorer } from '../services/session-event-explorer.js';
import { SessionEventLog } from '../services/session-event-log.js';
import { SessionEvents } from '../services/session-events.js';
import { historyOf, SessionHistoryWriter } from '../services/session-history-writer.js';
import { SessionMetrics } from '../services/session-metrics.js';
import { SessionService } from '../services/session-service.js';
import { SessionSweeper } from '../services/session-sweeper.js';
import { SessionTelemetry } from '../services/session-telemetry.js';
import { SessionToucher } from '../services/session-toucher.js';
import { TokenService } from '../services/token-service.js';
import { expressSessionMount } from './express-session-mount.js';
import { loadTelemetry } from './load-telemetry.js';
import { SessionAdapters } from './session-adapters.js';
import { SessionLifecycle } from './session-lifecycle.js';
import { RAW_SESSION_OPTIONS } from './tokens.js';

const adapters: Provider[] = [
  SessionAdapters,
  {
    provide: SessionTelemetry,
    inject: [SESSION_OPTIONS],
    useFactory: ({ telemetry }: ResolvedSessionOptions) => loadTelemetry(telemetry),
  },
  {
    provide: SessionStore,
    inject: [SessionAdapters, SessionTelemetry],
    useFactory: async (made: SessionAdapters, telemetry: SessionTelemetry) => telemetry.observe(await made.store()),
  },
  { provide: SessionHistory, inject: [SessionStore, SESSION_OPTIONS], useFactory: historyOf },
  { provide: TokenBlacklist, inject: [SessionAdapters], useFactory: (made: SessionAdapters) => made.blacklist() },
];

const services = [
  Impersonations,
  SessionToucher,
  SessionAuthenticator,
  SessionService,
  DeviceSessionService,
  SessionAdminService,
  SessionEvents,
  EndedSessionUses,
  TokenService,
] satisfies Provider[];

/** Only where tokens are on: without it every bearer token is refused. */
const verifier: Provider = {
  provide: AccessTokenVerifier,
  inject: [TokenService],
  useFactory: (tokens: TokenService) => (tokens.enabled ? tokens : undefined),
};

const http = [
  SessionCookie,
  RefreshCookie,
  DeviceCookie,
  ActorCookie,
  ClientRecognition,
  SecurityPolicy,
  SessionLocator,
  SignIn,
  Impersonation,
  TokenRefresh,
  CsrfPolicy,
  RequestAuthenticator,
  SessionUsers,
  SessionGate,
  SessionGuard,
  RolesGuard,
  JwtStrategy,
  JwtAuthGuard,
  RequestSessionProperty,
  SessionStreams,
] satisfies Provider[];

/** Everything the module makes. */
export const SESSION_PROVIDERS: Provider[] = [
  {
    provide: SESSION_OPTIONS,
    inject: [RAW_SESSION_OPTIONS],
    useFactory: (options: SessionModuleOptions): ResolvedSessionOptions => resolveSessionOptions(options),
  },
  {
    provide: CredentialCodec,
    inject: [SESSION_OPTIONS],
    useFactory: (options: ResolvedSessionOptions) => new CredentialCodec(options.keys.credential),
  },
  ...adapters,
  ...services,
  verifier,
  ...http,
  ApplicationSecurityRegistration,
  SessionEventExplorer,
  SessionEventLog,
  SessionHistoryWriter,
  SessionMetrics,
  SessionSweeper,
  SessionLifecycle,
  expressSessionMount,
  { provide: APP_FILTER, useClass: SessionExceptionFilter },
];

/** What other modules may inject. Guards and pipes are made where they are used, so what they need is here as well. */
export const SESSION_EXPORTS: NonNullable<ModuleMetadata['exports']> = [
  SESSION_OPTIONS,
  SessionStore,
  SessionHistory,
  SessionTelemetry,
  TokenBlacklist,
  ...services,
  AccessTokenVerifier,
  ...http,
];
