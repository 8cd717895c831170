import type { ModulesContainer } from '@nestjs/core';
import { ConfigurationError } from '../model/errors.js';
import { RAW_SESSION_OPTIONS } from './tokens.js';

/**
 * Two results of `forRoot` in one application would mean two stores, two global guards and two filters, and the order
 * of imports would decide which of them a route gets.
 *
 * @throws {ConfigurationError} if there is more than one.
 */
export function requireOneImport(modules: ModulesContainer): void {
  const made = [...modules.values()].filter((module) => module.providers.has(RAW_SESSION_OPTIONS)).length;
  if (made < 2) return;
  throw new ConfigurationError(
    `SessionModule.forRoot() is imported ${made} times in this application. Import it once, in the root module: it is global, so other modules need not import it. With isGlobal: false, keep the result of forRoot() in a constant and import that.`,
  );
}
