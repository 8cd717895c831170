import { InvalidArgumentError } from './errors.js';
import { isWellFormed } from './ids.js';

/** Longest name of a tenant, UTF-16 units. */
export const MAX_TENANT_LENGTH = 256;

/**
 * Checks the name of a tenant. Control characters are refused because names are written into lines, lone surrogates because
 * two such names would be the same in UTF-8.
 *
 * @throws {InvalidArgumentError} unless it is a well-formed string of at most 256 characters. '' means no tenant.
 */
export function assertTenant(tenant: unknown): asserts tenant is string {
  if (
    typeof tenant === 'string' &&
    tenant.length <= MAX_TENANT_LENGTH &&
    isWellFormed(tenant) &&
    // eslint-disable-next-line no-control-regex -- control characters are what is looked for
    !/[\0-\x1f\x7f]/.test(tenant)
  )
    return;
  throw new InvalidArgumentError(
    'tenant',
    `must be a well-formed string of at most ${MAX_TENANT_LENGTH} characters without control characters`,
  );
}

/**
 * Prefix of a text that is signed for a tenant: the length-prefixed name, so that no two pairs of tenant and text give the
 * same bytes. Empty without a tenant.
 */
export function tenantPrefix(tenant: string): string {
  return tenant === '' ? '' : `${Buffer.byteLength(tenant)}:${tenant}\n`;
}
