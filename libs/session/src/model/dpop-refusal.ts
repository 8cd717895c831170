import { AuthenticationError, type SessionErrorCode } from './errors.js';

/** Why a request is refused because of DPoP, apart from what is wrong with its proof. */
const REASONS = {
  required: ['dpop_required', 'This needs a token that is bound to a key, with a proof of that key (DPoP).'],
  bound: ['invalid_token', 'The token is bound to a key: it counts only with a proof of that key (DPoP).'],
  unbound: ['invalid_token', 'The token is bound to no key: send it as a bearer token.'],
  key: ['invalid_token', 'The token is bound to another key than the one of the proof.'],
  missing: ['invalid_dpop_proof', 'Send a proof in the header DPoP.'],
  twice: ['invalid_dpop_proof', 'The request has more than one DPoP header.'],
  replayed: ['invalid_dpop_proof', 'The proof was used before: make a new one for each request.'],
  nonce: ['use_dpop_nonce', 'Make a new proof, with the value of the header DPoP-Nonce as its nonce.'],
} as const satisfies Record<string, readonly [SessionErrorCode, string]>;

/** The error for a request whose token or proof does not count. What it names of the reason is for developers, and no secret. */
export function dpopRefusal(reason: keyof typeof REASONS): AuthenticationError {
  const [code, message] = REASONS[reason];
  return new AuthenticationError(code, message, null, { cause: reason });
}

/** The error for a proof that is wrong in itself, or made for another request. */
export function badProof(fault: string): AuthenticationError {
  return new AuthenticationError('invalid_dpop_proof', `The DPoP proof does not count: ${fault}.`, null, {
    cause: 'proof',
  });
}
