import session from 'express-session';
import type { FrameworkSessionOptions } from '../../options/framework-session-options.js';
import type { ResolvedExpressSessionOptions } from '../../options/express-session-options.js';
import type { SessionStore } from '../../ports/session-store.js';
import { saveBeforeAnswer } from './save-before-answer.js';
import { SessionExpressStore } from './session-express-store.js';

/**
 * The middleware of express-session on a store, in mounting order. `defaults`: the module's settings for all sessions.
 */
export function expressSessionHandlers(
  options: ResolvedExpressSessionOptions,
  store: SessionStore,
  defaults: FrameworkSessionOptions,
): unknown[] {
  const { store: kept, cookie, proxy, ...rest } = options;
  const handler = session({
    ...rest,
    ...(proxy !== undefined && { proxy }),
    cookie: { ...cookie, ...(cookie.maxAge === null && { maxAge: undefined }) } as session.CookieOptions,
    // The module removes expired sessions itself.
    store: new SessionExpressStore({ ...defaults, ...kept, store, sweepInterval: false }),
  });
  return [handler, saveBeforeAnswer()];
}
