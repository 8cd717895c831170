import type { ServerResponse } from 'node:http';
import { SessionError } from '../model/errors.js';
import { answerRefusal, type Next } from './plain-answer.js';
import { plainContext, plainRoute, type PlainRequest } from './plain-exchange.js';
import { gateOf } from './request-session-property.js';
import type { RouteRules } from './route-rules.js';

/** Who may pass, as the decorators of the same names say it. */
export interface RequireSessionOptions {
  /** Any of them. */
  roles?: readonly string[];
  allowPending?: boolean;
  allowAnonymous?: boolean;
  /** Whether the request counts as no access. */
  noTouch?: boolean;
}

/** Middleware of Express, or of anything that hands on Node's request and response. */
export type SessionRequestHandler = (request: PlainRequest, response: ServerResponse, next: Next) => void;

/**
 * Refuses requests without a session, outside Nest's guards: 401, or 403 where the session does not suffice, 503 when the
 * store cannot be asked. Mount `SessionMiddleware` or `sessionMiddleware()` before it.
 *
 * ```ts
 * app.get('/files', requireSession, sendFiles);
 * app.use('/admin', requireSession({ roles: ['admin'] }), admin);
 * ```
 */
export function requireSession(request: PlainRequest, response: ServerResponse, next: Next): void;
export function requireSession(options?: RequireSessionOptions): SessionRequestHandler;
export function requireSession(
  first?: PlainRequest | RequireSessionOptions,
  response?: ServerResponse,
  next?: Next,
): SessionRequestHandler | void {
  if (response && next) return anySession(first as PlainRequest, response, next);
  return handlerFor((first as RequireSessionOptions | undefined) ?? {});
}

function handlerFor({ roles, ...rules }: RequireSessionOptions): SessionRequestHandler {
  const route = plainRoute({ ...rules, ...(roles && { roles: [...roles] }) } satisfies Partial<RouteRules>);
  return (request, response, next) => {
    const gate = gateOf(request);
    if (!gate) {
      next(
        new SessionError(
          'invalid_configuration',
          'requireSession: the request went through no session middleware. Mount sessionMiddleware(), or SessionMiddleware in Nest, before it.',
        ),
      );
      return;
    }
    gate.admit(plainContext(request, response, route)).then(
      () => next(),
      (error: unknown) => answerRefusal(error, request, response, next),
    );
  };
}

const anySession = handlerFor({});
