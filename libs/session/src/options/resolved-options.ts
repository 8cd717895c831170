import type { SignalAction } from '../model/events.js';
import type { IpPrivacy } from '../model/ip.js';
import type { LimitPolicy } from '../model/limit.js';
import type { DeviceType } from '../model/session.js';
import type { SessionStore } from '../ports/session-store.js';
import type { TokenBlacklist } from '../ports/token-blacklist.js';
import type { ResolvedCookieOptions } from './cookie-options.js';
import type { ResolvedEventOptions, ResolvedHistoryOptions, TelemetryOptions } from './event-options.js';
import type { ResolvedExpressSessionOptions } from './express-session-options.js';
import type { JwtKey } from './jwt-keys.js';
import type { RedisOption } from './redis-option.js';
import type { SessionKeys } from './session-keys.js';
import type { MaxSessionsPerUser, SessionModuleOptions } from './session-module-options.js';
import type { ResolvedStoreOptions } from './store-options.js';

/** What the options come to: defaults filled in, durations in milliseconds, checked and frozen once at boot. */
export interface ResolvedSessionOptions {
  readonly redis: RedisOption | undefined;
  readonly store: SessionStore | undefined;
  readonly blacklist: TokenBlacklist | undefined;
  readonly keys: SessionKeys;
  readonly keyPrefix: string;
  readonly tenant: string;
  readonly session: ResolvedLifetimeOptions;
  readonly cookie: ResolvedCookieOptions;
  readonly jwt: ResolvedJwtOptions | undefined;
  readonly security: ResolvedSecurityOptions;
  readonly device: { readonly cookie: boolean };
  readonly nearCache: { readonly maxEntries: number; readonly maxStale: number } | null;
  readonly events: ResolvedEventOptions;
  readonly history: ResolvedHistoryOptions | null;
  /** Null: no metrics and no spans, whatever SDK there is. */
  readonly telemetry: Readonly<TelemetryOptions> | null;
  readonly sweeper: { readonly interval: number };
  readonly commandTimeout: number;
  readonly clockTolerance: number;
  readonly expressSession: ResolvedExpressSessionOptions | undefined;
  readonly resolveUser: SessionModuleOptions['resolveUser'];
  readonly beforeStart: SessionModuleOptions['beforeStart'];
  readonly locate: SessionModuleOptions['locate'];
  readonly mergeAnonymous: SessionModuleOptions['mergeAnonymous'];
  /** What both store adapters are made with. */
  readonly adapter: ResolvedStoreOptions;
}

export interface ResolvedLifetimeOptions {
  readonly idleTimeout: number;
  readonly absoluteTimeout: number;
  readonly touchInterval: number;
  /** `Infinity` for never. */
  readonly renewalInterval: number;
  /** How long the cookie before a rotation still counts as a repeated request. */
  readonly rotationGrace: number;
  readonly rememberMe: { readonly idleTimeout: number; readonly absoluteTimeout: number };
  readonly maxSessionsPerUser: MaxSessionsPerUser;
  readonly maxSessionsPerDeviceType: Readonly<Partial<Record<DeviceType, number>>> | undefined;
  readonly onLimit: LimitPolicy;
  readonly freshness: number;
}

export interface ResolvedJwtOptions {
  readonly issuer: string;
  readonly audience: string | readonly string[];
  /** The first signs, all verify. */
  readonly keys: readonly JwtKey[];
  readonly accessTokenTtl: number;
  readonly refreshGrace: number;
  readonly refreshCookie: ResolvedCookieOptions | undefined;
}

export interface ResolvedSecurityOptions {
  readonly useFingerprint: SignalAction;
  readonly bindToIP: SignalAction;
  readonly ipPrivacy: IpPrivacy;
  readonly idLength: number;
  readonly idAlphabet: string;
  readonly csrf: { readonly enabled: boolean; readonly trustedOrigins: readonly string[] };
}
