// Over 300 lines because it is one public interface, and most of it is documentation.
import type { KeyObject } from 'node:crypto';
import type { DpopAlgorithm } from '../model/dpop-proof.js';
import type { SignalAction } from '../model/events.js';
import type { IpPrivacy } from '../model/ip.js';
import type { LimitPolicy } from '../model/limit.js';
import type { DeviceType, NewSession, SessionData } from '../model/session.js';
import type { ResolveUser } from '../model/session-user.js';
import type { ReuseDetection } from '../model/token-family.js';
import type { SessionStore } from '../ports/session-store.js';
import type { TokenBlacklist } from '../ports/token-blacklist.js';
import type { SameSite } from './cookie-attributes.js';
import type { Duration } from './duration.js';
import type { SessionEventOptions, SessionHistoryOptions, TelemetryOptions } from './event-options.js';
import type { ExpressSessionOptions } from './express-session-options.js';
import type { RedisOption } from './redis-option.js';
import type { TenantOf } from './tenant-option.js';

/** Maximum number of sessions per user: a number, or a function of the user who signs in. */
export type MaxSessionsPerUser = number | ((user: NewSession) => number | Promise<number>);

/** Timeouts of sessions whose users asked to be remembered. */
export interface RememberMeOptions {
  /** Default 14 days. */
  idleTimeout?: Duration;
  /** Default 30 days. */
  absoluteTimeout?: Duration;
}

export interface SessionLifetimeOptions {
  /** How long a session lives without an access. Default 30 minutes (ASVS 5.0, 7.3.1). */
  idleTimeout?: Duration;
  /** Absolute lifetime of a session. Default 24 hours (ASVS 5.0, 7.3.2). */
  absoluteTimeout?: Duration;
  /** Accesses are recorded at most this often. Default 1 minute, never more than a tenth of `idleTimeout`. */
  touchInterval?: Duration;
  /** Age at which the cookie's token rotates, longer than `rotationGrace`. Default: never. */
  rotationInterval?: Duration;
  /**
   * How long a replaced cookie counts as a repeated request: it gets the current token again. Afterwards `reuseDetection` decides.
   * Default 30 seconds.
   */
  rotationGrace?: Duration;
  rememberMe?: RememberMeOptions;
  /** Maximum number of live sessions per user, 1 to 1,000. Default 5. */
  maxSessionsPerUser?: MaxSessionsPerUser;
  /** Maximum number of sessions per user and device type, such as `{ mobile: 2 }`. Default: no limit per type. */
  maxSessionsPerDeviceType?: Partial<Record<DeviceType, number>>;
  /** What a sign-in at the limit does. Default `evict-least-recent`. */
  onLimit?: LimitPolicy;
  /** Maximum age of a proof of identity for a `@RequireFresh()` without a duration. Default 5 minutes. */
  freshness?: Duration;
  /** Maximum size of a stored session, bytes. Default 65,536. A custom store sets its own. */
  maxRecordBytes?: number;
}

/** The cookie that carries the session token (ASVS 5.0, 3.3). Always HttpOnly. */
export interface SessionCookieOptions {
  /** Default `__Host-session`; with `domain`, `__Secure-session`. */
  name?: string;
  /** Default true. Use false only for plain http during development. */
  secure?: boolean;
  /** Always true: scripts must not read the token. */
  httpOnly?: true;
  /** Default `lax`. */
  sameSite?: SameSite;
  /** Default `/`. */
  path?: string;
  /** Default: the host only. With a domain the cookie is sent to all its subdomains. */
  domain?: string;
  /** Separate cookie for each site that embeds yours (CHIPS). Default false. */
  partitioned?: boolean;
  /**
   * Former places of the cookie, before a change of path or domain: it is cleared there whenever it is set or cleared,
   * because a server cannot see where a cookie is stored. Default: none.
   */
  former?: { path?: string; domain?: string }[];
}

