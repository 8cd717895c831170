import { HttpException } from '@nestjs/common';
import type { SessionError, SessionErrorCode } from '../../model/errors.js';
import { challengesOf, schemeOf, type ChallengeSettings } from './challenges.js';
import type { HttpExchange } from './http-exchange.js';

/** A `SessionError` in the form that exception filters expect. The original is its `cause`. */
export class SessionHttpException extends HttpException {
  readonly code: SessionErrorCode;

  constructor(error: SessionError) {
    super(error.getResponse(), error.statusCode, { cause: error });
    this.code = error.code;
  }
}

/** The exception for an error. Its headers are set whichever filter answers, as long as the status is the same. */
export function refusal(error: SessionError, exchange: HttpExchange | null): SessionHttpException {
  exchange?.setHeadersWithStatus(error.statusCode, headersOf(error, exchange));
  return new SessionHttpException(error);
}

/** As `refusal`, in the form in which clients of GraphQL and of sockets hear of it. */
export function refusalFor(error: SessionError, exchange: HttpExchange | null): Error {
  const exception = refusal(error, exchange);
  return exchange?.refusalOf?.(error) ?? exception;
}

/** The headers that belong to the answer. */
export function headersOf(error: SessionError, exchange: HttpExchange | null): Record<string, string> {
  const settings = exchange && challengesOf(exchange);
  const challenge = settings ? challengesFor(error, exchange, settings) : challengeOf(error);
  return {
    'cache-control': 'no-store',
    ...(challenge !== null && { 'www-authenticate': challenge }),
    ...(error.statusCode === 503 && { 'retry-after': '1' }),
  };
}

/** What clients of RFC 6750 and RFC 9449 know errors by. */
const BEARER_ERROR: Partial<Record<SessionErrorCode, string>> = {
  invalid_request: 'invalid_request',
  insufficient_scope: 'insufficient_scope',
  reauthentication_required: 'insufficient_user_authentication',
  step_up_required: 'insufficient_user_authentication',
  invalid_dpop_proof: 'invalid_dpop_proof',
  use_dpop_nonce: 'use_dpop_nonce',
};

/** `WWW-Authenticate` according to RFC 6750, 3, and RFC 9470, 3. Requests without credentials get no error code. */
function challengeOf(error: SessionError): string | null {
  const realm = 'Bearer realm="session"';
  if (error.code === 'session_required') return realm;
  const parameters = errorParameters(error);
  return parameters === null ? null : `${realm}, ${parameters}`;
}

/** With both schemes: what went wrong is said in the challenge of the one that the client used (RFC 9449, 7.1 and 7.2). */
function challengesFor(
  error: SessionError,
  exchange: HttpExchange,
  { algorithms, bearer }: ChallengeSettings,
): string | null {
  const own = error.code === 'session_required' ? '' : errorParameters(error);
  if (own === null) return null;
  const isDpop = !bearer || DPOP_CODES.has(error.code) || schemeOf(exchange.header('authorization') ?? '') === 'dpop';
  const dpop = [`DPoP algs="${algorithms.join(' ')}"`, isDpop && own].filter(Boolean).join(', ');
  if (!bearer) return dpop;
  const plain = ['Bearer realm="session"', !isDpop && own].filter(Boolean).join(', ');
  return isDpop ? `${dpop}, ${plain}` : `${plain}, ${dpop}`;
}

const DPOP_CODES: ReadonlySet<SessionErrorCode> = new Set(['dpop_required', 'invalid_dpop_proof', 'use_dpop_nonce']);

/** Null for an error that is not about credentials. */
function errorParameters({ code, statusCode, message }: SessionError): string | null {
  const named = BEARER_ERROR[code] ?? (statusCode === 401 ? 'invalid_token' : undefined);
  if (named === undefined) return null;
  return `error="${named}", error_description="${message.replace(/[^\x20-\x21\x23-\x5b\x5d-\x7e]/g, '')}"`;
}
