import type { JwtAlgorithm } from '../options/session-module-options.js';
import type { JwtKey } from '../options/jwt-keys.js';

/** Signs and verifies with one key: the part of @nestjs/jwt's `JwtService` that is used. That package is optional. */
export interface JwtSigner {
  sign(claims: Record<string, unknown>, options: { algorithm: JwtAlgorithm; header: JwtHeader }): string;
  /** Throws for a token with a wrong signature, or outside its times. */
  verify(
    token: string,
    options: { algorithms: JwtAlgorithm[]; clockTimestamp?: number; ignoreExpiration?: boolean },
  ): unknown;
}

export interface JwtHeader {
  alg: JwtAlgorithm;
  typ: string;
  kid: string;
}

export type CreateJwtSigner = (key: JwtKey) => JwtSigner;
