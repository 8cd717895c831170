import type { InjectionToken, OptionalFactoryDependency, Provider } from '@nestjs/common';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';
import { nearCached, nearCachedBlacklist } from '../core/near-cached.js';
import { blacklistOfTenants, ofTenants } from '../core/of-tenant.js';
import { createSessionCore, type SessionCore } from '../core/session-core.js';
import { SessionRealms } from '../core/session-realms.js';
import { SESSION_CORE } from '../core/tokens.js';
import { SessionEventExplorer } from '../events/session-event-explorer.js';
import { SessionEventLog } from '../events/session-event-log.js';
import { SessionEvents } from '../events/session-events.js';
import { historyOf, SessionHistoryWriter } from '../events/session-history-writer.js';
import { SessionMetrics } from '../events/session-metrics.js';
import { SessionTelemetry } from '../events/session-telemetry.js';
import { SessionStreams } from '../http/streams/session-streams.js';
import { SessionWatch } from '../http/streams/session-watch.js';
import { ConfigurationError } from '../model/errors.js';
import { assertRealmApart, resolveRealmOptions } from '../options/realm-options.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import type { SessionRealmOptions } from '../options/session-module-options.js';
import { SESSION_OPTIONS } from '../options/tokens.js';
import { SessionHistory } from '../ports/session-history.js';
import { SessionStore } from '../ports/session-store.js';
import { TokenBlacklist } from '../ports/token-blacklist.js';
import { RedisSessionStore } from '../redis/redis-session-store.js';
import { DeviceSessionService } from '../sessions/device-session-service.js';
import { SessionAdminService } from '../sessions/session-admin-service.js';
import { SessionService } from '../sessions/session-service.js';
import { SessionSweeper } from '../sessions/session-sweeper.js';
import { TokenService } from '../tokens/token-service.js';
import { getSessionToken } from './realm-tokens.js';
import { SessionAdapters } from './session-adapters.js';
import { SessionLifecycle } from './session-lifecycle.js';
import { RAW_SESSION_OPTIONS } from './tokens.js';

/** The services of a realm that applications inject. Nest calls their lifecycle hooks. */
const SERVICES: readonly [InjectionToken, (core: SessionCore) => unknown][] = [
  [SessionService, ({ sessions }) => sessions],
  [DeviceSessionService, ({ devices }) => devices],
  [SessionAdminService, ({ admin }) => admin],
  [TokenService, ({ tokens }) => tokens],
  [SessionEvents, ({ events }) => events],
  [SessionStreams, ({ streams }) => streams],
];

/** Parts that only Nest starts and stops. */
const BACKGROUND: readonly [InjectionToken, (core: SessionCore) => unknown][] = [
  [SessionWatch, ({ watch }) => watch],
  [SessionEventLog, ({ eventLog }) => eventLog],
  [SessionHistoryWriter, ({ historyWriter }) => historyWriter],
  [SessionMetrics, ({ metrics }) => metrics],
  [SessionSweeper, ({ sweeper }) => sweeper],
];

