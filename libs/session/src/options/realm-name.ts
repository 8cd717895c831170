import { refuse } from './option-error.js';

/** Part of a cookie's name and of Redis keys. */
const NAME = /^[a-z][a-z0-9-]{0,31}$/;

/** @throws {ConfigurationError} for anything that cannot name a realm. */
export function assertRealmName(realm: unknown, option: string): asserts realm is string {
  if (typeof realm === 'string' && NAME.test(realm)) return;
  refuse(
    option,
    'must name a realm: 1 to 32 lower-case letters, digits and "-", beginning with a letter, such as "admin"',
  );
}
