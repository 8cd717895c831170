import { createSecretKey, randomBytes } from 'node:crypto';
import { expiryReason } from '../../model/deadlines.js';
import type { HijackSignal, SignalAction } from '../../model/events.js';
import { fingerprintOf } from '../../model/fingerprint.js';
import type { IpPrivacy } from '../../model/ip.js';
import type { Session } from '../../model/session.js';
import { deriveKeys } from '../../options/session-keys.js';
import type { SessionModuleOptions } from '../../options/session-module-options.js';
import { clientFactsOf, differencesOf, type ClientRules } from './client-recognition.js';
import { exchangeOfRequest, type HttpExchange } from '../exchange/http-exchange.js';
import type { HttpRequest } from '../exchange/request-view.js';

/** A request of Express, Fastify or Node, or any object with headers and, where addresses count, an `ip`. */
export interface RequestLike {
  readonly headers: object;
  readonly ip?: string | undefined;
}

/** Options of a manual session check. Default: the options of the module in the request's application. */
export interface SessionSecurityOptions {
  /** Source of the fingerprint keys, as in the module. */
  secrets?: SessionModuleOptions['secrets'];
  /**
   * Whether to check for another browser, system or kind of device; any action but `off` does. Outside an application:
   * true.
   */
  useFingerprint?: boolean | SignalAction;
  /** Whether to check for another network. Outside an application: false. */
  bindToIP?: boolean | SignalAction;
  ipPrivacy?: IpPrivacy;
  /** Epoch ms. Default: the store's time, or this machine's outside an application. */
  now?: number;
}

/** Why a session is not safe to use: another client, or one of its timeouts. */
export type SessionSecurityReason = HijackSignal | 'idle' | 'absolute';

/** Settings that manual checks take from the module of an application. */
export interface ApplicationSecurity extends ClientRules {
  readonly useFingerprint: SignalAction;
  readonly bindToIP: SignalAction;
  readonly idleTimeout: number;
  readonly now: () => number;
}

/** By objects that requests lead to: the framework's application object, and Node's server. */
const applications = new WeakMap<object, ApplicationSecurity>();

/** Used outside an application. The key is random, so fingerprints made with it are valid in this process only. */
const ELSEWHERE: ApplicationSecurity = {
  fingerprintKeys: [createSecretKey(randomBytes(32))],
  ipPrivacy: 'full',
  useFingerprint: 'reject',
  bindToIP: 'off',
  idleTimeout: Infinity,
  now: Date.now,
};

/** Makes the functions below use these settings for the requests of an application. */
export function registerApplication(owner: object, security: ApplicationSecurity): void {
  applications.set(owner, security);
}

/**
 * The fingerprint of a request's client: a keyed digest of browser family, system and device kind, which sessions store
 * in `metadata.fingerprint`. A browser update, another network or a different order of headers does not change it;
 * another browser or system does. Outside an application, and without `secrets`, the key is random per process.
 */
export function generateFingerprint(
  request: RequestLike,
  options: Pick<SessionSecurityOptions, 'secrets'> = {},
): string {
  const { fingerprintKeys } = securityOf(request, options);
  return fingerprintOf(clientFactsOf(exchangeFor(request)).traits, fingerprintKeys[0]);
}

/** Whether the session is safe to use: `explainSessionSecurity` returns no reason. */
export async function validateSessionSecurity(
  request: RequestLike,
  session: Partial<Session>,
  options: SessionSecurityOptions = {},
): Promise<boolean> {
  return (await explainSessionSecurity(request, session, options)).length === 0;
}

/**
 * The reasons against using the session in this request: another fingerprint, another network (if sessions are bound to
 * it; IPv6 by /64), the idle or the absolute timeout. Changes nothing and does not read the store: it checks the
 * session as given. What cannot be compared is no reason.
 */
export async function explainSessionSecurity(
  request: RequestLike,
  session: Partial<Session>,
  options: SessionSecurityOptions = {},
): Promise<SessionSecurityReason[]> {
  const security = securityOf(request, options);
  const counts: Readonly<Record<HijackSignal, boolean>> = {
    fingerprint: isOn(options.useFingerprint ?? security.useFingerprint),
    ip: isOn(options.bindToIP ?? security.bindToIP),
  };
  const differences = differencesOf(clientFactsOf(exchangeFor(request)), session.metadata, security);
  const { lastAccess = Infinity, expiresAt = Infinity, idleTimeout = security.idleTimeout } = session;
  const expired = expiryReason({ lastAccess, expiresAt, idleTimeout }, options.now ?? security.now());
  return [...differences.filter((signal) => counts[signal]), ...(expired ? [expired] : [])];
}

function isOn(action: boolean | SignalAction): boolean {
  return action !== false && action !== 'off';
}

function securityOf(request: RequestLike, { secrets, ipPrivacy }: SessionSecurityOptions): ApplicationSecurity {
  const found = applicationOf(request) ?? ELSEWHERE;
  const [first, ...others] = secrets === undefined ? found.fingerprintKeys : deriveKeys({ secrets }).fingerprint;
  return {
    ...found,
    fingerprintKeys: first ? [first, ...others] : found.fingerprintKeys,
    ipPrivacy: ipPrivacy ?? found.ipPrivacy,
  };
}

/**
 * Express: `req.app`. Fastify: `req.server`, or an instance that a plugin derived from it. Node: the server of the
 * socket.
 */
function applicationOf(request: RequestLike): ApplicationSecurity | null {
  const { app, server, socket, raw } = request as { app?: unknown; server?: unknown; socket?: unknown; raw?: unknown };
  const serverOf = (of: unknown): unknown => (of as { server?: unknown } | null | undefined)?.server;
  for (let owner of [app, server, serverOf(socket), serverOf((raw as { socket?: unknown } | undefined)?.socket)]) {
    while ((typeof owner === 'object' || typeof owner === 'function') && owner !== null) {
      const found = applications.get(owner);
      if (found) return found;
      owner = Object.getPrototypeOf(owner) as unknown;
    }
  }
  return null;
}

/** Headers may also be a `Headers` object of fetch, or an object with names in any case. */
function exchangeFor(request: RequestLike): HttpExchange {
  const { headers, ip } = request;
  const pairs: [string, unknown][] = headers instanceof Headers ? [...headers] : Object.entries(headers);
  const texts = pairs.map(([name, value]) => [
    name.toLowerCase(),
    Array.isArray(value) ? (value[0] as unknown) : value,
  ]);
  const lower = Object.fromEntries(texts.filter(([, value]) => typeof value === 'string')) as Record<string, string>;
  return exchangeOfRequest({ headers: lower, ...(ip !== undefined && { ip }) } satisfies HttpRequest);
}
