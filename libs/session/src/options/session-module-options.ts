import type { KeyObject } from 'node:crypto';
import type { SignalAction } from '../model/events.js';
import type { IpPrivacy } from '../model/ip.js';
import type { LimitPolicy } from '../model/limit.js';
import type { DeviceType, NewSession, Session, SessionData } from '../model/session.js';
import type { SessionStore } from '../ports/session-store.js';
import type { TokenBlacklist } from '../ports/token-blacklist.js';
import type { Duration } from './duration.js';
import type { SessionEventOptions, SessionHistoryOptions, TelemetryOptions } from './event-options.js';
import type { ExpressSessionOptions } from './express-session-options.js';
import type { RedisOption } from './redis-option.js';

/** Most sessions of one user: a number, or how to find it for the one who signs in. */
export type MaxSessionsPerUser = number | ((user: NewSession) => number | Promise<number>);

/** How long sessions of users who asked to be remembered live. */
export interface RememberMeOptions {
  /** Default 14 days. */
  idleTimeout?: Duration;
  /** Default 30 days. */
  absoluteTimeout?: Duration;
}

export interface SessionLifetimeOptions {
  /** How long a session lives without an access. Default 30 minutes (ASVS 5.0, 7.3.1). */
  idleTimeout?: Duration;
  /** How long a session lives at all. Default 24 hours (ASVS 5.0, 7.3.2). */
  absoluteTimeout?: Duration;
  /** Accesses are recorded at most this often. Default 1 minute, never more than a tenth of `idleTimeout`. */
  touchInterval?: Duration;
  /** The cookie's token is exchanged for its successor once it is older. Default: never. */
  renewalInterval?: Duration;
  rememberMe?: RememberMeOptions;
  /** Most sessions of a user at a time, 1 to 1,000. Default 5. */
  maxSessionsPerUser?: MaxSessionsPerUser;
  /** Most sessions of a user on devices of one type, such as `{ mobile: 2 }`. Default: no limit of their own. */
  maxSessionsPerDeviceType?: Partial<Record<DeviceType, number>>;
  /** What a sign-in at the limit does. Default `evict-least-recent`. */
  onLimit?: LimitPolicy;
  /** How long a proof of identity satisfies a `@RequireFresh()` that names no duration. Default 5 minutes. */
  freshness?: Duration;
  /** Cap on what is stored of one session, bytes. Default 65,536. Stores of your own have their own. */
  maxRecordBytes?: number;
}

export type SameSite = 'lax' | 'strict' | 'none';

/** The cookie that carries the session token (ASVS 5.0, 3.3). Always HttpOnly. */
export interface SessionCookieOptions {
  /** Default `__Host-session`; with `domain`, `__Secure-session`. */
  name?: string;
  /** Default true. False is for plain http during development alone. */
  secure?: boolean;
  /** Always true: scripts have no business with the token. */
  httpOnly?: true;
  /** Default `lax`. */
  sameSite?: SameSite;
  /** Default `/`. */
  path?: string;
  /** Default: the host alone. A domain sends the cookie to all its subdomains. */
  domain?: string;
  /** Keeps the cookie apart for each site that embeds yours (CHIPS). Default false. */
  partitioned?: boolean;
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
  /** `aud` of the tokens issued; one of them is required in tokens accepted. */
  audience: string | string[];
  /** The first signs, all verify. Default: HS256 with a key derived from `secrets`. */
  keys?: JwtKeyOptions[];
  /** Default 15 minutes. */
  accessTokenTtl?: Duration;
  /** How long after a refresh the token before still counts as a repeated request. Default 30 seconds. */
  refreshGrace?: Duration;
  /**
   * Hands the refresh token to browsers in an HttpOnly cookie instead of the body. Default: none. Attributes are those of
   * the session cookie but for name and path.
   */
  refreshCookie?: {
    /** Default `__Secure-refresh`, or `refresh` where the session cookie is not secure. */
    name?: string;
    /** Path of the route that refreshes, and the only one that sees the cookie. */
    path: string;
  };
}

