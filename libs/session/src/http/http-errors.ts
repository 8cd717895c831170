import { HttpException } from '@nestjs/common';
import { STATUS_CODES } from 'node:http';
import { SessionLimitError, type SessionError, type SessionErrorCode } from '../model/errors.js';
import type { DeviceType, Session } from '../model/session.js';
import type { HttpExchange } from './http-exchange.js';

/** The body of every answer that refuses something. */
export interface SessionErrorBody {
  readonly statusCode: number;
  /** The status in words. */
  readonly error: string;
  /** Stable; what a client acts on. */
  readonly code: SessionErrorCode;
  readonly message: string;
  /** With `session_limit_reached`: the sessions to choose from, latest access first. */
  readonly sessions?: readonly SessionSummary[];
}

/** What a page needs to ask which session to end. Nothing in it lets anyone in. */
export interface SessionSummary {
  readonly id: string;
  readonly deviceName: string | null;
  readonly deviceType: DeviceType;
  /** Epoch ms. */
  readonly createdAt: number;
  /** Epoch ms. */
  readonly lastAccess: number;
}

/** A `SessionError` as Nest's own filters and those of applications know errors. The original is its `cause`. */
export class SessionHttpException extends HttpException {
  readonly code: SessionErrorCode;

  constructor(error: SessionError) {
    super(bodyOf(error), error.statusCode, { cause: error });
    this.code = error.code;
  }
}

/**
 * The exception for an error, with the headers that belong to it set on the response at once: whichever filter writes
 * the body, they are there.
 */
export function refusal(error: SessionError, exchange: HttpExchange | null): SessionHttpException {
  const exception = new SessionHttpException(error);
  const challenge = challengeOf(error);
  if (challenge !== null) exchange?.setHeader('www-authenticate', challenge);
  if (error.statusCode === 503) exchange?.setHeader('retry-after', '1');
  exchange?.setHeader('cache-control', 'no-store');
  return exception;
}

function bodyOf(error: SessionError): SessionErrorBody {
  const { statusCode, code } = error;
  const words = STATUS_CODES[statusCode] ?? 'Error';
  // What went wrong inside is for the log.
  const message =
    statusCode === 503
      ? 'Sessions cannot be checked at the moment. Try again.'
      : statusCode >= 500
        ? words
        : error.message;
  const sessions = error instanceof SessionLimitError ? { sessions: error.sessions.map(summaryOf) } : {};
  return { statusCode, error: words, code, message, ...sessions };
}

function summaryOf({ id, deviceName, deviceType, createdAt, lastAccess }: Session): SessionSummary {
  return { id, deviceName: deviceName ?? null, deviceType: deviceType ?? 'unknown', createdAt, lastAccess };
}

const BEARER_ERROR: Partial<Record<SessionErrorCode, string>> = {
  invalid_request: 'invalid_request',
  insufficient_scope: 'insufficient_scope',
  reauthentication_required: 'insufficient_user_authentication',
  step_up_required: 'insufficient_user_authentication',
};

/** `WWW-Authenticate` after RFC 6750, 3, and RFC 9470, 3; no error is named to those who sent no credentials. */
function challengeOf({ code, statusCode, message }: SessionError): string | null {
  const realm = 'Bearer realm="session"';
  if (code === 'session_required') return realm;
  const error = statusCode === 401 ? 'invalid_token' : BEARER_ERROR[code];
  if (error === undefined) return null;
  return `${realm}, error="${error}", error_description="${message.replace(/[^\x20-\x21\x23-\x5b\x5d-\x7e]/g, '')}"`;
}