export type JwtAlgorithm = 'HS256' | 'HS384' | 'HS512' | 'RS256' | 'PS256' | 'ES256' | 'ES384';

/** Key material: PEM or secret text, bytes, or a KeyObject. */
export type JwtKeyMaterial = string | Uint8Array | KeyObject;

export interface JwtKeyOptions {
  kid: string;
  alg: JwtAlgorithm;
  /** For HS algorithms. */
  secret?: JwtKeyMaterial;
  /** For the others. Without it the key only verifies. */
  privateKey?: JwtKeyMaterial;
  publicKey?: JwtKeyMaterial;
}

export interface JwtOptions {
  /** `iss` of the tokens issued and accepted. */
  issuer: string;
  /** `aud` of the tokens issued; accepted tokens must contain one of them. */
  audience: string | string[];
  /** The first key signs; all of them verify. Default: HS256 with a key derived from `secrets`. */
  keys?: JwtKeyOptions[];
  /** Default 15 minutes. */
  accessTokenTtl?: Duration;
  /** How long after a refresh the previous token counts as a repeated request. Default 30 seconds. */
  refreshGrace?: Duration;
  /**
   * Sends the refresh token to browsers in an HttpOnly cookie instead of the body. Default: none. Attributes except name and
   * path are those of the session cookie.
   */
  refreshCookie?: {
    /** Default `__Secure-refresh`, or `refresh` if the session cookie is not secure. */
    name?: string;
    /** Path of the refresh route, the only one that receives the cookie. */
    path: string;
  };
  /**
   * Whether tokens are bound to a key of the client, of which every request then brings a proof (RFC 9449). `optional`: where the
   * client sends a proof when it gets them. `required`: always; other tokens are refused. Default `off`.
   */
  dpop?: DpopMode | DpopOptions;
}

export type DpopMode = 'off' | 'optional' | 'required';

export type { DpopAlgorithm };

/** Proofs of possession for access and refresh tokens (RFC 9449, DPoP). */
export interface DpopOptions {
  mode: DpopMode;
  /**
   * Whether every proof needs a nonce of the server, so that none can be made in advance. Without it only a client whose clock is
   * wrong is asked for one. Default false.
   */
  nonce?: boolean;
  /** How far `iat` of a proof without a nonce may be from the server's time. Default 1 minute; one second to ten minutes. */
  window?: Duration;
  /** Algorithms of proofs. Default: all of ES256, ES384, EdDSA, Ed25519, PS256, RS256. */
  algorithms?: DpopAlgorithm[];
  /**
   * Where clients reach the application, if its framework cannot tell: scheme, host, and the path that a proxy takes off, such as
   * `https://api.example.com/v1`. Default: by each request and the framework's proxy settings.
   */
  publicUrl?: string;
}

/** One action for all transports, or one each: `{ cookie: 'reject', bearer: 'off' }`. `true` is `{ cookie: 'reject', bearer: 'log' }`. */
export type SignalOption =
  boolean | SignalAction | { cookie?: boolean | SignalAction; bearer?: boolean | SignalAction };

export interface SecurityOptions {
  /**
   * What to do if browser family, system or kind of device differ from those the session started with. `true`: `reject`
   * with the cookie, `log` with a bearer or refresh token, since services relay those. Default `true`.
   */
  useFingerprint?: SignalOption;
  /** The same for the network; IPv6 counts by its /64. Default `false`. */
  bindToIP?: SignalOption;
  /**
   * How much of a client's address is kept: `full`; `truncated` to /24 (IPv6: /48); `none`. Default `full`. `bindToIP`
   * can compare only what is kept.
   */
  ipPrivacy?: IpPrivacy;
  /** Characters of a token's secret. Default 32; under 128 bits refuses to boot (ASVS 5.0, 7.2.3). */
  idLength?: number;
  /** Characters a token's secret is drawn from: letters, digits, `-`, `_`, `~`. Default A-Za-z0-9. */
  idAlphabet?: string;
  /**
   * Checks that unsafe requests with the cookie come from this site (ASVS 5.0, 3.5.1). Further trusted origins may be
   * those of applications (`capacitor://localhost`) or of all subdomains (`https://*.example.com`). Default true.
   */
  csrf?: boolean | { trustedOrigins: string[] };
}

