import { STATUS_CODES } from 'node:http';
import { HTTP_STATUS, type SessionErrorCode } from '../model/errors.js';

/** The body of an error of a route, as the response has it. */
export interface ApiErrorBody {
  readonly statusCode: number;
  readonly error: string;
  /** Stable, where there is one. */
  readonly code?: string;
  /** A validation pipe answers with several. */
  readonly message: string | readonly string[];
}

/** A message of each code, as the guards and services write it. */
const MESSAGES: Readonly<Record<SessionErrorCode, string>> = {
  session_required: 'Sign in first.',
  invalid_token: 'The session token is not valid. Sign in again.',
  session_expired: 'The session ended (idle). Sign in again.',
  session_evicted: 'The session ended (evicted). Sign in again.',
  session_replaced: 'The session ended (replaced). Sign in again.',
  session_revoked: 'The session ended (revoked). Sign in again.',
  session_ended: 'The session ended (logout). Sign in again.',
  device_binding_required:
    'The session is bound to a device, and the cookie that proves it is missing or out of date. Sign in again.',
  dpop_required: 'This needs a token that is bound to a key, with a proof of that key (DPoP).',
  invalid_dpop_proof: 'The proof was used before: make a new one for each request.',
  use_dpop_nonce: 'Make a new proof, with the value of the header DPoP-Nonce as its nonce.',
  invalid_request: 'The cookie and the bearer token belong to different users. Send one of them.',
  unknown_tenant: 'There is no such tenant.',
  invalid_argument: 'userId: must be a string of 1 to 256 characters.',
  insufficient_scope: 'This action requires a role that you do not have.',
  csrf_rejected:
    'The request comes from another site. If that site is yours, add its origin to security.csrf.trustedOrigins.',
  reauthentication_required: 'Verify your identity again: the last verification is too long ago.',
  step_up_required: 'The session is used by a different client than before. Verify your identity again.',
  session_not_bound: 'This needs a session that is bound to a key of this device, and the cookie that proves it.',
  device_binding_failed: 'The challenge of the proof is not one of this session, or is out of date.',
  pending_authentication: 'This session needs a further factor before it can be used.',
  session_vetoed: 'The application refused to start this session.',
  session_limit_reached: 'The limit of 5 sessions is reached. End one of them, then sign in again.',
  too_many_accounts: 'This browser is signed in to 5 accounts already. Sign out of one of them first.',
  account_not_found: 'This browser is not signed in to this account. It may have ended.',
  session_conflict: 'Other writers kept changing this session. Nothing was written; try again.',
  session_too_large:
    'The session would take 70000 bytes, the limit is 65536. Keep large values elsewhere and a key to them here.',
  too_many_requests: 'Too many attempts to prove the device. Try again in a minute.',
  store_unavailable: 'Sessions cannot be checked at the moment. Try again.',
  invalid_configuration: 'Internal Server Error',
  tokens_disabled: 'Internal Server Error',
  headers_sent: 'Internal Server Error',
};

export function exampleOf(code: SessionErrorCode): ApiErrorBody {
  const statusCode = HTTP_STATUS[code];
  return { statusCode, error: STATUS_CODES[statusCode] ?? 'Error', code, message: MESSAGES[code] };
}

/** `bad_request` for an error without a code. */
export function nameOf({ code, error }: ApiErrorBody): string {
  return code ?? error.toLowerCase().replace(/\W+/g, '_');
}
