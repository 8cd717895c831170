import { SessionStore } from '../ports/session-store.js';
import { resolveBoundCookie, type ResolvedCookieOptions } from './cookie-options.js';
import { refuse } from './option-error.js';
import type { ParsedOptions } from './options-schema.js';
import type { ResolvedDeviceBoundOptions } from './resolved-options.js';

/**
 * Device-bound sessions as they were asked for, or null.
 *
 * @throws {ConfigurationError} for what browsers or the store would not do.
 */
export function resolveDeviceBound(
  option: ParsedOptions['deviceBound'],
  cookie: ResolvedCookieOptions,
  store: Partial<SessionStore> | undefined,
): ResolvedDeviceBoundOptions | null {
  if (!option) return null;
  if (cookie.partitioned)
    refuse('deviceBound', 'browsers bind no partitioned cookies; leave out cookie.partitioned or deviceBound');
  if (option.paths.register === option.paths.refresh)
    refuse('deviceBound.paths', 'register and refresh must be two paths');
  const has = (method: 'bindDevice' | 'proveDevice'): boolean =>
    typeof store?.[method] === 'function' && store[method] !== SessionStore.prototype[method];
  if (store && !(has('bindDevice') && has('proveDevice')))
    refuse('deviceBound', 'your store binds no sessions; give it the methods bindDevice and proveDevice');
  return { ...option, cookie: resolveBoundCookie(cookie) };
}
