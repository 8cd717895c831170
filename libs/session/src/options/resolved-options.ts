import type { DpopAlgorithm } from '../model/dpop-proof.js';
import type { SignalAction } from '../model/events.js';
import type { IpPrivacy } from '../model/ip.js';
import type { LimitPolicy } from '../model/limit.js';
import type { DeviceType } from '../model/session.js';
import type { ReuseDetection } from '../model/token-family.js';
import type { SessionStore } from '../ports/session-store.js';
import type { TenantScope } from '../ports/tenants/tenant-scope.js';
import type { TokenBlacklist } from '../ports/token-blacklist.js';
import type { ResolvedCookieOptions } from './cookie-options.js';
import type { ResolvedEventOptions, ResolvedHistoryOptions, TelemetryOptions } from './event-options.js';
import type { ResolvedExpressSessionOptions } from './express-session-options.js';
import type { JwtKey } from './jwt-keys.js';
import type { RedisOption } from './redis-option.js';
import type { SessionKeys } from './session-keys.js';
import type { MaxSessionsPerUser, SessionModuleOptions } from './session-module-options.js';
import type { ResolvedStoreOptions } from './store-options.js';
import type { TenantOf } from './tenant-option.js';

/** The options with defaults, durations in milliseconds, checked and frozen once at boot. */
export interface ResolvedSessionOptions {
  readonly redis: RedisOption | undefined;
  readonly store: SessionStore | undefined;
  readonly blacklist: TokenBlacklist | undefined;
  /** '' for the application's own sessions. */
  readonly realm: string;
  /** In a test of the application: makes the adapters of a realm in memory. */
  readonly realmAdapters?: (options: ResolvedSessionOptions) => { store: SessionStore; blacklist: TokenBlacklist };
  readonly keys: SessionKeys;
  readonly keyPrefix: string;
  /** The one tenant of the application; '' without tenants, and in an application that serves many. */
  readonly tenant: string;
  /** How an application that serves many finds the tenant of a request; null in others. */
  readonly tenants: { readonly of: TenantOf; readonly scope: TenantScope } | null;
  /**
   * The tenant of the current operation; '' without tenants.
   *
   * @throws {ConfigurationError} in an application that serves many, outside of a request.
   */
  readonly currentTenant: () => string;
  readonly session: ResolvedLifetimeOptions;
  readonly cookie: ResolvedCookieOptions;
  readonly jwt: ResolvedJwtOptions | undefined;
  readonly reuseDetection: ReuseDetection;
  readonly security: ResolvedSecurityOptions;
  /** Null: sessions are bound to no device. */
  readonly deviceBound: ResolvedDeviceBoundOptions | null;
  /** Null: a browser has one account. */
  readonly accounts: { readonly max: number } | null;
  readonly device: { readonly cookie: boolean };
  readonly nearCache: { readonly maxEntries: number; readonly maxStale: number } | null;
  readonly events: ResolvedEventOptions;
  readonly history: ResolvedHistoryOptions | null;
  /** Null: no metrics and no spans, even with an SDK. */
  readonly telemetry: Readonly<TelemetryOptions> | null;
  /** Null: the application calls `sweep` itself. */
  readonly sweeper: { readonly interval: number } | null;
  readonly commandTimeout: number;
  readonly minReplicas: number;
  readonly strictRedis: boolean;
  readonly clockTolerance: number;
  readonly expressSession: ResolvedExpressSessionOptions | undefined;
  readonly resolveUser: SessionModuleOptions['resolveUser'];
  readonly beforeStart: SessionModuleOptions['beforeStart'];
  readonly locate: SessionModuleOptions['locate'];
  readonly mergeAnonymous: SessionModuleOptions['mergeAnonymous'];
  /** Settings that work but should be changed; logged once at boot. */
  readonly warnings: readonly string[];
  /** Options of both store adapters. */
  readonly adapter: ResolvedStoreOptions;
}

export interface ResolvedLifetimeOptions {
  readonly idleTimeout: number;
  readonly absoluteTimeout: number;
  readonly touchInterval: number;
  /** `Infinity` for never. */
  readonly rotationInterval: number;
  /** How long the token before a rotation still counts as a repeated request. */
  readonly rotationGrace: number;
  readonly rememberMe: { readonly idleTimeout: number; readonly absoluteTimeout: number };
  readonly maxSessionsPerUser: MaxSessionsPerUser;
  readonly maxSessionsPerDeviceType: Readonly<Partial<Record<DeviceType, number>>> | undefined;
  readonly onLimit: LimitPolicy;
  readonly freshness: number;
}

export interface ResolvedDeviceBoundOptions {
  /** ms. */
  readonly refresh: number;
  readonly paths: { readonly register: string; readonly refresh: string; readonly prefix: string };
  readonly required: boolean;
  readonly policy: 'log' | 'step-up' | 'reject';
  readonly cookie: ResolvedCookieOptions;
}

export interface ResolvedJwtOptions {
  readonly issuer: string;
  readonly audience: string | readonly string[];
  /** The first key signs; all of them verify. */
  readonly keys: readonly JwtKey[];
  readonly accessTokenTtl: number;
  readonly refreshGrace: number;
  readonly refreshCookie: ResolvedCookieOptions | undefined;
  /** Null: tokens are bound to no keys. */
  readonly dpop: ResolvedDpopOptions | null;
}

export interface ResolvedDpopOptions {
  readonly mode: 'optional' | 'required';
  readonly nonce: boolean;
  /** ms. */
  readonly window: number;
  readonly algorithms: readonly DpopAlgorithm[];
  /** Null: the URL of each request, by the framework's proxy settings. */
  readonly publicUrl: { readonly origin: string; readonly pathname: string } | null;
}

/** The action for a client mismatch, by transport. A refresh token counts as `bearer`. */
export interface SignalActions {
  readonly cookie: SignalAction;
  readonly bearer: SignalAction;
}

export interface ResolvedSecurityOptions {
  readonly useFingerprint: SignalActions;
  readonly bindToIP: SignalActions;
  readonly ipPrivacy: IpPrivacy;
  readonly idLength: number;
  readonly idAlphabet: string;
  readonly csrf: { readonly enabled: boolean; readonly trustedOrigins: readonly string[] };
}
