import session from 'express-session';
import type { AliasedSessionOptions } from '../options/aliased-session-options.js';
import type { ResolvedExpressSessionOptions } from '../options/express-session-options.js';
import type { SessionStore } from '../ports/session-store.js';
import { saveBeforeAnswer } from './save-before-answer.js';
import { SessionExpressStore } from './session-express-store.js';

/** The middleware of express-session on a store, in the order in which to mount it. `defaults`: what the module says of all its sessions. */
export function expressSessionHandlers(
  options: ResolvedExpressSessionOptions,
  store: SessionStore,
  defaults: AliasedSessionOptions,
): unknown[] {
  const { store: kept, cookie, proxy, ...rest } = options;
  const handler = session({
    ...rest,
    ...(proxy !== undefined && { proxy }),
    cookie: { ...cookie, ...(cookie.maxAge === null && { maxAge: undefined }) } as session.CookieOptions,
    store: new SessionExpressStore({ ...defaults, ...kept, store }),
  });
  return [handler, saveBeforeAnswer()];
}
