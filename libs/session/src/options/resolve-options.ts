import { ALPHANUMERIC, idShapeProblem } from '../model/secure-id.js';
import { TenantScope } from '../ports/tenants/tenant-scope.js';
import { resolveCookieOptions, resolveRefreshCookie } from './cookie-options.js';
import { resolveDeviceBound } from './device-bound-options.js';
import { resolveExpressSession } from './express-session-options.js';
import { requireOptions, unsetRedis } from './given-options.js';
import { resolveJwtKeys, shortRsaWarning } from './jwt-keys.js';
import { refuse } from './option-error.js';
import type { ParsedOptions } from './options-schema.js';
import { parseOptions } from './parse-options.js';
import { withPreset } from './presets.js';
import type { ResolvedLifetimeOptions, ResolvedSecurityOptions, ResolvedSessionOptions } from './resolved-options.js';
import { deriveKeys, type SessionKeys } from './session-keys.js';
import type { MaxSessionsPerUser, SessionModuleOptions } from './session-module-options.js';
import { resolveStoreOptions } from './store-options.js';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

/** A shorter timeout is most likely a number of seconds, ms. */
const SHORTEST_TIMEOUT = 1_000;

/** What the options of a realm do not say. */
export interface RealmBase {
  readonly realm: string;
  readonly keys: SessionKeys;
  readonly keyPrefix: string;
  /** The options of the application. */
  readonly root: ResolvedSessionOptions;
}

/**
 * Checks the options of a user and fills in the defaults.
 *
 * @throws {ConfigurationError} for a wrong or unknown option, with the fix.
 */
export function resolveSessionOptions(given: SessionModuleOptions = {}): ResolvedSessionOptions {
  return resolveOptions(given, null);
}

/** @param base Null for the application's own sessions. */
export function resolveOptions(given: SessionModuleOptions, base: RealmBase | null): ResolvedSessionOptions {
  const options = requireOptions(given);
  const parsed = parseOptions(withPreset(withoutFalse(options)));
  const session = resolveLifetime(parsed.session);
  const { maxSessionsPerUser, onLimit } = session;
  const keys = base?.keys ?? deriveKeys(options);
  const cookie = resolveCookieOptions(parsed.cookie);
  const deviceBound = resolveDeviceBound(parsed.deviceBound, cookie, options.store);
  if (parsed.accounts && deviceBound) {
    refuse('accounts', 'does not work with deviceBound: a browser proves its device for one session at a time');
  }
  const jwtKeys = parsed.jwt && resolveJwtKeys(options.jwt?.keys, keys.jwt);
  const unset = unsetRedis(options);
  if (unset !== null && process.env['NODE_ENV'] === 'production') refuse('redis', unset);
  const warnings = [jwtKeys && shortRsaWarning(jwtKeys), unset !== null && `redis: ${unset}.`].filter(
    (warning) => typeof warning === 'string',
  );
  const tenantOf = typeof parsed.tenant === 'function' ? parsed.tenant : null;
  const tenant = typeof parsed.tenant === 'function' ? '' : parsed.tenant;
  const scope = tenantOf && new TenantScope();
  const shared = sharedWith(base?.root) ?? {
    tenant,
    tenants: tenantOf && scope && { of: tenantOf, scope },
    currentTenant: scope ? () => scope.current() : () => tenant,
    commandTimeout: parsed.commandTimeout,
    minReplicas: parsed.minReplicas,
    strictRedis: parsed.strictRedis,
    clockTolerance: parsed.clockTolerance,
  };
  const resolved: Omit<ResolvedSessionOptions, 'redis' | 'expressSession' | 'telemetry'> = freeze({
    store: options.store,
    blacklist: options.blacklist,
    ...shared,
    realm: base?.realm ?? '',
    keys,
    keyPrefix: base?.keyPrefix ?? parsed.keyPrefix,
    session,
    cookie,
    jwt: parsed.jwt && {
      ...parsed.jwt,
      keys: jwtKeys ?? [],
      refreshCookie: resolveRefreshCookie(parsed.jwt.refreshCookie, cookie),
    },
    reuseDetection: parsed.reuseDetection,
    security: resolveSecurity(parsed.security),
    deviceBound,
    accounts: parsed.accounts,
    device: parsed.device,
    nearCache: parsed.nearCache,
    events: parsed.events,
    history: parsed.history,
    sweeper: options.sweeper === false ? null : parsed.sweeper,
    resolveUser: options.resolveUser,
    beforeStart: options.beforeStart,
    locate: options.locate,
    mergeAnonymous: options.mergeAnonymous,
    warnings,
    adapter: resolveStoreOptions({
      idleTimeout: session.idleTimeout,
      absoluteTimeout: session.absoluteTimeout,
      // A function is called at each sign-in; this default is for direct users of the store.
      limit: { max: typeof maxSessionsPerUser === 'number' ? maxSessionsPerUser : 5, onLimit },
      maxRecordBytes: parsed.session.maxRecordBytes,
      tenant: shared.tenant,
      eventStream: parsed.events.stream,
      deviceBinding: deviceBound !== null,
    }),
  });
  // ioredis options, telemetry providers and the store options of express-session are the user's objects.
  return Object.freeze({
    ...resolved,
    redis: base ? base.root.redis : parsed.redis,
    expressSession: resolveExpressSession(parsed.expressSession),
    telemetry: base ? base.root.telemetry : parsed.telemetry && Object.freeze({ ...parsed.telemetry }),
  });
}

