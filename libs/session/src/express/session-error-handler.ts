import type { IncomingMessage, ServerResponse } from 'node:http';
import { STATUS_CODES } from 'node:http';
import { SessionError } from '../model/errors.js';

/**
 * An error handler for Express that answers the errors of sessions as JSON: 503 with `Retry-After` when the store cannot
 * be asked, 413, 409 and others as their `statusCode` says. Hands on every other error, and those that come when the
 * response is under way. Mount it after the routes.
 */
export function sessionErrorHandler() {
  return (
    error: unknown,
    _request: IncomingMessage,
    response: ServerResponse,
    next: (error?: unknown) => void,
  ): void => {
    if (!(error instanceof SessionError) || response.headersSent) {
      next(error);
      return;
    }
    const { statusCode, code, expose } = error;
    const words = STATUS_CODES[statusCode] ?? 'Error';
    const message =
      statusCode === 503 ? 'Sessions cannot be checked at the moment. Try again.' : expose ? error.message : words;
    response.statusCode = statusCode;
    if (statusCode === 503) response.setHeader('Retry-After', '1');
    response.setHeader('Cache-Control', 'no-store');
    response.setHeader('Content-Type', 'application/json; charset=utf-8');
    response.end(JSON.stringify({ statusCode, error: words, code, message }));
  };
}
