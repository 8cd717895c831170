import type { ServerResponse } from 'node:http';
import { SessionError } from '../model/errors.js';
import { answerRefusal, type Next } from '../http/exchange/answer-refusal.js';
import { middlewareContext, middlewareRoute } from '../http/exchange/middleware-exchange.js';
import type { MiddlewareRequest } from '../http/exchange/request-view.js';
import { findRequestSessions } from '../http/session/request-sessions.js';
import type { RouteRules } from '../http/authorization/route-rules.js';

/** The requirements, named like the decorators. */
export interface RequireSessionOptions {
  /** At least one of them. */
  roles?: readonly string[];
  allowPending?: boolean;
  allowAnonymous?: boolean;
  /** Whether the request does not count as an access. */
  noTouch?: boolean;
}

/** Middleware of Express, or of any framework that passes on Node's request and response. */
export type SessionRequestHandler = (request: MiddlewareRequest, response: ServerResponse, next: Next) => void;

/**
 * Refuses requests without a session, outside Nest's guards: 401, 403 if the session does not suffice, 503 if the store
 * is unavailable. Mount `SessionMiddleware` or `sessionMiddleware()` before it.
 *
 * ```ts
 * app.get('/files', requireSession, sendFiles);
 * app.use('/admin', requireSession({ roles: ['admin'] }), admin);
 * ```
 */
export function requireSession(request: MiddlewareRequest, response: ServerResponse, next: Next): void;
export function requireSession(options?: RequireSessionOptions): SessionRequestHandler;
export function requireSession(
  first?: MiddlewareRequest | RequireSessionOptions,
  response?: ServerResponse,
  next?: Next,
): SessionRequestHandler | void {
  if (response && next) return anySession(first as MiddlewareRequest, response, next);
  return handlerFor((first as RequireSessionOptions | undefined) ?? {});
}

function handlerFor({ roles, ...rules }: RequireSessionOptions): SessionRequestHandler {
  const route = middlewareRoute({ ...rules, ...(roles && { roles: [...roles] }) } satisfies Partial<RouteRules>);
  return (request, response, next) => {
    const sessions = findRequestSessions(request);
    if (!sessions) {
      next(
        new SessionError(
          'invalid_configuration',
          'requireSession: no session middleware has run for this request. Mount sessionMiddleware(), or SessionMiddleware in Nest, before it.',
        ),
      );
      return;
    }
    sessions.admission.admit(middlewareContext(request, response, route)).then(
      () => next(),
      (error: unknown) => answerRefusal(error, request, response, next),
    );
  };
}

const anySession = handlerFor({});