/**
 * Device-bound sessions (W3C Device Bound Session Credentials, draft): browsers that can do so prove every few minutes that they
 * hold a key that does not leave the device. Other browsers are served as before.
 */
export interface DeviceBoundOptions {
  /**
   * How long a proof is good for, and with it a copied cookie. Browsers renew it a little earlier. Default 10 minutes; one second
   * to one day.
   */
  refresh?: Duration;
  /** Where the two endpoints are. The application's global prefix is put in front of them. */
  paths?: {
    /** Default `/session/device/register`. */
    register?: string;
    /** Default `/session/device/refresh`. */
    refresh?: string;
    /** What a proxy takes off the front of each path, such as `/api`. Default: nothing. */
    prefix?: string;
  };
  /**
   * Whether every session with a cookie must be bound within 30 seconds of its sign-in: browsers that cannot do so are then shut
   * out. Default false.
   */
  required?: boolean;
  /**
   * What a request without the proof gets: `reject` 401, `step-up` 403 except under `@StepUp()`, `log` an event alone. Default
   * `reject`.
   */
  policy?: 'log' | 'step-up' | 'reject';
}

/** Location of an address, as far as it is known. */
export interface LocatedIp {
  /** ISO 3166-1 alpha-2, such as `DE`. */
  country?: string;
  city?: string;
}

/** Defaults for an assurance level of NIST SP 800-63B-4; see `docs/presets.md`. */
export type SessionPreset = 'aal1' | 'aal2' | 'aal3';

/** See `docs/near-cache.md`. */
export interface NearCacheOptions {
  /** How many sessions an instance remembers. Default 10,000. */
  maxEntries?: number;
  /** How long after an end on another instance a request may still be let in, whatever goes wrong. Default 5 seconds. */
  maxStale?: Duration;
}

