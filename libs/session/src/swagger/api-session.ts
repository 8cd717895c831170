import { applyDecorators } from '@nestjs/common';
import { ApiSecurity } from '@nestjs/swagger';
import type { Transport } from '../http/authorization/route-rules.js';
import type { SessionErrorCode } from '../model/errors.js';
import { ApiSessionErrors, type ApiSessionErrorOptions } from './api-session-errors.js';
import { SCHEMES } from './schemes.js';

/** The errors of `codes` and `errors` are those that the routes answer with beside those of the guards. */
export interface ApiSessionOptions extends ApiSessionErrorOptions {
  /** What the routes accept; `dpop` alone for `@RequireDpop()`. Default: cookie and bearer. */
  transports?: readonly (Transport | 'dpop')[];
}

/** What the guards may answer with. */
const OF_GUARDS: readonly SessionErrorCode[] = [
  'invalid_request',
  'session_required',
  'invalid_token',
  'session_expired',
  'session_evicted',
  'session_replaced',
  'session_revoked',
  'session_ended',
  'insufficient_scope',
  'csrf_rejected',
  'reauthentication_required',
  'step_up_required',
  'pending_authentication',
  'store_unavailable',
];

/** And where tokens are bound to keys. */
const OF_DPOP: readonly SessionErrorCode[] = ['dpop_required', 'invalid_dpop_proof', 'use_dpop_nonce'];

/**
 * Says in the OpenAPI document that routes need a session: by cookie or bearer token, with the errors that the guards answer with,
 * their codes and an example of each. For a class or for methods, not for both: the transports of the two would add up. Declare the
 * schemes with `addSessionAuth`.
 */
export function ApiSession({
  transports = ['cookie', 'bearer'],
  codes = [],
  errors = [],
}: ApiSessionOptions = {}): MethodDecorator & ClassDecorator {
  return applyDecorators(
    // Several requirements are alternatives.
    ...transports.map((transport) => ApiSecurity(SCHEMES[transport])),
    ApiSessionErrors({
      codes: [...OF_GUARDS, ...(transports.includes('dpop') ? OF_DPOP : []), ...codes],
      errors,
    }),
  );
}
