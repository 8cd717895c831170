import { ConfigurationError } from '../../model/errors.js';

/**
 * A dependency of a guard that comes from `SessionModule`.
 *
 * @throws {ConfigurationError} if it is missing.
 */
export function requireModule<T>(given: T | undefined, guard: string): T {
  if (given !== undefined) return given;
  throw new ConfigurationError(
    `${guard}: there is no SessionModule here. Import SessionModule.forRoot() in the root module, or with isGlobal: false in the module of this controller.`,
  );
}
