import type { Session } from './session.js';

/** The value of `@CurrentUser()`, unless the option `resolveUser` returns another. */
export interface SessionUser {
  id: string;
  email: string;
  roles: string[];
}

/**
 * Types of the application. Augment `user` with the result of `resolveUser`; the option is then checked against it, and
 * `RequestUser` is the type of `@CurrentUser()`:
 *
 * ```ts
 * declare module 'nestjs-sessions' {
 *   interface SessionTypes { user: Person }
 * }
 * ```
 */
// Empty until augmented.
// eslint-disable-next-line @typescript-eslint/no-empty-object-type
export interface SessionTypes {}

/** The value of `@CurrentUser()` behind a guard: `SessionTypes['user']`, otherwise `SessionUser`. */
export type RequestUser = SessionTypes extends { user: infer U } ? NonNullable<Awaited<U>> : SessionUser;

/** The option `resolveUser`. Null results in 401. */
export type ResolveUser = (
  session: Session,
) => SessionTypes extends { user: unknown }
  ? RequestUser | null | undefined | Promise<RequestUser | null | undefined>
  : unknown;
