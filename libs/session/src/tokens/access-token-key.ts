/**
 * A public key of access tokens, with the members of its kind beside these: `kty`, and `crv`, `x`, `y` or `n`, `e` (RFC 7517). A type of
 * our own, because `JsonWebKey` is found in another place in each version of @types/node.
 */
export interface AccessTokenKey {
  readonly kid: string;
  readonly alg: string;
  readonly use: 'sig';
  readonly [member: string]: unknown;
}
