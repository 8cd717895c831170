import { AsyncLocalStorage } from 'node:async_hooks';
import { ConfigurationError, InvalidArgumentError } from '../../model/errors.js';
import { assertTenant } from '../../model/tenant.js';

/** The tenant of an operation, or why it has none. */
export type FoundTenant = { readonly tenant: string } | { readonly error: unknown };

/**
 * The tenant of the current operation, in an application that serves many. It follows the operation through promises, timers and
 * callbacks. An operation without a tenant fails: it never falls back to another one.
 */
export class TenantScope {
  private readonly storage = new AsyncLocalStorage<FoundTenant | null>();

  /**
   * @throws {ConfigurationError} outside a request and outside `run`.
   * @throws {SessionError} in a request whose tenant was not found: the reason.
   */
  current(): string {
    const found = this.storage.getStore();
    if (!found) {
      throw new ConfigurationError(
        'tenant: this call is outside of a request, so its tenant is unknown. Call forTenant(tenant) of the service first, or use SessionTenants.run(tenant, work).',
      );
    }
    if ('error' in found) throw found.error;
    return found.tenant;
  }

  /** @throws {InvalidArgumentError} for a name that no tenant can have. */
  run<T>(tenant: string, work: () => T): T {
    assertNamedTenant(tenant);
    return this.storage.run({ tenant }, work);
  }

  /** With an error, each use of the tenant in the work throws it; with null, the work has no tenant. */
  enter<T>(found: FoundTenant | null, work: () => T): T {
    return this.storage.run(found, work);
  }
}

/** @throws {InvalidArgumentError} unless the text can be the name of a tenant. */
export function assertNamedTenant(tenant: unknown): asserts tenant is string {
  assertTenant(tenant);
  if (tenant === '') throw new InvalidArgumentError('tenant', 'must be a non-empty string');
}
