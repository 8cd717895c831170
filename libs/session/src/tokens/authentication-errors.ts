import { AuthenticationError, endedError } from '../model/errors.js';
import type { GoneSession } from '../ports/session-store.js';

/** What is wrong with a credential, for events and logs: not signed by this server, expired, or replaced. */
export type TokenFault = 'forged' | 'expired' | 'replaced';

/** The error for an invalid credential. The fault is its `cause`, and the client does not see it. */
export function invalidToken(fault?: TokenFault): AuthenticationError {
  return invalid(null, fault);
}

function invalid(ended: 'forgotten' | null, cause: TokenFault | undefined): AuthenticationError {
  return new AuthenticationError('invalid_token', 'The session token is not valid. Sign in again.', ended, { cause });
}

/** The error for a credential of an ended session, with the end reason while the store remembers it. */
export function goneError(gone: GoneSession): AuthenticationError {
  return gone.state === 'ended' ? endedError(gone.reason) : invalid('forgotten', 'expired');
}
