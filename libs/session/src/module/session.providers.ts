import type { InjectionToken, ModuleMetadata, Provider } from '@nestjs/common';
import {
  APP_FILTER,
  APP_GUARD,
  ApplicationConfig,
  DiscoveryService,
  MetadataScanner,
  ModulesContainer,
} from '@nestjs/core';
import { createSessionCore, type SessionCore } from '../core/session-core.js';
import { SessionRealms } from '../core/session-realms.js';
import { SESSION_CORE } from '../core/tokens.js';
import { EndedSessionUses } from '../events/ended-session-uses.js';
import { SessionEventExplorer } from '../events/session-event-explorer.js';
import { SessionEventLog } from '../events/session-event-log.js';
import { SessionEvents } from '../events/session-events.js';
import { historyOf, SessionHistoryWriter } from '../events/session-history-writer.js';
import { SessionMetrics } from '../events/session-metrics.js';
import { SessionTelemetry } from '../events/session-telemetry.js';
import { ApplicationSecurityRegistration } from '../http/authentication/application-security.js';
import { RequestAuthenticator } from '../http/authentication/request-authenticator.js';
import { RequestContexts } from '../http/authentication/request-context.js';
import { SessionAdmission } from '../http/authentication/session-admission.js';
import { SessionUsers } from '../http/authentication/session-users.js';
import { RequestContextGuard } from '../http/authorization/request-context.guard.js';
import { RolesGuard } from '../http/authorization/roles.guard.js';
import { RouteRuleCheck } from '../http/authorization/route-rule-check.js';
import { SessionGuard } from '../http/authorization/session.guard.js';
import { SessionExceptionFilter } from '../http/exchange/session-exception.filter.js';
import { RequestSessionProperty } from '../http/session/request-session-property.js';
import { RequestSessions } from '../http/session/request-sessions.js';
import { SessionStreams } from '../http/streams/session-streams.js';
import { SessionWatch } from '../http/streams/session-watch.js';
import { requireOptions } from '../options/given-options.js';
import { resolveSessionOptions } from '../options/resolve-options.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import type { SessionModuleOptions } from '../options/session-module-options.js';
import { SESSION_OPTIONS } from '../options/tokens.js';
import { SessionHistory } from '../ports/session-history.js';
import { SessionStore } from '../ports/session-store.js';
import { TokenBlacklist } from '../ports/token-blacklist.js';
import { DeviceSessionService } from '../sessions/device-session-service.js';
import { SessionAdminService } from '../sessions/session-admin-service.js';
import { SessionService } from '../sessions/session-service.js';
import { SessionTenants } from '../sessions/session-tenants.js';
import { SessionSweeper } from '../sessions/session-sweeper.js';
import { SessionToucher } from '../sessions/session-toucher.js';
import { TokenService } from '../tokens/token-service.js';
import { DeviceBoundRoutes } from './device-bound-routes.js';
import { expressAccessors } from './express-accessors.js';
import { expressSessionMount } from './express-session-mount.js';
import { loadTelemetry } from '../core/load-telemetry.js';
import { nearCached, nearCachedBlacklist } from '../core/near-cached.js';
import { blacklistOfTenants, ofTenants } from '../core/of-tenant.js';
import { SessionAdapters } from './session-adapters.js';
import { tenantMount } from './tenant-mount.js';
import { SessionLifecycle } from './session-lifecycle.js';
import { requireOneImport } from './require-one-import.js';
import { RAW_SESSION_OPTIONS } from './tokens.js';

/** The adapters of the core. Each can be overridden, and the override reaches every part. */
const adapters: Provider[] = [
  {
    provide: SessionAdapters,
    inject: [SESSION_OPTIONS],
    useFactory: (options: ResolvedSessionOptions) => new SessionAdapters(options),
  },
  {
    provide: SessionTelemetry,
    inject: [SESSION_OPTIONS],
    useFactory: ({ telemetry }: ResolvedSessionOptions) => loadTelemetry(telemetry),
  },
  {
    provide: SessionStore,
    inject: [SessionAdapters, SessionTelemetry, SESSION_OPTIONS],
    useFactory: async (made: SessionAdapters, telemetry: SessionTelemetry, options: ResolvedSessionOptions) =>
      ofTenants(nearCached(telemetry.observe(await made.store()), options), options),
  },
  { provide: SessionHistory, inject: [SessionStore, SESSION_OPTIONS], useFactory: historyOf },
  {
    provide: TokenBlacklist,
    inject: [SessionAdapters, SESSION_OPTIONS],
    useFactory: async (made: SessionAdapters, options: ResolvedSessionOptions) =>
      blacklistOfTenants(nearCachedBlacklist(await made.blacklist(), options), options),
  },
];

