/**
 * The request that a session of @fastify/session belongs to, or null. Its property has no public name: this looks for
 * the symbol by its description, and works without the request if there is none.
 */
export function requestOf(session: object): { session?: unknown } | null {
  const symbol = Object.getOwnPropertySymbols(session).find(({ description }) => description === 'request');
  const request: unknown = symbol && Reflect.get(session, symbol);
  return typeof request === 'object' && request !== null ? request : null;
}

/**
 * The session that this one replaces, or null. `regenerate` of @fastify/session saves the new session while the request
 * still has the former one, and leaves the former one in the store.
 */
export function replacedSession(session: object, sid: string): { id: string; session: object } | null {
  const current = requestOf(session)?.session;
  if (typeof current !== 'object' || current === null || current === session) return null;
  const { sessionId } = current as { sessionId?: unknown };
  return typeof sessionId === 'string' && sessionId !== sid ? { id: sessionId, session: current } : null;
}
