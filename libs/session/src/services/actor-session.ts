import { endedError } from '../model/errors.js';
import type { LiveSession, SessionStore } from '../ports/session-store.js';

/**
 * A session in which an administrator acts as somebody else lives no longer than the administrator's own: one read more,
 * for such sessions alone.
 *
 * @throws {AuthenticationError} once the administrator's session is over; the session is ended then.
 * @throws {StoreUnavailableError}
 */
export async function assertActorLives(store: SessionStore, { session }: LiveSession): Promise<void> {
  const { actor } = session;
  if (!actor) return;
  const own = await store.read(actor.sessionId);
  if (own.state === 'live' && own.session.userId === actor.userId) return;
  await store.destroy(session.id, { reason: 'revoked' });
  throw endedError('revoked');
}
