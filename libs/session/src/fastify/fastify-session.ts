/**
 * The request that a session of @fastify/session belongs to, or null. It has no name in its interface: looked for by the
 * description of the symbol under which it is kept, and done without where that is not found.
 */
export function requestOf(session: object): { session?: unknown } | null {
  const symbol = Object.getOwnPropertySymbols(session).find(({ description }) => description === 'request');
  const request: unknown = symbol && Reflect.get(session, symbol);
  return typeof request === 'object' && request !== null ? request : null;
}

/**
 * The id of the session that this one takes the place of, or null. `regenerate` of @fastify/session saves the new session
 * while the request still has the former one, and leaves that one in the store.
 */
export function replacedBy(session: object, sid: string): string | null {
  const current = requestOf(session)?.session;
  if (typeof current !== 'object' || current === null || current === session) return null;
  const { sessionId } = current as { sessionId?: unknown };
  return typeof sessionId === 'string' && sessionId !== sid ? sessionId : null;
}
