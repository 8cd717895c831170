import { createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';
import { ConfigurationError } from '../model/errors.js';
import { resolveAccountsCookie, resolveActorCookie, resolveDeviceCookie, type CookiePlace } from './cookie-options.js';
import { requireOptions } from './given-options.js';
import { refuse } from './option-error.js';
import { assertRealmName } from './realm-name.js';
import { resolveOptions } from './resolve-options.js';
import type { ResolvedSessionOptions } from './resolved-options.js';
import type { SessionKeys } from './session-keys.js';
import type { SessionModuleOptions, SessionRealmOptions } from './session-module-options.js';

/** What a realm shares with the application. */
const OF_APPLICATION: readonly (keyof SessionModuleOptions)[] = [
  'redis',
  'secrets',
  'keyPrefix',
  'tenant',
  'telemetry',
  'commandTimeout',
  'minReplicas',
  'strictRedis',
  'clockTolerance',
];

/** What works for the application's own sessions alone, and why. */
const NOT_IN_REALMS: Readonly<Partial<Record<keyof SessionModuleOptions, string>>> = {
  deviceBound: 'its endpoints serve the application’s own sessions alone',
  expressSession: 'one application has one request.session',
};

/**
 * The options of a realm: its own, what it shares with the application, and keys and a prefix that follow from the application's.
 *
 * @throws {ConfigurationError} for a wrong or unknown option, naming the realm.
 */
export function resolveRealmOptions(given: SessionRealmOptions, root: ResolvedSessionOptions): ResolvedSessionOptions {
  const { realm, ...options } = requireOptions(given) as SessionRealmOptions;
  assertRealmName(realm, 'realm');
  try {
    refuseShared(options);
    if (root.store && !root.realmAdapters && !options.store) {
      refuse(
        'store',
        'required, as the application has a store of its own: give the realm another, whose sessions lie apart',
      );
    }
    const resolved = resolveOptions(withNames(options, realm), {
      realm,
      keys: realmKeys(root.keys, realm),
      keyPrefix: `${root.keyPrefix}realm:${realm}:`,
      root,
    });
    // Below a test of the application, whose sessions are in memory.
    return root.realmAdapters
      ? Object.freeze({ ...resolved, ...root.realmAdapters(resolved), nearCache: null })
      : resolved;
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    throw new ConfigurationError(`SessionModule.forFeature, realm "${realm}": ${error.message}`, { cause: error });
  }
}

function refuseShared(options: object): void {
  for (const name of OF_APPLICATION) {
    if (name in options) refuse(name, 'is shared by all realms; set it in SessionModule.forRoot()');
  }
  for (const [name, reason] of Object.entries(NOT_IN_REALMS)) {
    if (name in options) refuse(name, `does not work in a realm: ${reason}; omit it`);
  }
}

/** Names that no other realm has, where none are given. */
function withNames(options: Omit<SessionRealmOptions, 'realm'>, realm: string): SessionModuleOptions {
  const { cookie = {}, jwt } = options;
  // What is no object is left for the parser to refuse.
  if (typeof cookie !== 'object' || (cookie as unknown) === null) return options;
  const { secure = true, path = '/', domain } = cookie;
  const prefix = !secure ? '' : path === '/' && domain === undefined ? '__Host-' : '__Secure-';
  const refresh = jwt?.refreshCookie && {
    name: `${secure ? '__Secure-' : ''}refresh-${realm}`,
    ...jwt.refreshCookie,
  };
  return {
    ...options,
    cookie: { name: `${prefix}session-${realm}`, ...cookie },
    ...(jwt && refresh && { jwt: { ...jwt, refreshCookie: refresh } }),
  };
}

/**
 * Keys of the realm, derived from the application's: what one realm signed, another does not accept. The fingerprint of a client
 * is no credential and the same in all realms, so that `generateFingerprint` and its like work for each.
 */
function realmKeys(keys: SessionKeys, realm: string): SessionKeys {
  const derived = (own: readonly KeyObject[]): readonly KeyObject[] =>
    Object.freeze(
      own.map((key) => {
        const bytes = hkdfSync('sha256', key.export(), Buffer.alloc(0), `nestjs-sessions/v1/realm/${realm}`, 32);
        return createSecretKey(Buffer.from(bytes));
      }),
    );
  return Object.freeze({
    credential: derived(keys.credential),
    fingerprint: keys.fingerprint,
    device: derived(keys.device),
    deviceBound: derived(keys.deviceBound),
    dpop: derived(keys.dpop),
    jwt: derived(keys.jwt),
    ephemeral: keys.ephemeral,
  });
}

/**
 * Refuses a realm that shares with another what must be apart.
 *
 * @param others The application's own options, and those of the other realms.
 * @throws {ConfigurationError}
 */
export function assertRealmApart(options: ResolvedSessionOptions, others: readonly ResolvedSessionOptions[]): void {
  const { realm } = options;
  const where = `SessionModule.forFeature, realm "${realm}"`;
  for (const other of others) {
    const whose = other.realm === '' ? 'the application’s own sessions' : `the realm "${other.realm}"`;
    if (other.realm === realm)
      refuse(where, 'there are two realms of this name; give each its own, and import each once');
    for (const cookie of cookiesOf(options)) {
      const taken = cookiesOf(other).find(({ name, path }) => name === cookie.name && overlap(path, cookie.path));
      if (!taken) continue;
      refuse(
        where,
        `the cookie "${cookie.name}" at the path ${cookie.path} overwrites that of ${whose} (path ${taken.path}) in browsers; choose another cookie.name, or paths of which neither contains the other`,
      );
    }
    if (
      (options.store && options.store === other.store) ||
      (options.blacklist && options.blacklist === other.blacklist)
    )
      refuse(where, `has the store or blacklist of ${whose}; give it one whose entries lie apart`);
    if (sharesTokens(options, other)) {
      refuse(
        where,
        `jwt.issuer and jwt.audience are those of ${whose}, so that other services could not tell the tokens apart; choose another jwt.audience`,
      );
    }
  }
}

function sharesTokens({ jwt: own }: ResolvedSessionOptions, { jwt: other }: ResolvedSessionOptions): boolean {
  if (!own || !other || own.issuer !== other.issuer) return false;
  const [mine, theirs] = [own, other].map(({ audience }) => [audience].flat());
  return mine?.some((audience) => theirs?.includes(audience)) ?? false;
}

interface PlacedCookie extends CookiePlace {
  readonly name: string;
}

/** Every cookie that is set or cleared. */
function cookiesOf({ cookie, jwt, device, accounts, deviceBound, realm }: ResolvedSessionOptions): PlacedCookie[] {
  return [
    cookie,
    resolveActorCookie(cookie),
    accounts && resolveAccountsCookie(cookie),
    jwt?.refreshCookie,
    device.cookie ? resolveDeviceCookie(cookie, realm) : null,
    deviceBound?.cookie,
  ].flatMap((each) => (each ? [each, ...each.former].map(({ path }) => ({ name: each.name, path })) : []));
}

/** Whether browsers send the cookies of both paths to one of them (RFC 6265, 5.1.4). */
function overlap(a: string, b: string): boolean {
  const within = (inner: string, outer: string): boolean =>
    inner === outer || inner.startsWith(outer.endsWith('/') ? outer : `${outer}/`);
  return within(a, b) || within(b, a);
}
