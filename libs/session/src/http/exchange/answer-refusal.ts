import type { ServerResponse } from 'node:http';
import { SessionError } from '../../model/errors.js';
import { SessionHttpException, refusal } from './http-errors.js';
import { middlewareExchange } from './middleware-exchange.js';
import type { MiddlewareRequest } from './request-view.js';

/** The callback of middleware: continues, or passes on an error. */
export type Next = (error?: unknown) => void;

/** Answers a refusal as JSON where no Nest filter does, and passes on every other error. */
export function answerRefusal(error: unknown, request: MiddlewareRequest, response: ServerResponse, next: Next): void {
  const exception = error instanceof SessionError ? refusal(error, middlewareExchange(request, response)) : error;
  if (!(exception instanceof SessionHttpException) || response.headersSent) {
    next(error);
    return;
  }
  response.statusCode = exception.getStatus();
  response.setHeader('content-type', 'application/json; charset=utf-8');
  response.end(JSON.stringify(exception.getResponse()));
}
