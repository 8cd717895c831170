import type { NewSession } from '../model/session.js';
import type { SessionUser } from '../model/session-user.js';

/** Who is signed in in a test: an id, a user as `@CurrentUser()` gives one, or everything that `start` takes. */
export type TestUser = string | NewSession | (Pick<SessionUser, 'id'> & Omit<NewSession, 'userId'>);

/** What `start` takes for the user. */
export function newSessionOf(user: TestUser): NewSession {
  if (typeof user === 'string') return { userId: user };
  if (!('id' in user)) return user;
  const { id, ...rest } = user;
  return { ...rest, userId: id };
}
