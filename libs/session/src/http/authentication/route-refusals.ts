import { isAnonymousUserId } from '../../model/alias.js';
import { AuthenticationError, SessionError } from '../../model/errors.js';
import { invalidToken } from '../../tokens/authentication-errors.js';
import type { RouteRules } from '../authorization/route-rules.js';
import type { AuthenticatedRequest } from './request-context.js';

/** Why a valid session does not count on a route, or null. */
export function stateRefusal(
  { superseded, mismatch, transport, live }: AuthenticatedRequest,
  rules: RouteRules,
): SessionError | null {
  if (superseded && !rules.stepUp) return invalidToken('replaced');
  const isOfTransport = rules.transport === null || rules.transport === transport;
  const isAnonymous = isAnonymousUserId(live.session.userId);
  if (!isOfTransport || (isAnonymous && !rules.allowAnonymous)) return notSignedIn();
  if (mismatch && !rules.stepUp) return mismatch;
  if (live.session.pending === true && !rules.allowPending) {
    return new SessionError('pending_authentication', 'This session needs a further factor before it can be used.');
  }
  return null;
}

/** The refusal for a request without a session that counts. */
export function notSignedIn(): AuthenticationError {
  return new AuthenticationError('session_required', 'Sign in first.');
}

export function assertState(request: AuthenticatedRequest, rules: RouteRules): void {
  const problem = stateRefusal(request, rules);
  if (problem) throw problem;
}

export function isProven({ binding }: AuthenticatedRequest, { deviceBound }: RouteRules): boolean {
  return !deviceBound || binding === 'proven';
}

export function assertDeviceBound(request: AuthenticatedRequest, rules: RouteRules): void {
  if (isProven(request, rules)) return;
  throw new SessionError(
    'session_not_bound',
    'This needs a session that is bound to a key of this device, and the cookie that proves it.',
  );
}

/** The cookie of a session is bound to no key of an access token. */
export function lacksKey({ jkt }: AuthenticatedRequest, { dpop }: RouteRules): boolean {
  return dpop && jkt === undefined;
}

export function hasRole({ live }: AuthenticatedRequest, { roles }: RouteRules): boolean {
  return roles === null || roles.some((role) => live.session.roles.includes(role));
}

export function assertRoles(request: AuthenticatedRequest, rules: RouteRules): void {
  if (hasRole(request, rules)) return;
  throw new SessionError('insufficient_scope', 'This action requires a role that you do not have.');
}
