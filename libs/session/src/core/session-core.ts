// Over 300 lines because it is the one place that builds every part of the library.
import { BindingTags } from '../device-bound/binding-tags.js';
import { BoundCookie } from '../device-bound/bound-cookie.js';
import { DeviceBoundEndpoints } from '../device-bound/device-bound-endpoints.js';
import { DeviceBoundSessions } from '../device-bound/device-bound-sessions.js';
import { PublicPaths } from '../device-bound/public-paths.js';
import { EndedSessionUses } from '../events/ended-session-uses.js';
import { SecurityReports } from '../events/security-reports.js';
import { SessionEventLog } from '../events/session-event-log.js';
import { SessionEvents } from '../events/session-events.js';
import { historyOf, SessionHistoryWriter } from '../events/session-history-writer.js';
import { SessionMetrics } from '../events/session-metrics.js';
import type { SessionTelemetry } from '../events/session-telemetry.js';
import { ClientRecognition } from '../http/authentication/client-recognition.js';
import { CsrfPolicy } from '../http/authentication/csrf-policy.js';
import { DpopNonces } from '../http/authentication/dpop-nonces.js';
import { DpopProofs } from '../http/authentication/dpop-proofs.js';
import { RequestAuthenticator } from '../http/authentication/request-authenticator.js';
import { RequestReports } from '../http/authentication/request-reports.js';
import { RequestContexts } from '../http/authentication/request-context.js';
import { RequestTenants } from '../http/authentication/request-tenants.js';
import { SecurityPolicy } from '../http/authentication/security-policy.js';
import { SessionAdmission } from '../http/authentication/session-admission.js';
import { SocketSessions } from '../http/authentication/socket-sessions.js';
import { SessionUsers } from '../http/authentication/session-users.js';
import { AccountsCookie } from '../http/cookies/accounts-cookie.js';
import { ActorCookie } from '../http/cookies/actor-cookie.js';
import { DeviceCookie } from '../http/cookies/device-cookie.js';
import { RefreshCookie } from '../http/cookies/refresh-cookie.js';
import { SessionCookie } from '../http/cookies/session-cookie.js';
import { Accounts } from '../http/session/accounts.js';
import { Impersonation } from '../http/session/impersonation.js';
import { RequestSessionProperty } from '../http/session/request-session-property.js';
import { RequestSessionServices } from '../http/session/request-session-services.js';
import { RequestSessions } from '../http/session/request-sessions.js';
import { SignIn } from '../http/session/sign-in.js';
import { TokenRefresh } from '../http/session/token-refresh.js';
import { SessionStreams } from '../http/streams/session-streams.js';
import { SessionWatch } from '../http/streams/session-watch.js';
import { IpLocator } from '../location/ip-locator.js';
import { CredentialCodec } from '../model/credential.js';
import { ConfigurationError } from '../model/errors.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import type { SessionHistory } from '../ports/session-history.js';
import type { SessionStore } from '../ports/session-store.js';
import type { TokenBlacklist } from '../ports/token-blacklist.js';
import { DeviceSessionService } from '../sessions/device-session-service.js';
import { SessionAdminService } from '../sessions/session-admin-service.js';
import { SessionAuthenticator } from '../sessions/session-authenticator.js';
import { SessionTenants } from '../sessions/session-tenants.js';
import { SessionService } from '../sessions/session-service.js';
import { SessionSweeper } from '../sessions/session-sweeper.js';
import { SessionToucher } from '../sessions/session-toucher.js';
import type { CreateJwtSigner } from '../tokens/jwt-signer.js';
import { TokenService } from '../tokens/token-service.js';
import { loadJwtSigners } from './load-jwt-signers.js';
import { loadTelemetry } from './load-telemetry.js';
import { nearCacheCountsOf, nearCached, nearCachedBlacklist, stopsOf } from './near-cached.js';
import type { SessionRealms } from './session-realms.js';
import { blacklistOfTenants, ofTenant, ofTenants } from './of-tenant.js';

/** The adapters of a core, which it never closes. */
export interface SessionCoreAdapters {
  readonly store: SessionStore;
  /** For tokens of other issuers. The core exposes it but does not use it. */
  readonly blacklist?: TokenBlacklist;
  /** Default: the store's. */
  readonly history?: SessionHistory;
  /** Default: from the option `telemetry`, with the store wrapped for it. */
  readonly telemetry?: SessionTelemetry;
  /** The realms beside the application's own sessions. Default: routes of every realm get the sessions of this core. */
  readonly realms?: SessionRealms;
  /** Of the application, for a realm: each request has one tenant. */
  readonly tenants?: RequestTenants;
}

