import type { BindingState } from '../../model/device-binding.js';
import type { SessionError } from '../../model/errors.js';
import type { LiveSession } from '../../ports/session-store.js';
import type { HttpExchange } from '../exchange/http-exchange.js';
import type { RequestContext } from './request-context.js';

/** What device-bound sessions add to a request with a session cookie. Asks the store nothing. */
export interface DeviceBindingHooks {
  /** How the request stands to the binding of its session; of an impersonated one, to that of the administrator's own. */
  assess(context: RequestContext, live: LiveSession, actor: LiveSession | null): BindingState;

  /** Whether the request must get no new token for the session: its present one may be a copy. */
  denies(state: BindingState): boolean;

  /**
   * Announces a missing cookie and does what the option says. Returns the error for all routes except those under
   * `@StepUp()`, or null.
   *
   * @throws {SessionError} under the policy `reject`.
   */
  apply(context: RequestContext, live: LiveSession, state: BindingState): SessionError | null;

  /** Offers the browser to bind the session, after a sign-in or step-up. */
  offer(context: RequestContext, live: LiveSession): void;

  /** Has the browser forget the bound cookie. */
  forget(exchange: HttpExchange): void;
}
