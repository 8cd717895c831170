/**
 * What is measured, in the order of the table. `of` tells the two groups of the chart apart.
 *
 * @typedef {{ key: string, name: string, of: 'none' | 'near' | 'redis' | 'peer', on?: 'express' | 'fastify', stores?: string }} Variant
 */

/** @type {readonly Variant[]} */
export const VARIANTS = [
  { key: 'none', name: 'no guard', of: 'none' },
  { key: 'true', name: 'a guard that returns true', of: 'none' },
  { key: 'near-cookie', name: 'SessionGuard, cookie, near cache', of: 'near' },
  { key: 'near-bearer', name: 'SessionGuard, bearer token, near cache', of: 'near' },
  { key: 'near-jwt-auth-guard', name: 'JwtAuthGuard, near cache', of: 'near' },
  { key: 'cookie', name: 'SessionGuard, cookie', of: 'redis' },
  { key: 'bearer', name: 'SessionGuard, bearer token', of: 'redis' },
  { key: 'jwt-auth-guard', name: 'JwtAuthGuard', of: 'redis' },
  { key: 'session-ours', name: 'express-session on our store', of: 'redis', on: 'express' },
  { key: 'session-ours', name: '@fastify/session on our store', of: 'redis', on: 'fastify' },
  { key: 'passport-key', name: 'passport-jwt, KeyObject, no store', of: 'peer' },
  { key: 'passport-string', name: 'passport-jwt, string secret, no store', of: 'peer' },
  { key: 'session-connect-redis', name: 'express-session, connect-redis 8', of: 'peer', on: 'express' },
  { key: 'session-connect-redis', name: '@fastify/session, connect-redis 8', of: 'peer', on: 'fastify' },
  { key: 'better-auth', name: 'better-auth, Redis as secondary storage', of: 'peer', on: 'express' },
];

/** @returns {Variant} */
export function variantOf(/** @type {'express' | 'fastify'} */ platform, /** @type {string} */ key) {
  const found = VARIANTS.find((variant) => variant.key === key && (!variant.on || variant.on === platform));
  if (!found) throw new Error(`no variant ${key} on ${platform}`);
  return found;
}