/** What a realm shares with the application; undefined for the application itself. */
function sharedWith(root: ResolvedSessionOptions | undefined) {
  if (!root) return undefined;
  const { tenant, tenants, currentTenant, commandTimeout, minReplicas, strictRedis, clockTolerance } = root;
  return { tenant, tenants, currentTenant, commandTimeout, minReplicas, strictRedis, clockTolerance };
}

/** `sweeper: false` is resolved separately, so that errors are about the object and not about the union. */
function withoutFalse(options: SessionModuleOptions): SessionModuleOptions {
  const given = options as Partial<SessionModuleOptions> | null;
  return given?.sweeper === false ? { ...options, sweeper: {} } : options;
}

function resolveLifetime(options: ParsedOptions['session']): ResolvedLifetimeOptions {
  const { rotationInterval = Infinity, rotationGrace, onLimit, freshness } = options;
  const { idleTimeout, absoluteTimeout } = resolveTimeouts('session', options, 30 * MINUTE, 24 * 60 * MINUTE);
  const rememberMe = resolveTimeouts('session.rememberMe', options.rememberMe, 14 * DAY, 30 * DAY);
  const longestTouch = Math.max(1, Math.floor(idleTimeout / 10));
  if (options.touchInterval !== undefined && options.touchInterval > longestTouch) {
    refuse(
      'session.touchInterval',
      `${options.touchInterval} ms is more than a tenth of session.idleTimeout, so sessions in use would end; use ${longestTouch} ms or less, or omit it`,
    );
  }
  if (rotationInterval <= rotationGrace) {
    refuse(
      'session.rotationInterval',
      `must be longer than ${rotationGrace} ms (session.rotationGrace): until then the previous token counts as a repeated request`,
    );
  }
  return {
    idleTimeout,
    absoluteTimeout,
    touchInterval: options.touchInterval ?? Math.min(60_000, longestTouch),
    rotationInterval,
    rotationGrace,
    rememberMe,
    maxSessionsPerUser: options.maxSessionsPerUser as MaxSessionsPerUser,
    maxSessionsPerDeviceType: options.maxSessionsPerDeviceType,
    onLimit,
    freshness,
  };
}

/** A shorter absolute timeout lowers the default idle timeout; an idle timeout that is set and has no effect is refused. */
function resolveTimeouts(
  path: string,
  options: { readonly idleTimeout?: number | undefined; readonly absoluteTimeout?: number | undefined },
  idleDefault: number,
  absoluteDefault: number,
): { idleTimeout: number; absoluteTimeout: number } {
  const { idleTimeout, absoluteTimeout = absoluteDefault } = options;
  for (const name of ['idleTimeout', 'absoluteTimeout'] as const) {
    const value = options[name];
    if (value !== undefined && value < SHORTEST_TIMEOUT)
      refuse(`${path}.${name}`, `${value} ms is under a second; a number counts milliseconds, "30m" is half an hour`);
  }
  if (idleTimeout !== undefined && idleTimeout > absoluteTimeout) {
    refuse(
      `${path}.idleTimeout`,
      `${idleTimeout} ms is longer than ${path}.absoluteTimeout (${absoluteTimeout} ms), so it would never end a session; shorten it, or raise ${path}.absoluteTimeout`,
    );
  }
  return { idleTimeout: idleTimeout ?? Math.min(idleDefault, absoluteTimeout), absoluteTimeout };
}

function resolveSecurity(options: ParsedOptions['security']): ResolvedSecurityOptions {
  const { idLength, idAlphabet = ALPHANUMERIC } = options;
  if (!/^[A-Za-z0-9_~-]+$/.test(idAlphabet)) {
    refuse(
      'security.idAlphabet',
      'may hold only letters, digits, "-", "_" and "~": other characters are not allowed in a cookie or a header',
    );
  }
  const isBound = options.bindToIP.cookie !== 'off' || options.bindToIP.bearer !== 'off';
  if (isBound && options.ipPrivacy === 'none') {
    refuse(
      'security.bindToIP',
      'compares addresses, and security.ipPrivacy "none" keeps none; use "truncated", or omit one of them',
    );
  }
  const problem = idShapeProblem(idLength, idAlphabet);
  if (problem) refuse(problem.option === 'length' ? 'security.idLength' : 'security.idAlphabet', problem.expected);
  return { ...options, idAlphabet };
}

/** Freezes plain objects and lists; clients, stores and keys are not frozen. */
function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null && !Array.isArray(value)) return value;
  for (const inner of Object.values(value)) freeze(inner);
  return Object.freeze(value);
}
