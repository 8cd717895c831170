// Not from the entry of @nestjs/common, which loads all of Nest: a command line must start fast. It is the same class.
import { HttpException } from '@nestjs/common/exceptions/http.exception.js';
import { STATUS_CODES } from 'node:http';
import type { DeviceType, EndReason, Session } from './session.js';

/** Stable error codes. They do not change within a major version. */
export type SessionErrorCode =
  | 'session_required'
  | 'invalid_token'
  | 'invalid_request'
  | 'unknown_tenant'
  | 'session_expired'
  | 'session_evicted'
  | 'session_replaced'
  | 'session_revoked'
  | 'session_ended'
  | 'insufficient_scope'
  | 'csrf_rejected'
  | 'reauthentication_required'
  | 'step_up_required'
  | 'device_binding_required'
  | 'device_binding_failed'
  | 'session_not_bound'
  | 'dpop_required'
  | 'invalid_dpop_proof'
  | 'use_dpop_nonce'
  | 'too_many_requests'
  | 'pending_authentication'
  | 'session_vetoed'
  | 'session_limit_reached'
  | 'too_many_accounts'
  | 'account_not_found'
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
  unknown_tenant: 404,
  insufficient_scope: 403,
  csrf_rejected: 403,
  reauthentication_required: 403,
  step_up_required: 403,
  device_binding_required: 401,
  device_binding_failed: 403,
  session_not_bound: 403,
  dpop_required: 401,
  invalid_dpop_proof: 401,
  use_dpop_nonce: 401,
  too_many_requests: 429,
  pending_authentication: 403,
  session_vetoed: 403,
  session_limit_reached: 409,
  too_many_accounts: 409,
  account_not_found: 404,
  session_conflict: 409,
  session_too_large: 413,
  store_unavailable: 503,
  invalid_argument: 400,
  invalid_configuration: 500,
  tokens_disabled: 500,
  headers_sent: 500,
};

/** The response body of every refusal. */
export interface SessionErrorBody {
  readonly statusCode: number;
  /** The status as text. */
  readonly error: string;
  /** Stable; clients act on it. */
  readonly code: SessionErrorCode;
  readonly message: string;
  /** With `session_limit_reached`: the sessions to choose from, latest access first. */
  readonly sessions?: readonly SessionSummary[];
}

/** The data for asking a user which session to end. It grants no access. */
export interface SessionSummary {
  readonly id: string;
  readonly deviceName: string | null;
  readonly deviceType: DeviceType;
  /** Epoch ms. */
  readonly createdAt: number;
  /** Epoch ms. */
  readonly lastAccess: number;
}

/**
 * Base of every error this library throws. `code` is stable; the message says how to fix it. An `HttpException`, so
 * that any exception filter answers it with its status.
 */
export class SessionError extends HttpException {
  override readonly name: string = 'SessionError';

  constructor(
    readonly code: SessionErrorCode,
    message: string,
    options?: ErrorOptions & { sessions?: readonly Session[] },
  ) {
    super(bodyOf(code, message, options?.sessions), HTTP_STATUS[code]);
    // The internal message goes to the log, not into the response body.
    this.message = message;
    if (options?.cause !== undefined) this.cause = options.cause;
  }

  override getResponse(): SessionErrorBody {
    return super.getResponse() as SessionErrorBody;
  }

  /** HTTP status; Express and Fastify read this property when no filter runs. */
  get statusCode(): number {
    return HTTP_STATUS[this.code];
  }

  /** Whether the message may be shown to clients. */
  get expose(): boolean {
    return this.statusCode < 500;
  }
}

function bodyOf(code: SessionErrorCode, message: string, sessions?: readonly Session[]): SessionErrorBody {
  const statusCode = HTTP_STATUS[code];
  const error = STATUS_CODES[statusCode] ?? 'Error';
  const shown = statusCode < 500 ? message : error;
  return {
    statusCode,
    error,
    code,
    message: statusCode === 503 ? 'Sessions cannot be checked at the moment. Try again.' : shown,
    ...(sessions && { sessions: sessions.map(summaryOf) }),
  };
}

function summaryOf({ id, deviceName, deviceType, createdAt, lastAccess }: Session): SessionSummary {
  return { id, deviceName: deviceName ?? null, deviceType: deviceType ?? 'unknown', createdAt, lastAccess };
}

/** Missing or invalid credentials. Answered with 401. */
export class AuthenticationError extends SessionError {
  override readonly name = 'AuthenticationError';

  constructor(
    code: SessionErrorCode,
    message: string,
    /** Why the session of the credentials ended; `forgotten` if the store no longer knows, null if it has not ended. */
    readonly ended: EndReason | 'forgotten' | null = null,
    options?: ErrorOptions,
  ) {
    super(code, message, options);
  }
}

/** The store did not answer. Answered with 503 and Retry-After, never with 401 or 200. */
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
    super('session_limit_reached', `The limit of ${limit} sessions is reached. End one of them, then sign in again.`, {
      sessions,
    });
  }
}

/** Parallel writers changed the session at every attempt. Nothing was written. */
export class SessionConflictError extends SessionError {
  override readonly name = 'SessionConflictError';

  constructor() {
    super('session_conflict', 'Other writers kept changing this session. Nothing was written; try again.');
  }
}

/** An argument has the wrong type or is out of range. */
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

/**
 * For a sign-in whose proof was verified before all sessions of the user were ended: the password may have changed
 * since.
 */
export function outdatedSignIn(): AuthenticationError {
  return new AuthenticationError(
    'session_revoked',
    'All sessions of this user were ended while this sign-in was under way. Sign in again.',
  );
}

/** The error that tells a client why its session ended. */
export function endedError(reason: EndReason): AuthenticationError {
  return new AuthenticationError(CODE_OF_REASON[reason], `The session ended (${reason}). Sign in again.`, reason);
}
