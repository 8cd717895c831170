import type { ServerResponse } from 'node:http';
import { SessionError } from '../model/errors.js';
import { SessionHttpException, refusal } from './http-errors.js';
import { exchangeOfPlain, type PlainRequest } from './plain-exchange.js';

/** What middleware calls to go on, or to hand on an error. */
export type Next = (error?: unknown) => void;

/** Answers a refusal as JSON, where there is no filter of Nest's to do so; hands on every other error. */
export function answerRefusal(error: unknown, request: PlainRequest, response: ServerResponse, next: Next): void {
  const exception = error instanceof SessionError ? refusal(error, exchangeOfPlain(request, response)) : error;
  if (!(exception instanceof SessionHttpException) || response.headersSent) {
    next(error);
    return;
  }
  response.statusCode = exception.getStatus();
  response.setHeader('content-type', 'application/json; charset=utf-8');
  response.end(JSON.stringify(exception.getResponse()));
}
