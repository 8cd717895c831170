import type { ServerResponse } from 'node:http';
import { answerRefusal } from '../../http/exchange/answer-refusal.js';
import type { MiddlewareRequest } from '../../http/exchange/request-view.js';

/**
 * An error handler for Express that answers session errors as JSON, like the module's own filter: 503 with
 * `Retry-After` if the store is unavailable, 409 at the limit with the sessions to choose from, and others with their
 * `statusCode`. Passes on every other error, and errors after the response has begun. Mount it after the routes.
 */
export function sessionErrorHandler() {
  return (
    error: unknown,
    request: MiddlewareRequest,
    response: ServerResponse,
    next: (error?: unknown) => void,
  ): void => answerRefusal(error, request, response, next);
}
