import { endedError } from '../model/errors.js';
import type { CallOptions, LiveSession, SessionStore } from '../ports/session-store.js';

/**
 * The administrator's own live session, for an impersonated session: from a near cache or by one more read. Null for others.
 *
 * @throws {AuthenticationError} once the administrator's session is over; the impersonated one is then ended too.
 * @throws {StoreUnavailableError}
 */
export async function requireActor(
  store: SessionStore,
  { session }: LiveSession,
  call?: CallOptions,
): Promise<LiveSession | null> {
  const { actor } = session;
  if (!actor) return null;
  const known = store.peek?.(actor.sessionId);
  if (known?.session.userId === actor.userId) return known;
  const own = await store.read(actor.sessionId, call);
  if (own.state === 'live' && own.session.userId === actor.userId) return own;
  await store.destroy(session.id, { reason: 'revoked', ...call });
  throw endedError('revoked');
}