/** Everything that a realm has of its own: the providers of `SessionModule` once more, under tokens of the realm. */
export function realmProviders(realm: string, raw: Provider): Provider[] {
  const of = (token: InjectionToken): symbol => getSessionToken(token, realm);
  const parts = [...SERVICES, ...BACKGROUND].map(([token, find]) => ({
    provide: of(token),
    inject: [of(SESSION_CORE)],
    useFactory: find,
  }));
  return [
    raw,
    {
      provide: of(SESSION_OPTIONS),
      inject: [of(RAW_SESSION_OPTIONS), ofRoot(SESSION_OPTIONS), ofRoot(SessionRealms)],
      useFactory: (given: SessionRealmOptions, root?: ResolvedSessionOptions, realms?: SessionRealms) => {
        if (!root || !realms) throw new ConfigurationError(noRoot(realm));
        const options = resolveRealmOptions({ ...given, realm }, root);
        const others = [root, ...realms.options];
        assertRealmApart(options, others);
        assertPrefixApart(options, others);
        realms.claim(options);
        return options;
      },
    },
    {
      provide: of(SessionAdapters),
      inject: [of(SESSION_OPTIONS), ofRoot(SessionAdapters)],
      useFactory: (options: ResolvedSessionOptions, root: SessionAdapters) => new SessionAdapters(options, root),
    },
    {
      provide: of(SessionTelemetry),
      inject: [ofRoot(SessionTelemetry), of(SESSION_OPTIONS)],
      useFactory: (telemetry: SessionTelemetry) => telemetry.forRealm(realm),
    },
    {
      provide: of(SessionStore),
      inject: [of(SessionAdapters), of(SessionTelemetry), of(SESSION_OPTIONS)],
      useFactory: async (made: SessionAdapters, telemetry: SessionTelemetry, options: ResolvedSessionOptions) =>
        ofTenants(nearCached(telemetry.observe(await made.store()), options), options),
    },
    { provide: of(SessionHistory), inject: [of(SessionStore), of(SESSION_OPTIONS)], useFactory: historyOf },
    {
      provide: of(TokenBlacklist),
      inject: [of(SessionAdapters), of(SESSION_OPTIONS)],
      useFactory: async (made: SessionAdapters, options: ResolvedSessionOptions) =>
        blacklistOfTenants(nearCachedBlacklist(await made.blacklist(), options), options),
    },
    {
      provide: of(SESSION_CORE),
      inject: [
        ...[SESSION_OPTIONS, SessionStore, TokenBlacklist, SessionHistory, SessionTelemetry].map(of),
        ofRoot(SESSION_CORE),
        ofRoot(SessionRealms),
      ],
      useFactory: async (
        options: ResolvedSessionOptions,
        store: SessionStore,
        blacklist: TokenBlacklist,
        history: SessionHistory,
        telemetry: SessionTelemetry,
        { tenants }: SessionCore,
        realms: SessionRealms,
      ) => {
        const core = await createSessionCore(options, { store, blacklist, history, telemetry, tenants });
        realms.add(core);
        return core;
      },
    },
    ...parts,
    {
      provide: of(SessionEventExplorer),
      inject: [DiscoveryService, MetadataScanner, of(SessionEvents)],
      useFactory: (discovery: DiscoveryService, scanner: MetadataScanner, events: SessionEvents) =>
        new SessionEventExplorer(discovery, scanner, events, realm),
    },
    {
      provide: of(SessionLifecycle),
      inject: [of(SESSION_CORE), of(SessionAdapters), ofRoot(SessionAdapters)],
      useFactory: (core: SessionCore, adapters: SessionAdapters, root: SessionAdapters) => {
        const { store, toucher, events, historyWriter, options } = core;
        const lifecycle = new SessionLifecycle(store, adapters, toucher, events, historyWriter, core, options);
        root.beforeClose(() => lifecycle.finish());
        return lifecycle;
      },
    },
  ];
}

/** What a realm exports: all that applications may inject. */
export function realmExports(realm: string): symbol[] {
  const others = [SESSION_OPTIONS, SESSION_CORE, SessionStore, SessionHistory, TokenBlacklist];
  return [...SERVICES.map(([token]) => token), ...others].map((token) => getSessionToken(token, realm));
}

/** What the application provides. Optional, so that the error for an application without it is ours. */
function ofRoot(token: InjectionToken): OptionalFactoryDependency {
  return { token, optional: true };
}

function noRoot(realm: string): string {
  return `SessionModule.forFeature, realm "${realm}": there is no SessionModule.forRoot() here. Import it in the root module, without isGlobal: false.`;
}

/**
 * Two stores on Redis with one prefix have the same sessions.
 *
 * @throws {ConfigurationError}
 */
function assertPrefixApart(options: ResolvedSessionOptions, others: readonly ResolvedSessionOptions[]): void {
  const prefix = prefixOf(options);
  if (prefix === null || !others.some((other) => prefixOf(other) === prefix)) return;
  throw new ConfigurationError(
    `SessionModule.forFeature, realm "${options.realm}": the keyPrefix of its store, "${prefix}", is used by another realm or the application’s own sessions. Give the store another.`,
  );
}

function prefixOf({ store, redis, keyPrefix }: ResolvedSessionOptions): string | null {
  if (store) return store instanceof RedisSessionStore ? store.keyPrefix : null;
  return redis === undefined ? null : keyPrefix;
}
