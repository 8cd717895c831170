/**
 * What an application keeps in a session. Augment it to have your own keys typed everywhere:
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

/** What was known of the client when the session started. All of it is descriptive; none of it lets anyone in. */
export interface SessionMetadata {
  userAgent?: string;
  ip?: string;
  /** Readable description, such as "Chrome on Windows". */
  device?: string;
  /** Keyed digest of browser family, system and device kind; see `generateFingerprint`. */
  fingerprint?: string;
}

/** Where a session was last seen, as far as the application's location hook could tell. */
export interface SessionLocation {
  /** As much of it as `security.ipPrivacy` keeps; empty under `none`. */
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
 * milliseconds. The `id` is a public handle: it may stand in lists, logs and tokens, and it lets nobody in.
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
  /** When the user last proved who they are: at sign-in, or at the latest step-up (ASVS 5.0, 7.5.1). */
  readonly authenticatedAt: number;
  metadata?: SessionMetadata;
  data: T;
  readonly deviceId?: string;
  deviceName?: string;
  readonly deviceType?: DeviceType;
  lastLocation?: SessionLocation;
  /** How the user proved who they are (RFC 8176 values, such as `pwd`, `otp`). */
  amr?: string[];
  /** The assurance level reached (OpenID Connect `acr`). */
  acr?: string;
  /** True while the session waits for a further factor. Guards refuse it unless a route says otherwise. */
  pending?: boolean;
  /** Who really acts, when an administrator acts as this user. */
  actor?: { readonly userId: string; readonly sessionId: string };
}

/** A session that says which device holds it. */
export interface DeviceSession<T = SessionData> extends Session<T> {
  readonly deviceId: string;
  deviceName: string;
  readonly deviceType: DeviceType;
}

/** What is needed to start a session. Everything but `userId` is optional. */
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
  /** Caps the absolute end; a later instant than the absolute timeout allows changes nothing. */
  expiresAt?: number | Date;
  amr?: readonly string[];
  acr?: string;
  pending?: boolean;
  actor?: { userId: string; sessionId: string };
}

/**
 * What `update` may change. `data` is merged key by key at the top level; a key set to `undefined` is removed. Whatever
 * else is handed over (`id`, `userId`, `createdAt`, deadlines, …) is ignored (ASVS 5.0, 15.3.3).
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

/** A patch, or how to compute one from the session as it stands. A function may be called more than once. */
export type SessionChange<T = SessionData> = SessionPatch<T> | ((session: Session<T>) => SessionPatch<T>);

/** What changes for all sessions of a user at once. */
export interface UserPatch {
  email?: string;
  roles?: readonly string[];
}
