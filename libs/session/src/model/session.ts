/**
 * The application's data in a session. Augment it to type your own keys everywhere:
 *
 * ```ts
 * declare module 'nestjs-sessions' {
 *   interface SessionData { theme?: 'light' | 'dark' }
 * }
 * ```
 */
export interface SessionData {
  [key: string]: unknown;
}

/** Kind of the device that holds a session. */
export type DeviceType = 'mobile' | 'tablet' | 'desktop' | 'unknown';

/** Every kind of device, in the order in which adapters number them. Append only: stored data holds the position. */
export const DEVICE_TYPES: readonly DeviceType[] = ['unknown', 'mobile', 'tablet', 'desktop'];

/** The client's properties when the session started. They describe it and grant no access. */
export interface SessionMetadata {
  userAgent?: string;
  ip?: string;
  /** Readable description, such as "Chrome on Windows". */
  device?: string;
  /** Keyed digest of browser family, system and device kind; see `generateFingerprint`. */
  fingerprint?: string;
}

/** Where a session was last seen, from the application's `locate` hook. */
export interface SessionLocation {
  /** Reduced according to `security.ipPrivacy`; empty under `none`. */
  ip: string;
  country?: string;
  city?: string;
}

/** Why a session ended. */
export type EndReason =
  'logout' | 'idle' | 'absolute' | 'evicted' | 'replaced' | 'revoked' | 'reuse' | 'hijack' | 'admin';

/** Every end reason, in the order in which adapters number them. Append only: stored data holds the position. */
export const END_REASONS: readonly EndReason[] = [
  'logout',
  'idle',
  'absolute',
  'evicted',
  'replaced',
  'revoked',
  'reuse',
  'hijack',
  'admin',
];

/**
 * One sign-in, as the server remembers it. All instants are epoch milliseconds by the store's clock; all durations are
 * milliseconds. The `id` is a public handle: it may appear in lists, logs and tokens, and it grants no access.
 */
export interface Session<T = SessionData> {
  readonly id: string;
  readonly userId: string;
  email: string;
  roles: string[];
  readonly createdAt: number;
  /** The last recorded access. Recorded at most once per `touchInterval`. */
  readonly lastAccess: number;
  /** The absolute end. No access moves it (ASVS 5.0, 7.3.2). */
  readonly expiresAt: number;
  /** How long the session lives without an access (ASVS 5.0, 7.3.1). */
  readonly idleTimeout: number;
  /** When the user last proved their identity: at sign-in, or at the latest step-up (ASVS 5.0, 7.5.1). */
  readonly authenticatedAt: number;
  metadata?: SessionMetadata;
  data: T;
  readonly deviceId?: string;
  deviceName?: string;
  readonly deviceType?: DeviceType;
  lastLocation?: SessionLocation;
  /** How the user proved their identity (RFC 8176 values, such as `pwd`, `otp`). */
  amr?: string[];
  /** The assurance level reached (OpenID Connect `acr`). */
  acr?: string;
  /** True while the session waits for a further factor. Guards refuse it unless the route allows pending sessions. */
  pending?: boolean;
  /** True if the user asked to be remembered: the cookie then survives closing the browser. */
  readonly rememberMe?: boolean;
  /** The administrator who acts as this user, and their own session. */
  actor?: { readonly userId: string; readonly sessionId: string };
  /** True once a browser has bound the session to a key of its device; see the option `deviceBound`. */
  readonly deviceBound?: boolean;
}

/** A session on a known device. */
export interface DeviceSession<T = SessionData> extends Session<T> {
  readonly deviceId: string;
  deviceName: string;
  readonly deviceType: DeviceType;
}

/** Input to start a session. Only `userId` is required. */
export interface NewSession<T = SessionData> {
  userId: string;
  email?: string;
  roles?: readonly string[];
  data?: T;
  metadata?: SessionMetadata;
  deviceId?: string;
  deviceName?: string;
  deviceType?: DeviceType;
  lastLocation?: SessionLocation;
  /** Latest possible end. An instant past the absolute timeout has no effect. */
  expiresAt?: number | Date;
  amr?: readonly string[];
  acr?: string;
  pending?: boolean;
  /** The cookie survives closing the browser. The caller sets the timeouts: `SessionService.start` does both. */
  rememberMe?: boolean;
  actor?: { userId: string; sessionId: string };
}

/**
 * The fields that `update` may change. `data` is merged key by key at the top level; a key set to `undefined` is
 * removed. All other fields (`id`, `userId`, `createdAt`, deadlines, …) are ignored (ASVS 5.0, 15.3.3).
 */
export interface SessionPatch<T = SessionData> {
  email?: string;
  roles?: readonly string[];
  data?: Partial<T>;
  metadata?: SessionMetadata;
  deviceName?: string;
  lastLocation?: SessionLocation;
  amr?: readonly string[];
  acr?: string;
  pending?: boolean;
}

/** A patch, or a function that computes one from the current session. The function may be called more than once. */
export type SessionChange<T = SessionData> = SessionPatch<T> | ((session: Session<T>) => SessionPatch<T>);

/** A change to all sessions of a user at once. */
export interface UserPatch {
  email?: string;
  roles?: readonly string[];
}