/** Options of `SessionModule`. Wrong or unknown options stop the boot. */
export interface SessionModuleOptions {
  /** Sets defaults of other options as in NIST SP 800-63B-4. Options that are set override it. Default: none. */
  preset?: SessionPreset;
  /** Default: none; sessions are kept in this process. */
  redis?: RedisOption;
  /** A custom session store. The module never closes it. */
  store?: SessionStore;
  /** A custom token blacklist. */
  blacklist?: TokenBlacklist;
  /**
   * Secrets from which all keys are derived, 32 bytes or more each. The first signs, all verify. Required with `redis`;
   * otherwise random at every boot.
   */
  secrets?: string | Uint8Array | readonly (string | Uint8Array)[];
  /** Prefix of every key in Redis. No braces. Default `session:`. */
  keyPrefix?: string;
  /**
   * The tenant of the application's sessions, tokens and events: those of other tenants do not exist for it, even with
   * the same keys, secrets and Redis. 1 to 256 characters. A function names the tenant of each request, in an application
   * that serves many. Default: no tenants.
   */
  tenant?: string | TenantOf;
  session?: SessionLifetimeOptions;
  cookie?: SessionCookieOptions;
  /** Default: none, access and refresh tokens are off. */
  jwt?: JwtOptions;
  /**
   * When a replaced cookie or refresh token counts as reuse and ends the session. `after-use`: once its successor was
   * used. `after-grace`: at every replay after the grace window (`session.rotationGrace`, `jwt.refreshGrace`), even if the
   * successor never arrived. Default `after-use`.
   */
  reuseDetection?: ReuseDetection;
  security?: SecurityOptions;
  /** Binds sessions to keys of their devices. `true` takes the defaults. Default: none, sessions are bound to no device. */
  deviceBound?: boolean | DeviceBoundOptions;
  /**
   * Lets a browser be signed in to several accounts at once, `max` of them (default 5, 2 to 10). `true` takes the default. Not
   * together with `deviceBound`. Default false.
   */
  accounts?: boolean | { max?: number };
  device?: {
    /**
     * Gives browsers without a device id one of their own, in a cookie that is set at sign-in and lasts 400 days. Default false.
     */
    cookie?: boolean;
  };
  /** Remembers live sessions in the process, so that most requests send no command. `true` takes the defaults. Default false. */
  nearCache?: boolean | NearCacheOptions;
  events?: SessionEventOptions;
  /** Keeps an audit trail of each user. `true` takes the defaults. Default false. */
  history?: boolean | SessionHistoryOptions;
  /** Metrics and spans through OpenTelemetry. Default true; without an SDK it has no effect. */
  telemetry?: boolean | TelemetryOptions;
  /** False for applications that call `SessionService.sweep()` themselves, for example by cron. */
  sweeper?:
    | false
    | {
        /** Maximum delay after its deadline until a session is removed and announced. Default 30 seconds. */
        interval?: Duration;
      };
  /**
   * Maximum time that one request waits for the store: its authentication and the first operation of its handler
   * together; each later operation, and each call of a service, waits this long at most. Then it is 503. Default 500 ms.
   */
  commandTimeout?: Duration;
  /**
   * How many replicas of Redis must confirm the end of a session. Only all of them make it safe in any failover. Each
   * end waits for the replicas; without confirmation in time the answer is 503. Default 0.
   */
  minReplicas?: number;
  /** Whether the boot fails on a Redis that can forget revocations (eviction, no AOF, a replica). Default false. */
  strictRedis?: boolean;
  /** Maximum clock difference of token issuers. Default 60 seconds. */
  clockTolerance?: Duration;
  /** Mounts express-session, for applications and libraries that expect it. Default: none. */
  expressSession?: ExpressSessionOptions;
  /** The value of `@CurrentUser()`. Default `{ id, email, roles }` of the session. */
  resolveUser?: ResolveUser;
  /** Called before a session starts. Vetoes by throwing, or by returning false (403 `session_vetoed`). */
  beforeStart?: (input: NewSession) => boolean | void | Promise<boolean | void>;
  /**
   * Finds the location of an address for `lastLocation`; `nestjs-sessions/maxmind` has one. A sign-in waits at most 250 ms for
   * it, and continues without a location if it fails. Default: none.
   */
  locate?: (ip: string) => LocatedIp | null | undefined | Promise<LocatedIp | null | undefined>;
  /**
   * Merges the data of an anonymous session into the new session when its holder signs in: returns the new session's data.
   * Default: nothing is merged.
   */
  mergeAnonymous?: (anonymous: SessionData, user: SessionData) => SessionData | Promise<SessionData>;
}

/**
 * Options of `SessionModule.forFeature`: those of a realm, which has sessions, cookies and policies of its own. An option that is not
 * set has its default, whatever `forRoot` says; Redis, secrets, key prefix, tenant, telemetry and timeouts of commands are shared.
 */
export interface SessionRealmOptions extends Pick<
  SessionModuleOptions,
  | 'preset'
  | 'store'
  | 'blacklist'
  | 'session'
  | 'cookie'
  | 'jwt'
  | 'reuseDetection'
  | 'security'
  | 'accounts'
  | 'device'
  | 'nearCache'
  | 'events'
  | 'history'
  | 'sweeper'
  | 'resolveUser'
  | 'beforeStart'
  | 'locate'
  | 'mergeAnonymous'
> {
  /** The name of the realm: 1 to 32 lower-case letters, digits and `-`, beginning with a letter. */
  realm: string;
}

/** A class that creates the options: for `forRootAsync({ useClass })` and `({ useExisting })`. */
export interface SessionOptionsFactory {
  createSessionOptions(): SessionModuleOptions | Promise<SessionModuleOptions>;
}
