export type { Next } from '../http/exchange/answer-refusal.js';
export type { MiddlewareRequest } from '../http/exchange/request-view.js';
export { requireSession, type RequireSessionOptions, type SessionRequestHandler } from './require-session.js';
export { sessionMiddleware, type SessionMiddlewareOptions, type StandaloneSessions } from './session-middleware.js';
export { validateToken, type ForeignClaims, type ForeignTokens, type RequestWithUser } from './validate-token.js';
export { sessionOf, type RequestWithSession } from '../http/session/request-session-property.js';