export interface SecurityOptions {
  /** `true` is `reject`, `false` is `off`. Default `off`. */
  useFingerprint?: boolean | SignalAction;
  /** `true` is `reject`, `false` is `off`. IPv6 counts by its /64. Default `off`. */
  bindToIP?: boolean | SignalAction;
  /**
   * How much of a client's address is kept: `full`; `truncated` to /24 (IPv6: /48); `none`. Default `full`. Less than the
   * whole is also all that `bindToIP` then compares.
   */
  ipPrivacy?: IpPrivacy;
  /** Characters of a token's secret. Default 32; under 128 bits refuses to boot (ASVS 5.0, 7.2.3). */
  idLength?: number;
  /** Characters a token's secret is drawn from: letters, digits, `-`, `_`, `~`. Default A-Za-z0-9. */
  idAlphabet?: string;
  /** Checks that unsafe requests with the cookie come from this site (ASVS 5.0, 3.5.1). Default true. */
  csrf?: boolean | { trustedOrigins: string[] };
}

/** Where an address is, as far as the application can tell. */
export interface LocatedIp {
  /** ISO 3166-1 alpha-2, such as `DE`. */
  country?: string;
  city?: string;
}

/** The defaults of an assurance level after NIST SP 800-63B-4; see `docs/presets.md`. */
export type SessionPreset = 'aal1' | 'aal2' | 'aal3';

export interface NearCacheOptions {
  /** Default 10,000. */
  maxEntries?: number;
  /** Default 5 seconds. */
  maxStale?: Duration;
}

/** What users write. Everything has a default; wrong or unknown options stop the boot. */
export interface SessionModuleOptions {
  /** Sets the defaults of other options after NIST SP 800-63B-4. What is set beside it counts. Default: none. */
  preset?: SessionPreset;
  /** Default: none, sessions are kept in this process. */
  redis?: RedisOption;
  /** A session store of your own. It is never closed by the module. */
  store?: SessionStore;
  /** A token blacklist of your own. */
  blacklist?: TokenBlacklist;
  /**
   * From which every key is derived: 32 bytes or more each. The first signs, all are recognised. Required with `redis`;
   * without, random at every boot.
   */
  secrets?: string | Uint8Array | readonly (string | Uint8Array)[];
  /** What every key in Redis begins with. No braces. Default `session:`. */
  keyPrefix?: string;
  /** Separates users of the same id in different tenants. Default: none. */
  tenant?: string;
  session?: SessionLifetimeOptions;
  cookie?: SessionCookieOptions;
  /** Default: none, access and refresh tokens are off. */
  jwt?: JwtOptions;
  security?: SecurityOptions;
  device?: {
    /**
     * Gives browsers that name no device an id of their own, in a cookie that is set at sign-in and lasts 400 days. Default
     * false.
     */
    cookie?: boolean;
  };
  /** Default false. `true` takes the defaults. */
  nearCache?: boolean | NearCacheOptions;
  events?: SessionEventOptions;
  /** Keeps an audit trail of each user. `true` takes the defaults. Default false. */
  history?: boolean | SessionHistoryOptions;
  /** Metrics and spans through OpenTelemetry. Default true: where a SDK is there, and nothing where none is. */
  telemetry?: boolean | TelemetryOptions;
  sweeper?: {
    /** How often everything past its deadline is removed. Default 30 seconds. */
    interval?: Duration;
  };
  /** After this a store that has not answered counts as down. Default 500 ms. */
  commandTimeout?: Duration;
  /** How far clocks of token issuers may be off. Default 60 seconds. */
  clockTolerance?: Duration;
  /** Mounts express-session, for applications and libraries that expect it. Default: none. */
  expressSession?: ExpressSessionOptions;
  /** What `@CurrentUser()` gives. Default `{ id, email, roles }` of the session. */
  resolveUser?: (session: Session) => unknown;
  /** Called before a session starts. Vetoes by throwing, or by returning false (403 `session_vetoed`). */
  beforeStart?: (input: NewSession) => boolean | void | Promise<boolean | void>;
  /**
   * Tells where an address is, for `lastLocation`; `nestjs-sessions/maxmind` has one. A sign-in waits for it 250 ms at most
   * and goes on without when it fails. Default: none.
   */
  locate?: (ip: string) => LocatedIp | null | undefined | Promise<LocatedIp | null | undefined>;
  /**
   * What of an anonymous session's data a user's session takes over when its holder signs in: returns the new session's
   * data. Default: nothing is taken over.
   */
  mergeAnonymous?: (anonymous: SessionData, user: SessionData) => SessionData | Promise<SessionData>;
}

/** A class that makes the options: for `forRootAsync({ useClass })` and `({ useExisting })`. */
export interface SessionOptionsFactory {
  createSessionOptions(): SessionModuleOptions | Promise<SessionModuleOptions>;
}
