export interface User {
  readonly id: string;
  readonly email: string;
  readonly roles: readonly string[];
  /** Argon2id, in PHC form. */
  readonly passwordHash: string;
  /** What the user shares with an authenticator app (RFC 6238). With it, a password alone does not sign in. */
  readonly codeSecret?: string;
}
