import { ALPHANUMERIC, complaintAboutIdShape } from '../model/secure-id.js';
import { resolveCookieOptions, resolveRefreshCookie } from './cookie-options.js';
import { resolveExpressSession } from './express-session-options.js';
import { resolveJwtKeys } from './jwt-keys.js';
import { refuse } from './option-complaint.js';
import type { ParsedOptions } from './options-schema.js';
import { parseOptions } from './parse-options.js';
import { withPreset } from './presets.js';
import type { ResolvedLifetimeOptions, ResolvedSecurityOptions, ResolvedSessionOptions } from './resolved-options.js';
import { deriveKeys } from './session-keys.js';
import type { MaxSessionsPerUser, SessionModuleOptions } from './session-module-options.js';
import { resolveStoreOptions } from './store-options.js';

/** How long a request may repeat a step that has just rotated or replaced its cookie, ms. */
const COOKIE_GRACE = 30_000;

/**
 * Checks what a user wrote and fills in the rest.
 *
 * @throws {ConfigurationError} for every option that is wrong or unknown, with the mend.
 */
export function resolveSessionOptions(options: SessionModuleOptions = {}): ResolvedSessionOptions {
  const parsed = parseOptions(withPreset(options));
  const session = resolveLifetime(parsed.session);
  const { maxSessionsPerUser, onLimit } = session;
  const keys = deriveKeys(options);
  const cookie = resolveCookieOptions(parsed.cookie);
  const resolved: Omit<ResolvedSessionOptions, 'redis' | 'expressSession' | 'telemetry'> = freeze({
    store: options.store,
    blacklist: options.blacklist,
    keys,
    keyPrefix: parsed.keyPrefix,
    tenant: parsed.tenant,
    session,
    cookie,
    jwt: parsed.jwt && {
      ...parsed.jwt,
      keys: resolveJwtKeys(options.jwt?.keys, keys.jwt),
      refreshCookie: resolveRefreshCookie(parsed.jwt.refreshCookie, cookie),
    },
    security: resolveSecurity(parsed.security),
    device: parsed.device,
    nearCache: parsed.nearCache,
    events: parsed.events,
    history: parsed.history,
    sweeper: parsed.sweeper,
    commandTimeout: parsed.commandTimeout,
    clockTolerance: parsed.clockTolerance,
    resolveUser: options.resolveUser,
    beforeStart: options.beforeStart,
    locate: options.locate,
    mergeAnonymous: options.mergeAnonymous,
    adapter: resolveStoreOptions({
      idleTimeout: session.idleTimeout,
      absoluteTimeout: session.absoluteTimeout,
      // A function is asked at each sign-in; this is for those who use the store without the service.
      limit: { max: typeof maxSessionsPerUser === 'number' ? maxSessionsPerUser : 5, onLimit },
      maxRecordBytes: parsed.session.maxRecordBytes,
      tenant: parsed.tenant,
      eventStream: parsed.events.stream,
    }),
  });
  // Ioredis options, providers of telemetry and how express-session is to keep sessions are the user's objects.
  return Object.freeze({
    ...resolved,
    redis: parsed.redis,
    expressSession: resolveExpressSession(parsed.expressSession),
    telemetry: parsed.telemetry && Object.freeze({ ...parsed.telemetry }),
  });
}

function resolveLifetime(options: ParsedOptions['session']): ResolvedLifetimeOptions {
  const { idleTimeout, absoluteTimeout, renewalInterval = Infinity, rememberMe, onLimit, freshness } = options;
  const longestTouch = Math.max(1, Math.floor(idleTimeout / 10));
  if (options.touchInterval !== undefined && options.touchInterval > longestTouch) {
    refuse(
      'session.touchInterval',
      `${options.touchInterval} ms is more than a tenth of session.idleTimeout, so that sessions in use would end; use ${longestTouch} ms or less, or leave it out`,
    );
  }
  if (renewalInterval <= COOKIE_GRACE) {
    refuse(
      'session.renewalInterval',
      `must be longer than ${COOKIE_GRACE} ms: until then the token before counts as a repeated request`,
    );
  }
  return {
    idleTimeout,
    absoluteTimeout,
    touchInterval: options.touchInterval ?? Math.min(60_000, longestTouch),
    renewalInterval,
    rotationGrace: COOKIE_GRACE,
    rememberMe,
    maxSessionsPerUser: options.maxSessionsPerUser as MaxSessionsPerUser,
    maxSessionsPerDeviceType: options.maxSessionsPerDeviceType,
    onLimit,
    freshness,
  };
}

function resolveSecurity(options: ParsedOptions['security']): ResolvedSecurityOptions {
  const { idLength, idAlphabet = ALPHANUMERIC } = options;
  if (!/^[A-Za-z0-9_~-]+$/.test(idAlphabet)) {
    refuse(
      'security.idAlphabet',
      'may hold only letters, digits, "-", "_" and "~": other characters do not travel in a cookie or a header',
    );
  }
  if (options.bindToIP !== 'off' && options.ipPrivacy === 'none') {
    refuse(
      'security.bindToIP',
      'compares addresses, and security.ipPrivacy "none" keeps none; use "truncated", or leave one of them out',
    );
  }
  const complaint = complaintAboutIdShape(idLength, idAlphabet);
  if (complaint)
    refuse(complaint.option === 'length' ? 'security.idLength' : 'security.idAlphabet', complaint.expected);
  return { ...options, idAlphabet };
}

/** Freezes what is ours; clients, stores and keys are left as they are. */
function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null && !Array.isArray(value)) return value;
  for (const inner of Object.values(value)) freeze(inner);
  return Object.freeze(value);
}
