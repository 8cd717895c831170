import { AuthenticationError } from '../../model/errors.js';

/**
 * Whether an error means that the session of a token is over, so that its cookie is useless. False if a newer sign-in
 * replaced the session: the answer with the newer cookie may have arrived first.
 */
export function isSpent(error: unknown): boolean {
  return error instanceof AuthenticationError && error.ended !== null && error.ended !== 'replaced';
}