export type SessionCore = Awaited<ReturnType<typeof createSessionCore>>;

/**
 * Builds everything between the store and a framework, each object once: the only place that calls their constructors.
 * `SessionModule` provides the result, `sessionMiddleware` uses it with Express, and tests use it directly.
 *
 * Rejects with `ConfigurationError` for the option `jwt` without @nestjs/jwt.
 *
 * Starts nothing: Nest's lifecycle hooks start and stop the parts, or `startSessionCore` without Nest.
 */
export async function createSessionCore(options: ResolvedSessionOptions, adapters: SessionCoreAdapters) {
  const { realms } = adapters;
  const telemetry = adapters.telemetry ?? (await loadTelemetry(options.telemetry));
  const kept = ofTenant(adapters.store, options.tenant);
  const store = ofTenants(nearCached(adapters.telemetry ? kept : telemetry.observe(kept), options), options);
  const given = adapters.blacklist && ofTenant(adapters.blacklist, options.tenant);
  const blacklist = given && blacklistOfTenants(nearCachedBlacklist(given, options), options);
  const history = adapters.history ?? historyOf(store, options);

  const createSigner = options.jwt ? await loadJwtSigners() : noSigners;
  const cleanups = stopsOf(store, blacklist);

  const codec = new CredentialCodec(options.keys.credential, options.currentTenant);
  const events = new SessionEvents(store, options.realm);
  const endedUses = new EndedSessionUses(events, store);
  const toucher = new SessionToucher(store, options);
  const authenticator = new SessionAuthenticator(store, codec, options, endedUses, toucher);
  const reports = new SecurityReports(events, () => store.now(), options.currentTenant);
  const sessions = new SessionService(store, codec, authenticator, toucher, options, reports);
  const devices = new DeviceSessionService(sessions, store, options);
  const admin = new SessionAdminService(store, sessions, events);
  const tokens = new TokenService(store, codec, options, createSigner, endedUses, toucher);

  const tenants = adapters.tenants ?? new RequestTenants(options);
  const clients = new ClientRecognition(options);
  const requestReports = new RequestReports(reports, options.security.ipPrivacy);
  const csrf = new CsrfPolicy(options, requestReports);
  const policy = new SecurityPolicy(clients, store, events, options);
  const cookie = new SessionCookie(options);
  const refreshCookie = new RefreshCookie(options, codec);
  const deviceCookie = new DeviceCookie(options);
  const actorCookie = new ActorCookie(options, sessions, codec);
  const accountsCookie = new AccountsCookie(options, codec, sessions);
  const deviceBound = options.deviceBound && createDeviceBound(options.deviceBound, options, events);
  const binding = deviceBound?.sessions;
  const dpop = createDpop(options, store);
  const socketSessions = new SocketSessions(authenticator);
  const watch = new SessionWatch(events, store);
  const requests = new RequestAuthenticator(
    authenticator,
    cookie,
    csrf,
    codec,
    policy,
    // Without the option `jwt` every bearer token is refused.
    tokens.enabled ? tokens : undefined,
    telemetry,
    requestReports,
    binding,
    socketSessions,
    dpop,
  );
  const users = new SessionUsers(options);
  const contexts = new RequestContexts(dpop?.challenges);
  const admission = new SessionAdmission(
    contexts,
    requests,
    users,
    toucher,
    options,
    tenants,
    requestReports,
    realms && ((realm) => realms.require(realm).admission),
  );
  const locator = new IpLocator(options);
  const signIn = new SignIn(
    sessions,
    tokens,
    requests,
    csrf,
    cookie,
    deviceCookie,
    actorCookie,
    clients,
    locator,
    options,
    accountsCookie,
    binding,
    dpop,
  );
  const accounts = new Accounts(
    options,
    authenticator,
    sessions,
    requests,
    policy,
    csrf,
    signIn,
    cookie,
    refreshCookie,
    accountsCookie,
  );
  const impersonation = new Impersonation(admin, sessions, requests, signIn, cookie, actorCookie);
  const refreshing = new TokenRefresh(tokens, refreshCookie, csrf, policy, requestReports, dpop);
  const requestSessions = new RequestSessions(
    contexts,
    admission,
    users,
    new RequestSessionServices(
      sessions,
      requests,
      cookie,
      refreshCookie,
      tokens,
      refreshing,
      signIn,
      impersonation,
      actorCookie,
      clients,
      requestReports,
      tenants,
      accounts,
      binding,
      dpop,
    ),
    watch,
    realms && ((realm) => realms.require(realm).requestSessions),
  );

  return {
    options,
    /** Undefined in a realm, and without Nest. */
    realms,
    store,
    blacklist,
    history,
    telemetry,
    codec,
    sessions,
    devices,
    admin,
    tokens,
    events,
    reports,
    requestReports,
    endedUses,
    toucher,
    authenticator,
    clients,
    csrf,
    policy,
    cookie,
    refreshCookie,
    deviceCookie,
    actorCookie,
    /** Null without the option `deviceBound`. */
    deviceBound: deviceBound && {
      ...deviceBound,
      endpoints: new DeviceBoundEndpoints(
        deviceBound.options,
        store,
        requests,
        csrf,
        actorCookie,
        deviceBound.tags,
        deviceBound.cookie,
        deviceBound.sessions,
        deviceBound.paths,
        requestReports,
      ),
    },
    contexts,
    tenants,
    sessionTenants: new SessionTenants(options),
    requests,
    socketSessions,
    watch,
    admission,
    requestSessions,
    users,
    locator,
    signIn,
    impersonation,
    refreshing,
    requestSessionProperty: new RequestSessionProperty(requestSessions),
    streams: new SessionStreams(events, store, contexts),
    eventLog: new SessionEventLog(events, options),
    historyWriter: new SessionHistoryWriter(events, store, history, options),
    metrics: new SessionMetrics(telemetry, events, store, nearCacheCountsOf(store, blacklist)),
    sweeper: new SessionSweeper(store, options),
    /** Registers a cleanup for when the application closes. */
    onClose: (cleanup: () => void): void => void cleanups.push(cleanup),
    /** Runs every registered cleanup once. */
    cleanUp: (): void => {
      for (const cleanup of cleanups.splice(0)) cleanup();
    },
  };
}

