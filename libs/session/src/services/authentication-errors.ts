import { AuthenticationError, endedError } from '../model/errors.js';
import type { GoneSession } from '../ports/session-store.js';

/** The answer to a credential that does not hold, for whatever cause: a client learns nothing from the difference. */
export function invalidToken(): AuthenticationError {
  return new AuthenticationError('invalid_token', 'The session token is not valid. Sign in again.');
}

/** The answer to the credential of a session that is no more: why it ended, as long as the store remembers. */
export function goneError(gone: GoneSession): AuthenticationError {
  return gone.state === 'ended' ? endedError(gone.reason) : invalidToken();
}
