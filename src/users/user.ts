export interface User {
  readonly id: string;
  readonly email: string;
  readonly roles: readonly string[];
  /** Argon2id, in PHC form. */
  readonly passwordHash: string;
}