const core: Provider = {
  provide: SESSION_CORE,
  inject: [SESSION_OPTIONS, SessionStore, TokenBlacklist, SessionHistory, SessionTelemetry, SessionRealms],
  useFactory: (
    options: ResolvedSessionOptions,
    store: SessionStore,
    blacklist: TokenBlacklist,
    history: SessionHistory,
    telemetry: SessionTelemetry,
    realms: SessionRealms,
  ) => createSessionCore(options, { store, blacklist, history, telemetry, realms }),
};

/** Provides a part of the core. Nest calls the part's lifecycle hooks, so each part must have only one token. */
function part(provide: InjectionToken, find: (core: SessionCore) => unknown): Provider & { provide: InjectionToken } {
  return { provide, inject: [SESSION_CORE], useFactory: find };
}

/** The services that applications inject. */
const services = [
  part(SessionService, ({ sessions }) => sessions),
  part(DeviceSessionService, ({ devices }) => devices),
  part(SessionAdminService, ({ admin }) => admin),
  part(TokenService, ({ tokens }) => tokens),
  part(SessionTenants, ({ sessionTenants }) => sessionTenants),
  part(SessionEvents, ({ events }) => events),
  part(SessionStreams, ({ streams }) => streams),
];

/** Injected by the library's guards and middleware, which Nest instantiates in the module that uses them. */
const parts = [
  part(SessionToucher, ({ toucher }) => toucher),
  part(EndedSessionUses, ({ endedUses }) => endedUses),
  part(RequestContexts, ({ contexts }) => contexts),
  part(RequestAuthenticator, ({ requests }) => requests),
  part(SessionUsers, ({ users }) => users),
  part(SessionAdmission, ({ admission }) => admission),
  part(RequestSessions, ({ requestSessions }) => requestSessions),
  part(SessionWatch, ({ watch }) => watch),
  part(RequestSessionProperty, ({ requestSessionProperty }) => requestSessionProperty),
];

/** Background parts, which only Nest starts and stops. */
const background = [
  part(SessionEventLog, ({ eventLog }) => eventLog),
  part(SessionHistoryWriter, ({ historyWriter }) => historyWriter),
  part(SessionMetrics, ({ metrics }) => metrics),
  part(SessionSweeper, ({ sweeper }) => sweeper),
];

const guards = [SessionGuard, RolesGuard] satisfies Provider[];

/** Every provider of the module. */
export const SESSION_PROVIDERS: Provider[] = [
  {
    provide: SESSION_OPTIONS,
    inject: [RAW_SESSION_OPTIONS, ModulesContainer],
    useFactory: (options: SessionModuleOptions | undefined, modules: ModulesContainer): ResolvedSessionOptions => {
      requireOneImport(modules);
      return resolveSessionOptions(requireOptions(options));
    },
  },
  SessionRealms,
  ...adapters,
  core,
  ...services,
  ...parts,
  ...background,
  ...guards,
  ApplicationSecurityRegistration,
  {
    provide: SessionEventExplorer,
    inject: [DiscoveryService, MetadataScanner, SessionEvents],
    useFactory: (discovery: DiscoveryService, scanner: MetadataScanner, events: SessionEvents) =>
      new SessionEventExplorer(discovery, scanner, events),
  },
  {
    provide: RouteRuleCheck,
    inject: [ApplicationConfig, DiscoveryService, MetadataScanner, SESSION_OPTIONS, SessionRealms],
    useFactory: (...parts: ConstructorParameters<typeof RouteRuleCheck>) => new RouteRuleCheck(...parts),
  },
  SessionLifecycle,
  DeviceBoundRoutes,
  tenantMount,
  expressSessionMount,
  expressAccessors,
  { provide: APP_FILTER, useClass: SessionExceptionFilter },
  { provide: APP_GUARD, useClass: RequestContextGuard },
];

/** The exports. They include the dependencies of guards, which are instantiated in the module that uses them. */
export const SESSION_EXPORTS: NonNullable<ModuleMetadata['exports']> = [
  SESSION_OPTIONS,
  SESSION_CORE,
  SessionStore,
  SessionHistory,
  SessionTelemetry,
  TokenBlacklist,
  // For realms.
  SessionAdapters,
  SessionRealms,
  ...[...services, ...parts].map(({ provide }) => provide as SessionExport),
  ...guards,
];

type SessionExport = NonNullable<ModuleMetadata['exports']>[number];
