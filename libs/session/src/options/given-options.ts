import { refuse } from './option-error.js';
import type { SessionModuleOptions } from './session-module-options.js';

/**
 * The options of a user or a factory, if they are an object.
 *
 * @throws {ConfigurationError} for anything else. The message does not repeat the value, because a URL can contain a
 * password.
 */
export function requireOptions(options: unknown): SessionModuleOptions {
  if (typeof options === 'string') {
    refuse(
      'options',
      "must be an object, not text; a Redis URL is the option redis: forRoot({ redis: 'redis://…', secrets })",
    );
  }
  if (options === undefined) refuse('options', 'the factory returned undefined; return {} for the defaults');
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    const given = options === null ? 'null' : Array.isArray(options) ? 'a list' : `a ${typeof options}`;
    refuse('options', `must be an object, not ${given}; omit it for the defaults`);
  }
  return options;
}

/**
 * The problem with an explicit `redis: undefined`, which is an unset environment variable. Null if the option is
 * omitted, or another option says where sessions are kept.
 */
export function unsetRedis(options: SessionModuleOptions): string | null {
  if (!('redis' in options) || options.redis !== undefined || options.store !== undefined) return null;
  return 'is undefined, so sessions are kept in the memory of this process; set the variable that it comes from, or omit the option if that is intended';
}
