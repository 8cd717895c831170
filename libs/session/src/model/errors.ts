import type { EndReason, Session } from './session.js';

/** Stable names of everything that can go wrong. They do not change within a major version. */
export type SessionErrorCode =
  | 'session_required'
  | 'invalid_token'
  | 'invalid_request'
  | 'session_expired'
  | 'session_evicted'
  | 'session_replaced'
  | 'session_revoked'
  | 'session_ended'
  | 'insufficient_scope'
  | 'csrf_rejected'
  | 'reauthentication_required'
  | 'step_up_required'
  | 'pending_authentication'
  | 'session_vetoed'
  | 'session_limit_reached'
  | 'session_conflict'
  | 'session_too_large'
  | 'store_unavailable'
  | 'invalid_argument'
  | 'invalid_configuration'
  | 'tokens_disabled'
  | 'headers_sent';

/** The one table from codes to HTTP status. */
export const HTTP_STATUS: Readonly<Record<SessionErrorCode, number>> = {
  session_required: 401,
  invalid_token: 401,
  session_expired: 401,
  session_evicted: 401,
  session_replaced: 401,
  session_revoked: 401,
  session_ended: 401,
  invalid_request: 400,
  insufficient_scope: 403,
  csrf_rejected: 403,
  reauthentication_required: 403,
  step_up_required: 403,
  pending_authentication: 403,
  session_vetoed: 403,
  session_limit_reached: 409,
  session_conflict: 409,
  session_too_large: 413,
  store_unavailable: 503,
  invalid_argument: 400,
  invalid_configuration: 500,
  tokens_disabled: 500,
  headers_sent: 500,
};

/** Base of every error this library throws. `code` is stable; the message says how to mend. */
export class SessionError extends Error {
  override readonly name: string = 'SessionError';

  constructor(
    readonly code: SessionErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }

  /** HTTP status; under this name Nest, Express and Fastify find it even where no filter of ours runs. */
  get statusCode(): number {
    return HTTP_STATUS[this.code];
  }

  /** The same under the other name that the package `http-errors` gives it: Nest 12 asks for both, and for `expose`. */
  get status(): number {
    return this.statusCode;
  }

  /** Whether the message may be shown to clients. */
  get expose(): boolean {
    return this.statusCode < 500;
  }
}

/** No credentials, or credentials that do not hold. Answered with 401. */
export class AuthenticationError extends SessionError {
  override readonly name = 'AuthenticationError';
}

/** The store could not be asked. Answered with 503 and Retry-After, never with 401 or 200. */
export class StoreUnavailableError extends SessionError {
  override readonly name = 'StoreUnavailableError';

  constructor(
    message = 'The session store did not answer. Try again; if it lasts, check that Redis is reachable.',
    options?: ErrorOptions,
  ) {
    super('store_unavailable', message, options);
  }
}

/** The user has as many sessions as allowed and the policy is `reject`. */
export class SessionLimitError extends SessionError {
  override readonly name = 'SessionLimitError';

  constructor(
    readonly limit: number,
    readonly sessions: readonly Session[],
  ) {
    super('session_limit_reached', `The limit of ${limit} sessions is reached. End one of them, then sign in again.`);
  }
}

/** A parallel writer won too many times in a row. Nothing was written. */
export class SessionConflictError extends SessionError {
  override readonly name = 'SessionConflictError';

  constructor() {
    super('session_conflict', 'Other writers kept changing this session. Nothing was written; try again.');
  }
}

/** An argument is of the wrong type or out of range. */
export class InvalidArgumentError extends SessionError {
  override readonly name = 'InvalidArgumentError';

  constructor(argument: string, expected: string) {
    super('invalid_argument', `${argument}: ${expected}.`);
  }
}

/** A record is larger than the store accepts. */
export class SessionTooLargeError extends SessionError {
  override readonly name = 'SessionTooLargeError';

  constructor(
    readonly size: number,
    readonly limit: number,
  ) {
    super(
      'session_too_large',
      `The session would take ${size} bytes, the limit is ${limit}. Keep large values elsewhere and a key to them here.`,
    );
  }
}

/** An option is wrong; the boot stops. */
export class ConfigurationError extends SessionError {
  override readonly name = 'ConfigurationError';

  constructor(message: string, options?: ErrorOptions) {
    super('invalid_configuration', message, options);
  }
}

const CODE_OF_REASON: Readonly<Record<EndReason, SessionErrorCode>> = {
  logout: 'session_ended',
  idle: 'session_expired',
  absolute: 'session_expired',
  evicted: 'session_evicted',
  replaced: 'session_replaced',
  revoked: 'session_revoked',
  reuse: 'session_revoked',
  hijack: 'session_revoked',
  admin: 'session_revoked',
};

/** The error that tells a client why its session is gone. */
export function endedError(reason: EndReason): AuthenticationError {
  return new AuthenticationError(CODE_OF_REASON[reason], `The session ended (${reason}). Sign in again.`);
}