function createDeviceBound(
  options: NonNullable<ResolvedSessionOptions['deviceBound']>,
  { keys, currentTenant }: ResolvedSessionOptions,
  events: SessionEvents,
) {
  const tags = new BindingTags(keys.deviceBound, currentTenant);
  const cookie = new BoundCookie(options, tags);
  const paths = new PublicPaths(options.paths);
  return { options, tags, cookie, paths, sessions: new DeviceBoundSessions(options, tags, cookie, paths, events) };
}

/** Undefined without the option `jwt.dpop`. */
function createDpop({ jwt, keys, currentTenant }: ResolvedSessionOptions, store: SessionStore): DpopProofs | undefined {
  if (!jwt?.dpop) return undefined;
  const spent = store.spentProofs();
  if (!spent) {
    throw new ConfigurationError(
      'jwt.dpop: your store remembers no proofs. Give it a method spentProofs(), or omit the option.',
    );
  }
  const nonces = new DpopNonces(keys.dpop, currentTenant);
  return new DpopProofs(jwt.dpop, nonces, spent, () => store.now(), currentTenant);
}

/** Starts the background work, as lifecycle hooks do in Nest. Returns how to stop it. */
export function startSessionCore(core: SessionCore): () => Promise<void> {
  const { eventLog, events, historyWriter, metrics, streams, sweeper, toucher, watch } = core;
  for (const part of [eventLog, historyWriter, metrics, streams, watch]) part.onModuleInit();
  sweeper.onApplicationBootstrap();
  return async () => {
    streams.beforeApplicationShutdown();
    watch.beforeApplicationShutdown();
    core.reports.flush();
    await Promise.all([sweeper.onModuleDestroy(), events.onModuleDestroy(), toucher.settle()]);
    events.onApplicationShutdown();
    metrics.onApplicationShutdown();
    await historyWriter.settle();
    core.cleanUp();
  };
}

/** Used without the option `jwt`, when there are no keys. */
const noSigners: CreateJwtSigner = () => {
  throw new Error('there are no keys without the option "jwt"');
};
